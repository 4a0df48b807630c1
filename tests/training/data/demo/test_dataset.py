"""Making the demo set: whose files it replaces, whose it does not, and that rows.csv means the set is complete."""

import hashlib
import json
from pathlib import Path

import pytest

from service.cli import main
from training.data.demo import dataset
from training.data.demo.dataset import DemoDataError, Part, make_demo
from training.data.rows import read_rows

PARTS = (Part("train", "pair", 1), Part("unpaired", "image", 1, sound=False))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small demo set; tests may make it again."""
    out = tmp_path_factory.mktemp("made") / "demo"
    make_demo(out, parts=PARTS)
    return out


def content(folder: Path) -> dict[str, str]:
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def stop_drawing(*_: object) -> None:
    raise AssertionError("it drew before it looked")


@pytest.mark.parametrize("name", ["images/holiday.jpg", "sounds/song.wav", "rows.csv", "images", "sounds/.keep"])
def test_what_somebody_else_put_there_is_refused_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.setattr(dataset, "ProcessPoolExecutor", stop_drawing)
    mine = tmp_path / "mine" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("keep me")
    assert main(["data", "demo", str(tmp_path / "mine")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    where = tmp_path / "mine" / name.split("/")[0]
    assert line == f"bma: {where} holds what 'bma data demo' did not make and would replace; name another folder"
    assert mine.read_text() == "keep me"
    assert [file for file in (tmp_path / "mine").rglob("*") if file.is_file()] == [mine]


def test_the_same_seed_makes_the_same_again_in_its_place(made: Path) -> None:
    before = content(made)
    assert json.loads((made / "demo.json").read_text()) == {
        "made_by": "bma data demo",
        "seed": 0,
        "images": 20,
        "sounds": 10,
    }
    (made / "packed").mkdir(exist_ok=True)
    (made / "notes.txt").write_text("mine")
    left = made / ".demo-draft-abcdefgh"
    left.mkdir()
    (left / "half").write_text("of a killed run")
    make_demo(made, parts=PARTS)
    assert (made / "notes.txt").read_text() == "mine"
    (made / "notes.txt").unlink()
    assert content(made) == before
    assert {entry.name for entry in made.iterdir()} == {"demo.json", "rows.csv", "images", "sounds", "packed"}


def test_a_picture_of_ones_own_among_the_demos_is_kept(made: Path) -> None:
    mine = made / "images" / "My cat.jpg"
    mine.write_text("meow")
    with pytest.raises(DemoDataError, match="images holds what"):
        make_demo(made, parts=PARTS)
    assert mine.read_text() == "meow"
    mine.unlink()


def test_rows_are_only_there_when_the_set_is_complete(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def pull_the_plug(self: Path, target: Path) -> Path:
        if target == made / "sounds":
            raise KeyboardInterrupt
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", pull_the_plug)
        with pytest.raises(KeyboardInterrupt):
            make_demo(made, parts=PARTS)
    assert not (made / "rows.csv").exists()
    rows = read_rows(make_demo(made, parts=PARTS))  # and what is there is known as ours
    assert len(rows) == 20
    assert all((made / path).is_file() for row in rows for path in (row.image, row.sound) if path)
