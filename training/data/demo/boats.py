"""Boats on the water: sail, motor, fishing, rowing and freight. Unit: half the hull; y = 0 is the water line."""

import numpy as np

from training.data.demo.canvas import Sketch, Transform, smooth
from training.data.demo.colours import BLACK, WHITE, Paint, any_color, between, chance, fade, hsv, mix, pick, shade


def boat(rng: np.random.Generator, colors: Paint) -> Sketch:
    """One of five boats, its bow to the left, on a patch of water wider than itself."""
    sketch = Sketch()
    kind = pick(rng, ("sail", "sail", "motor", "fishing", "rowing", "freight"))
    water = mix(hsv(between(rng, 0.42, 0.66), between(rng, 0.3, 0.8), between(rng, 0.3, 0.85)), any_color(rng), 0.2)
    half, near = between(rng, 1.3, 4.0), between(rng, 0.25, 0.6)
    shore = [(-half, -0.02), (-half * 0.4, -0.12), (half * 0.4, -0.12), (half, -0.02), (half * 0.8, near)]
    sketch.polygon(smooth([*shore, (-half * 0.8, near)]), water)
    vessel = Sketch()
    draw = {"sail": _sailing, "motor": _motor, "fishing": _fishing, "rowing": _rowing, "freight": _freight}[kind]
    draw(vessel, rng, colors)
    # Its own blurred double in the water.
    mirrored = vessel.through(Transform.scale(1, -0.25))
    mirrored.shapes = [(count, fade(mix(fill, water, 0.5), 0.35), glow) for count, fill, glow in mirrored.shapes]
    sketch.add(mirrored)
    sketch.add(vessel)
    foam = shade(water, 1.45)
    sketch.polygon(smooth([(-1.2, 0.12), (-1.0, 0.02), (1.0, 0.02), (1.2, 0.1), (0, 0.2)]), water)
    for _ in range(int(rng.integers(8, 16))):
        x, y, long = between(rng, -1.2, 1.2), between(rng, 0.05, near * 0.9), between(rng, 0.08, 0.25)
        ripple = [(x - long, y), (x, y - 0.03), (x + long, y)]
        sketch.line(ripple, 0.03, pick(rng, (foam, shade(water, 0.75))))
    sketch.line([(-1.08, 0.05), (-0.7, 0.0), (-0.2, 0.05), (0.3, 0.01), (1.0, 0.05)], 0.05, foam)
    _, top, _, _ = vessel.bounds()
    sketch.extent = (-1.2, top, 1.2, min(near, 0.4))
    return sketch


def _hull(sketch: Sketch, rng: np.random.Generator, colors: Paint, bow: float, stern: float, rise: float) -> None:
    """A hull from -1 to 1: the deck `bow` and `stern` above the water, the stem raked, a stripe and a wale."""
    deck = [(-1.08 - rise, -bow), (-0.5, -bow * 0.8), (0.2, -stern * 0.95), (1.0, -stern)]
    sketch.polygon([*deck, (0.92, 0.1), (-0.8, 0.1)], colors.body)
    sketch.polygon([(-0.86, -0.02), (0.94, -0.02), (0.92, 0.1), (-0.8, 0.1)], shade(colors.body, 0.5))
    if chance(rng, 0.7):
        stripe = pick(rng, (colors.accent, colors.second, WHITE))
        sketch.line([(x * 0.98, y * 0.65) for x, y in deck], 0.05, stripe)
    sketch.line(deck, 0.05, shade(colors.body, 1.4))


def _sailing(sketch: Sketch, rng: np.random.Generator, colors: Paint) -> None:
    mast_x, tall = between(rng, -0.2, 0.05), between(rng, 1.8, 2.4)
    cloth = pick(rng, (WHITE, WHITE, colors.second, colors.accent))
    _hull(sketch, rng, colors, between(rng, 0.28, 0.4), between(rng, 0.22, 0.32), between(rng, 0, 0.15))
    sketch.box((mast_x - 0.2, -0.42, 0.5, -0.26), colors.second, 0.05)
    for port in (0.0, 0.18, 0.36):
        sketch.disc(mast_x + port, -0.34, 0.04, colors.glass)
    sketch.line([(mast_x, -0.3), (mast_x, -tall)], 0.05, colors.dark)
    boom = -0.48
    main = [(mast_x + 0.04, -tall + 0.05), (mast_x + 0.45, -tall * 0.6), (0.95, boom), (mast_x + 0.04, boom)]
    sketch.polygon(smooth(main, rounds=1) if chance(rng, 0.3) else main, cloth)
    sketch.polygon([main[0], (mast_x + 0.25, -tall * 0.6), (mast_x + 0.3, boom), main[3]], shade(cloth, 0.88))
    for batten in (0.35, 0.6, 0.8):
        y = boom + (-tall - boom) * (1 - batten)
        sketch.line([(mast_x + 0.04, y), (mast_x + 0.04 + 0.85 * batten, y + 0.03)], 0.02, shade(cloth, 0.65))
    sketch.line([(mast_x, boom + 0.01), (1.0, boom + 0.01)], 0.05, colors.dark)
    jib = [(mast_x - 0.06, -tall * 0.88), (-1.05, -0.4), (mast_x - 0.1, -0.45)]
    jib_cloth = pick(rng, (cloth, colors.accent, shade(cloth, 0.85)))
    sketch.polygon(jib, jib_cloth)
    sketch.line([jib[0], jib[1]], 0.02, shade(jib_cloth, 0.6))
    if chance(rng, 0.5):
        flag = [(mast_x, -tall), (mast_x + 0.25, -tall + 0.07), (mast_x, -tall + 0.14)]
        sketch.polygon(flag, colors.accent)


def _motor(sketch: Sketch, rng: np.random.Generator, colors: Paint) -> None:
    high = between(rng, 0.45, 0.6)
    decks = int(rng.integers(1, 3))
    for deck in range(decks):
        base = -0.3 - deck * 0.3
        left, right = -0.45 + deck * 0.2, 0.75 - deck * 0.15
        cabin = [(left - 0.1, base), (left + 0.2, base - 0.36), (right, base - 0.36), (right + 0.08, base)]
        sketch.polygon(cabin, shade(colors.second, 1.2))
        window = [(left + 0.06, base - 0.1), (left + 0.22, base - 0.28), (right - 0.1, base - 0.28)]
        sketch.polygon([*window, (right - 0.08, base - 0.1)], shade(colors.glass, 0.6))
        for post in (0.35, 0.6, 0.85):
            x = left + (right - left) * post
            sketch.line([(x, base - 0.3), (x, base - 0.08)], 0.04, shade(colors.second, 1.2))
        sketch.line([(left + 0.1, base - 0.37), (right + 0.12, base - 0.37)], 0.06, colors.second)
    roof = -0.3 - decks * 0.32
    sketch.line([(0.35, roof), (0.5, roof - 0.35)], 0.05, colors.metal)
    sketch.line([(0.3, roof - 0.2), (0.62, roof - 0.22)], 0.06, colors.metal)
    _hull(sketch, rng, colors, high, between(rng, 0.3, 0.38), 0.12)
    for post in range(5):
        x = -1.05 + post * 0.15
        sketch.line([(x, -high * 0.9), (x, -high - 0.16)], 0.02, colors.metal)
    sketch.line([(-1.15, -high - 0.14), (-0.4, -high - 0.12)], 0.03, colors.metal)
    for port in (-0.5, -0.3, -0.1):
        sketch.ellipse(port, -0.2, 0.06, 0.04, colors.glass)


def _fishing(sketch: Sketch, rng: np.random.Generator, colors: Paint) -> None:
    house = between(rng, -0.35, 0.3)
    mast = house + between(rng, 0.3, 0.5)
    sketch.line([(mast, -0.3), (mast, -1.5)], 0.06, colors.dark)
    sketch.line([(mast, -0.55), (0.95, -1.25)], 0.045, colors.dark)
    for end in ((-1.05, -0.5), (0.95, -0.35)):
        sketch.line([(mast, -1.45), end], 0.018, colors.dark)
    sketch.box((house - 0.28, -0.95, house + 0.3, -0.3), shade(colors.second, 1.3), 0.03)
    sketch.box((house - 0.36, -1.04, house + 0.36, -0.93), colors.accent, 0.03)
    for x in (house - 0.2, house + 0.04):
        sketch.box((x, -0.84, x + 0.17, -0.64), shade(colors.glass, 0.6), 0.02)
    _hull(sketch, rng, colors, between(rng, 0.52, 0.65), between(rng, 0.34, 0.42), 0.02)
    for tyre in (-0.4, 0.1, 0.55):
        sketch.disc(tyre, -0.16, 0.1, BLACK)
        sketch.disc(tyre, -0.16, 0.045, shade(colors.body, 0.8))


def _rowing(sketch: Sketch, rng: np.random.Generator, colors: Paint) -> None:
    deck = [(-1.1, -0.42), (-0.6, -0.26), (0.4, -0.24), (1.05, -0.36)]
    inner = [(-1.1, -0.42), (-0.5, -0.5), (0.5, -0.48), (1.05, -0.36), (0.4, -0.2), (-0.6, -0.22)]
    sketch.polygon(smooth(inner, rounds=1), shade(colors.body, 0.5))
    for x in (-0.45, 0.1, 0.6):
        sketch.polygon([(x - 0.08, -0.44), (x + 0.1, -0.44), (x + 0.1, -0.26), (x - 0.08, -0.26)], colors.second)
    if chance(rng, 0.6):
        skin = hsv(0.07, between(rng, 0.3, 0.6), between(rng, 0.4, 0.95))
        sketch.polygon(smooth([(-0.02, -0.35), (0.04, -0.95), (0.34, -0.95), (0.36, -0.35)]), colors.accent)
        sketch.line([(0.15, -0.8), (-0.2, -0.6)], 0.1, skin, round_ends=True)
        sketch.disc(0.18, -1.05, 0.15, skin)
        sketch.ellipse(0.19, -1.14, 0.16, 0.09, colors.dark)
    sketch.polygon([*deck, (0.8, 0.1), (-0.75, 0.1)], colors.body)
    for plank in (0.35, 0.7):
        points = [(x * (1 - 0.15 * plank), y + plank * 0.3) for x, y in deck]
        sketch.line(points, 0.02, shade(colors.body, 0.6))
    sketch.line(deck, 0.06, shade(colors.body, 1.4))
    sketch.line([(-0.15, -0.6), (0.5, 0.22)], 0.05, colors.dark)
    sketch.line([(0.42, 0.1), (0.62, 0.36)], 0.12, colors.dark, round_ends=True)


def _freight(sketch: Sketch, rng: np.random.Generator, colors: Paint) -> None:
    rows = int(rng.integers(2, 4))
    for row in range(rows):
        for column in range(6):
            if row == rows - 1 and chance(rng, 0.3):
                continue
            x, y = -0.78 + column * 0.22, -0.34 - row * 0.17
            sketch.box((x, y - 0.16, x + 0.205, y), any_color(rng))
    sketch.box((0.56, -1.1, 0.92, -0.3), shade(colors.second, 1.3))
    for deck in range(4):
        y = -0.98 + deck * 0.18
        sketch.line([(0.59, y), (0.89, y)], 0.06, shade(colors.glass, 0.55))
    sketch.box((0.5, -1.2, 0.96, -1.08), shade(colors.second, 1.1))
    sketch.box((0.68, -1.45, 0.84, -1.18), colors.accent)
    sketch.box((0.68, -1.45, 0.84, -1.38), BLACK)
    _hull(sketch, rng, colors, 0.5, 0.36, 0.1)
