"""Vacuum cleaners: canisters, workshop drums, uprights and sticks, standing on their floor (y = 0)."""

import numpy as np

from training.data.demo.canvas import Sketch, smooth
from training.data.demo.colours import BLACK, Paint, between, chance, pick, shade


def vacuum_cleaner(rng: np.random.Generator, colors: Paint) -> Sketch:
    """A canister with hose, tube and floor head; a workshop drum; an upright; or a cordless stick."""
    kind = pick(rng, ("canister", "canister", "drum", "upright", "upright", "stick"))
    if kind in ("canister", "drum"):
        return _with_hose(rng, colors, drum=kind == "drum")
    return _upright(rng, colors) if kind == "upright" else _stick(rng, colors)


def _floor_head(sketch: Sketch, colors: Paint, x: float, half: float, high: float = 0.12) -> None:
    """The flat foot at the tube's lower end, its wide side seen."""
    outline = [
        (x + half * part, -high * rise)
        for part, rise in ((-1, 0), (-0.9, 1), (-0.25, 1.9), (0.25, 1.9), (0.9, 1), (1, 0))
    ]
    sketch.polygon(smooth(outline, rounds=1), colors.dark)
    sketch.line([(x - half * 0.95, -0.02), (x + half * 0.95, -0.02)], 0.05, colors.accent)
    sketch.line([(x - half * 0.6, -high), (x + half * 0.6, -high)], 0.04, shade(colors.dark, 1.3))


def _hose(sketch: Sketch, points: list[tuple[float, float]], width: float, colors: Paint) -> None:
    """A ribbed hose along a smoothed line."""
    line = smooth(points, closed=False, rounds=3)
    sketch.line(line, width, shade(colors.dark, 1.15), round_ends=True)
    for (ax, ay), (bx, by) in zip(line[::2], line[1::2], strict=False):
        length = max(((bx - ax) ** 2 + (by - ay) ** 2) ** 0.5, 1e-6)
        nx, ny = (ay - by) / length * width * 0.45, (bx - ax) / length * width * 0.45
        sketch.line([(ax - nx, ay - ny), (ax + nx, ay + ny)], width * 0.22, shade(colors.dark, 0.55))


def _with_hose(rng: np.random.Generator, colors: Paint, drum: bool) -> Sketch:
    sketch = Sketch()
    sketch.ellipse(0.5, 0.02, 0.8, 0.08, (0, 0, 0, 60))
    head_x = between(rng, -1.25, -0.95)
    tall = between(rng, 1.35, 1.75)
    top = (head_x + between(rng, 0.3, 0.6), -tall)
    bend = (top[0] + 0.16, top[1] - 0.12)
    if drum:
        port = (0.25, -0.75)
        _drum(sketch, rng, colors)
    else:
        port = (between(rng, -0.02, 0.08), -0.42)
    loop = between(rng, 0.2, 0.6)
    hose = [bend, (bend[0] + 0.35, bend[1] - 0.1), (0.2 + loop, -tall + 0.2), (-0.1, -0.9), (port[0] - 0.35, port[1])]
    _hose(sketch, [*hose, port], between(rng, 0.1, 0.14), colors)
    if not drum:
        _canister(sketch, rng, colors)
    sketch.line([(head_x + 0.02, -0.12), top], between(rng, 0.07, 0.1), colors.metal, round_ends=True)
    middle = ((head_x + top[0]) / 2, top[1] / 2 - 0.05)
    sketch.line([middle, (middle[0] + 0.05, middle[1] - 0.16)], 0.13, colors.dark)
    sketch.line([(top[0] - 0.05, top[1] + 0.16), top, bend], 0.13, shade(colors.body, 0.9), round_ends=True)
    sketch.line([(top[0] - 0.01, top[1] + 0.22), (top[0] + 0.22, top[1] + 0.08)], 0.05, colors.dark)
    _floor_head(sketch, colors, head_x, between(rng, 0.3, 0.42))
    return sketch


def _canister(sketch: Sketch, rng: np.random.Generator, colors: Paint) -> None:
    """A low body with a bumper, a lid, a carrying handle and one big wheel."""
    high = between(rng, 0.5, 0.7)
    back = between(rng, 1.05, 1.3)
    body = [(0.0, -0.1), (0.0, -0.4), (0.25, -high), (back - 0.25, -high * 1.05), (back, -0.45), (back, -0.1)]
    sketch.arc(0.6, -high * 0.95, 0.3, 0.2, 190, 350, 0.07, colors.dark)
    sketch.polygon(smooth(body), colors.body)
    lid = [(0.1, -0.4), (0.28, -high * 0.97), (back - 0.3, -high), (back - 0.45, -0.42)]
    sketch.polygon(smooth(lid), shade(colors.body, 1.3))
    if chance(rng, 0.5):
        sketch.ellipse(0.45, -0.44, 0.22, 0.15, colors.glass)
        sketch.ellipse(0.4, -0.48, 0.08, 0.04, shade(colors.glass, 1.5))
    sketch.line([(0.03, -0.14), (back - 0.03, -0.14)], 0.1, colors.dark, round_ends=True)
    wheel = between(rng, 0.24, 0.33)
    x = back - wheel * 0.85
    sketch.disc(x, -wheel, wheel, BLACK)
    sketch.disc(x, -wheel, wheel * 0.72, colors.second)
    sketch.disc(x, -wheel, wheel * 0.3, colors.metal)
    sketch.disc(0.15, -0.07, 0.08, BLACK)


def _drum(sketch: Sketch, rng: np.random.Generator, colors: Paint) -> None:
    """A workshop vacuum: a cylinder on castors under a motor head with clips and a handle."""
    tank = pick(rng, (colors.metal, colors.body))
    tones = [shade(tank, 0.6), shade(tank, 1.35), tank, shade(tank, 0.5)]
    sketch.shaded(((0.2, -0.95), (0.24, -0.14)), ((1.1, -0.95), (1.06, -0.14)), tones, 12)
    sketch.box((0.14, -0.18, 1.16, -0.08), colors.dark, 0.04)
    for x in (0.25, 0.65, 1.05):
        sketch.disc(x, -0.06, 0.07, BLACK)
    sketch.arc(0.65, -1.35, 0.24, 0.16, 180, 360, 0.07, colors.dark)
    cap = [(0.14, -0.92), (0.16, -1.1), (0.35, -1.36), (0.95, -1.36), (1.14, -1.1), (1.16, -0.92)]
    sketch.polygon(smooth(cap, rounds=1), colors.second)
    sketch.line([(0.15, -0.94), (1.15, -0.94)], 0.08, colors.dark)
    sketch.disc(0.65, -1.14, 0.09, colors.accent)
    for x in (0.2, 1.1):
        sketch.box((x - 0.05, -1.02, x + 0.05, -0.78), BLACK, 0.02)
    sketch.disc(0.28, -0.75, 0.12, BLACK)


def _upright(rng: np.random.Generator, colors: Paint) -> Sketch:
    """Floor head, a slanted body with dust bag or clear cyclone, and a long handle with a cable."""
    sketch = Sketch()
    sketch.ellipse(-0.1, 0.02, 0.7, 0.08, (0, 0, 0, 60))
    lean = between(rng, 0.1, 0.45)
    top = -between(rng, 2.0, 2.4)
    wide = between(rng, 0.22, 0.3)

    def along(part: float, side: float = 0.0) -> tuple[float, float]:
        return 0.1 + lean * part + side, -0.2 + (top + 0.2) * part

    cable = [along(0.9), (0.75 + lean, top * 0.6), (0.5 + lean, -0.4), along(0.3)]
    sketch.line(smooth(cable, closed=False, rounds=3), 0.04, colors.dark)
    sketch.line([along(0.5), along(0.95)], 0.09, colors.metal)
    sketch.line([along(0.88), along(0.97), along(1.0, -0.15)], 0.12, colors.dark, round_ends=True)
    body = [along(0.02, -wide), along(0.3, -wide * 1.05), along(0.58, -wide * 0.7), along(0.64)]
    body += [along(0.58, wide * 0.7), along(0.3, wide * 1.05), along(0.02, wide)]
    sketch.polygon(smooth(body), colors.body)
    if chance(rng, 0.5):
        tank = [along(0.16, -wide * 0.7), along(0.44, -wide * 0.7), along(0.44, wide * 0.7), along(0.16, wide * 0.7)]
        sketch.polygon(smooth(tank, rounds=1), colors.glass)
        sketch.line([along(0.19, -wide * 0.4), along(0.41, -wide * 0.4)], 0.06, shade(colors.glass, 1.6))
        sketch.line([along(0.44, -wide * 0.8), along(0.44, wide * 0.8)], 0.08, colors.accent)
    else:
        bag = [along(0.14, -wide * 0.6), along(0.4, -wide * 0.8), along(0.56), along(0.4, wide * 0.6)]
        sketch.polygon(smooth([*bag, along(0.14, wide * 0.6)]), shade(colors.body, 1.35))
        sketch.line([along(0.2), along(0.48)], 0.04, colors.second)
    # The head seen from the side: a wedge, a lamp, a wheel.
    nose = -between(rng, 0.65, 0.85)
    head = [(nose, 0), (nose, -0.16), (nose * 0.4, -0.34), (0.25, -0.42), (0.42, -0.2), (0.42, 0)]
    sketch.polygon(smooth(head, rounds=1), shade(colors.second, 0.9))
    sketch.line([(nose + 0.05, -0.03), (0.4, -0.03)], 0.07, BLACK)
    sketch.box((nose + 0.04, -0.17, nose + 0.2, -0.1), colors.lamp, 0.03, glow=True)
    sketch.disc(0.26, -0.14, 0.15, BLACK)
    sketch.disc(0.26, -0.14, 0.07, colors.metal)
    return sketch


def _stick(rng: np.random.Generator, colors: Paint) -> Sketch:
    """A cordless stick: pistol handle with dust cup at the top, one long tube, a floor head."""
    sketch = Sketch()
    sketch.ellipse(-0.1, 0.02, 0.6, 0.07, (0, 0, 0, 60))
    lean = between(rng, 0.2, 0.7)
    top = (lean, -between(rng, 1.5, 1.9))
    sketch.line([(0, -0.15), top], between(rng, 0.09, 0.13), pick(rng, (colors.accent, colors.metal, colors.body)))
    x, y = top
    grip = [(x + 0.2, y - 0.35), (x + 0.6, y - 0.3), (x + 0.58, y + 0.1), (x + 0.2, y + 0.1)]
    sketch.line(smooth(grip, closed=False), 0.12, colors.dark, round_ends=True)
    sketch.box((x + 0.42, y + 0.05, x + 0.72, y + 0.2), colors.dark, 0.04)
    tank = [(x - 0.2, y + 0.3), (x - 0.12, y - 0.3), (x + 0.22, y - 0.3), (x + 0.16, y + 0.34)]
    sketch.polygon(smooth(tank, rounds=1), colors.glass)
    sketch.line([(x - 0.06, y + 0.2), (x, y - 0.15)], 0.06, shade(colors.glass, 1.5))
    sketch.box((x - 0.24, y - 0.48, x + 0.34, y - 0.16), colors.body, 0.12)
    sketch.box((x - 0.16, y - 0.58, x + 0.26, y - 0.42), colors.second, 0.05)
    sketch.line([(x - 0.2, y + 0.24), (x + 0.18, y + 0.28)], 0.07, colors.body)
    _floor_head(sketch, colors, -0.05, between(rng, 0.36, 0.48), 0.16)
    return sketch
