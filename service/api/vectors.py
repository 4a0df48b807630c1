"""Vectors as answers hold them."""

from __future__ import annotations

import base64

import numpy as np
import numpy.typing as npt


def as_floats(vector: npt.NDArray[np.float32]) -> list[float]:
    """Numbers."""
    numbers: list[float] = vector.tolist()
    return numbers


def as_base64(vector: npt.NDArray[np.float32]) -> str:
    """Base64 of little-endian float32."""
    return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")
