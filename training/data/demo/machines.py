"""Sources with a motor: drone, drill, razor, hair dryer, vacuum cleaner.

Each makes `count` samples of its sound, dry and near. All its sizes, pitches and rhythms are drawn anew.
"""

import numpy as np

from training.data.demo import synth
from training.data.demo.synth import SAMPLE_RATE, Signal, decibels, levelled, log_uniform, wander


def drone(rng: np.random.Generator, count: int) -> Signal:
    """Four rotors whose blades pass at nearly the same rate: rich buzzes that beat and follow the throttle."""
    throttle = 1 + rng.uniform(0.05, 0.12) * wander(rng, count, rng.uniform(0.8, 2.5))
    lean = rng.uniform(0.01, 0.03) * wander(rng, count, rng.uniform(1.5, 4))  # two rotors up, two down, to steer
    blade_pass = log_uniform(rng, 125, 255) * throttle
    slope = rng.uniform(1, 5)
    rotors = np.zeros(count, dtype=np.float32)
    for side in (1, 1, -1, -1):
        trim = 1 + rng.uniform(-0.025, 0.025)
        rotors += synth.buzz(rng, blade_pass * (trim + side * lean), slope)
    wash = synth.noise(rng, count, log_uniform(rng, 200, 800), log_uniform(rng, 2_000, 8_000), rng.uniform(-3, 1), 1)
    return levelled(rotors * throttle**3) + levelled(wash, rng.uniform(-16, -3))


def drill(rng: np.random.Generator, count: int) -> Signal:
    """A motor that whines up with the trigger, sags under load and runs down; gears; sometimes a hammer."""
    seconds = count / SAMPLE_RATE
    # Full speed while the trigger is held; the motor follows its torque, so it rises fast and coasts down.
    at, speed = [-1.0], [rng.uniform(0, 0.15)]
    now = rng.uniform(-0.7, 0.35)  # the first pull may have begun before the recording
    while now < seconds:
        rise, hold, coast = rng.uniform(0.1, 0.35), rng.uniform(0.5, 1.1), rng.uniform(0.15, 0.45)
        sag = rng.uniform(0.65, 0.85)
        steps = np.cumsum([now, 0.6 * rise, 0.4 * rise, 0.25 * hold, 0.15, 0.6 * hold, 0.1, 0.15 * hold, coast])
        at += steps.tolist()
        speed += [speed[-1], 0.75, 1, 1, sag, sag * rng.uniform(0.9, 1.1), 0.95, 1.0, rng.uniform(0.05, 0.3)]
        now = at[-1] + rng.uniform(0.05, 0.3)
    pace = np.maximum(0.02, synth.curve(count, at, speed) * (1 + 0.015 * wander(rng, count, rng.uniform(5, 20))))
    top = log_uniform(rng, 260, 850)
    whine = synth.buzz(rng, top * pace, rng.uniform(2, 6))
    gears = synth.buzz(rng, top * rng.uniform(2.3, 3.7) * pace, rng.uniform(3, 8))
    load = np.clip(4 * (1 - pace), 0, 1) * (pace > 0.5)
    bite = synth.noise(rng, count, log_uniform(rng, 400, 1_500), log_uniform(rng, 2_500, 9_000), 0, 1) * (0.15 + load)
    result = whine + gears * decibels(rng.uniform(-9, 3)) + bite * decibels(rng.uniform(-8, 4))
    result *= pace**1.5
    if rng.random() < 0.35:
        blows = synth.cycles(log_uniform(rng, 18, 40) * pace)
        turns = np.flatnonzero(np.diff(np.floor(blows))) / SAMPLE_RATE
        ring = synth.body(rng, rng.uniform(300, 4_500, 8), log_uniform(rng, 0.005, 0.012), 1.0)
        hammer = synth.struck(count, (turns, rng.lognormal(0, 0.15, turns.size), ring))
        result += levelled(hammer * (0.2 + load), rng.uniform(-6, 2))
    return result


def razor(rng: np.random.Generator, count: int) -> Signal:
    """An armature swung by the mains, steady in pitch; strokes on the skin, and hairs that crackle."""
    seconds = count / SAMPLE_RATE
    mains = np.full(count, rng.choice((100.0, 120.0)), dtype=np.float32)
    slope = rng.uniform(0, 4)
    air, skin = synth.buzz(rng, mains, slope), synth.buzz(rng, mains, slope + rng.uniform(3, 6))
    touch = np.clip(3 * synth.swing(rng, count, rng.uniform(1.0, 2.6), 0.25) - rng.uniform(0.6, 1.4), 0, 1)
    hairs = synth.scattered(rng, seconds, log_uniform(rng, 120, 400))
    strengths = rng.lognormal(0, 0.9, hairs.size) * touch[(hairs * SAMPLE_RATE).astype(np.int64)]
    snap = synth.body(rng, rng.uniform(1_500, 9_000, 6), log_uniform(rng, 0.0015, 0.004), 1.5)
    crackle = synth.struck(count, (hairs, strengths, snap))
    hum = air * (1 - touch) + skin * touch * decibels(rng.uniform(-9, 3))
    return levelled(hum) + levelled(crackle, rng.uniform(-9, 2))


def hair_dryer(rng: np.random.Generator, count: int) -> Signal:
    """A blower between two speeds, switched with a click; its broad rush, combed by the head as the nozzle moves."""
    fast = float(rng.random() < 0.5)
    clicks = np.cumsum(rng.uniform(0.5, 1.6, int(rng.integers(1, 4))))
    speed = np.full(count, fast, dtype=np.float32)
    for click in clicks:  # at each the switch goes the other way, and the motor follows
        speed += (1 - 2 * fast) * synth.curve(count, (click, click + rng.uniform(0.2, 0.45)), (0, 1))
        fast = 1 - fast
    low = log_uniform(rng, 250, 700)
    slow_rush = synth.noise(rng, count, low, low * rng.uniform(4, 9), -1, 1)
    fast_rush = synth.noise(rng, count, low * 1.4, low * rng.uniform(9, 16), -1, 1)
    drop = decibels(rng.uniform(-14, -7))
    rush = slow_rush * (1 - speed) * drop + fast_rush * speed
    motor = synth.buzz(rng, log_uniform(rng, 250, 700) * (0.6 + 0.4 * speed), rng.uniform(4, 9)) * (drop + speed)
    result = rush + motor * decibels(rng.uniform(-18, -8))
    delay = 0.0002 + log_uniform(rng, 0.0008, 0.0025) * synth.swing(rng, count, rng.uniform(0.4, 1.3))
    snap = synth.body(rng, rng.uniform(1_000, 6_000, 6), 0.005, 2.0)
    near = synth.reflected(result, delay, rng.uniform(0.6, 0.9))
    return near + synth.struck(count, (clicks, 5.0, snap))


def vacuum_cleaner(rng: np.random.Generator, count: int) -> Signal:
    """A turbine's loud whine that starts up slowly, air that rushes in, strokes over the floor, thumps."""
    seconds = count / SAMPLE_RATE
    strokes = synth.swing(rng, count, rng.uniform(0.5, 1.3))
    spin = 1 + rng.uniform(0.02, 0.06) * strokes
    if rng.random() < 0.45:
        start, ramp = rng.uniform(-0.3, 0.6), rng.uniform(0.7, 1.5)
        spin *= synth.curve(count, (start, start + 0.4 * ramp, start + ramp), (0.15, 0.75, 1))
    pitch = log_uniform(rng, 300, 900) * spin
    turbine = synth.buzz(rng, pitch, rng.uniform(3, 9)) + 0.3 * synth.buzz(rng, pitch / 2, 6)
    open_air = synth.noise(
        rng, count, log_uniform(rng, 150, 500), log_uniform(rng, 2_500, 9_000), rng.uniform(-3, 0), 1
    )
    on_floor = synth.noise(rng, count, 100, log_uniform(rng, 500, 1_500), -2, 1)
    air = open_air * (1 - strokes) + on_floor * strokes * decibels(rng.uniform(-6, 4))
    result = turbine + levelled(air, rng.uniform(-10, 0))
    result *= np.minimum(1, spin) ** 2
    thumps = synth.scattered(rng, seconds, 0.8)
    thump = synth.body(rng, rng.uniform(50, 260, 4), 0.04, 0.3)
    return result + synth.struck(count, (thumps, rng.uniform(2, 5, thumps.size), thump))
