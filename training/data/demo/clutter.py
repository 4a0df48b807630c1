"""Things that stand about: trees, houses, lamps, shelves, people. None of them is one of the classes.

Unit: the height of the thing; it stands on y = 0 and rises to about y = -1.
"""

from collections.abc import Callable

import numpy as np

from training.data.demo.canvas import Sketch, smooth
from training.data.demo.colours import Color, any_color, between, chance, hsv, pick, shade

Thing = Callable[[np.random.Generator], Sketch]


def tree(rng: np.random.Generator) -> Sketch:
    """A broad-leaved tree or a conifer."""
    sketch = Sketch()
    hue = pick(rng, (between(rng, 0.2, 0.42), between(rng, 0.02, 0.15)))
    leaf = hsv(hue, between(rng, 0.3, 0.8), between(rng, 0.25, 0.7))
    sketch.line([(0, 0), (0, -0.5)], (0.1, 0.06), hsv(0.07, 0.5, between(rng, 0.2, 0.4)))
    if chance(rng, 0.35):
        for layer in range(3):
            base, half = -0.18 - layer * 0.24, 0.3 - layer * 0.07
            sketch.polygon([(-half, base), (half, base), (0, base - 0.38)], shade(leaf, 0.8 + 0.15 * layer))
        return sketch
    for _ in range(6):
        x, y = between(rng, -0.22, 0.22), between(rng, -0.8, -0.5)
        sketch.disc(x, y, between(rng, 0.14, 0.22), shade(leaf, between(rng, 0.75, 1.2)))
    return sketch


def bush(rng: np.random.Generator) -> Sketch:
    """A low round bush."""
    sketch = Sketch()
    leaf = hsv(between(rng, 0.15, 0.45), between(rng, 0.3, 0.8), between(rng, 0.2, 0.6))
    for _ in range(6):
        x = between(rng, -0.7, 0.7)
        sketch.ellipse(x, -0.35, 0.45, between(rng, 0.35, 0.6), shade(leaf, between(rng, 0.75, 1.25)))
    return sketch


def house(rng: np.random.Generator) -> Sketch:
    """A house with a gable, or a block of flats."""
    sketch = Sketch()
    wall, roof = any_color(rng), any_color(rng)
    half = between(rng, 0.3, 0.6)
    pane = pick(rng, (hsv(0.13, 0.5, 1.0), hsv(0.58, 0.3, 0.4)))
    rows = int(rng.integers(1, 5))
    top = -0.65 if rows < 3 else -1.0
    sketch.box((-half, top, half, 0), wall)
    if rows < 3:
        sketch.polygon([(-half * 1.12, top), (half * 1.12, top), (0, -1.0)], roof)
    for row in range(rows):
        for column in range(3):
            x, y = -half + (column + 0.28) * half * 0.66, top + (row + 0.25) * -top / rows
            sketch.box((x, y, x + half * 0.3, y - top * 0.5 / rows), pane, glow=pane[0] > 200)
    return sketch


def lamp_post(rng: np.random.Generator) -> Sketch:
    """A street lamp."""
    sketch = Sketch()
    sketch.line([(0, 0), (0, -0.95), (0.14, -1.0)], 0.035, hsv(0.6, 0.1, between(rng, 0.1, 0.4)))
    sketch.ellipse(0.17, -0.98, 0.08, 0.04, hsv(0.14, 0.3, 1.0), glow=chance(rng, 0.5))
    return sketch


def person(rng: np.random.Generator) -> Sketch:
    """Somebody who stands there."""
    sketch = Sketch()
    skin = hsv(between(rng, 0.04, 0.09), between(rng, 0.3, 0.6), between(rng, 0.35, 0.95))
    top, legs = any_color(rng), any_color(rng)
    sketch.line([(-0.06, -0.5), (-0.08, 0)], 0.1, legs)
    sketch.line([(0.06, -0.5), (0.08, 0)], 0.1, legs)
    sketch.polygon(smooth([(-0.13, -0.82), (0.13, -0.82), (0.12, -0.45), (-0.12, -0.45)], rounds=1), top)
    for side in (-1, 1):
        sketch.line([(side * 0.12, -0.78), (side * 0.19, -0.45)], 0.06, shade(top, 0.8))
    sketch.disc(0, -0.92, 0.075, skin)
    sketch.ellipse(0, -0.95, 0.08, 0.05, hsv(0.07, 0.5, between(rng, 0.05, 0.6)))
    return sketch


def shelf(rng: np.random.Generator) -> Sketch:
    """A rack with three boards full of boxes."""
    sketch = Sketch()
    wood = any_color(rng)
    half = between(rng, 0.4, 0.8)
    sketch.box((-half, -1.0, half, 0), shade(wood, 0.5))
    for board in (0.0, -0.33, -0.66):
        x = -half + 0.05
        while x < half - 0.12:
            wide = between(rng, 0.06, 0.16)
            sketch.box((x, board - between(rng, 0.12, 0.27), x + wide, board), any_color(rng))
            x += wide + 0.03
        sketch.box((-half, board - 0.03, half, board), wood)
    return sketch


def carton(rng: np.random.Generator) -> Sketch:
    """A box, seen on two sides and from above."""
    sketch = Sketch()
    color = pick(rng, (hsv(0.09, between(rng, 0.3, 0.5), between(rng, 0.5, 0.8)), any_color(rng)))
    wide, deep = between(rng, 0.4, 0.7), between(rng, 0.2, 0.4)
    sketch.box((-wide, -0.75, wide, 0), color)
    sketch.polygon([(wide, -0.75), (wide + deep, -1.0), (wide + deep, -0.25), (wide, 0)], shade(color, 0.7))
    sketch.polygon([(-wide, -0.75), (-wide + deep, -1.0), (wide + deep, -1.0), (wide, -0.75)], shade(color, 1.25))
    sketch.box((-0.08, -0.75, 0.08, -0.4), shade(color, 1.4))
    return sketch


def bottle(rng: np.random.Generator) -> Sketch:
    """A bottle with a label."""
    sketch = Sketch()
    color = any_color(rng)
    sketch.box((-0.08, -1.0, 0.08, -0.5), color, 0.04)
    sketch.box((-0.2, -0.7, 0.2, 0), color, 0.1)
    sketch.box((-0.2, -0.45, 0.2, -0.15), any_color(rng))
    return sketch


def plant(rng: np.random.Generator) -> Sketch:
    """A pot with long leaves."""
    sketch = Sketch()
    leaf = hsv(between(rng, 0.2, 0.42), between(rng, 0.4, 0.8), between(rng, 0.25, 0.65))
    for _ in range(7):
        lean = between(rng, -0.45, 0.45)
        sketch.line([(0, -0.25), (lean * 0.5, -0.7), (lean, between(rng, -1.0, -0.6))], (0.1, 0.02), leaf)
    sketch.polygon([(-0.2, -0.35), (0.2, -0.35), (0.14, 0), (-0.14, 0)], any_color(rng))
    return sketch


def table_lamp(rng: np.random.Generator) -> Sketch:
    """A lamp with a cloth shade."""
    sketch = Sketch()
    sketch.line([(0, 0), (0, -0.6)], 0.05, any_color(rng))
    sketch.ellipse(0, -0.02, 0.18, 0.04, any_color(rng))
    color = hsv(between(rng, 0.05, 0.17), between(rng, 0.1, 0.6), 1.0)
    sketch.polygon([(-0.18, -1.0), (0.18, -1.0), (0.3, -0.55), (-0.3, -0.55)], color, glow=True)
    return sketch


def chair(rng: np.random.Generator) -> Sketch:
    """A wooden chair."""
    sketch = Sketch()
    wood: Color = any_color(rng)
    for x in (-0.25, 0.25):
        sketch.line([(x, -0.45), (x * 1.1, 0)], 0.05, shade(wood, 0.7))
    sketch.box((-0.3, -0.5, 0.3, -0.42), wood, 0.03)
    for x in (-0.25, 0.0, 0.25):
        sketch.line([(x, -0.5), (x, -1.0)], 0.05, shade(wood, 0.85))
    sketch.box((-0.28, -1.0, 0.28, -0.9), wood, 0.03)
    return sketch


def poster(rng: np.random.Generator) -> Sketch:
    """A framed picture on the wall, of coloured fields."""
    sketch = Sketch()
    half = between(rng, 0.35, 0.7)
    sketch.box((-half, -1.0, half, 0), any_color(rng))
    sketch.box((-half + 0.07, -0.93, half - 0.07, -0.07), any_color(rng))
    sketch.disc(between(rng, -0.2, 0.2), between(rng, -0.7, -0.4), 0.15, any_color(rng))
    return sketch


def fence(rng: np.random.Generator) -> Sketch:
    """A stretch of fence."""
    sketch = Sketch()
    color = any_color(rng)
    for x in range(-4, 5):
        sketch.box((x * 0.4 - 0.1, -1.0, x * 0.4 + 0.1, 0), color)
    sketch.box((-1.8, -0.75, 1.8, -0.6), shade(color, 0.8))
    sketch.box((-1.8, -0.35, 1.8, -0.2), shade(color, 0.8))
    return sketch


def rock(rng: np.random.Generator) -> Sketch:
    """A stone."""
    sketch = Sketch()
    color = hsv(rng.random(), between(rng, 0, 0.2), between(rng, 0.3, 0.7))
    outline = [(-0.8, 0), (-0.6, -0.6), (between(rng, -0.2, 0.2), -1.0), (0.6, -0.6), (0.8, 0)]
    sketch.polygon(smooth(outline, rounds=1), color)
    sketch.polygon([(-0.4, -0.6), (0.0, -0.9), (0.1, -0.4)], shade(color, 1.3))
    return sketch


THINGS: tuple[Thing, ...] = (
    *(tree, bush, house, lamp_post, person, shelf, carton, bottle, plant, table_lamp, chair, poster, fence, rock),
)
OUTSIDE: tuple[Thing, ...] = (tree, bush, house, lamp_post, person, fence, rock)
INSIDE: tuple[Thing, ...] = (shelf, carton, bottle, plant, table_lamp, chair, poster, person)
