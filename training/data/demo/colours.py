"""Colours, palettes and the small random choices that every drawing makes."""

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

Color = tuple[int, int, int, int]
"""Red, green, blue, opacity: 0 to 255 each."""

BLACK: Color = (12, 12, 14, 255)
WHITE: Color = (245, 245, 242, 255)

T = TypeVar("T")


def pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    """One of the options, each as likely as the others."""
    return options[int(rng.integers(len(options)))]


def chance(rng: np.random.Generator, probability: float) -> bool:
    """True with the given probability."""
    return bool(rng.random() < probability)


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """A uniform number from low to high."""
    return low + (high - low) * float(rng.random())


def hsv(hue: float, saturation: float, value: float) -> Color:
    """An opaque colour from hue (a turn is 1, any real number), saturation and value (0 to 1)."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return int(red * 255), int(green * 255), int(blue * 255), 255


def grey(value: float) -> Color:
    """An opaque grey, 0 (black) to 1 (white)."""
    level = int(value * 255)
    return level, level, level, 255


def mix(first: Color, second: Color, part: float) -> Color:
    """The colour `part` (0 to 1) of the way from the first to the second."""
    r, g, b, a = (int(p + (q - p) * part) for p, q in zip(first, second, strict=True))
    return r, g, b, a


def shade(color: Color, light: float) -> Color:
    """Darker below 1 (a factor), lighter above 1 (the excess is the way to white)."""
    red, green, blue, alpha = color
    if light <= 1.0:
        return int(red * light), int(green * light), int(blue * light), alpha
    part = min(light - 1.0, 1.0)
    return int(red + (255 - red) * part), int(green + (255 - green) * part), int(blue + (255 - blue) * part), alpha


def fade(color: Color, opacity: float) -> Color:
    """The same colour with another opacity, 0 to 1."""
    return color[0], color[1], color[2], int(opacity * 255)


def any_color(rng: np.random.Generator) -> Color:
    """Any hue; from grey to vivid and from dark to bright."""
    return hsv(rng.random(), between(rng, 0.0, 0.95), between(rng, 0.2, 0.98))


def usual(rng: np.random.Generator, hue: tuple[float, float], saturation: tuple[float, float]) -> Color:
    """Nine times in ten a colour of the given range of hues and saturations, not too dark; else any colour."""
    if chance(rng, 0.1):
        return any_color(rng)
    return hsv(between(rng, *hue), between(rng, *saturation), between(rng, 0.45, 0.95))


@dataclass(frozen=True)
class Paint:
    """The colours of one object; no class has colours of its own."""

    body: Color
    second: Color
    accent: Color
    dark: Color
    metal: Color
    glass: Color
    lamp: Color


def paint(rng: np.random.Generator) -> Paint:
    """Colours for one object, drawn without regard to what the object is."""
    body = any_color(rng)
    second = pick(rng, (any_color(rng), shade(body, 0.6), shade(body, 1.5), grey(between(rng, 0.1, 0.95))))
    accent = hsv(rng.random(), between(rng, 0.6, 1.0), between(rng, 0.6, 1.0))
    return Paint(
        body=body,
        second=second,
        accent=accent,
        dark=hsv(rng.random(), between(rng, 0.0, 0.3), between(rng, 0.06, 0.24)),
        metal=hsv(rng.random(), between(rng, 0.0, 0.15), between(rng, 0.55, 0.9)),
        glass=hsv(between(rng, 0.5, 0.65), between(rng, 0.1, 0.5), between(rng, 0.25, 0.85)),
        lamp=hsv(between(rng, 0.08, 0.17), between(rng, 0.05, 0.5), 1.0),
    )
