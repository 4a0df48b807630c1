"""Images and sounds as data URIs, small enough to stand in a page."""

from __future__ import annotations

import base64
import io
import wave

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

from training.model.media.thumbnail import sound_thumbnail

SIDE = 160  # pixels of an image at most
STRIP = (200, 60)  # pixels of a spectrogram
SECONDS = 5.0  # of a sound
_RATE, _BITS = 22_050, 40_000  # Hz and bits a second of the MP3


def image_uri(image: npt.NDArray[np.uint8]) -> str:
    """A JPEG of an image in the packed form, uint8 `[3, S, S]`."""
    picture = image_picture(image)
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return _jpeg(picture, 85)


def spectrogram_uri(samples: npt.NDArray[np.int16], sample_rate: int) -> str:
    """A JPEG of the spectrogram of a sound's first five seconds, int16 `[L]`."""
    return _jpeg(spectrogram(samples, sample_rate).resize(STRIP, Image.Resampling.LANCZOS), 75)


def image_picture(image: npt.NDArray[np.uint8]) -> Image.Image:
    """An image in the packed form, uint8 `[3, S, S]`, as an RGB picture."""
    return Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))


def spectrogram(samples: npt.NDArray[np.int16], sample_rate: int) -> Image.Image:
    """The log-mel spectrogram of a sound's first five seconds, int16 `[L]`, as an RGB picture of 320 x 160 pixels."""
    stream = io.BytesIO()
    with wave.open(stream, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(sample_rate)
        sound.writeframes(_beginning(samples, sample_rate).astype("<i2").tobytes())
    return Image.open(io.BytesIO(sound_thumbnail(stream.getvalue()))).convert("RGB")


def sound_uri(samples: npt.NDArray[np.int16], sample_rate: int) -> str:
    """An MP3, which every browser plays, of a sound's first five seconds, int16 `[L]`."""
    frame = av.AudioFrame.from_ndarray(_beginning(samples, sample_rate)[None], format="s16", layout="mono")
    frame.sample_rate = sample_rate
    stream = io.BytesIO()
    with av.open(stream, "w", format="mp3") as container:
        track = container.add_stream("libmp3lame", rate=_RATE, layout="mono")
        track.bit_rate = _BITS
        track.codec_context.open()
        resampler = av.AudioResampler(track.format, "mono", _RATE, frame_size=track.codec_context.frame_size)
        for piece in (*resampler.resample(frame), *resampler.resample(None), None):
            container.mux(track.encode(piece))
    return _uri("audio/mpeg", stream.getvalue())


def _beginning(samples: npt.NDArray[np.int16], sample_rate: int) -> npt.NDArray[np.int16]:
    return np.ascontiguousarray(samples[: round(SECONDS * sample_rate)])


def _jpeg(picture: Image.Image, quality: int) -> str:
    stream = io.BytesIO()
    picture.convert("RGB").save(stream, "JPEG", quality=quality)
    return _uri("image/jpeg", stream.getvalue())


def _uri(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
