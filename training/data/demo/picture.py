"""One picture of a class: a place, an object in it, the light, and what a camera does to it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from training.data.demo.boats import boat
from training.data.demo.canvas import Box, Sketch, Transform, rasterise
from training.data.demo.clutter import THINGS
from training.data.demo.colours import Paint, between, chance, paint, pick
from training.data.demo.hand_tools import drill, hair_dryer, razor
from training.data.demo.labels import LABELS
from training.data.demo.outdoors import drone, fountain, shopping_cart
from training.data.demo.railway import train
from training.data.demo.scenery import PLACES, scene
from training.data.demo.traffic import traffic
from training.data.demo.vacuum import vacuum_cleaner

SIZES = ((256, 192), (256, 192), (192, 256), (224, 224))
"""Width and height of pictures, in pixels."""

SUPERSAMPLING = 2
"""Pixels painted per pixel of the frame, along each side."""

NATURAL_PLACE = 0.85
"""How often an object is where one expects it; else it is anywhere, so that the place alone does not tell the class."""

Tint = tuple[float, float, float]
"""Factors on red, green and blue."""


@dataclass(frozen=True)
class Subject:
    """How to draw a class, where it belongs, and how far it may be turned (degrees either way)."""

    draw: Callable[[np.random.Generator, Paint], Sketch]
    places: tuple[str, ...]
    turn: float = 8.0


SUBJECTS: dict[str, Subject] = {
    "drone": Subject(drone, ("sky", "sky", "meadow"), 20),
    "shopping cart": Subject(shopping_cart, ("shop", "shop", "square"), 10),
    "traffic": Subject(traffic, ("street",), 6),
    "train": Subject(train, ("meadow",), 6),
    "boat": Subject(boat, ("sea",), 8),
    "fountain": Subject(fountain, ("square", "square", "meadow"), 5),
    "drill": Subject(drill, ("workshop",), 25),
    "razor": Subject(razor, ("bathroom", "bathroom", "studio"), 25),
    "hair dryer": Subject(hair_dryer, ("studio", "studio", "bathroom"), 25),
    "vacuum cleaner": Subject(vacuum_cleaner, ("living room",), 12),
}


def draw(label: str, rng: np.random.Generator) -> Image.Image:
    """An RGB picture of a class; the same state of the generator gives the same pixels.

    Raises:
        ValueError: the label is not one of `LABELS`.
    """
    subject = SUBJECTS.get(label)
    if subject is None:
        raise ValueError(f"unknown label {label!r}; known are: {', '.join(LABELS)}")
    size = pick(rng, SIZES)
    image = Image.new("RGB", (size[0] * SUPERSAMPLING, size[1] * SUPERSAMPLING))
    place = pick(rng, subject.places if chance(rng, NATURAL_PLACE) else tuple(PLACES))
    background = scene(PLACES[place], rng, size)
    on_place, on_thing = _light(rng)
    background.tint(*on_place)
    rasterise(background, image, SUPERSAMPLING)
    if chance(rng, 0.4):
        image = _out_of_focus(image, between(rng, 1.0, 3.0))
    thing = subject.draw(rng, _visible_paint(image, rng))
    placement, seen = _placement(thing.bounds(), size, subject.turn, rng)
    foreground = thing.through(placement)
    foreground.tint(*on_thing)
    if chance(rng, 0.1):
        foreground.add(_occluder(seen, rng))
    rasterise(foreground, image, SUPERSAMPLING)
    return _photograph(image.reduce(SUPERSAMPLING), rng)


def _out_of_focus(image: Image.Image, radius: float) -> Image.Image:
    """The picture blurred by a radius in pixels of the frame; worked out on the frame's scale, which is cheaper."""
    small = image.reduce(SUPERSAMPLING).filter(ImageFilter.GaussianBlur(radius))
    return small.resize(image.size, Image.Resampling.BILINEAR)


def _visible_paint(image: Image.Image, rng: np.random.Generator) -> Paint:
    """The one of three random palettes that stands out best from the picture so far."""
    behind = np.asarray(image.reduce(32), dtype=np.float64).mean(axis=(0, 1))
    return max((paint(rng) for _ in range(3)), key=lambda colors: float(np.abs(behind - colors.body[:3]).sum()))


def _placement(extent: Box, size: tuple[int, int], turn: float, rng: np.random.Generator) -> tuple[Transform, Box]:
    """A random map from the object to the frame, and the box (pixels) in which the object is then seen."""
    left, top, right, bottom = extent
    half = max(right - left, bottom - top) / 2
    centred = Transform.scale(1 / half) @ Transform.shift(-(left + right) / 2, -(top + bottom) / 2)
    mirror = Transform.scale(pick(rng, (-1.0, 1.0)), 1.0)
    lean = Transform.tilt(between(rng, -0.12, 0.12), between(rng, -0.1, 0.1), between(rng, -0.1, 0.1))
    posed = lean @ Transform.turn(between(rng, -turn, turn)) @ mirror @ centred
    corners = posed.apply([(left, top), (right, top), (right, bottom), (left, bottom)])
    (x0, y0), (x1, y1) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    # Small objects are rarer than large ones: the root of a uniform number leans towards the large end.
    share = 0.7 + 0.28 * float(rng.random()) ** 0.6
    factor = share * min(size[0] / (x1 - x0), size[1] / (y1 - y0))
    wide, tall = (x1 - x0) * factor, (y1 - y0) * factor
    x, y = between(rng, 0, size[0] - wide), between(rng, 0, size[1] - tall)
    place = Transform.shift(x - x0 * factor, y - y0 * factor) @ Transform.scale(factor)
    return place @ posed, (x, y, x + wide, y + tall)


def _light(rng: np.random.Generator) -> tuple[Tint, Tint]:
    """Day, dusk or night, as the factors on the place's colours and on the object's.

    By night the object keeps more of its light, as if a lamp or a flash met it.
    """
    hour = rng.random()
    if hour < 0.2:
        dim = between(rng, 0.25, 0.5)
        return (dim * 0.9, dim, dim * 1.25), (between(rng, 0.65, 0.9),) * 3
    if hour < 0.4:
        dim = between(rng, 0.65, 0.9)
        return (dim * 1.15, dim * 0.85, dim * 0.75), (1.05, 0.92, 0.85)
    return (1.0, 1.0, 1.0), (1.0, 1.0, 1.0)


def _occluder(seen: Box, rng: np.random.Generator) -> Sketch:
    """A small thing that covers a bit of the object's border."""
    left, top, right, bottom = seen
    thing = pick(rng, THINGS)(rng)
    x0, y0, x1, y1 = thing.bounds()
    tall = max(right - left, bottom - top) * between(rng, 0.15, 0.3) / max(x1 - x0, y1 - y0)
    x = pick(rng, (left, right)) + (right - left) * between(rng, -0.1, 0.1)
    y = between(rng, top, bottom) + tall / 2
    return thing.through(Transform.shift(x, y) @ Transform.turn(between(rng, -20, 20)) @ Transform.scale(tall))


def _photograph(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Blur, uneven light, exposure, contrast, colour cast and sensor noise."""
    if chance(rng, 0.5):
        image = image.filter(ImageFilter.GaussianBlur(between(rng, 0.3, 1.2)))
    pixels = np.asarray(image, dtype=np.float32) / 255
    height, width, _ = pixels.shape
    across = np.linspace(-1, 1, width, dtype=np.float32)[None, :, None] * between(rng, -0.25, 0.25)
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None, None] * between(rng, -0.25, 0.25)
    # Automatic exposure goes most of the way to a middle brightness, so that few pictures are all dark or all white.
    mean = float(pixels[::8, ::8].mean())
    exposure = min(max((between(rng, 0.32, 0.58) / (mean + 1e-3)) ** 0.8, 0.7), 1.9)
    contrast = between(rng, 0.75, 1.25)
    cast = np.array([between(rng, 0.88, 1.12) for _ in range(3)], dtype=np.float32) * exposure
    pixels = (mean + (pixels - mean) * contrast) * cast * (1 + across + down)
    pixels += rng.standard_normal(pixels.shape, dtype=np.float32) * between(rng, 0.0, 0.04)
    return Image.fromarray((np.clip(pixels, 0, 1) * 255).astype(np.uint8))
