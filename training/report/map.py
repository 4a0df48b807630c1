"""A map: projections z of many dimensions, flattened to two."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Places = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Map:
    """N points of a plane.

    Attributes:
        places: float64 `[N, 2]`, in the units of z, centred on 0.
        share: how much of the variance of z the plane keeps, from 0 to 1; NaN where z does not vary.
    """

    places: Places
    share: float


def flatten(z: npt.NDArray[np.floating]) -> Map:
    """The plane in which z `[N, d]` varies most: its first two principal components.

    A linear shadow, with nothing to tune and nothing drawn at random: points that are far apart on the map are at least
    as far apart in z, while points that meet on the map may differ in the directions that it leaves out. Of the two
    mirror images of each axis it is the one whose largest loading is positive.

    Raises:
        ValueError: z is not `[N, d]` with N and d of at least 1.
    """
    if z.ndim != 2 or 0 in z.shape:
        raise ValueError(f"z must be [N, d], not {list(z.shape)}")
    centred = z.astype(np.float64) - z.mean(axis=0, dtype=np.float64)
    variances, directions = np.linalg.eigh(centred.T @ centred)  # rising
    axes = directions[:, ::-1][:, :2]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    places = np.zeros((len(z), 2))
    places[:, : axes.shape[1]] = centred @ axes
    total = float(variances.sum())
    return Map(places, float(variances[-2:].sum()) / total if total > 0 else float("nan"))
