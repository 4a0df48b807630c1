"""Drones, shopping carts and fountains. Unit: about half the width of the thing; y grows down."""

import math

import numpy as np

from training.data.demo.canvas import Point, Sketch, Transform, smooth
from training.data.demo.colours import BLACK, Color, Paint, any_color, between, chance, fade, hsv, mix, pick, shade


def drone(rng: np.random.Generator, colors: Paint) -> Sketch:
    """A quadcopter with camera: from the front with its legs, from above at a slant, or from straight above."""
    # How much of the rotor plane is seen: 0 from the side, 1 from above.
    slant = pick(rng, (between(rng, 0.16, 0.3), between(rng, 0.35, 0.6), between(rng, 0.8, 1.0)))
    rise = math.sqrt(1 - slant * slant)
    turn = math.radians(between(rng, -25, 25) if slant < 0.7 else between(rng, 0, 360))
    sketch = Sketch()
    reach = between(rng, 0.9, 1.05)
    angles = [turn + math.pi * (0.25 + 0.5 * arm) for arm in range(4)]
    motors = sorted(((reach * math.cos(a), reach * math.sin(a)) for a in angles), key=lambda motor: motor[1])
    rotor = between(rng, 0.42, 0.56)
    guards = chance(rng, 0.3)
    spinning = chance(rng, 0.6)
    if rise > 0.6:
        _landing_legs(sketch, rng, colors, rise, slant)
    bodied = False
    for x, y in motors:
        if not bodied and y > 0:
            _drone_body(sketch, rng, colors, rise, slant)
            bodied = True
        y *= slant
        thick = between(rng, 0.11, 0.16)
        sketch.line([(x * 0.2, y * 0.2 + 0.06 * rise), (x, y)], (thick * 1.5, thick), shade(colors.body, 0.75))
        sketch.line([(x * 0.2, y * 0.2), (x, y - 0.05 * rise)], (thick, thick * 0.5), shade(colors.body, 1.1))
        top = y - 0.2 * rise
        sketch.line([(x, y + 0.06), (x, top)], 0.14, colors.dark)
        sketch.ellipse(x, y + 0.03, 0.09, 0.09 * max(slant, 0.5), colors.dark)
        sketch.disc(x, y + 0.08 * rise, 0.035, colors.accent, glow=True)
        flat = max(slant, 0.14)
        if guards:
            outer = Sketch()
            outer.arc(0, 0, rotor * 1.12, rotor * 1.12, 0, 360, 0.06, colors.second)
            sketch.add(outer, Transform.shift(x, top) @ Transform.scale(1, flat))
        if spinning:
            sketch.ellipse(x, top, rotor, rotor * flat, fade(shade(colors.dark, 1.3), 0.4))
            sketch.ellipse(x, top, rotor * 0.6, rotor * 0.6 * flat, fade(colors.dark, 0.25))
        blades = Sketch()
        for way in (-1, 1):
            blade = [(0, -0.06 * way), (rotor * way, -0.09 * way), (rotor * way, 0.03 * way), (0, 0.06 * way)]
            blades.polygon(smooth(blade, rounds=1), colors.dark)
        spin = Transform.turn(between(rng, 0, 180))
        sketch.add(blades, Transform.shift(x, top) @ Transform.scale(1, flat) @ spin)
        sketch.ellipse(x, top, 0.08, 0.08 * max(slant, 0.5), colors.metal)
    if slant > 0.7:
        _drone_body(sketch, rng, colors, rise, slant)
    return sketch


def _landing_legs(sketch: Sketch, rng: np.random.Generator, colors: Paint, rise: float, slant: float) -> None:
    foot = between(rng, 0.45, 0.65) * rise
    for side in (-1, 1):
        for depth in (-0.25, 0.25):
            y = depth * slant
            sketch.line([(side * 0.25, y), (side * 0.42, y + foot)], 0.07, colors.dark)
        skid = [(side * 0.32, foot - 0.4 * slant), (side * 0.54, foot + 0.4 * slant)]
        sketch.line(skid, 0.08, colors.dark, round_ends=True)


def _drone_body(sketch: Sketch, rng: np.random.Generator, colors: Paint, rise: float, slant: float) -> None:
    """The hull with its upper shell, and the camera hanging from its front (towards the viewer)."""
    wide, deep = between(rng, 0.32, 0.44), between(rng, 0.4, 0.6)
    thick = 0.26 * rise
    flat = [(-wide, -deep), (wide, -deep), (wide * 1.2, 0), (wide * 0.8, deep), (-wide * 0.8, deep), (-wide * 1.2, 0)]
    for part in range(5):
        drop = thick * (1 - part / 4) - 0.1 * rise
        color = shade(colors.body, 0.65 + 0.12 * part)
        sketch.polygon(smooth([(x, y * slant + drop) for x, y in flat]), color)
    lid = [(x * 0.62, y * slant * 0.72 - 0.13 * rise) for x, y in flat]
    sketch.polygon(smooth(lid), colors.second)
    sketch.polygon(smooth([(x * 0.4, y * 0.5 - 0.06 * slant) for x, y in lid]), shade(colors.second, 1.4))
    camera = deep * slant * 0.8 + thick * 0.75
    sketch.box((-0.2, camera - 0.14, 0.2, camera + 0.17), colors.dark, 0.08)
    sketch.disc(0, camera + 0.03, 0.13, shade(colors.metal, 0.8))
    sketch.disc(0, camera + 0.03, 0.1, BLACK)
    sketch.disc(0.03, camera, 0.035, shade(colors.glass, 1.4))


def shopping_cart(rng: np.random.Generator, colors: Paint) -> Sketch:
    """A cart of wire mesh (or slotted plastic) on castors, empty or full, in a slanted view; y = 0 is the floor."""
    sketch = Sketch()
    # The far side is shifted by these: a parallel projection of a thing one unit deep.
    dx, dy = between(rng, 0.2, 0.6) * pick(rng, (-1, 1)), -between(rng, 0.12, 0.35)
    top, back_top = -between(rng, 1.35, 1.5), -between(rng, 1.5, 1.65)
    low, back_low = -between(rng, 0.8, 0.9), -between(rng, 0.62, 0.75)
    front, back = -between(rng, 0.95, 1.1), between(rng, 0.65, 0.8)
    basket = [(front, top), (back, back_top), (back - 0.12, back_low), (front + between(rng, 0.2, 0.35), low)]
    far = [(x + dx, y + dy) for x, y in basket]
    wire = pick(rng, (colors.metal, colors.metal, colors.body, shade(colors.metal, 0.6)))
    dim = shade(wire, 0.7)
    plastic = chance(rng, 0.25)
    near_panel, far_panel = (colors.body, colors.second) if plastic else (None, None)
    thick = between(rng, 0.05, 0.07)
    sketch.ellipse(dx / 2, dy / 2, 1.0, 0.14, (0, 0, 0, 50))
    for points, offset, tone in ((far, (dx, dy), dim), (basket, (0.0, 0.0), wire)):
        _undercarriage(sketch, points, offset, tone, colors)
    sketch.polygon([basket[3], basket[2], far[2], far[3]], fade(dim, 0.5))
    _mesh(sketch, far, dim, thick * 0.5, far_panel)
    _mesh(sketch, [far[0], basket[0], basket[3], far[3]], dim, thick * 0.5, far_panel, columns=5)
    if chance(rng, 0.6):
        _groceries(sketch, rng, basket, dx, dy)
    _mesh(sketch, basket, wire, thick * 0.55, near_panel)
    for a, b in ((basket[0], far[0]), (basket[1], far[1]), (basket[3], far[3]), (basket[2], far[2])):
        sketch.line([a, b], thick, wire)
    sketch.line([far[0], far[1]], thick * 1.2, dim)
    sketch.line([*basket, basket[0]], thick * 1.2, wire)
    # The handle: a coloured bar across the back, on two struts.
    reach, rise = between(rng, 0.2, 0.35), between(rng, 0.05, 0.2)
    near_end = (back + reach, back_top - rise)
    far_end = (near_end[0] + dx, near_end[1] + dy)
    sketch.line([far[1], far_end], thick, dim)
    sketch.line([basket[1], near_end], thick * 1.2, wire)
    ends = [(near_end[0] - dx * 0.08, near_end[1] - dy * 0.08), (far_end[0] + dx * 0.08, far_end[1] + dy * 0.08)]
    sketch.line(ends, 0.13, colors.accent, round_ends=True)
    return sketch


def _undercarriage(sketch: Sketch, basket: list[Point], offset: Point, tone: Color, colors: Paint) -> None:
    """One side's frame from the basket's back down to two castors."""
    dx, dy = offset
    rear, fore = (0.62 + dx, -0.2 + dy), (-0.8 + dx, -0.26 + dy)
    (bx, by), (lx, ly) = basket[1], basket[2]
    sketch.line(smooth([(bx, by), (lx + 0.05, ly + 0.1), rear], closed=False, rounds=1), 0.07, tone)
    sketch.line([rear, fore], 0.08, tone)
    sketch.line([fore, (basket[3][0] + 0.15, basket[3][1])], 0.06, tone)
    for x, y in (rear, fore):
        sketch.line([(x, y), (x - 0.03, y + 0.1)], 0.09, shade(colors.metal, 0.6))
        sketch.disc(x - 0.04, y + 0.13, 0.13, colors.dark)
        sketch.disc(x - 0.04, y + 0.13, 0.06, colors.metal)


def _mesh(
    sketch: Sketch, corners: list[Point], tone: Color, width: float, panel: Color | None, columns: int = 9
) -> None:
    """Wires between four corners (clockwise from top left); with a panel colour, a plastic side instead."""
    place = Transform.onto((0, 0, 1, 1), corners)
    if panel is not None:
        sketch.polygon(corners, fade(panel, 0.85))
        columns, tone, width = max(columns // 2, 2), shade(panel, 0.55), width * 1.8
    ends: list[Point] = []
    for column in range(1, columns):
        ends += [(column / columns, 0.0), (column / columns, 1.0)]
    for row in (0.25, 0.5, 0.75):
        ends += [(0.0, row), (1.0, row)]
    placed = [(x, y) for x, y in place.apply(ends).tolist()]
    for start, end in zip(placed[::2], placed[1::2], strict=True):
        sketch.line([start, end], width, tone)


def _groceries(sketch: Sketch, rng: np.random.Generator, basket: list[Point], dx: float, dy: float) -> None:
    left, right = basket[3][0] + dx / 2, basket[2][0] - 0.1 + dx / 2
    floor = basket[3][1] + dy / 2
    for item in range(int(rng.integers(3, 7))):
        x = left + (right - left) * (item + 0.5) / 6 + between(rng, 0, 0.15)
        wide, tall = between(rng, 0.1, 0.22), between(rng, 0.35, 0.9)
        color = any_color(rng)
        if chance(rng, 0.5):
            sketch.box((x - wide, floor - tall, x + wide, floor), color, 0.02)
            sketch.box((x - wide * 0.7, floor - tall * 0.8, x + wide * 0.7, floor - tall * 0.5), shade(color, 1.5))
        elif chance(rng, 0.5):
            sketch.box((x - wide * 0.6, floor - tall * 0.75, x + wide * 0.6, floor), color, 0.06)
            sketch.box((x - wide * 0.2, floor - tall, x + wide * 0.2, floor - tall * 0.6), shade(color, 0.7), 0.03)
        else:
            sketch.disc(x, floor - tall * 0.6, wide * 1.2, color)


def fountain(rng: np.random.Generator, colors: Paint) -> Sketch:
    """Water thrown up from a basin: a tiered stone fountain, a round pool with jets, or a row of jets."""
    sketch = Sketch()
    stone = pick(rng, (colors.body, hsv(between(rng, 0.05, 0.15), between(rng, 0, 0.3), between(rng, 0.45, 0.9))))
    pool = mix(colors.glass, hsv(between(rng, 0.45, 0.65), 0.6, 0.7), 0.6)
    water = mix((255, 255, 255, 255), pool, between(rng, 0.05, 0.3))
    kind = pick(rng, ("tiered", "tiered", "pool", "row"))
    deep = between(rng, 0.2, 0.34)
    _basin(sketch, 0, 0, 1.15, deep, between(rng, 0.22, 0.36), stone, pool)
    if kind == "tiered":
        tiers = int(rng.integers(1, 4))
        level, wide = 0.0, 0.75
        for _ in range(tiers):
            height = between(rng, 0.42, 0.55)
            thick = wide * 0.16
            column = [shade(stone, 0.6), shade(stone, 1.25), stone, shade(stone, 0.5)]
            ends = ((-thick * 1.4, level), (-thick, level - height)), ((thick * 1.4, level), (thick, level - height))
            sketch.shaded(*ends, column, 6)
            _basin(sketch, 0, level - height, wide, deep * wide, 0.14, stone, pool, bowl=True)
            for side in (-1.0, -0.62, -0.2, 0.25, 0.66, 1.0):
                edge = level - height + deep * wide * math.sqrt(1 - (side * 0.98) ** 2)
                _stream(sketch, rng, (side * wide, edge), (side * (wide + 0.1), level + 0.08), 0.06, water)
            level, wide = level - height, wide * 0.6
        _spray(sketch, rng, level, between(rng, 0.4, 0.7), wide * 1.2, water, jets=7)
    elif kind == "pool":
        _spray(sketch, rng, 0, between(rng, 1.2, 1.7), 0.25, water, jets=5)
        _spray(sketch, rng, 0, between(rng, 0.6, 0.9), 0.95, water, jets=int(rng.integers(6, 11)))
    else:
        count = int(rng.integers(3, 6))
        for jet in range(count):
            x = (jet - (count - 1) / 2) * 1.7 / count
            tall = between(rng, 0.9, 1.1) * (1.5 - abs(x) * between(rng, -0.2, 0.7))
            plume = Sketch()
            _spray(plume, rng, 0, tall, 0.2, water, jets=4)
            sketch.add(plume, Transform.shift(x, 0))
    # The rim's near edge again, in front of the falling water.
    sketch.arc(0, 0, 1.15, deep, 0, 180, 0.09, shade(stone, 1.2))
    return sketch


def _basin(
    sketch: Sketch,
    x: float,
    y: float,
    wide: float,
    deep: float,
    tall: float,
    stone: Color,
    pool: Color,
    bowl: bool = False,
) -> None:
    """A round basin whose rim is the ellipse about (x, y); a bowl narrows to its foot, a pool stands on the floor."""
    foot = 0.3 if bowl else 0.97
    rim = ((1, 0), (0.8, 0.6), (0.4, 0.92), (-0.4, 0.92), (-0.8, 0.6), (-1, 0))
    lower = [(x + wide * u, y + deep * v) for u, v in rim]
    under = [(x + (px - x) * foot, y + (py - y) * foot + tall) for px, py in lower]
    for strip in range(5):
        tone = (0.8, 1.15, 1.0, 0.8, 0.6)[strip]
        sketch.polygon([lower[strip], lower[strip + 1], under[strip + 1], under[strip]], shade(stone, tone))
    sketch.ellipse(x, y, wide, deep, shade(stone, 1.25))
    sketch.ellipse(x, y + 0.01, wide * 0.9, deep * 0.86, shade(pool, 0.8))
    sketch.ellipse(x, y + deep * 0.2, wide * 0.7, deep * 0.5, pool)


def _stream(sketch: Sketch, rng: np.random.Generator, start: Point, end: Point, width: float, water: Color) -> None:
    """Water falling from one point to another, with a splash at its foot."""
    (ax, ay), (bx, by) = start, end
    bend = [(ax, ay), (ax + (bx - ax) * 0.7, ay + 0.03), (bx, ay + (by - ay) * 0.4), (bx, by)]
    sketch.line(smooth(bend, closed=False, rounds=1), (width * 0.7, width * 1.3), fade(water, 0.8))
    sketch.ellipse(bx, by, width * between(rng, 1.2, 2.0), width * 0.7, fade(water, 0.8))


def _spray(
    sketch: Sketch, rng: np.random.Generator, base: float, tall: float, spread: float, water: Color, jets: int
) -> None:
    """Jets from (0, base): each rises and falls along its parabola, breaking into drops."""
    for jet in range(jets):
        aim = (2 * jet / (jets - 1) - 1) * spread
        height = tall * (1 - 0.25 * abs(aim) / (spread + 1e-6) * min(spread, 1))
        path = [(aim * t, base - height * (1 - (2 * t - 1) ** 2)) for t in (0, 0.12, 0.25, 0.4, 0.55, 0.7, 0.85, 1.0)]
        sketch.line(path, (0.05, 0.09), fade(water, 0.75))
        for _ in range(5):
            t = between(rng, 0.35, 1.0)
            x = aim * t + between(rng, -0.06, 0.06)
            y = base - height * (1 - (2 * t - 1) ** 2) + between(rng, -0.08, 0.06)
            sketch.disc(x, y, between(rng, 0.015, 0.04), fade(water, 0.9))
    sketch.ellipse(0, base, 0.12 + spread * 0.5, 0.06, fade(water, 0.6))
