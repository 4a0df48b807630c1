"""Trains on their rails, from the side and at a slant. Unit: about half a carriage; y = 0 is the top of the rail."""

import numpy as np

from training.data.demo.canvas import Point, Sketch, Transform, around, smooth
from training.data.demo.colours import BLACK, WHITE, Color, Paint, any_color, between, chance, fade, hsv, pick, shade

_ROOF = -0.95
"""How high carriages stand above the rail."""


def train(rng: np.random.Generator, colors: Paint) -> Sketch:
    """A steam, diesel, electric or high-speed train drawn from the side, or a train that comes round at a slant."""
    return _slanted(rng, colors) if chance(rng, 0.45) else _sideways(rng, colors)


def _sideways(rng: np.random.Generator, colors: Paint) -> Sketch:
    sketch = Sketch()
    kind = pick(rng, ("steam", "steam", "diesel", "electric", "fast"))
    _track(sketch, rng, colors)
    engine = {"steam": _steam, "diesel": _diesel, "electric": _electric, "fast": _fast}[kind]
    length = engine(sketch, rng, colors)
    freight = kind in ("steam", "diesel") and chance(rng, 0.4)
    start = length
    for _ in range(3):
        sketch.line([(start - 0.03, -0.2), (start + 0.12, -0.2)], 0.06, BLACK)
        start += 0.1
        if freight:
            start = _wagon(sketch, rng, colors, start)
        else:
            long = between(rng, 1.5, 1.8)
            _carriage(sketch, colors, start, long, bands=kind == "fast")
            start += long
    _, top, _, _ = sketch.bounds()
    sketch.extent = (0.0, max(top, -1.55), length + between(rng, 0.5, 1.5), 0.2)
    return sketch


def _track(sketch: Sketch, rng: np.random.Generator, colors: Paint) -> None:
    """Ballast, sleepers and a rail, running out of the picture on both sides."""
    ballast = hsv(rng.random(), between(rng, 0, 0.25), between(rng, 0.3, 0.65))
    sketch.polygon([(-6, 0.05), (12, 0.05), (12, 0.3), (-6, 0.3)], ballast)
    for sleeper in range(48):
        x = -4 + sleeper * 0.25
        sketch.box((x, 0.06, x + 0.13, 0.16), shade(ballast, 0.4))
    sketch.box((-6, 0.0, 12, 0.06), shade(colors.metal, 0.7))


def _wheels(sketch: Sketch, places: list[float], radius: float, rim: Color) -> None:
    for x in places:
        sketch.disc(x, -radius, radius, BLACK)
        sketch.disc(x, -radius, radius * 0.65, rim)
        sketch.disc(x, -radius, radius * 0.3, BLACK)


def _carriage(sketch: Sketch, colors: Paint, x: float, long: float, bands: bool = False) -> None:
    """A passenger carriage from x on, with windows, doors and two bogies."""
    sketch.box((x + 0.05, -0.3, x + long - 0.05, -0.12), BLACK)
    _wheels(sketch, [x + 0.2, x + 0.42, x + long - 0.42, x + long - 0.2], 0.11, colors.metal)
    sketch.box((x, _ROOF, x + long, -0.2), colors.body, 0.06)
    sketch.box((x, _ROOF - 0.03, x + long, _ROOF + 0.1), shade(colors.dark, 1.3), 0.06)
    sketch.box((x, -0.36, x + long, -0.28), colors.accent)
    if bands:
        sketch.box((x + 0.06, -0.8, x + long - 0.06, -0.52), shade(colors.glass, 0.5), 0.04)
        return
    count = int((long - 0.4) / 0.2)
    for window in range(count):
        left = x + 0.24 + window * (long - 0.44) / count
        sketch.box((left, -0.78, left + 0.14, -0.5), shade(colors.glass, 0.7), 0.02)
    for door in (x + 0.05, x + long - 0.17):
        sketch.box((door, -0.82, door + 0.12, -0.24), shade(colors.second, 0.8), 0.02)


def _wagon(sketch: Sketch, rng: np.random.Generator, colors: Paint, x: float) -> float:
    """A freight wagon (box, tank or open with coal) from x on; where it ends."""
    long = between(rng, 1.0, 1.3)
    color = any_color(rng)
    sketch.box((x, -0.3, x + long, -0.2), BLACK)
    _wheels(sketch, [x + 0.2, x + long - 0.2], 0.14, colors.metal)
    kind = pick(rng, ("box", "tank", "open"))
    if kind == "box":
        sketch.box((x + 0.03, -0.9, x + long - 0.03, -0.28), color)
        for plank in range(1, 7):
            at = x + plank * long / 7
            sketch.line([(at, -0.88), (at, -0.3)], 0.02, shade(color, 0.65))
    elif kind == "tank":
        tones = [shade(color, 0.8), shade(color, 1.4), color, shade(color, 0.5)]
        left, right = x + 0.04, x + long - 0.04
        sketch.shaded(((left, -0.88), (right, -0.88)), ((left, -0.3), (right, -0.3)), tones, 8)
        sketch.box((x + long / 2 - 0.1, -0.96, x + long / 2 + 0.1, -0.86), shade(color, 0.8))
    else:
        heap = [(x + 0.05, -0.6), (x + long * 0.3, -0.82), (x + long * 0.7, -0.78), (x + long - 0.05, -0.6)]
        sketch.polygon(smooth(heap, closed=False), BLACK)
        sketch.box((x + 0.03, -0.65, x + long - 0.03, -0.28), color)
    return x + long


def _steam(sketch: Sketch, rng: np.random.Generator, colors: Paint) -> float:
    """Boiler, chimney, domes, cab, driving wheels with their rod, and smoke that drifts back."""
    cab = between(rng, 1.5, 1.8)
    smoke = between(rng, 0.55, 0.95)
    for puff in range(7):
        size = 0.11 + puff * 0.035
        x, y = 0.32 + puff * 0.22 + between(rng, -0.05, 0.05), -1.3 - puff * 0.06 + between(rng, -0.05, 0.05)
        sketch.disc(x, y, size, hsv(0.6, 0.05, smoke - 0.25))
        sketch.disc(x - 0.02, y - 0.03, size * 0.85, hsv(0.6, 0.03, smoke))
    dark = pick(rng, (BLACK, shade(colors.body, 0.6), colors.dark))
    sketch.box((0.1, -0.42, cab + 0.5, -0.26), dark)
    tones = [shade(colors.body, 0.7), shade(colors.body, 1.35), colors.body, shade(colors.body, 0.5)]
    sketch.shaded(((0.12, -0.88), (cab, -0.92)), ((0.12, -0.38), (cab, -0.38)), tones, 10)
    sketch.box((0.08, -0.9, 0.2, -0.36), dark, 0.03)
    for band in (0.55, 0.9, 1.25):
        sketch.line([(band, -0.9), (band, -0.38)], 0.03, colors.accent)
    sketch.polygon([(0.26, -0.86), (0.42, -0.86), (0.47, -1.28), (0.21, -1.28)], dark)
    sketch.box((0.19, -1.3, 0.49, -1.22), shade(dark, 1.2))
    for dome in (0.72, 1.1):
        sketch.box((dome - 0.09, -1.06, dome + 0.09, -0.85), colors.metal, 0.09)
    sketch.box((cab, -1.1, cab + 0.45, -0.3), colors.body)
    sketch.box((cab - 0.06, -1.2, cab + 0.52, -1.08), dark, 0.05)
    sketch.box((cab + 0.1, -0.98, cab + 0.34, -0.7), shade(colors.glass, 0.8), 0.02)
    sketch.disc(0.08, -0.75, 0.08, colors.lamp, glow=True)
    sketch.polygon([(-0.15, 0.0), (0.15, 0.0), (0.15, -0.28), (0.05, -0.28)], colors.accent)
    _wheels(sketch, [0.22, 0.46], 0.12, colors.second)
    drivers = [0.8, 1.2, 1.6]
    for x in drivers:
        sketch.disc(x, -0.21, 0.21, BLACK)
        sketch.disc(x, -0.21, 0.165, colors.second)
        for spoke in (0, 60, 120):
            ends = [around(x, -0.21, 0.16, spoke), around(x, -0.21, 0.16, spoke + 180)]
            sketch.line(ends, 0.025, BLACK)
    sketch.line([(0.35, -0.24), (drivers[0], -0.15)], 0.05, colors.metal)
    sketch.line([(drivers[0], -0.15), (drivers[-1], -0.15)], 0.06, colors.metal)
    sketch.box((0.22, -0.36, 0.5, -0.2), dark)
    return cab + 0.5


def _diesel(sketch: Sketch, rng: np.random.Generator, colors: Paint) -> float:
    """A long hood with grilles behind a cab with windows, railings and an exhaust."""
    long = between(rng, 2.0, 2.3)
    sketch.box((0.0, -0.34, long, -0.18), BLACK)
    sketch.box((0.85, -0.24, long - 0.85, -0.06), shade(colors.dark, 1.2), 0.05)
    _wheels(sketch, [0.25, 0.48, 0.71, long - 0.71, long - 0.48, long - 0.25], 0.12, colors.metal)
    sketch.box((0.08, -0.72, 0.4, -0.3), colors.body, 0.04)
    sketch.box((0.34, -1.08, 0.82, -0.3), colors.body, 0.04)
    sketch.box((0.3, -1.13, 0.86, -1.04), colors.dark, 0.03)
    for left in (0.4, 0.6):
        sketch.box((left, -0.98, left + 0.16, -0.74), shade(colors.glass, 0.8), 0.02)
    sketch.box((0.82, -0.95, long - 0.05, -0.3), colors.body, 0.03)
    sketch.box((0.08, -0.46, long - 0.05, -0.36), colors.accent)
    for grille in range(int((long - 1.1) / 0.24)):
        left = 0.92 + grille * 0.24
        sketch.box((left, -0.86, left + 0.17, -0.58), shade(colors.body, 0.55))
    sketch.box((1.1, -1.08, 1.25, -0.94), BLACK)
    for post in range(6):
        x = 0.95 + post * (long - 1.0) / 6
        sketch.line([(x, -0.32), (x, -0.56)], 0.02, colors.metal)
    sketch.disc(0.07, -0.6, 0.06, colors.lamp, glow=True)
    return long


def _electric(sketch: Sketch, rng: np.random.Generator, colors: Paint) -> float:
    """A box with a slanted front, two pantographs and the wire above."""
    long = between(rng, 1.8, 2.2)
    sketch.line([(-6, -1.42), (12, -1.42)], 0.025, BLACK)
    for x in (0.45, long - 0.45):
        sketch.line([(x, _ROOF), (x + 0.2, -1.18), (x, -1.4)], 0.04, BLACK)
        sketch.line([(x - 0.15, -1.4), (x + 0.15, -1.4)], 0.04, BLACK)
    sketch.box((0.1, -0.3, long - 0.1, -0.12), BLACK)
    _wheels(sketch, [0.3, 0.55, long - 0.55, long - 0.3], 0.14, colors.metal)
    shell = [(0.12, _ROOF), (long - 0.12, _ROOF), (long, -0.55), (long, -0.2), (0.0, -0.2), (0.0, -0.55)]
    sketch.polygon(shell, colors.body)
    sketch.polygon([(0.0, -0.42), (long, -0.42), (long, -0.3), (0.0, -0.3)], colors.accent)
    sketch.polygon([(0.1, -0.88), (0.28, -0.88), (0.28, -0.58), (0.04, -0.58)], shade(colors.glass, 0.7))
    for window in range(4):
        x = 0.5 + window * (long - 0.9) / 4
        sketch.box((x, -0.82, x + 0.2, -0.62), shade(colors.glass, 0.6), 0.02)
    sketch.box((0.12, -1.0, long - 0.12, _ROOF + 0.03), shade(colors.dark, 1.3))
    sketch.disc(0.05, -0.36, 0.06, colors.lamp, glow=True)
    return long


def _fast(sketch: Sketch, rng: np.random.Generator, colors: Paint) -> float:
    """A high-speed power car with a long pointed nose."""
    long, nose = between(rng, 2.0, 2.4), between(rng, 0.5, 0.9)
    sketch.box((nose, -0.3, long - 0.05, -0.08), BLACK)
    _wheels(sketch, [nose, nose + 0.25, long - 0.45, long - 0.2], 0.11, colors.metal)
    shell = [(long, -0.16), (long, _ROOF), (nose, _ROOF), (nose * 0.5, -0.78), (0.0, -0.36), (0.05, -0.14)]
    outline = [(long, -0.16), (long, _ROOF), *smooth(shell[2:], closed=False, rounds=2)]
    sketch.polygon(outline, colors.body)
    sketch.box((nose * 0.3, -0.34, long, -0.26), colors.accent)
    cab = [(nose * 0.62, -0.8), (nose * 1.05, -0.88), (nose * 1.1, -0.64), (nose * 0.5, -0.62)]
    sketch.polygon(cab, shade(colors.glass, 0.45))
    sketch.box((nose + 0.35, -0.8, long - 0.06, -0.52), shade(colors.glass, 0.5), 0.04)
    sketch.ellipse(nose * 0.22, -0.4, 0.09, 0.05, colors.lamp, glow=True)
    return long


def _slanted(rng: np.random.Generator, colors: Paint) -> Sketch:
    """A train seen from the front and one side: its face in full, its flank running off along the rails."""
    sketch = Sketch()
    far = between(rng, 1.6, 2.6)
    shrink = between(rng, 0.3, 0.5)
    rise = between(rng, -0.15, 0.1)
    top, low = -1.25, 0.0
    # Where face and flank meet, and the flank's far end.
    edge, end = 0.55, 0.55 + far
    end_top, end_low = top * shrink + rise - 0.15, low * shrink + rise - 0.15
    ground = 0.22
    bed: list[Point] = [(-1.0, 0.75), (0.95, 0.75), (end + 0.35, end_low + 0.05), (end - 0.15, end_low)]
    ballast = hsv(rng.random(), between(rng, 0, 0.25), between(rng, 0.3, 0.65))
    sketch.polygon(bed, ballast)
    track = [(end - 0.12, end_low), (end + 0.2, end_low + 0.03), (0.75, 0.72), (-0.8, 0.72)]
    place = Transform.onto((0, 0, 1, 1), track)
    for sleeper in range(14):
        # Evenly spaced along the track: the map itself brings the far ones together.
        y = sleeper / 14
        plank = place.apply([(0, y), (1, y), (1, y + 0.03), (0, y + 0.03)]).tolist()
        sketch.polygon([(px, py) for px, py in plank], shade(ballast, 0.4))
    for rail in (0.2, 0.8):
        (ax, ay), (bx, by) = place.apply([(rail, 0), (rail, 1)]).tolist()
        sketch.line([(ax, ay), (bx, by)], (0.02, 0.07), colors.metal)
    flank = Sketch()
    for carriage in range(2):
        _carriage(flank, colors, carriage * 1.85, 1.8, bands=chance(rng, 0.4))
    corners = [(edge, top), (end, end_top), (end, end_low + 0.06), (edge, low + ground)]
    sketch.polygon([(edge, low), (end, end_low), (end, end_low + 0.08), (edge, low + ground)], BLACK)
    sketch.add(flank, Transform.onto((0, _ROOF - 0.03, 3.65, 0), corners))
    _face(sketch, rng, colors, top, edge)
    sketch.extent = (-0.75, top - 0.1, min(end, 2.4), 0.6)
    return sketch


def _face(sketch: Sketch, rng: np.random.Generator, colors: Paint, top: float, half: float) -> None:
    """The front of a locomotive: windscreens, lamps, a coloured nose, buffers and coupling."""
    sketch.box((-half * 0.9, -0.1, half * 0.9, 0.24), BLACK, 0.04)
    sloped = between(rng, 0.75, 0.98)
    shell = [(-half, 0.02), (-half, -0.6), (-half * sloped, top), (half * sloped, top), (half, -0.6), (half, 0.02)]
    sketch.polygon(shell, shade(colors.body, 1.1))
    sketch.polygon(smooth([(-half * 0.8, top + 0.02), (half * 0.8, top + 0.02), (0, top - 0.16)]), colors.dark)
    nose = pick(rng, (colors.accent, colors.second, shade(colors.body, 1.5)))
    chin = half * 0.3
    sketch.polygon([(-half, -0.5), (half, -0.5), (half, -0.12), (chin, 0.0), (-chin, 0.0), (-half, -0.12)], nose)
    if chance(rng, 0.5):
        screen = [(-half * 0.8, -0.62), (-half * 0.7, top + 0.2), (half * 0.7, top + 0.2), (half * 0.8, -0.62)]
        sketch.polygon(screen, shade(colors.glass, 0.5))
        sketch.line([(-half * 0.5, top + 0.25), (-half * 0.2, -0.66)], 0.08, fade(WHITE, 0.4))
    else:
        for side in (-1, 1):
            box = sorted((side * half * 0.12, side * half * 0.8))
            sketch.box((box[0], top + 0.18, box[1], -0.64), shade(colors.glass, 0.5), 0.04)
    for side in (-1, 1):
        sketch.disc(side * half * 0.7, -0.28, 0.1, colors.dark)
        sketch.disc(side * half * 0.7, -0.28, 0.075, colors.lamp, glow=True)
        sketch.disc(side * half * 0.6, 0.1, 0.11, colors.dark)
        sketch.disc(side * half * 0.6, 0.1, 0.07, colors.metal)
    sketch.disc(0, top + 0.07, 0.065, colors.lamp, glow=True)
    sketch.box((-0.07, 0.02, 0.07, 0.2), colors.metal)
