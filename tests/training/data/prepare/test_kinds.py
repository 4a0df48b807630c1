"""`bma data prepare` as a user runs it."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_a_kind_from_the_shell(tmp_path: Path, write_clip: Callable[..., None], bma: Any) -> None:
    src, out = tmp_path / "vgg", tmp_path / "vgg" / "data"
    write_clip(src / "videos" / "aaaaaaaaaaa_000030.mp4", 1.0)
    (src / "videos" / "bbbbbbbbbbb_000000.mp4").touch()
    (src / "videos" / "ddddddddddd_000000.mp4").touch()
    lines = ["aaaaaaaaaaa,30,playing drums,train", 'bbbbbbbbbbb,0,"a, b",test', "ccccccccccc,0,c,test"]
    (src / "vggsound.csv").write_text("\n".join(lines))
    done = bma("data", "prepare", "vggsound", src, out, "--val", "0")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"wrote {out}/rows.csv: 1 rows (1 train)",
        "pairs of image and sound: 1, of them 1 to train with; classes: 1",
        f"left out, as they can't be read: 1; {out}/unreadable.csv lists them",
        f"named by the data set's lists and not there: 1; {out}/missing.csv lists them",
        "there and not named by the data set's lists, so not used: 1",
        f"next: bma train --data {out}/rows.csv --out {src}/data-run",  # not into the owners' folder
    ]
    run = tmp_path / "run"
    done = bma("data", "prepare", "vggsound", src, run / "data", "--val", "0")
    assert done.stdout.splitlines()[-1] == f"next: bma train --data {run}/data/rows.csv --out {run}"
    done = bma("data", "prepare", "kinetics400", src, out)
    assert done.returncode == 1
    assert (
        done.stderr == f"bma: {out} already holds rows.csv of another data set of kind vggsound; name another folder\n"
    )
    for options in (("kinetics400", "--as", "unpaired", "--limit", "3"), ("esc50", "--val-fold", "1"), ("dcase2018",)):
        done = bma("data", "prepare", *options, src / "none", tmp_path / "out")
        assert done.stderr.startswith(f"bma: {src}/none is not a folder") or "--val-fold" in done.stderr
        assert done.stderr.count("\n") == 1


def test_unpaired_items_come_with_a_way_to_join_them(tmp_path: Path, write_clip: Callable[..., None], bma: Any) -> None:
    src, out = tmp_path / "k400", tmp_path / "my runs" / "kinetics"
    write_clip(src / "train" / "aaaaaaaaaaa_000001_000011.mp4", 1.0)
    (src / "train.csv").write_text("label,youtube_id,time_start,time_end,split\ndrumming,aaaaaaaaaaa,1,11,train\n")
    done = bma("data", "prepare", "kinetics400", src, out, "--as", "unpaired")
    assert done.returncode == 0, done.stderr
    hint = shlex.split(done.stdout.splitlines()[-1])
    assert hint == ["next:", "bma", "data", "join", f"{out}-joined/rows.csv", "PAIRS", "--unpaired", f"{out}/rows.csv"]
    (tmp_path / "pairs.csv").write_text("split,image,sound\ntrain,a.jpg,a.wav\n")
    done = bma(*(str(tmp_path / "pairs.csv") if word == "PAIRS" else word for word in hint[2:]))
    assert done.returncode == 0, done.stderr
    assert "3 rows (1 train, 2 unpaired)" in done.stdout
