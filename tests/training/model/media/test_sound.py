"""Sounds of every format, rate and number of channels come out as mono int16 at one rate, and true to the original."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from training.model.media.sound import Allowance, AllowanceSpent, read_sound, sound_seconds, sound_type
from training.model.media.source import (
    DamagedMedia,
    EmptyMedia,
    MediaError,
    MediaTooLarge,
    MissingMedia,
    UnsupportedMedia,
)

RATE = 22_050
LOSSLESS = ("wav", "wav 24 bit", "wav float", "wav 8 bit", "w64", "aiff", "caf", "flac", "5.1 flac")
LOSSY = ("mp3", "mp3 8 kHz", "ogg vorbis", "ogg opus", "webm opus", "m4a", "aac", "mp4 film", "mkv film")
TYPES = {
    "wav": "audio/wav",
    "w64": "audio/x-w64",
    "aiff": "audio/aiff",
    "caf": "audio/x-caf",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "ogg vorbis": "audio/ogg",
    "ogg opus": "audio/ogg",
    "webm opus": "audio/webm",
    "m4a": "audio/mp4",
    "aac": "audio/aac",
    "mp4 film": "video/mp4",
    "mkv film": "video/x-matroska",
}

Encode = Callable[..., bytes]
Files = dict[str, bytes]
Wave = npt.NDArray[np.int16]


@pytest.fixture(scope="module")
def noise() -> Wave:
    """Two and a half seconds with both extremes of int16 in them."""
    samples = np.random.default_rng(0).integers(-32_768, 32_768, 5 * RATE // 2).astype(np.int16)
    samples[:2] = (-32_768, 32_767)
    return samples


def pitch(wave: Wave) -> float:
    """Hz of the strongest tone, its middle second's."""
    middle = wave[len(wave) // 10 : -len(wave) // 10].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 1 << 18))
    return float(spectrum.argmax() * RATE / (1 << 18))


@pytest.mark.parametrize("label", LOSSLESS + LOSSY)
def test_a_tone_keeps_its_pitch_length_and_level(sound_files: Files, label: str) -> None:
    wave = read_sound(sound_files[label], RATE)
    assert wave.dtype == np.int16
    assert wave.ndim == 1
    assert pitch(wave) == pytest.approx(440, abs=0.5)
    # a codec pads its last block, and AAC without a container its first
    assert -1 <= len(wave) - RATE <= (0 if label in LOSSLESS else 0.06 * RATE)
    middle = wave[RATE // 4 : 3 * RATE // 4].astype(np.float64)
    assert middle.std() == pytest.approx(16_384 / 2**0.5, rel=0.01 if label in LOSSLESS else 0.06)


@pytest.mark.parametrize("label", sorted({*LOSSLESS, *LOSSY} - {"ogg vorbis"}))  # FFmpeg writes its times wrong
def test_a_file_says_how_long_it_is(sound_files: Files, label: str) -> None:
    seconds = sound_seconds(sound_files[label])
    assert seconds is not None
    assert seconds == pytest.approx(len(read_sound(sound_files[label], RATE)) / RATE, abs=0.15)


def test_several_sounds_share_an_allowance(sound_files: Files) -> None:
    allowance = Allowance(2.5)
    for _ in range(2):
        read_sound(sound_files["wav"], RATE, allowance=allowance)
    assert allowance.left == pytest.approx(0.5, abs=1e-3)
    read_sound(sound_files["wav"], RATE, start=0.3, duration=0.25, allowance=allowance)  # only what is kept counts
    assert not allowance.spent
    for seconds in (0.5, 0.01):  # once it is spent there is nothing for anyone
        with pytest.raises(AllowanceSpent):
            read_sound(sound_files["flac"], RATE, duration=seconds, allowance=allowance)
    assert allowance.spent


def test_the_films_and_the_formats_are_all_covered(sound_files: Files) -> None:
    assert set(LOSSLESS + LOSSY) == set(sound_files)


@pytest.mark.parametrize("label", LOSSLESS + LOSSY)
def test_the_same_bytes_decode_to_the_same_samples(sound_files: Files, label: str, tmp_path: Path) -> None:
    data = sound_files[label]
    file = tmp_path / "misnamed.m3u8"
    file.write_bytes(data)
    once = read_sound(data, RATE)
    assert np.array_equal(once, read_sound(data, RATE))
    assert np.array_equal(once, read_sound(file, RATE))


def test_mono_16_bit_at_the_models_rate_is_bit_exact(wav: Encode, noise: Wave) -> None:
    assert np.array_equal(read_sound(wav(noise.astype("<i2").tobytes(), RATE), RATE), noise)


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 7, 8, 9, 16, 24, 63, 64])
def test_channels_are_averaged_however_many(wav: Encode, channels: int) -> None:
    frames = np.random.default_rng(channels).integers(-3000, 3000, (500, channels)).astype("<i2")
    wave = read_sound(wav(frames.tobytes(), RATE, channels=channels), RATE)
    assert np.array_equal(wave, np.rint(frames.mean(axis=1)))


@pytest.mark.parametrize(
    ("code", "bits", "data"),
    [
        (1, 8, bytes([192])),
        (1, 24, struct.pack("<i", 1 << 22)[:3]),
        (1, 32, struct.pack("<i", 1 << 30)),
        (3, 32, struct.pack("<f", 0.5)),
        (3, 64, struct.pack("<d", 0.5)),
    ],
)
def test_every_depth_has_the_same_full_scale(wav: Encode, code: int, bits: int, data: bytes) -> None:
    wave = read_sound(wav(data * 1000, RATE, bits=bits, code=code), RATE)
    assert len(wave) == 1000
    assert (wave == 16_384).all()


def test_what_is_louder_than_full_scale_is_clipped(wav: Encode) -> None:
    data = struct.pack("<4f", 7.0, 1.0, -1.0, -7.0) * 100
    assert read_sound(wav(data, RATE, bits=32, code=3), RATE)[:4].tolist() == [32_767, 32_767, -32_768, -32_768]


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 44_100, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("frequency", [100.0, 3_000.0])
def test_resampling_keeps_the_pitch(wav: Encode, sine: Callable[..., Wave], rate: int, frequency: float) -> None:
    samples = np.rint(sine(frequency, rate, 1.0) * 32_767).astype("<i2")
    wave = read_sound(wav(samples.tobytes(), rate), RATE)
    assert abs(len(wave) - RATE) <= 1
    assert pitch(wave) == pytest.approx(frequency, abs=0.5)


def test_tones_above_half_the_rate_do_not_fold_back(wav: Encode, sine: Callable[..., Wave]) -> None:
    samples = np.rint(sine(15_000.0, 48_000, 1.0) * 32_767).astype("<i2")
    assert np.abs(read_sound(wav(samples.tobytes(), 48_000), RATE)[500:-500]).max() < 30


@pytest.mark.parametrize("label", TYPES)
def test_the_media_type_comes_from_the_bytes(sound_files: Files, label: str, tmp_path: Path) -> None:
    file = tmp_path / "sound.xyz"
    file.write_bytes(sound_files[label])
    assert sound_type(file) == TYPES[label]


def test_a_stream_of_an_unknown_coding_has_a_type_and_is_refused(sound_files: Files) -> None:
    data = sound_files["webm opus"].replace(b"A_OPUS", b"A_ZZZZ")
    assert sound_type(data) == "audio/x-matroska"
    assert "coding that can't be read; send WAV" in str(refusal(data, "z.webm"))
    film = sound_files["mkv film"].replace(b"V_MPEG4/ISO/ASP", b"V_ZZZZZ/ISO/ASP")
    assert sound_type(film) == "video/x-matroska"
    assert np.array_equal(read_sound(film, RATE), read_sound(sound_files["mkv film"], RATE))


def test_start_and_duration_cut_to_the_sample(wav: Encode, noise: Wave) -> None:
    data = wav(noise.astype("<i2").tobytes(), RATE)
    assert np.array_equal(read_sound(data, RATE, start=0.5), noise[RATE // 2 :])
    assert np.array_equal(read_sound(data, RATE, duration=0.2), noise[: RATE // 5])
    assert np.array_equal(read_sound(data, RATE, start=1.0, duration=0.2), noise[RATE : RATE + RATE // 5])
    assert np.array_equal(read_sound(data, RATE, start=2.0, duration=9.0), noise[2 * RATE :])
    assert len(read_sound(data, RATE, duration=1e-9)) == 1


@pytest.mark.parametrize("label", ["mp3", "m4a", "flac", "ogg vorbis"])
def test_a_cut_of_a_coded_sound_is_a_slice_of_the_whole(sound_files: Files, label: str) -> None:
    whole = read_sound(sound_files[label], RATE)
    part = read_sound(sound_files[label], RATE, start=0.25, duration=0.5)
    assert np.array_equal(part, whole[round(0.25 * RATE) : round(0.25 * RATE) + round(0.5 * RATE)])


@pytest.mark.parametrize(("start", "duration"), [(-0.1, None), (0.0, 0.0), (0.0, -1.0)])
def test_a_stretch_that_makes_no_sense_is_the_callers_mistake(
    wav: Encode, start: float, duration: float | None
) -> None:
    with pytest.raises(ValueError, match="start must be at least 0 and duration above 0") as caught:
        read_sound(wav(b"\0\0" * 10, RATE), RATE, start=start, duration=duration)
    assert not isinstance(caught.value, MediaError)


def refusal(source: bytes | Path, name: str | None = None, start: float = 0.0, seconds: float = 60.0) -> MediaError:
    with pytest.raises(MediaError) as caught:
        read_sound(source, RATE, name=name, start=start, max_seconds=seconds)
    return caught.value


def test_a_start_past_the_end_says_where_the_end_is(wav: Encode, noise: Wave) -> None:
    error = refusal(wav(noise.astype("<i2").tobytes(), RATE), "n.wav", start=3.0)
    assert isinstance(error, EmptyMedia)
    assert str(error) == "n.wav ends at 2.50 s, before the 3 s asked for; choose an earlier start"


def test_the_limit_on_seconds_is_for_the_stretch_asked_for(wav: Encode, noise: Wave) -> None:
    data = wav(noise.astype("<i2").tobytes(), RATE)
    assert len(read_sound(data, RATE, max_seconds=2.5)) == len(noise)
    assert len(read_sound(data, RATE, start=2.0, max_seconds=0.5)) == RATE // 2
    assert len(read_sound(data, RATE, duration=0.5, max_seconds=0.5)) == RATE // 2
    for error in (refusal(data, "n.wav", seconds=2.4), refusal(data, "n.wav", start=1.0, seconds=1.4)):
        assert isinstance(error, MediaTooLarge)
        assert "cut it into shorter files" in str(error)


def test_a_film_without_a_sound_track_says_so(sine: Callable[..., Wave], encode_sound: Encode) -> None:
    silent = encode_sound(sine(440, RATE, 1.0), RATE, "mp4", "aac", video="mpeg4", sound=False)
    error = refusal(silent, "film.mp4")
    assert isinstance(error, UnsupportedMedia)
    assert str(error) == "film.mp4 has no sound track; send a file with sound"


def test_no_bytes_and_no_samples_are_called_empty(wav: Encode, tmp_path: Path) -> None:
    assert str(refusal(b"", "a.wav")) == "a.wav is empty (0 bytes); send the file again"
    (tmp_path / "b.wav").touch()
    assert "is empty (0 bytes); copy the file again" in str(refusal(tmp_path / "b.wav"))
    error = refusal(wav(b"", RATE), "c.wav")
    assert isinstance(error, EmptyMedia)
    assert str(error) == "c.wav holds no sound; check how it was recorded or exported"


def test_a_missing_file_says_what_to_check(tmp_path: Path) -> None:
    error = refusal(tmp_path / "nothing.wav")
    assert isinstance(error, MissingMedia)
    assert str(tmp_path / "nothing.wav") in str(error)


@pytest.mark.parametrize("values", [(np.nan, 0.0), (np.inf, 0.0), (np.inf, -np.inf)])
def test_samples_that_are_not_numbers_are_refused(wav: Encode, values: tuple[float, float]) -> None:
    data = wav(struct.pack("<2f", *values) * 1000, RATE, channels=2, bits=32, code=3)
    error = refusal(data, "n.wav")
    assert isinstance(error, DamagedMedia)
    assert str(error) == ("n.wav holds samples that are not numbers (NaN or infinity); export it again as 16-bit PCM")


@pytest.mark.parametrize("rate", [1, 7, 999, 1_000_001, 2**31 - 1])
def test_a_sample_rate_that_would_eat_the_memory_is_refused(wav: Encode, rate: int) -> None:
    error = refusal(wav(b"\0\1" * 400, rate), "r.wav")
    assert isinstance(error, UnsupportedMedia)
    assert str(error) == f"r.wav has a sample rate of {rate:,} Hz; export it at 8,000 to 192,000 Hz"


def test_more_channels_than_can_be_mixed_are_refused(wav: Encode) -> None:
    assert str(refusal(wav(b"\0" * 26_000, RATE, channels=65), "c.wav")) == (
        "c.wav has 65 channels; export it with at most 64"
    )


def test_a_file_with_many_broken_packets_is_damaged(sound_files: Files) -> None:
    data = bytearray(sound_files["m4a"])
    data[len(data) * 4 // 10 : len(data) * 8 // 10] = np.random.default_rng(0).bytes(len(data) * 4 // 10)
    error = refusal(bytes(data), "b.m4a")
    assert isinstance(error, DamagedMedia)
    assert str(error).startswith("b.m4a is damaged (")
    assert str(error).endswith("packets can't be decoded); export it again")


@pytest.mark.parametrize("label", LOSSLESS + LOSSY)
def test_a_truncated_file_gives_its_beginning_or_is_refused(sound_files: Files, label: str) -> None:
    data = sound_files[label]
    whole = read_sound(data, RATE)
    lengths = []
    for tenth in range(10):
        try:
            wave = read_sound(data[: max(1, len(data) * tenth // 10)], RATE, name="cut.snd")
        except MediaError as error:
            assert str(error).startswith("cut.snd ")  # noqa: PT017 - either outcome is right
            continue
        lengths.append(len(wave))
        assert 0 < len(wave) <= len(whole)
        if label in LOSSLESS:
            sure = len(wave) - 40  # the resampler's tail
            assert np.array_equal(wave[:sure], whole[:sure])
    assert lengths == sorted(lengths)
    assert lengths or label in ("m4a", "mp4 film", "ogg opus", "ogg vorbis")


@pytest.mark.parametrize(
    "data",
    [
        b"ffconcat version 1.0\nfile secret.wav\n",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\nsecret.aac\n#EXT-X-ENDLIST\n",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\nhttp://127.0.0.1:9/a.aac\n#EXT-X-ENDLIST\n",
        b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 45004 RTP/AVP 0\r\n",
        b"hello, I am a text file\n" * 40,
    ],
    ids=["concat", "playlist of files", "playlist of addresses", "sdp", "text"],
)
def test_a_file_that_names_other_files_is_refused(
    sound_files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("secret.wav").write_bytes(sound_files["wav"])
    Path("secret.aac").write_bytes(sound_files["aac"])
    if data.startswith(b"ffconcat"):
        with av.open(io.BytesIO(data), "r") as unguarded:
            assert next(unguarded.decode(audio=0)).samples, "FFmpeg no longer follows such a file by itself"
    for suffix in ("wav", "ffconcat", "m3u8", "sdp"):
        file = Path(f"upload.{suffix}")
        file.write_bytes(data)
        for error in (refusal(file), refusal(data, str(file))):
            assert isinstance(error, UnsupportedMedia)
            assert str(error).startswith(f"{file} is not a sound that can be read, or is cut off; send WAV, FLAC, MP3")
