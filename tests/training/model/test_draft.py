"""Drafts: gone at the end, kept while their process lives, cleared once it was killed; replacing loses nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from training.model.draft import clear_drafts, make_draft, replace_folder, replaced_file


def kill_while_drafting(target: Path) -> Path:
    """A process makes a draft and dies without a word; returns what it leaves."""
    code = (
        "import os, sys; from pathlib import Path; from training.model.draft import make_draft\n"
        "with make_draft(Path(sys.argv[1])) as draft: (draft / 'half').write_text('x'); os.kill(os.getpid(), 9)"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code, str(target)], cwd=root, check=False)
    assert done.returncode == -9
    (left,) = target.parent.glob(f".{target.name}-draft-*")
    return left


def test_a_draft_lies_beside_its_target_and_goes(tmp_path: Path) -> None:
    with make_draft(tmp_path / "runs" / "model") as draft:
        assert draft.parent == tmp_path / "runs"
        assert draft.name.startswith(".model-draft-")
        (draft / "file").write_text("x")
    assert list((tmp_path / "runs").iterdir()) == []


def test_what_a_killed_process_left_is_cleared_and_what_a_living_one_makes_is_not(tmp_path: Path) -> None:
    left = kill_while_drafting(tmp_path / "model")
    with make_draft(tmp_path / "model") as draft:
        (draft / "file").write_text("x")
        clear_drafts(tmp_path / "model")
        assert not left.exists()
        assert (draft / "file").read_text() == "x"


def test_only_drafts_of_that_target_are_cleared(tmp_path: Path) -> None:
    others = [".model-original", ".model-draft-old", ".model-2-draft-abcdefgh", "model-draft-abcdefgh", "model"]
    for name in others:
        (tmp_path / name).mkdir()
    (tmp_path / ".model-draft-12345678").write_text("a file")
    (tmp_path / ".model-draft-abcdefgh").symlink_to(tmp_path / "model")
    clear_drafts(tmp_path / "model")
    assert len(list(tmp_path.iterdir())) == len(others) + 2
    clear_drafts(tmp_path / "nowhere" / "model")


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "new" / "file"
    for text in ("old", "new"):
        with replaced_file(file) as draft:
            draft.write_text(text)
            assert draft.parent == file.parent
            assert not file.exists() or file.read_text() == "old"
        assert file.read_text() == text

    def stop() -> None:
        with replaced_file(file) as draft:
            draft.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert file.read_text() == "new"
    assert list(file.parent.iterdir()) == [file]


def test_replacing_a_folder_keeps_either_the_old_or_the_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, draft = tmp_path / "set", tmp_path / "draft"
    for folder in (target, draft):
        folder.mkdir()
        (folder / "file").write_text(folder.name)
    rename = Path.rename

    def stop(self: Path, to: Path) -> Path:
        if self == target:
            rename(self, to)
            raise KeyboardInterrupt
        return rename(self, to)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", stop)
        with pytest.raises(KeyboardInterrupt):
            replace_folder(draft, target)
    assert (target / "file").read_text() == "set"
    replace_folder(draft, target)
    assert (target / "file").read_text() == "draft"
    assert list(tmp_path.iterdir()) == [target]


def test_an_old_folder_whose_replacement_was_killed_half_way_goes_back(tmp_path: Path) -> None:
    target = tmp_path / "model"
    target.mkdir()
    (target / "file").write_text("old")
    code = (
        "import os, sys; from pathlib import Path; from training.model.draft import make_draft, replace_folder\n"
        "rename, target = Path.rename, Path(sys.argv[1])\n"
        "def die(self, to): rename(self, to); os.kill(os.getpid(), 9)\n"
        "with make_draft(target) as draft: Path.rename = die; replace_folder(draft, target)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(target)], cwd=Path(__file__).parents[3], check=False)
    assert done.returncode == -9
    assert not target.exists()
    clear_drafts(target)
    assert (target / "file").read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]
