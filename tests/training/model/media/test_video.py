"""Single pictures of videos: the one that is shown at a time, upright, whatever the container and its key frames."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from training.model.media import video
from training.model.media.source import (
    DamagedMedia,
    EmptyMedia,
    MediaError,
    MediaTooLarge,
    MissingMedia,
    UnsupportedMedia,
)
from training.model.media.video import VideoInfo, read_frames, video_info

RATE = 10  # pictures a second
Encode = Callable[..., bytes]


def make_film(
    seconds: float, container: str = "mp4", codec: str = "libx264", *, gop: int = 12, late_sound: float | None = None
) -> bytes:
    """A grey film whose n-th picture has its own shade; a second of sound begins `late_sound` seconds in."""
    stream = io.BytesIO()
    with av.open(stream, "w", format=container) as output:
        film: Any = output.add_stream(codec, rate=RATE, options={"sc_threshold": "0"} if codec == "libx264" else {})
        film.width, film.height, film.pix_fmt, film.gop_size = 48, 32, "yuv420p", gop
        film.bit_rate = 2_000_000
        track: Any = None
        if late_sound is not None:
            track = output.add_stream("libopus" if container == "webm" else "aac", rate=48_000, layout="mono")
        for number in range(round(seconds * RATE)):
            pixels = np.full((32, 48, 3), shade(number), np.uint8)
            output.mux(film.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        output.mux(film.encode(None))
        if track is not None:
            samples = np.zeros((1, 48_000), np.float32)
            frame = av.AudioFrame.from_ndarray(samples, "fltp", "mono")
            frame.sample_rate, frame.pts = 48_000, round((late_sound or 0) * 48_000)
            output.mux(track.encode(frame))
            output.mux(track.encode(None))
    return stream.getvalue()


def shade(number: int) -> int:
    return 2 * (number % 125)


def shown(picture: Image.Image) -> float:
    """Which picture of the film this is, by its shade."""
    return float(np.asarray(picture).mean()) / 2


def turned(film: bytes, matrix: tuple[int, int, int, int]) -> bytes:
    """An MP4 whose header asks for another orientation."""
    place = film.index(b"tkhd") + 4 + 4 + 20 + 8 + 8  # version, times, layer and volume
    a, b, c, d = (value.to_bytes(4, "big", signed=True) for value in (value << 16 for value in matrix))
    zero = bytes(4)
    return film[:place] + a + b + zero + c + d + film[place + 20 :]


@pytest.mark.parametrize(
    ("container", "codec"),
    [("mp4", "libx264"), ("mp4", "mpeg4"), ("mov", "libx264"), ("matroska", "libx264"), ("webm", "libvpx")],
)
def test_the_picture_that_is_shown_at_a_time(container: str, codec: str) -> None:
    film = make_film(4, container, codec)
    times = [0.0, 0.05, 1.0, 1.26, 2.5, 3.9, 3.99]
    numbers = [shown(picture) for picture in read_frames(film, times)]
    assert numbers == pytest.approx([0, 0, 10, 12, 25, 39, 39], abs=1)


@pytest.mark.parametrize("gop", [5, 60, 10_000])
@pytest.mark.parametrize("container", ["mp4", "matroska"])
def test_jumps_find_what_decoding_all_of_it_finds(container: str, gop: int) -> None:
    film = make_film(12.5 * 4, container, gop=gop)
    times = [1.0, 9.95, 10.05, 19.0, 29.9, 30.5, 47.0]
    far = [picture.tobytes() for picture in read_frames(film, times)]
    near = dict(zip(range(500), read_frames(film, [n / RATE + 0.05 for n in range(500)]), strict=True))
    assert far == [near[int(time * RATE + 1e-6)].tobytes() for time in times]


@pytest.mark.parametrize(("gop", "jumps"), [(5, 4), (10_000, 1)])
def test_no_jumps_where_they_lead_back(gop: int, jumps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[None] = []
    real = video._Film._jump
    monkeypatch.setattr(video._Film, "_jump", lambda *arguments: calls.append(real(*arguments)))
    assert len(list(read_frames(make_film(50, gop=gop), [0.0, 10.0, 20.0, 30.0, 40.0, 41.0]))) == 6
    assert len(calls) == jumps


def test_of_times_after_the_end_none_is_given() -> None:
    film = make_film(2)
    pictures = list(read_frames(film, [0.5, 1.5, 5.0, 100.0, 200.0]))
    assert [shown(picture) for picture in pictures] == pytest.approx([5, 15, 19], abs=1)


def test_time_begins_with_the_sound_track() -> None:
    film = make_film(4, "matroska", late_sound=1.5)
    (picture,) = read_frames(film, [1.05])
    assert shown(picture) == pytest.approx(25, abs=1)
    assert video_info(film).seconds == pytest.approx(2.5, abs=0.1)


def test_what_a_video_holds(encode_sound: Encode, sine: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(make_film(3.5, late_sound=0))
    info = video_info(tmp_path / "a.mp4")
    assert (info.has_pictures, info.has_sound) == (True, True)
    assert info.seconds == pytest.approx(3.5, abs=0.05)
    assert video_info(make_film(3)) == VideoInfo(3.0, True, False)
    tone = encode_sound(sine(440, 48_000, 1.0), 48_000, "webm", "libopus")
    assert video_info(tone) == VideoInfo(0.0, False, True)
    with pytest.raises(UnsupportedMedia, match="no moving pictures"):
        list(read_frames(tone, [0.0]))


class Pipe(io.BytesIO):
    """What a browser records into: no way back to write the length."""

    def seekable(self) -> bool:
        return False


def test_a_webm_that_does_not_say_how_long_it_is() -> None:
    film, pipe = io.BytesIO(make_film(3, "webm", "libvpx")), Pipe()
    with av.open(film, "r") as source, av.open(pipe, "w", format="webm", options={"live": "1"}) as output:
        output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux():
            if packet.dts is not None:
                output.mux(packet)
    with av.open(io.BytesIO(pipe.getvalue()), "r") as container:
        assert container.duration is None
    assert video_info(pipe.getvalue()).seconds == pytest.approx(3.0, abs=0.15)


@pytest.mark.parametrize(
    ("matrix", "size", "corner"),
    [
        ((1, 0, 0, 1), (48, 32), (0, 0)),
        ((0, 1, -1, 0), (32, 48), (-1, 0)),  # a quarter to the right, as phones held upright write
        ((-1, 0, 0, -1), (48, 32), (-1, -1)),
        ((0, -1, 1, 0), (32, 48), (0, -1)),
    ],
)
def test_pictures_are_upright(
    matrix: tuple[int, int, int, int], size: tuple[int, int], corner: tuple[int, int]
) -> None:
    stream = io.BytesIO()
    with av.open(stream, "w", format="mp4") as output:
        film: Any = output.add_stream("mpeg4", rate=RATE)
        film.width, film.height, film.pix_fmt = 48, 32, "yuv420p"
        pixels = np.zeros((32, 48, 3), np.uint8)
        pixels[:16, :16] = 255  # the top left corner is white
        for _ in range(5):
            output.mux(film.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        output.mux(film.encode(None))
    (picture,) = read_frames(turned(stream.getvalue(), matrix), [0.1])
    assert picture.size == size
    grey = np.asarray(picture.convert("L"))
    bright = {at for at in ((0, 0), (0, -1), (-1, 0), (-1, -1)) if grey[at[1], at[0]] > 128}
    assert bright == {corner}


def test_what_can_not_be_read_is_said(tmp_path: Path) -> None:
    film = make_film(2)
    for data, kind, says in (
        (b"", EmptyMedia, "is empty"),
        (b"hello" * 500, UnsupportedMedia, "is not a video that can be read"),
        (film[:600], UnsupportedMedia, "cut off"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n", UnsupportedMedia, "send MP4, MOV, MKV or WebM"),
    ):
        for read in (
            lambda data=data: video_info(data, name="a.mp4"),
            lambda data=data: list(read_frames(data, [0.0], name="a.mp4")),
        ):
            with pytest.raises(kind, match=says) as caught:
                read()
            assert str(caught.value).startswith("a.mp4 ")
    with pytest.raises(MissingMedia):
        video_info(tmp_path / "none.mp4")
    with pytest.raises(MediaTooLarge, match="48 x 32 pixels"):
        list(read_frames(film, [0.0], max_pixels=1000))
    for times in ([1.0, 1.0], [2.0, 1.0], [-1.0]):
        with pytest.raises(ValueError, match="times must rise"):
            list(read_frames(film, times))


def test_damage_is_an_error_or_passed_over_but_never_a_surprise() -> None:
    film = make_film(6, late_sound=0)
    rng = np.random.default_rng(0)
    begins = film.index(b"mdat") + 4
    for _ in range(40):
        broken = bytearray(film)
        for place in rng.integers(begins if rng.random() < 0.5 else 0, len(film), 30):
            broken[place] = rng.integers(256)
        with suppress(MediaError):
            video_info(bytes(broken))
        with suppress(MediaError):
            list(read_frames(bytes(broken), [0.5, 3.0, 5.0]))
    broken = bytearray(film)
    broken[begins:] = rng.bytes(len(film) - begins)
    with pytest.raises((DamagedMedia, EmptyMedia, UnsupportedMedia)):
        list(read_frames(bytes(broken), [0.5, 3.0, 5.0]))
