"""`bma demo`, without its minutes of training."""

import json
import shutil
import socket
from pathlib import Path

import pytest

from service.cli import main
from service.demo import Demo
from service.project import _read, _write
from service.server import listen


def test_a_port_in_use_is_said_before_minutes_of_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main(["demo", "--out", str(tmp_path / "demo"), "--port", str(taken.getsockname()[1])]) == 1
    assert "choose another with --port" in capsys.readouterr().err
    assert not (tmp_path / "demo").exists()


@pytest.mark.parametrize("left", [b"", b'{"model": "abc", "sco', b"[1]", b"\xff\xfe"])
def test_a_document_that_a_crash_cut_off_counts_as_missing(tmp_path: Path, left: bytes) -> None:
    (tmp_path / "scores.json").write_bytes(left)
    assert _read(tmp_path / "scores.json") == {}


def test_a_document_is_read_as_it_was_written(tmp_path: Path) -> None:
    _write(tmp_path / "scores.json", {"model": "abc", "scores": {"hit@1": 0.5}})
    assert _read(tmp_path / "scores.json") == {"model": "abc", "scores": {"hit@1": 0.5}}
    assert [file.name for file in tmp_path.iterdir()] == ["scores.json"]
    assert json.loads((tmp_path / "scores.json").read_text())["model"] == "abc"


def test_what_is_not_there_is_empty(tmp_path: Path) -> None:
    assert _read(tmp_path / "scores.json") == {}


def test_its_questions_are_of_the_first_of_their_classes_and_say_so(
    demo_folder: Path, bundle_folder: Path, catalogue_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, folder in (("data", demo_folder), ("model", bundle_folder)):
        (tmp_path / name).symlink_to(folder)
    shutil.copytree(catalogue_folder, tmp_path / "index")  # other tests hold the one that they share
    Demo(tmp_path).ask(listen("127.0.0.1", 0), serve=False)
    told = capsys.readouterr().out
    sound, image = (min(demo_folder.glob(files)).name for files in ("sounds/train_test-*", "images/boat_test-*"))
    assert "the first test sound of a train and the first test picture of a boat, right or wrong" in told
    assert "is what bma query makes of its JSON" in told
    assert f"\n{sound}:\n" in told
    assert f"\n{image}:\n" in told
