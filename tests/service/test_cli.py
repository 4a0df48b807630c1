"""The `bma` command, run as a user runs it."""

from __future__ import annotations

import errno
import json
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from service.cli import _sentence, main
from tests.conftest import Bma

INDEX = ("build", "check", "compact", "create", "export", "import", "info", "migrate", "rebuild", "root", "sync")
COMMANDS = (
    (),
    ("demo",),
    ("create",),
    ("data",),
    ("data", "check"),
    ("data", "demo"),
    ("data", "join"),
    ("data", "pack"),
    ("data", "prepare"),
    *(("data", "prepare", kind) for kind in ("acivw", "dcase2018", "esc50", "folder", "kinetics400", "vggsound")),
    ("train",),
    ("evaluate",),
    ("study",),
    ("report",),
    ("embed",),
    ("index",),
    *(("index", action) for action in INDEX),
    ("keys",),
    *(("keys", action) for action in ("add", "list", "remove")),
    ("serve",),
    ("query",),
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_helps(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith("usage: bma " + " ".join(command))
    assert "None" not in shown


def test_without_a_command_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert all(f"\n    {command[0]}" in shown.err for command in COMMANDS if command)


def test_all_commands_are_tried_above(capsys: pytest.CaptureFixture[str]) -> None:
    for group in ((), ("data",), ("data", "prepare"), ("index",), ("keys",)):
        with pytest.raises(SystemExit):
            main([*group, "--help"])
        shown = capsys.readouterr().out
        listed = re.findall(r"^    ([a-z][a-z0-9-]*)\b", shown, re.MULTILINE)
        assert listed
        assert {(*group, name) for name in listed} <= set(COMMANDS)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from service.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'fastapi', 'numpy', 'faiss', 'httpx', 'av', 'PIL', 'uvicorn', 'pydantic'}\n"
        "print('heavy:', sorted(heavy & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("heavy: []\n")


def test_an_error_is_one_sentence_and_debug_shows_where(bma: Bma, tmp_path: Path) -> None:
    done = bma("index", "info", tmp_path / "nothing")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"bma: {tmp_path / 'nothing'} holds no catalogue; make one with "
        f"'bma index build BUNDLE SOURCE --out {tmp_path / 'nothing'}', or an empty one with "
        f"'bma index create BUNDLE --out {tmp_path / 'nothing'}'\n"
    )
    debugged = bma("--debug", "index", "info", tmp_path / "nothing")
    assert debugged.returncode == 1
    assert "Traceback" in debugged.stderr


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert (ended.value.code, capsys.readouterr().out) == (0, f"bma {version('bma-memory')}\n")


def test_where_the_system_refuses_the_file_and_a_remedy_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["data", "demo", str(tmp_path / "file" / "demo")]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"bma: {tmp_path / 'file'}")
    assert told.endswith(": Not a directory; check the path and its permissions\n")
    full = OSError(errno.ENOSPC, "No space left on device")
    assert _sentence(full) == "No space left on device; make room there, or name a folder on another disk"


def test_a_wrong_command_line_shows_the_usage(bma: Bma) -> None:
    for arguments in ((), ("fly",), ("index",), ("index", "build"), ("query", "http://x", "smells", "a.jpg")):
        done = bma(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("usage: bma")


def test_output_that_nobody_reads_is_no_traceback(catalogue_folder: Path) -> None:
    root = Path(__file__).parents[2]
    command = f"{sys.executable} -m service.cli index info {catalogue_folder} | true"
    done = subprocess.run(["bash", "-c", command], cwd=root, capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_index_info_tells_what_is_in_it(bma: Bma, catalogue_folder: Path, demo_folder: Path) -> None:
    info = json.loads(bma("index", "info", catalogue_folder, "--json").stdout)
    assert (info["images"], info["sounds"], info["dimension"]) == (30, 30, 128)
    assert info["root"] == str(demo_folder.resolve())
    assert "images: 30\nsounds: 30\n" in bma("index", "info", catalogue_folder).stdout


def test_embed_writes_what_the_model_says(bundle_folder: Path, demo_folder: Path, tmp_path: Path) -> None:
    image, sound = (sorted(demo_folder.glob(pattern))[0] for pattern in ("images/*.jpg", "sounds/*.wav"))
    out = tmp_path / "x.npz"
    files = [str(bundle_folder), str(image), str(sound)]
    assert main(["embed", *files, "--out", str(out), "--device", "cpu", "--precision", "fp32"]) == 0
    from training.model.embedder import Embedder

    embedder = Embedder(bundle_folder, "cpu", "fp32")
    with np.load(out) as arrays:
        assert arrays["name"].tolist() == [str(image), str(sound)]
        assert arrays["modality"].tolist() == ["image", "sound"]
        assert np.allclose(arrays["z"][0], embedder.embed([image], "image").z[0], atol=1e-4)
        assert np.allclose(arrays["h"][1], embedder.embed([sound], "sound").h[0], atol=1e-3)


def test_embed_names_the_file_that_it_can_not_read(
    bundle_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("hello " * 100)
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("hello " * 100)
    said = (("notes.txt", "not a sound that can be read"), ("text.jpg", "not an image that can be read"))
    for name, says in (*said, ("empty.jpg", "is empty"), ("none.jpg", "check the path")):
        assert main(["embed", str(bundle_folder), str(tmp_path / name), "--out", str(tmp_path / "x.npz")]) == 1
        told = capsys.readouterr().err
        assert told.startswith(f"bma: {tmp_path / name} ")
        assert says in told
        assert told.count("\n") == 1
        assert not (tmp_path / "x.npz").exists()


def test_prepare_says_what_it_made_and_what_comes_next(bma: Bma, demo_folder: Path, tmp_path: Path) -> None:
    for number, label in enumerate(("dog", "cat", "dog", "cat", "dog", "cat")):
        for kind, suffix in (("images", "jpg"), ("sounds", "wav")):
            file = sorted(demo_folder.glob(f"{kind}/*.{suffix}"))[number]
            (tmp_path / "in" / label).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, tmp_path / "in" / label / f"{number}.{suffix}")
    (tmp_path / "in" / "cut.mp4").write_bytes(b"no video")
    rows, unreadable = tmp_path / "my set" / "rows.csv", tmp_path / "my set" / "unreadable.csv"
    done = bma("data", "prepare", "folder", tmp_path / "in", rows.parent)
    assert (done.returncode, done.stderr) == (0, "")
    first, second, third, last = done.stdout.splitlines()
    assert first.startswith(f"wrote {rows}: 6 rows (")
    assert re.fullmatch(r"pairs of image and sound: 6, of them [1-4] to train with; classes: 2", second)
    assert third == f"left out, as they can't be read: 1; {unreadable} lists them"
    assert last == f"next: bma train --data '{rows}' --out '{tmp_path / 'my set-run'}'"
    wrong = bma("data", "prepare", "folder", tmp_path / "in", tmp_path / "in")
    assert (wrong.returncode, wrong.stdout, wrong.stderr.count("\n")) == (1, "", 1)
    assert wrong.stderr.startswith(f"bma: {tmp_path / 'in'} is the folder that is prepared")
