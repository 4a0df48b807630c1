"""`bma data pack` and `bma data check`: what they say and how they end."""

from pathlib import Path

import pytest

from service.cli import main


def test_packing_says_what_it_did_and_a_second_time_does_nothing(
    tiny_rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "set"
    command = ["data", "pack", str(tiny_rows), str(out), "--image-size", "32"]
    assert main(command) == 0
    assert capsys.readouterr().out == f"packed: 26 images and 26 sounds in {out}\n"
    number = (out / "pack.json").stat().st_ino
    assert main(command) == 0
    assert capsys.readouterr().out == f"already packed: 26 images and 26 sounds in {out}\n"
    assert (out / "pack.json").stat().st_ino == number


def test_checking_finds_a_flipped_bit(tiny_rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "set"
    assert main(["data", "pack", str(tiny_rows.parent), str(out), "--image-size", "32"]) == 0
    capsys.readouterr()
    assert main(["data", "check", str(out)]) == 0
    assert capsys.readouterr().out == f"{out} is as it was packed: 26 images and 26 sounds\n"
    content = bytearray((out / "waves-22050.i16").read_bytes())
    content[9999] ^= 16
    (out / "waves-22050.i16").write_bytes(content)
    assert main(["data", "check", str(out)]) == 1
    assert capsys.readouterr().err == (
        f"bma: {out / 'waves-22050.i16'} is not as it was packed; delete the folder and pack it again\n"
    )
