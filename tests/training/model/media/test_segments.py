"""Several stretches of one sound: each is what reading it alone gives, and the file is decoded once for all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from training.model.media import sound
from training.model.media.sound import Allowance, AllowanceSpent, Span, read_segments, read_sound
from training.model.media.source import DamagedMedia, EmptyMedia, MediaError, MediaTooLarge, UnsupportedMedia

RATE = 22_050
Encode = Callable[..., bytes]
Files = dict[str, bytes]
Wave = npt.NDArray[np.int16]

# without order, overlapping, one twice, one of a sample, two past the end of a second of sound
SPANS: list[Span] = [
    (0.5, 0.2),
    (0.0, None),
    (0.1, 0.5),
    (0.5, 0.2),
    (0.9, 7.0),
    (0.3, 1e-9),
    (40.0, 1.0),
    (50.0, None),
]


def alone(source: bytes, span: Span, **options: Any) -> Wave | MediaError:
    try:
        return read_sound(source, RATE, name="a", start=span[0], duration=span[1], **options)
    except MediaError as error:
        return error


def equal(cut: Wave | MediaError, wave: Any) -> bool:
    return not isinstance(cut, MediaError) and np.array_equal(cut, wave)


def assert_same(found: list[Wave | MediaError], expected: list[Wave | MediaError]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert type(one) is type(other)
        assert str(one) == str(other) if isinstance(one, MediaError) else equal(one, other)


@pytest.fixture(scope="module")
def noise() -> Wave:
    """A second."""
    return np.random.default_rng(0).integers(-32_768, 32_768, RATE).astype(np.int16)


@pytest.mark.parametrize("label", ["wav", "flac", "mp3", "m4a", "ogg vorbis", "mkv film"])
def test_each_stretch_is_what_reading_it_alone_gives(sound_files: Files, label: str) -> None:
    data = sound_files[label]
    assert_same(read_segments(data, RATE, SPANS, name="a"), [alone(data, span) for span in SPANS])


def test_stretches_are_slices_of_the_whole(wav: Encode, noise: Wave) -> None:
    cuts = read_segments(wav(noise.astype("<i2").tobytes(), RATE), RATE, SPANS, name="a")
    for (start, duration), cut in zip(SPANS[:6], cuts, strict=False):
        first = round(start * RATE)
        length = RATE if duration is None else max(1, round(duration * RATE))
        assert equal(cut, noise[first : first + length])
    assert [str(cut) for cut in cuts[6:]] == [
        "a ends at 1.00 s, before the 40 s asked for; choose an earlier start",
        "a ends at 1.00 s, before the 50 s asked for; choose an earlier start",
    ]
    assert all(isinstance(cut, EmptyMedia) for cut in cuts[6:])


def test_no_more_is_decoded_than_the_last_stretch_needs(
    wav: Encode, noise: Wave, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = 0
    whole = sound.decode_sound

    def count(*arguments: Any, **options: Any) -> Iterator[Wave]:
        nonlocal decoded
        for piece in whole(*arguments, **options):
            decoded += len(piece)
            yield piece

    monkeypatch.setattr(sound, "decode_sound", count)
    data = wav(noise.astype("<i2").tobytes(), RATE)
    read_segments(data, RATE, [(0.2, 0.2), (0.1, 0.1), (0.0, 0.3)])
    assert 0.4 * RATE <= decoded < 0.8 * RATE  # once for the three, and not the rest


def test_what_a_file_that_can_not_be_read_raises_is_the_answer_for_each(sound_files: Files) -> None:
    first, second = read_segments(b"words", RATE, [(0.0, None), (1.0, 1.0)], name="a")
    assert isinstance(first, UnsupportedMedia)
    assert first is second


def test_stretches_before_the_damage_are_whole(wav: Encode) -> None:
    samples = np.zeros(RATE, "<f4")
    samples[round(0.75 * RATE)] = np.nan
    spans: list[Span] = [(0.1, 0.3), (0.5, 0.4), (0.0, None)]
    whole, broken, rest = read_segments(wav(samples.tobytes(), RATE, bits=32, code=3), RATE, spans)
    assert equal(whole, np.zeros(round(0.3 * RATE)))
    assert isinstance(broken, DamagedMedia)
    assert isinstance(rest, DamagedMedia)


def test_only_the_stretch_that_is_too_long_is_refused(sound_files: Files) -> None:
    data = sound_files["flac"]
    spans: list[Span] = [(0.0, None), (0.2, 0.3), (0.1, 0.5)]
    found = read_segments(data, RATE, spans, name="a", max_seconds=0.4)
    assert_same(found, [alone(data, span, max_seconds=0.4) for span in spans])
    assert [isinstance(cut, MediaTooLarge) for cut in found] == [True, False, True]


def test_what_all_of_them_keep_is_taken_from_the_allowance(sound_files: Files) -> None:
    allowance = Allowance(1.0)
    read_segments(sound_files["wav"], RATE, [(0.0, 0.3), (0.1, 0.4)], allowance=allowance)
    assert allowance.left == pytest.approx(0.3)
    with pytest.raises(AllowanceSpent):
        read_segments(sound_files["wav"], RATE, [(0.0, 0.2), (0.1, 0.2)], allowance=allowance)


@pytest.mark.parametrize("span", [(-0.1, None), (0.0, 0.0)])
def test_a_stretch_that_makes_no_sense_is_the_callers_mistake(sound_files: Files, span: Span) -> None:
    with pytest.raises(ValueError, match="start must be at least 0 and duration above 0"):
        read_segments(sound_files["wav"], RATE, [(0.0, None), span])
