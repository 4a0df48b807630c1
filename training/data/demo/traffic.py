"""Traffic: several cars, lorries and buses on a road. Unit: about half a car; y = 0 is the road under the wheels."""

import numpy as np

from training.data.demo.canvas import Sketch, Transform, smooth
from training.data.demo.colours import BLACK, WHITE, Color, Paint, between, chance, hsv, paint, pick, shade


def traffic(rng: np.random.Generator, colors: Paint) -> Sketch:
    """A road towards the horizon full of vehicles, rows of vehicles from the side, or a road from above.

    Every vehicle has its own colours; `colors`, which all objects are given, go unused.
    """
    return pick(rng, (_queue, _queue, _rows, _rows, _from_above))(rng)


def _asphalt(rng: np.random.Generator) -> tuple[Color, Color]:
    """The colours of a road and of its markings."""
    road = hsv(rng.random(), between(rng, 0, 0.15), between(rng, 0.18, 0.6))
    return road, pick(rng, (WHITE, WHITE, (235, 200, 60, 255)))


def _queue(rng: np.random.Generator) -> Sketch:
    """Vehicles on two to four lanes that meet at the horizon, seen from the front or the back."""
    sketch = Sketch()
    road, mark = _asphalt(rng)
    lanes = int(rng.integers(2, 5))
    half = lanes * between(rng, 0.95, 1.1)
    eye = between(rng, 2.2, 3.2)
    swing = between(rng, -0.6, 0.6)

    def spot(x: float, depth: float) -> tuple[float, float]:
        """A point of the road: depth 1 is near, larger is farther off."""
        return (x + swing * (depth - 1) * 0.5) / depth, eye / depth - eye

    sketch.polygon([spot(-half, 9), spot(half, 9), spot(half, 0.7), spot(-half, 0.7)], road)
    for border in (-half + 0.12, half - 0.12):
        sketch.polygon([spot(border - 0.06, 9), spot(border + 0.06, 9), spot(border + 0.06, 0.7)], mark)
    for lane in range(1, lanes):
        x = -half + lane * 2 * half / lanes
        for depth in (0.8, 1.15, 1.6, 2.2, 3.0, 4.2, 6.0):
            dash = [spot(x - 0.06, depth), spot(x + 0.06, depth), spot(x + 0.06, depth * 1.18)]
            sketch.polygon([*dash, spot(x - 0.06, depth * 1.18)], mark)
    away = chance(rng, 0.5)
    spots = [(depth * between(rng, 0.92, 1.08), lane) for depth in (5.0, 3.4, 2.3, 1.55, 1.05) for lane in range(lanes)]
    for depth, lane in sorted(spots, reverse=True):
        if chance(rng, 0.25):
            continue
        x, y = spot(-half + (lane + 0.5) * 2 * half / lanes, depth)
        rear = away if lanes < 3 else lane >= lanes / 2
        sketch.add(_end_on(rng, rear), Transform.shift(x, y) @ Transform.scale(0.8 / depth))
    if chance(rng, 0.5):
        side = pick(rng, (-1, 1))
        sketch.add(_signal(rng), Transform.shift(side * (half * 0.75 + 0.1), eye / 1.7 - eye) @ Transform.scale(0.75))
    sketch.extent = (-half * 0.8, eye / 5.0 - eye - 0.45, half * 0.8, 0.15)
    return sketch


def _end_on(rng: np.random.Generator, rear: bool) -> Sketch:
    """A car, van, lorry or bus from the front or the back, 2 wide."""
    sketch = Sketch()
    colors = paint(rng)
    kind = pick(rng, ("car", "car", "car", "car", "van", "lorry", "bus"))
    lamp, glow = ((225, 30, 30, 255), True) if rear else (colors.lamp, True)
    sketch.ellipse(0, 0.0, 1.1, 0.14, (0, 0, 0, 110))
    for side in (-0.72, 0.72):
        sketch.box((side - 0.16, -0.35, side + 0.16, 0.03), BLACK, 0.05)
    if kind == "car":
        roof = -between(rng, 1.35, 1.6)
        sketch.polygon([(-0.85, -0.85), (-0.62, roof), (0.62, roof), (0.85, -0.85)], shade(colors.body, 0.9))
        screen = [(-0.72, -0.85), (-0.54, roof + 0.1), (0.54, roof + 0.1), (0.72, -0.85)]
        sketch.polygon(screen, shade(colors.glass, 0.55))
        sketch.box((-1.0, -0.92, 1.0, -0.2), colors.body, 0.16)
        sketch.box((-0.85, -0.9, 0.85, -0.8), shade(colors.body, 1.3), 0.05)
        lamp_y = -0.62
    else:
        roof = -{"van": between(rng, 1.9, 2.1), "lorry": between(rng, 2.5, 2.8), "bus": between(rng, 2.5, 2.8)}[kind]
        sketch.box((-1.0, roof, 1.0, -0.2), colors.body, 0.1)
        if kind == "lorry" and rear:
            sketch.line([(0, roof + 0.1), (0, -0.6)], 0.05, shade(colors.body, 0.5))
        else:
            sketch.box((-0.85, roof + 0.2, 0.85, roof + 1.15), shade(colors.glass, 0.55), 0.08)
        sketch.box((-1.0, -0.62, 1.0, -0.2), shade(colors.body, 0.75), 0.08)
        lamp_y = -0.5
    for side in (-0.72, 0.72):
        sketch.ellipse(side, lamp_y, 0.2, 0.13, lamp, glow=glow)
    sketch.box((-0.3, -0.48, 0.3, -0.3), WHITE if rear else BLACK, 0.02)
    sketch.box((-0.98, -0.26, 0.98, -0.16), colors.dark, 0.04)
    return sketch


def _signal(rng: np.random.Generator) -> Sketch:
    """A traffic light on its post, about 3 high."""
    sketch = Sketch()
    sketch.line([(0, 0), (0, -2.2)], 0.16, shade(BLACK, 2.0 if chance(rng, 0.3) else 1.1))
    sketch.box((-0.36, -3.5, 0.36, -1.9), (200, 200, 190, 255), 0.1)
    sketch.box((-0.3, -3.44, 0.3, -1.96), BLACK, 0.08)
    on = int(rng.integers(3))
    for index, color in enumerate(((240, 40, 30, 255), (250, 190, 30, 255), (40, 220, 90, 255))):
        lit = index == on
        sketch.disc(0, -3.2 + index * 0.5, 0.2, color if lit else shade(color, 0.3), glow=lit)
    return sketch


def _rows(rng: np.random.Generator) -> Sketch:
    """One to three lanes of vehicles from the side; each lane drives its own way."""
    sketch = Sketch()
    road, mark = _asphalt(rng)
    lanes = int(rng.integers(1, 4))
    gap = between(rng, 1.0, 1.4)
    low = (lanes - 1) * gap
    sketch.box((-14, -0.7, 14, low + 0.5), road)
    sketch.box((-14, -0.66, 14, -0.58), mark)
    light = between(rng, -2.0, 2.0)
    if chance(rng, 0.6):
        sketch.add(_signal(rng), Transform.shift(light, -0.6) @ Transform.scale(0.9))
    for lane in range(lanes):
        y = lane * gap
        if lane:
            for dash in range(-7, 8):
                sketch.box((dash * 1.6, y - gap * 0.62, dash * 1.6 + 0.8, y - gap * 0.62 + 0.07), mark)
        mirror = pick(rng, (-1.0, 1.0))
        x = -5.5 + between(rng, 0, 1.0)
        while x < 5.0:
            vehicle, long = _side_on(rng)
            sketch.add(vehicle, Transform.shift(x + long / 2, y) @ Transform.scale(mirror, 1))
            x += long + between(rng, 0.15, 0.6)
    wide = between(rng, 2.6, 3.6)
    sketch.extent = (-wide, -1.7, wide, low + 0.4)
    return sketch


def _side_on(rng: np.random.Generator) -> tuple[Sketch, float]:
    """A vehicle from the side, driving left, centred on 0; and its length."""
    sketch = Sketch()
    colors = paint(rng)
    kind = pick(rng, ("car", "car", "car", "car", "lorry", "bus"))
    half = {"car": between(rng, 1.0, 1.15), "lorry": between(rng, 1.7, 2.0), "bus": between(rng, 1.8, 2.1)}[kind]
    sketch.ellipse(0, 0.02, half, 0.1, (0, 0, 0, 110))
    if kind == "car":
        tail = between(rng, 0.55, 0.95)
        cabin = [(-half * 0.5, -0.58), (-half * 0.22, -1.02), (half * 0.45, -1.02), (half * tail, -0.58)]
        sketch.polygon(smooth(cabin, rounds=1), colors.body)
        glass = shade(colors.glass, 0.6)
        sketch.polygon([(-half * 0.38, -0.6), (-half * 0.2, -0.94), (half * 0.08, -0.94), (half * 0.08, -0.6)], glass)
        rear = [(half * 0.14, -0.6), (half * 0.14, -0.94), (half * 0.4, -0.94), (half * tail * 0.8, -0.6)]
        sketch.polygon(rear, glass)
        lower = [(-half, -0.2), (-half, -0.5), (-half * 0.5, -0.66), (half * 0.9, -0.66), (half, -0.5), (half, -0.2)]
        sketch.polygon(smooth(lower, rounds=1), colors.body)
        sketch.line([(-half * 0.9, -0.26), (half * 0.9, -0.26)], 0.07, shade(colors.body, 0.6))
        wheels = [-half * 0.6, half * 0.6]
    elif kind == "bus":
        sketch.box((-half, -1.5, half, -0.22), colors.body, 0.1)
        sketch.box((-half, -0.6, half, -0.45), colors.second)
        for window in range(6):
            x = -half + 0.12 + window * (2 * half - 0.2) / 6
            sketch.box((x, -1.3, x + 2 * half / 6 - 0.1, -0.75), shade(colors.glass, 0.6), 0.03)
        wheels = [-half * 0.62, half * 0.58]
    else:
        sketch.box((-half * 0.5, -1.65, half, -0.4), colors.second)
        sketch.line([(-half * 0.4, -1.0), (half * 0.9, -1.0)], 0.25, colors.accent)
        cab = [(-half, -0.25), (-half, -0.75), (-half * 0.9, -1.25), (-half * 0.56, -1.25), (-half * 0.56, -0.25)]
        sketch.polygon(cab, colors.body)
        pane = [(-half * 0.94, -0.75), (-half * 0.87, -1.14), (-half * 0.68, -1.14), (-half * 0.68, -0.75)]
        sketch.polygon(pane, shade(colors.glass, 0.6))
        sketch.box((-half * 0.95, -0.4, half, -0.22), BLACK)
        wheels = [-half * 0.75, half * 0.4, half * 0.75]
    for x in wheels:
        sketch.disc(x, -0.2, 0.23, BLACK)
        sketch.disc(x, -0.2, 0.12, colors.metal)
    sketch.ellipse(-half + 0.05, -0.46, 0.08, 0.07, colors.lamp, glow=True)
    sketch.ellipse(half - 0.03, -0.48, 0.05, 0.08, (220, 30, 30, 255), glow=True)
    return sketch, 2 * half


def _from_above(rng: np.random.Generator) -> Sketch:
    """A road with three to five lanes from straight above, along any direction."""
    flat = Sketch()
    road, mark = _asphalt(rng)
    lanes = int(rng.integers(3, 6))
    wide = 1.25
    half = lanes * wide / 2
    flat.box((-16, -half - 0.2, 16, half + 0.2), road)
    for border in (-half, half):
        flat.box((-16, border - 0.05, 16, border + 0.05), mark)
    for lane in range(lanes):
        y = -half + (lane + 0.5) * wide
        if lane:
            for dash in range(-8, 9):
                flat.box((dash * 1.5, y - wide / 2 - 0.04, dash * 1.5 + 0.8, y - wide / 2 + 0.04), mark)
        x = -5.0 + between(rng, 0, 1.5)
        while x < 5.0:
            vehicle, long = _top_down(rng)
            facing = 1 if lane < lanes / 2 else -1
            flat.add(vehicle, Transform.shift(x + long / 2, y) @ Transform.scale(facing, 1))
            x += long + between(rng, 0.2, 1.4)
    sketch = flat.through(Transform.turn(pick(rng, (0, 90, between(rng, 0, 180)))))
    sketch.extent = (-half, -half, half, half)
    return sketch


def _top_down(rng: np.random.Generator) -> tuple[Sketch, float]:
    """A vehicle from above, driving left, centred on 0; and its length."""
    sketch = Sketch()
    colors = paint(rng)
    if chance(rng, 0.2):
        half = between(rng, 1.4, 1.9)
        sketch.box((-half, -0.4, half, 0.46), (0, 0, 0, 90), 0.1)
        sketch.box((-half, -0.42, -half * 0.6, 0.42), colors.body, 0.08)
        sketch.box((-half * 0.93, -0.36, -half * 0.8, 0.36), shade(colors.glass, 0.5))
        sketch.box((-half * 0.55, -0.45, half, 0.45), colors.second, 0.04)
        return sketch, 2 * half
    half = between(rng, 0.85, 1.0)
    sketch.box((-half, -0.36, half, 0.46), (0, 0, 0, 90), 0.15)
    sketch.box((-half, -0.4, half, 0.4), colors.body, 0.2)
    glass = shade(colors.glass, 0.45)
    sketch.polygon([(-0.42, -0.3), (-0.18, -0.27), (-0.18, 0.27), (-0.42, 0.3)], glass)
    sketch.polygon([(0.46, -0.27), (0.66, -0.3), (0.66, 0.3), (0.46, 0.27)], glass)
    for side in (-1, 1):
        sketch.line([(-0.3, side * 0.33), (0.55, side * 0.33)], 0.06, glass)
        sketch.ellipse(-half + 0.08, side * 0.27, 0.07, 0.08, colors.lamp, glow=True)
        sketch.ellipse(half - 0.05, side * 0.27, 0.05, 0.09, (210, 30, 30, 255), glow=True)
    return sketch, 2 * half
