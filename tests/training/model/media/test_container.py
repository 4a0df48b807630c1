"""A file whose disk fails while it is read is told from one that is broken."""

from __future__ import annotations

import errno
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from training.model.media import container
from training.model.media.sound import decode_sound, read_sound, sound_seconds
from training.model.media.source import MissingMedia
from training.model.media.video import read_frames, video_info

SAYS = r"^a.mp4 can't be read \(Input/output error\); check the disk it is on$"


class Failing(io.BytesIO):
    """Bytes on a disk that has a bad sector at a place."""

    def __init__(self, data: bytes, place: int) -> None:
        super().__init__(data)
        self.place = place

    def read(self, size: int | None = -1) -> bytes:
        if self.place < min(self.tell() + (size or 0), len(self.getvalue())):
            raise OSError(errno.EIO, "Input/output error")
        return super().read(size)


@pytest.fixture
def film(encode_sound: Callable[..., bytes], sine: Any) -> bytes:
    """An MP4, whose index is at its end."""
    return encode_sound(sine(440.0, 44_100, 2.0), 44_100, "mp4", "aac", video="mpeg4")


def break_at(share: float, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is opened is this data, with a bad sector after a share of it."""

    def opened(*_: Any) -> BinaryIO:
        return Failing(data, int(share * len(data)))

    monkeypatch.setattr(container, "open_source", opened)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
@pytest.mark.parametrize(
    "read",
    [
        lambda: read_sound(Path("x"), 8000, name="a.mp4"),
        lambda: list(read_frames(Path("x"), [0.9], name="a.mp4")),
        lambda: video_info(Path("x"), name="a.mp4"),
        lambda: sound_seconds(Path("x"), name="a.mp4"),
    ],
)
def test_a_bad_sector_is_no_damage(
    film: bytes, read: Callable[[], object], share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_at(share, film, monkeypatch)
    with pytest.raises(MissingMedia, match=SAYS):
        read()


@pytest.mark.parametrize("share", [0.2, 0.9])
def test_also_where_reading_has_begun(wav: Callable[..., bytes], share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    break_at(share, wav(bytes(2 * 44_100 * 20), 44_100), monkeypatch)
    pieces = decode_sound(Path("x"), 8000, name="a.mp4")
    assert len(next(pieces)) > 0
    with pytest.raises(MissingMedia, match=SAYS):
        list(pieces)


def test_a_place_that_no_file_has_is_no_bad_sector(
    encode_sound: Callable[..., bytes], sine: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A chunk as long as no file is stands before the samples."""
    good = encode_sound(sine(440.0, 44_100, 1.0), 44_100, "w64", "pcm_s16le")
    chunk = good.index(b"data")
    guid = b"junk" + good[chunk + 4 : chunk + 16]
    file = tmp_path / "a.w64"
    file.write_bytes(good[:chunk] + guid + (2**62).to_bytes(8, "little") + good[chunk:])
    assert len(read_sound(file, 8000)) == 8000  # the samples are all there
    assert capfd.readouterr().err == ""
