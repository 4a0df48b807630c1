"""Things held in a hand: drills, razors and hair dryers, seen from the side or the front.

Unit: about half the length of the thing. The working end points left (drill, hair dryer) or up (razor).
"""

import numpy as np

from training.data.demo.canvas import Sketch, Transform, around, smooth
from training.data.demo.colours import BLACK, WHITE, Paint, between, chance, mix, pick, shade


def drill(rng: np.random.Generator, colors: Paint) -> Sketch:
    """A pistol-grip power drill: cordless with a battery foot, or corded, or a hammer drill with a side handle."""
    sketch = Sketch()
    kind = pick(rng, ("cordless", "cordless", "corded", "hammer"))
    back = between(rng, 0.45, 0.75)
    high = between(rng, 0.24, 0.32)
    lean = between(rng, 0.05, 0.3)
    low = between(rng, 0.75, 1.0)
    grip = between(rng, 0.13, 0.17)
    grip_x = between(rng, 0.2, 0.35) if kind != "hammer" else back - 0.12
    foot_x = grip_x + lean
    if kind != "cordless":
        cable = [(foot_x, low), (foot_x + 0.1, low + 0.25), (foot_x + 0.5, low + 0.2), (foot_x + 0.9, low + 0.5)]
        sketch.line(smooth(cable, closed=False), 0.06, colors.dark)
        sketch.line([(foot_x - 0.02, low - 0.05), (foot_x + 0.04, low + 0.14)], (0.14, 0.07), colors.dark)
    # Handle, trigger and battery foot lie behind the motor housing.
    sketch.polygon(
        smooth(
            [(grip_x - grip - 0.05, 0), (grip_x + grip + 0.05, 0), (foot_x + grip, low), (foot_x - grip, low)], rounds=1
        ),
        shade(colors.body, 0.85),
    )
    sketch.line([(grip_x + 0.06, 0.25), (foot_x + 0.07, low - 0.12)], grip * 1.1, colors.dark, round_ends=True)
    trigger = [(grip_x - grip - 0.12, high - 0.05), (grip_x - grip + 0.06, high - 0.05), (grip_x - grip + 0.06, 0.5)]
    sketch.polygon(smooth([*trigger, (grip_x - grip - 0.06, 0.42)], rounds=1), colors.accent)
    if kind == "cordless":
        deep = between(rng, 0.2, 0.32)
        wide = between(rng, 0.3, 0.4)
        sketch.box((foot_x - wide, low - 0.06, foot_x + wide * 0.8, low + deep), colors.dark, 0.06)
        sketch.box((foot_x - wide, low - 0.1, foot_x + wide * 0.8, low + 0.04), colors.body, 0.05)
        sketch.box((foot_x - wide * 0.5, low + 0.1, foot_x + wide * 0.3, low + deep - 0.05), colors.accent, 0.02)
    # Bit, chuck and collar in front of the housing.
    front = between(rng, -0.35, -0.2)
    chuck = between(rng, 0.28, 0.4)
    length = between(rng, 0.45, 0.8)
    thick = between(rng, 0.07, 0.11)
    tip = front - chuck - length
    sketch.polygon(
        [
            (front - chuck, -thick / 2),
            (tip + 0.08, -thick / 2),
            (tip, 0),
            (tip + 0.08, thick / 2),
            (front - chuck, thick / 2),
        ],
        shade(colors.metal, 0.9),
    )
    turns = int(length / 0.11)
    for turn in range(turns):
        x = front - chuck - 0.02 - turn * 0.1
        sketch.line([(x, -thick / 2), (x - 0.08, thick / 2)], 0.035, shade(colors.metal, 0.4))
    steel = [shade(colors.dark, 1.4), shade(colors.metal, 0.9), shade(colors.dark, 1.25), shade(colors.dark, 0.8)]
    r0, r1 = high * 0.68, high * 0.36
    top, bottom = (front, -r0), (front, r0)
    sketch.shaded((top, (front - chuck * 0.55, -r0)), (bottom, (front - chuck * 0.55, r0)), steel, 8)
    narrow = front - chuck
    sketch.shaded(((front - chuck * 0.55, -r0), (narrow, -r1)), ((front - chuck * 0.55, r0), (narrow, r1)), steel, 8)
    for part in (0.08, 0.2, 0.32, 0.44):
        x = front - chuck * part
        sketch.line([(x, -r0), (x, r0)], 0.015, colors.dark)
    if kind == "hammer":
        sketch.box((front - 0.02, high * 0.5, front + 0.14, high + 0.62), colors.dark, 0.07)
        sketch.box((front - 0.08, -high * 0.75, front + 0.18, high * 0.75), shade(colors.dark, 1.2), 0.05)
    # Motor housing with a light upper edge, vents and a plate.
    body = [(front, -high * 0.8), (front + 0.25, -high), (back, -high), (back + 0.14, -high * 0.3)]
    body += [(back + 0.1, high * 0.9), (front + 0.2, high), (front, high * 0.85)]
    outline = smooth(body, rounds=2)
    sketch.polygon(outline, colors.body)
    sketch.line([(front + 0.12, -high * 0.62), (back - 0.05, -high * 0.68)], 0.07, shade(colors.body, 1.45), True)
    sketch.polygon([p for p in outline if p[1] > high * 0.3], shade(colors.body, 0.8))
    sketch.box((front + 0.02, -high * 0.9, front + 0.12, high * 0.9), colors.second, 0.04)
    for vent in range(int(rng.integers(3, 6))):
        x = back - 0.05 - vent * 0.08
        sketch.line([(x, -high * 0.35), (x - 0.03, high * 0.4)], 0.035, colors.dark)
    if chance(rng, 0.6):
        sketch.box((front + 0.2, -high * 0.3, front + 0.2 + between(rng, 0.15, 0.3), high * 0.2), colors.accent, 0.02)
    return sketch


def razor(rng: np.random.Generator, colors: Paint) -> Sketch:
    """An electric shaver with foils or with rotary heads; sometimes a T-shaped safety razor."""
    kind = pick(rng, ("foil", "foil", "rotary", "rotary", "safety"))
    return {"foil": _foil_shaver, "rotary": _rotary_shaver, "safety": _safety_razor}[kind](rng, colors)


def _shaver_body(sketch: Sketch, rng: np.random.Generator, colors: Paint, top: float, wide: float) -> None:
    """The waisted handle of a shaver from `top` down to 1, with rubber sides, button and a light."""
    waist = wide * between(rng, 0.68, 0.85)
    foot = wide * between(rng, 0.7, 0.95)
    outline = [(-wide, top), (wide, top), (wide, top + 0.25), (waist, 0.25), (foot, 0.8), (foot * 0.7, 1.02)]
    outline += [(-x, y) for x, y in reversed(outline[2:])]
    sketch.polygon(smooth(outline), shade(colors.dark, 1.1))
    inner = [(x * 0.74, top + 0.04 + (y - top) * 0.93) for x, y in outline]
    sketch.polygon(smooth(inner), colors.body)
    sketch.polygon(smooth([(x * 0.3 - waist * 0.33, y) for x, y in inner]), shade(colors.body, 1.35))
    sketch.ellipse(0, 0.12, wide * 0.34, wide * 0.34, colors.metal)
    sketch.ellipse(0, 0.12, wide * 0.24, wide * 0.24, colors.accent)
    for dot in range(int(rng.integers(1, 5))):
        sketch.disc(0, 0.5 + dot * 0.09, 0.03, shade(colors.accent, 1.3), glow=True)
    if chance(rng, 0.5):
        for rib in range(5):
            y = 0.3 + rib * 0.1
            sketch.line([(-waist, y), (-waist * 0.75, y)], 0.03, colors.second)
            sketch.line([(waist * 0.75, y), (waist, y)], 0.03, colors.second)


def _foil_shaver(rng: np.random.Generator, colors: Paint) -> Sketch:
    sketch = Sketch()
    wide = between(rng, 0.36, 0.5)
    _shaver_body(sketch, rng, colors, -0.5, wide)
    head = wide * between(rng, 1.02, 1.2)
    sketch.polygon(
        smooth([(-head, -0.85), (head, -0.85), (head, -0.55), (wide * 0.8, -0.4), (-wide * 0.8, -0.4), (-head, -0.55)]),
        colors.second,
    )
    sketch.box((-head * 1.02, -0.92, head * 1.02, -0.68), shade(colors.dark, 1.2), 0.06)
    # Foils: bright arched bands of mesh, side by side from front to back.
    bands = int(rng.integers(2, 4))
    for band in reversed(range(bands)):
        top = -0.96 - band * 0.075
        half = head * (0.95 - 0.05 * band)
        sketch.box((-half, top - 0.07, half, top + 0.12), shade(colors.metal, 1.15 - 0.15 * band), 0.06)
        for hole in range(13):
            x = -half + 0.06 + hole * (2 * half - 0.12) / 12
            sketch.line([(x, top - 0.05), (x + 0.03, top + 0.03)], 0.02, shade(colors.metal, 0.45))
    sketch.box((-head, -0.86, head, -0.8), shade(colors.accent, 0.9), 0.02)
    return sketch


def _rotary_shaver(rng: np.random.Generator, colors: Paint) -> Sketch:
    sketch = Sketch()
    wide = between(rng, 0.33, 0.42)
    _shaver_body(sketch, rng, colors, -0.35, wide)
    sketch.box((-wide * 0.6, -0.55, wide * 0.6, -0.2), colors.dark, 0.08)
    squash = between(rng, 0.7, 1.0)
    head = Sketch()
    reach = between(rng, 0.27, 0.31)
    round_head = smooth([(0.62, 0.38), (0, 0.75), (-0.62, 0.38), (-0.66, -0.3), (0, -0.66), (0.66, -0.3)])
    head.polygon(round_head, shade(colors.second, 0.6))
    head.polygon([(x * 0.94, y * 0.94 - 0.03) for x, y in round_head], colors.second)
    for degrees in (90, 210, 330):
        x, y = around(0, 0, reach * 1.15, degrees)
        head.disc(x, y, 0.285, colors.dark)
        head.disc(x, y, 0.25, colors.metal)
        head.disc(x, y, 0.19, shade(colors.metal, 0.55))
        for slot in range(0, 360, 30):
            head.line([around(x, y, 0.12, slot), around(x, y, 0.24, slot)], 0.02, colors.dark)
        head.disc(x, y, 0.11, shade(colors.metal, 1.2))
        head.disc(x, y, 0.06, colors.accent)
    sketch.add(head, Transform.shift(0, -0.85) @ Transform.scale(1.0, squash))
    return sketch


def _safety_razor(rng: np.random.Generator, colors: Paint) -> Sketch:
    sketch = Sketch()
    thick = between(rng, 0.09, 0.13)
    steel = [shade(colors.metal, 0.5), shade(colors.metal, 1.4), colors.metal, shade(colors.metal, 0.45)]
    steel = steel if chance(rng, 0.5) else [mix(color, colors.body, 0.7) for color in steel]
    sketch.shaded(((-thick, -0.6), (-thick, 1.0)), ((thick, -0.6), (thick, 1.0)), steel, 8)
    for ring in range(11):
        y = 0.0 + ring * 0.085
        sketch.line([(-thick, y), (thick, y + 0.04)], 0.025, shade(colors.dark, 0.9))
    sketch.ellipse(0, 1.0, thick * 1.2, 0.07, shade(colors.metal, 0.8))
    half = between(rng, 0.4, 0.5)
    sketch.polygon([(-0.1, -0.68), (0.1, -0.68), (thick, -0.5), (-thick, -0.5)], shade(colors.metal, 0.7))
    # The comb, the blade's edge below the cap, the curved cap.
    sketch.box((-half, -0.82, half, -0.68), shade(colors.metal, 0.65), 0.03)
    for tooth in range(15):
        x = -half + 0.04 + tooth * (2 * half - 0.08) / 14
        sketch.line([(x, -0.78), (x, -0.69)], 0.02, colors.dark)
    sketch.box((-half * 1.04, -0.86, half * 1.04, -0.79), WHITE)
    sketch.polygon(
        smooth([(-half, -0.84), (-half, -0.92), (-half * 0.5, -1.0), (half * 0.5, -1.0), (half, -0.92), (half, -0.84)]),
        shade(colors.metal, 1.1),
    )
    sketch.line([(-half * 0.7, -0.92), (half * 0.7, -0.92)], 0.04, shade(colors.metal, 1.6), True)
    return sketch


def hair_dryer(rng: np.random.Generator, colors: Paint) -> Sketch:
    """A barrel with nozzle or diffuser, a handle and a cable; from the side, or turned to show its mouth."""
    sketch = Sketch()
    lean = between(rng, -0.05, 0.3)
    high = between(rng, 0.33, 0.42)
    low = between(rng, 1.1, 1.35)
    grip_x = between(rng, 0.25, 0.45)
    foot_x = grip_x + lean
    grip = between(rng, 0.14, 0.18)
    cable = [(foot_x, low), (foot_x + 0.05, low + 0.4), (foot_x + 0.6, low + 0.3), (foot_x + 0.8, low - 0.2)]
    if chance(rng, 0.5):
        cable = [(foot_x, low), (foot_x - 0.1, low + 0.4), (foot_x - 0.7, low + 0.3), (foot_x - 1.2, low + 0.45)]
    sketch.line(smooth(cable, closed=False, rounds=3), 0.06, colors.dark)
    sketch.line([(foot_x, low - 0.05), (foot_x + 0.01, low + 0.2)], (0.16, 0.08), colors.dark)
    handle = [(grip_x - grip * 1.2, 0), (grip_x + grip * 1.2, 0), (foot_x + grip, low - 0.1)]
    handle += [(foot_x + grip * 0.8, low), (foot_x - grip * 0.8, low), (foot_x - grip, low - 0.1)]
    sketch.polygon(smooth(handle, rounds=1), shade(colors.body, 0.8))
    sketch.line([(grip_x - grip * 0.4, 0.3), (foot_x - grip * 0.4, low - 0.15)], 0.07, shade(colors.body, 1.2), True)
    for switch in (0.55, 0.75):
        x = grip_x + lean * switch - grip * 0.6
        sketch.box((x - 0.09, switch - 0.08, x + 0.09, switch + 0.06), colors.accent, 0.04)
    back = grip_x + between(rng, 0.25, 0.4)
    front = between(rng, -0.75, -0.5)
    taper = between(rng, 0.65, 0.85)
    barrel = [shade(colors.body, 0.85), shade(colors.body, 1.45), colors.body, shade(colors.body, 0.6)]
    # The intake: a domed grille at the back.
    sketch.ellipse(back, 0, 0.28, high * 0.97, colors.dark)
    for slot in range(-3, 4):
        y = slot * high * 0.24
        sketch.line([(back, y), (back + 0.25 * (1 - abs(slot) * 0.12), y)], 0.03, shade(colors.metal, 0.7))
    sketch.shaded(((front, -high * taper), (back, -high)), ((front, high * taper), (back, high)), barrel, 12)
    for ring, color in ((back - 0.1, colors.second), (front + 0.12, colors.second)):
        size = high * (taper + (1 - taper) * (ring - front) / (back - front))
        sketch.line([(ring, -size), (ring, size)], between(rng, 0.05, 0.1), color)
    mouth = high * taper
    end = pick(rng, ("nozzle", "nozzle", "open", "open", "diffuser"))
    if end == "nozzle":
        slit = front - between(rng, 0.3, 0.45)
        flare = high * between(rng, 0.5, 1.05)
        dark = [shade(colors.dark, 1.1), shade(colors.dark, 1.35), colors.dark, shade(colors.dark, 0.6)]
        sketch.shaded(((front, -mouth * 1.04), (slit, -flare)), ((front, mouth * 1.04), (slit, flare)), dark, 6)
        sketch.ellipse(slit, 0, 0.05, flare, BLACK)
    elif end == "diffuser":
        wide = high * between(rng, 1.5, 1.8)
        sketch.shaded(
            ((front, -mouth), (front - 0.3, -wide)), ((front, mouth), (front - 0.3, wide)), [colors.dark, BLACK], 5
        )
        sketch.ellipse(front - 0.3, 0, 0.1, wide, shade(colors.dark, 1.25))
        for peg in range(-3, 4):
            y = peg * wide * 0.26
            sketch.line([(front - 0.3, y), (front - 0.5, y)], (0.08, 0.05), colors.dark, True)
    else:
        depth = between(rng, 0.1, 0.24)
        sketch.ellipse(front, 0, depth, mouth * 1.04, colors.second)
        sketch.ellipse(front - 0.02, 0, depth * 0.84, mouth * 0.86, BLACK)
        glow = chance(rng, 0.5)
        coil = colors.accent if glow else shade(colors.metal, 0.8)
        for size in (0.65, 0.4, 0.15):
            sketch.arc(front - 0.02, 0, depth * size, mouth * size, 0, 360, 0.025, coil)
    return sketch
