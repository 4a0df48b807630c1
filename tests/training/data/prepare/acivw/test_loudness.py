"""Counts of a microphone become int16 samples: at one loudness, or with a gain that never clips."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.training.data.prepare.acivw.made import RATE, listed, rows_of
from training.data.prepare.acivw import PEAK, prepare_acivw, to_int16
from training.data.prepare.output import PrepareError
from training.model.media.sound import read_sound
from training.model.media.source import DamagedMedia


@pytest.mark.parametrize("gain", [0.0, -1.0, float("nan"), float("inf")])
def test_a_gain_that_is_none(tmp_path: Path, small: dict[str, Any], gain: float) -> None:
    with pytest.raises(PrepareError, match="--gain takes a number above 0"):
        prepare_acivw(tmp_path / "src", tmp_path / "out", gain=gain)


def test_a_gain_keeps_loudness_and_never_clips(tmp_path: Path, release: ModuleType, small: dict[str, Any]) -> None:
    quiet, loud = small["val"], small["test"]
    for second in quiet.values():
        second.sound //= 100
        second.write(tmp_path / "src")
    loud[1].sound[0, 0] = 2**31 - 1
    loud[1].write(tmp_path / "src")
    made = prepare_acivw(tmp_path / "src", tmp_path / "out", gain=0.25)
    assert made.splits == {"train": 2, "val": 1}
    reason = listed(tmp_path / "out" / "unreadable.csv")["class_9/data_060/001"]
    most = float(re.fullmatch(r"would clip at --gain 0.25; use at most (.*)", reason)[1])  # type: ignore[index]
    sounds = {id: read_sound(tmp_path / "out" / row.sound, RATE) for id, row in rows_of(tmp_path / "out").items()}
    counts = np.concatenate([second.sound for second in quiet.values()]).reshape(-1)
    assert np.abs(sounds["class_0:data_001:001"] - (counts - counts.mean()) * 0.25).max() <= 0.5
    assert np.abs(sounds["class_3:data_012:001"]).max() > 50 * np.abs(sounds["class_0:data_001:001"]).max()
    assert prepare_acivw(tmp_path / "src", tmp_path / "out", gain=most).unreadable == 0


def test_scaling_at_the_ends_of_int32() -> None:
    lowest, highest = np.iinfo(np.int32).min, np.iinfo(np.int32).max
    assert to_int16(np.array([lowest, highest], np.int32), None, "x").tolist() == [-PEAK, PEAK]
    assert to_int16(np.array([5, 5, 5], np.int32), None, "x").tolist() == [0, 0, 0]  # silence stays silent
    assert to_int16(np.array([lowest + 1, lowest - 1 + 2], np.int32), None, "x").tolist() == [0, 0]
    assert to_int16(np.array([100_001, 99_999] * 4, np.int32), None, "x").tolist() == [PEAK, -PEAK] * 4  # an offset
    assert to_int16(np.array([-3, 3], np.int32), 10_000, "x").tolist() == [-30_000, 30_000]
    with pytest.raises(DamagedMedia, match=r"^x would clip at --gain 11000; use at most 1.09e\+04"):
        to_int16(np.array([-3, 3], np.int32), 11_000, "x")


def test_resampling_does_not_clip(tmp_path: Path, release: ModuleType, small: dict[str, Any]) -> None:
    square = np.where(np.arange(2 * RATE) % 23 < 11, 80_000, -80_000).astype(np.int32)  # a microphone at its limits
    for second, sound in zip(small["val"].values(), square.reshape(2, 12, 1024), strict=True):
        second.sound = sound
        second.write(tmp_path / "src")
    prepare_acivw(tmp_path / "src", tmp_path / "out")
    for row in rows_of(tmp_path / "out").values():  # the others are white noise
        wave = read_sound(tmp_path / "out" / row.sound, 22_050)
        assert len(wave) == pytest.approx(44_100, abs=50)
        assert PEAK < np.abs(wave.astype(int)).max() < 30_000  # it overshoots
