"""What is sent: pictures and sounds in forms, and rubbish made of them."""

from __future__ import annotations

import io
import random
import wave

import numpy as np
from PIL import Image

FILES = 8  # different ones of each modality
BOUNDARY = "soak"

Ask = tuple[str, str, bytes]  # method, path, body


class Files:
    """Pictures and sounds as parts of a form, and rubbish made of them."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.pictures = [_picture(rng) for _ in range(FILES)]
        self.sounds = [_sound(rng) for _ in range(FILES)]
        self.embed = [form([part(modality, data)]) for modality, data in self._each()]

    def _each(self) -> list[tuple[str, bytes]]:
        return [("image", data) for data in self.pictures] + [("sound", data) for data in self.sounds]

    def rubbish(self, chance: random.Random) -> Ask:
        """A request that makes no sense, though it is HTTP."""
        picture, sound = chance.choice(self.pictures), chance.choice(self.sounds)
        bodies = [
            form([part("image", chance.randbytes(20_000))]),  # no picture at all
            form([part("image", picture[: len(picture) // 3])]),  # a part of one
            form([part("sound", sound[:30])]),  # a header that breaks off
            form([part("sound", picture)]),
            form([part("image", picture)])[: -len(BOUNDARY) - 8],  # a form that does not end
            chance.randbytes(5000),
            form([]),
            b"",
        ]
        return (
            "POST",
            chance.choice(("/v1/embed", "/v1/search/images", "/v1/classify", "/v1/items")),
            chance.choice(bodies),
        )


def part(name: str, data: bytes) -> bytes:
    """A file of a form."""
    return f'Content-Disposition: form-data; name="{name}"; filename="a"\r\n\r\n'.encode() + data


def text(name: str, value: str) -> bytes:
    """A field of a form."""
    return f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode()


def form(parts: list[bytes]) -> bytes:
    """The body of a form."""
    mark = f"--{BOUNDARY}".encode()
    return b"".join(mark + b"\r\n" + one + b"\r\n" for one in parts) + mark + b"--\r\n"


def _picture(rng: np.random.Generator) -> bytes:
    """A JPEG of 640 x 480, smooth with some noise."""
    coarse = Image.fromarray(rng.integers(0, 256, (24, 32, 3), np.uint8)).resize((640, 480), Image.Resampling.BICUBIC)
    noisy = np.clip(np.asarray(coarse, np.int16) + rng.integers(-12, 13, (480, 640, 3)), 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(noisy).save(out, "JPEG", quality=85)
    return out.getvalue()


def _sound(rng: np.random.Generator) -> bytes:
    """A WAV of 2 s at 22,050 Hz, 16 bits, one channel."""
    out = io.BytesIO()
    with wave.open(out, "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(22_050)
        stream.writeframes(rng.integers(-9999, 9999, 44_100, np.int16).tobytes())
    return out.getvalue()
