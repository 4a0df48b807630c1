"""Places: backdrops that fill the frame, in pixels, and the clutter that stands in them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from training.data.demo.canvas import Sketch, Transform, smooth
from training.data.demo.clutter import INSIDE, OUTSIDE, THINGS, Thing
from training.data.demo.colours import Color, any_color, between, chance, hsv, mix, pick, shade, usual

Size = tuple[int, int]


@dataclass(frozen=True)
class Place:
    """A backdrop and what stands about in it; the backdrop answers where the ground begins (pixels from the top)."""

    paint: Callable[[Sketch, np.random.Generator, Size], float]
    things: tuple[Thing, ...]


def scene(place: Place, rng: np.random.Generator, size: Size) -> Sketch:
    """The place with up to four things in it; a third of them could as well stand elsewhere."""
    sketch = Sketch()
    horizon = place.paint(sketch, rng, size)
    width, height = size
    spots = sorted(between(rng, horizon, horizon + (height - horizon) * 0.55) for _ in range(int(rng.integers(0, 3))))
    for y in spots:
        thing = pick(rng, THINGS if chance(rng, 0.3) else place.things)(rng)
        tall = height * between(rng, 0.15, 0.45)
        sketch.add(thing, Transform.shift(between(rng, 0, width), y) @ Transform.scale(tall))
    return sketch


def _fill(sketch: Sketch, size: Size, top: float, bottom: float, first: Color, last: Color, steps: int = 10) -> None:
    """A vertical run of colour across the frame."""
    right = (size[0], top), (size[0], bottom)
    sketch.shaded(((0, top), right[0]), ((0, bottom), right[1]), [first, last], steps)


def _sky(sketch: Sketch, rng: np.random.Generator, size: Size, bottom: float) -> None:
    """Clear, clouded, grey or evening sky from the top of the frame down to `bottom`."""
    width, height = size
    high = usual(rng, (0.53, 0.63), (0.2, 0.7))
    low = pick(rng, (shade(high, 1.5), hsv(between(rng, 0.0, 0.14), between(rng, 0.2, 0.7), 0.95), shade(high, 0.8)))
    _fill(sketch, size, 0, bottom, high, low, 24)
    if chance(rng, 0.2):
        sun = height * between(rng, 0.03, 0.07)
        sketch.disc(between(rng, 0, width), bottom * between(rng, 0.1, 0.6), sun, hsv(0.14, 0.2, 1.0), glow=True)
    tone = hsv(0.6, 0.05, between(rng, 0.6, 1.0))
    for _ in range(int(rng.integers(0, 5))):
        x, y, size_x = between(rng, 0, width), bottom * between(rng, 0.05, 0.7), width * between(rng, 0.05, 0.14)
        for puff in (-1.0, -0.2, 0.7):
            wide = size_x * between(rng, 0.5, 0.8)
            sketch.ellipse(x + puff * size_x, y - size_x * 0.1, wide, wide * 0.45, tone)


def _hills(sketch: Sketch, rng: np.random.Generator, size: Size, horizon: float) -> None:
    width, height = size
    color = usual(rng, (0.25, 0.6), (0.1, 0.5))
    ridge = [(width * i / 6, horizon - height * between(rng, 0, 0.18)) for i in range(7)]
    sketch.polygon([*smooth(ridge, closed=False), (width, horizon + 2), (0, horizon + 2)], color)


def _skyline(sketch: Sketch, rng: np.random.Generator, size: Size, horizon: float) -> None:
    width, height = size
    x = 0.0
    while x < width:
        wide, tall = width * between(rng, 0.08, 0.22), height * between(rng, 0.12, 0.4)
        wall = mix(any_color(rng), hsv(0.6, 0.1, 0.6), 0.5)
        sketch.box((x, horizon - tall, x + wide, horizon + 1), wall)
        pane, lit = shade(wall, 0.6), chance(rng, 0.3)
        for row in range(int(tall / 14)):
            y = horizon - tall + 5 + row * 14
            for column in range(int(wide / 12)):
                left = x + 4 + column * 12
                sketch.box((left, y, left + 5, y + 7), hsv(0.13, 0.4, 1.0) if lit else pane, glow=lit)
        x += wide


def meadow(sketch: Sketch, rng: np.random.Generator, size: Size) -> float:
    """Grass, sand, snow or a field under the sky."""
    width, height = size
    horizon = height * between(rng, 0.3, 0.75)
    _sky(sketch, rng, size, horizon)
    if chance(rng, 0.6):
        _hills(sketch, rng, size, horizon)
    grass = usual(rng, (0.17, 0.36), (0.3, 0.75))
    _fill(sketch, size, horizon, height, grass, shade(grass, between(rng, 0.6, 1.2)))
    for _ in range(20):
        x, y = between(rng, 0, width), between(rng, horizon, height)
        sketch.line([(x, y), (x + between(rng, -3, 3), y - 5)], 1.2, shade(grass, between(rng, 0.6, 1.4)))
    return horizon


def street(sketch: Sketch, rng: np.random.Generator, size: Size) -> float:
    """Buildings, a pavement, an empty carriageway with its markings."""
    width, height = size
    horizon = height * between(rng, 0.4, 0.75)
    _sky(sketch, rng, size, horizon)
    _skyline(sketch, rng, size, horizon)
    road = hsv(rng.random(), between(rng, 0, 0.15), between(rng, 0.2, 0.6))
    _fill(sketch, size, horizon, height, road, shade(road, 1.15), 4)
    sketch.box((0, horizon, width, horizon + height * 0.05), shade(road, 1.4))
    y = horizon + (height - horizon) * 0.6
    for dash in range(6):
        x = dash * width / 5
        sketch.box((x, y, x + width * 0.1, y + 4), shade(road, 1.7))
    return horizon


def square(sketch: Sketch, rng: np.random.Generator, size: Size) -> float:
    """A paved square or a car park in front of houses or hills."""
    width, height = size
    horizon = height * between(rng, 0.3, 0.65)
    _sky(sketch, rng, size, horizon)
    pick(rng, (_skyline, _hills))(sketch, rng, size, horizon)
    paving = hsv(rng.random(), between(rng, 0, 0.3), between(rng, 0.4, 0.85))
    _fill(sketch, size, horizon, height, paving, shade(paving, 0.85), 5)
    middle = width * between(rng, 0.2, 0.8)
    for ray in range(-6, 7):
        joint = [(middle + ray * width * 0.06, horizon), (middle + ray * width * 0.3, height)]
        sketch.line(joint, 1.2, shade(paving, 0.75))
    for row in range(1, 6):
        y = horizon + (height - horizon) * (row / 6) ** 1.7
        sketch.line([(0, y), (width, y)], 1.2, shade(paving, 0.75))
    return horizon


def sea(sketch: Sketch, rng: np.random.Generator, size: Size) -> float:
    """Open water, or a lake with a far shore."""
    width, height = size
    horizon = height * between(rng, 0.3, 0.65)
    _sky(sketch, rng, size, horizon)
    if chance(rng, 0.5):
        _hills(sketch, rng, size, horizon)
    water = usual(rng, (0.48, 0.64), (0.35, 0.8))
    _fill(sketch, size, horizon, height, water, shade(water, between(rng, 0.6, 1.3)))
    for _ in range(22):
        x, y = between(rng, 0, width), between(rng, horizon + 3, height)
        long = width * between(rng, 0.02, 0.07)
        sketch.line([(x - long, y), (x, y - 2), (x + long, y)], 1.3, shade(water, between(rng, 0.7, 1.4)))
    return horizon


def open_sky(sketch: Sketch, rng: np.random.Generator, size: Size) -> float:
    """Nothing but sky, with a strip of land at the very bottom."""
    height = size[1]
    _sky(sketch, rng, size, height)
    low = height * between(rng, 0.85, 1.0)
    _hills(sketch, rng, size, low)
    _fill(sketch, size, low, height, any_color(rng), any_color(rng), 2)
    return low


def _room(sketch: Sketch, rng: np.random.Generator, size: Size, wall: Color, floor: Color) -> float:
    """Wall, skirting and floor (or table top)."""
    height = size[1]
    edge = height * between(rng, 0.5, 0.85)
    _fill(sketch, size, 0, edge, wall, shade(wall, between(rng, 0.75, 1.2)), 8)
    _fill(sketch, size, edge, height, floor, shade(floor, between(rng, 0.7, 1.1)), 6)
    sketch.box((0, edge, size[0], edge + height * 0.02), shade(floor, pick(rng, (0.6, 1.3))))
    return edge


def shop(sketch: Sketch, rng: np.random.Generator, size: Size) -> float:
    """Shelves of goods above a smooth floor."""
    width = size[0]
    edge = _room(sketch, rng, size, usual(rng, (0, 1), (0, 0.2)), usual(rng, (0, 1), (0, 0.15)))
    boards = int(rng.integers(2, 5))
    for board in range(boards):
        y = edge * (board + 1) / boards
        x = -width * 0.05
        while x < width:
            wide = width * between(rng, 0.04, 0.1)
            sketch.box((x, y - edge / boards * between(rng, 0.4, 0.8), x + wide * 0.92, y), any_color(rng))
            x += wide
        sketch.box((0, y - 3, width, y + 1), hsv(0.1, 0.1, 0.8))
    return edge


def workshop(sketch: Sketch, rng: np.random.Generator, size: Size) -> float:
    """A perforated board or planks behind a wooden bench."""
    width, height = size
    wood = usual(rng, (0.05, 0.13), (0.35, 0.7))
    wall = usual(rng, (0.05, 0.15), (0.05, 0.4))
    edge = _room(sketch, rng, size, wall, wood)
    if chance(rng, 0.5):
        step = height / 9
        for row in range(int(edge / step)):
            for column in range(int(width / step)):
                x, y = (column + 0.5) * step, (row + 0.5) * step
                sketch.box((x, y, x + 3, y + 3), shade(wall, 0.5))
    else:
        for plank in range(8):
            x = plank * width / 8
            sketch.line([(x, 0), (x, edge)], 1.5, shade(wall, 0.65))
    for grain in range(6):
        y = edge + (height - edge) * (grain + 0.5) / 6
        sketch.line([(0, y), (width, y + between(rng, -4, 4))], 1.2, shade(wood, 0.75))
    return edge


def bathroom(sketch: Sketch, rng: np.random.Generator, size: Size) -> float:
    """Tiles, a mirror, a shelf."""
    width, height = size
    tile = usual(rng, (0.45, 0.65), (0, 0.25))
    edge = _room(sketch, rng, size, tile, usual(rng, (0, 1), (0, 0.25)))
    step = height / between(rng, 5, 9)
    joint = shade(tile, pick(rng, (0.8, 1.5)))
    for row in range(int(edge / step) + 1):
        sketch.line([(0, row * step), (width, row * step)], 1.3, joint)
    for column in range(int(width / step) + 1):
        sketch.line([(column * step, 0), (column * step, edge)], 1.3, joint)
    if chance(rng, 0.5):
        x = width * between(rng, 0, 0.6)
        sketch.box((x, height * 0.05, x + width * 0.35, edge * 0.75), hsv(0.55, 0.1, between(rng, 0.6, 0.9)), 5)
    return edge


def living_room(sketch: Sketch, rng: np.random.Generator, size: Size) -> float:
    """Striped or plain wallpaper, a window, a carpet."""
    width, height = size
    wall = usual(rng, (0.02, 0.17), (0.1, 0.45))
    edge = _room(sketch, rng, size, wall, usual(rng, (0, 0.12), (0.3, 0.8)))
    if chance(rng, 0.5):
        for stripe in range(9):
            x = stripe * width / 9
            sketch.box((x, 0, x + width / 18, edge), shade(wall, 0.9))
    if chance(rng, 0.5):
        x, y = width * between(rng, 0, 0.7), height * between(rng, 0.05, 0.15)
        sketch.box((x, y, x + width * 0.28, y + height * 0.35), (240, 240, 235, 255))
        sketch.box((x + 4, y + 4, x + width * 0.28 - 4, y + height * 0.35 - 4), hsv(0.57, between(rng, 0, 0.5), 0.9))
        sketch.line([(x + width * 0.14, y), (x + width * 0.14, y + height * 0.35)], 4, (240, 240, 235, 255))
    sketch.ellipse(width * between(rng, 0.2, 0.8), height * 0.95, width * 0.4, (height - edge) * 0.4, any_color(rng))
    return edge


def studio(sketch: Sketch, rng: np.random.Generator, size: Size) -> float:
    """A plain backdrop with a soft run of colour."""
    color = any_color(rng)
    _fill(sketch, size, 0, size[1], color, pick(rng, (shade(color, 0.6), shade(color, 1.4), any_color(rng))), 24)
    return size[1] * between(rng, 0.6, 1.0)


def pattern(sketch: Sketch, rng: np.random.Generator, size: Size) -> float:
    """Cloth or paper: stripes, dots or checks at any angle."""
    width, height = size
    ground = any_color(rng)
    figure = pick(rng, (shade(ground, 0.75), shade(ground, 1.3), mix(ground, any_color(rng), 0.5)))
    sketch.box((0, 0, width, height), ground)
    step = between(rng, 16, 36)
    count = int(max(size) * 0.75 / step) + 1
    cloth = Sketch()
    kind = pick(rng, ("stripes", "dots", "checks"))
    for i in range(-count, count + 1):
        if kind != "dots":
            cloth.box((i * step, -300, i * step + step * 0.45, 300), figure)
            continue
        for j in range(-count, count + 1):
            cloth.disc(i * step, j * step, step * 0.25, figure)
    if kind == "checks":
        cloth.add(cloth, Transform.turn(90))
    sketch.add(cloth, Transform.shift(width / 2, height / 2) @ Transform.turn(between(rng, 0, 180)))
    return height * between(rng, 0.6, 1.0)


PLACES: dict[str, Place] = {
    "meadow": Place(meadow, OUTSIDE),
    "street": Place(street, OUTSIDE),
    "square": Place(square, OUTSIDE),
    "sea": Place(sea, OUTSIDE),
    "sky": Place(open_sky, OUTSIDE),
    "shop": Place(shop, INSIDE),
    "workshop": Place(workshop, INSIDE),
    "bathroom": Place(bathroom, INSIDE),
    "living room": Place(living_room, INSIDE),
    "studio": Place(studio, INSIDE),
    "pattern": Place(pattern, INSIDE),
}
