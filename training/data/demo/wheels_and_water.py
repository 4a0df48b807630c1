"""Sources that roll, float and splash: shopping cart, traffic, train, boat, fountain.

Each makes `count` samples of its sound, dry and near. All its sizes, pitches and rhythms are drawn anew.
"""

import numpy as np

from training.data.demo import synth
from training.data.demo.synth import SAMPLE_RATE, Signal, decibels, levelled, log_uniform, wander


def shopping_cart(rng: np.random.Generator, count: int) -> Signal:
    """Wires and welds that rattle out of step, castors that flutter, a rumble, and sometimes a squeak."""
    seconds = count / SAMPLE_RATE
    roughness = np.exp(0.6 * wander(rng, count, 2.0))  # the ground under the wheels
    turns = log_uniform(rng, 2.5, 7.0)
    blows = []
    for part in range(3):
        if part:
            at = synth.scattered(rng, seconds, log_uniform(rng, 8, 30))
        else:  # a castor: a burst of knocks at every turn
            turn = synth.beats(rng, seconds, turns, 0.06)
            at = (turn[:, None] + np.cumsum(rng.uniform(0.008, 0.04, (turn.size, 3)), 1)).ravel()
        strengths = rng.lognormal(0, 0.8, at.size) * roughness[np.minimum(at * SAMPLE_RATE, count - 1).astype(np.int64)]
        modes = rng.uniform(900, log_uniform(rng, 3_500, 7_000), 9)
        blows.append((at, strengths, synth.body(rng, modes, log_uniform(rng, 0.012, 0.07), sharpness=0.5)))
    rumble = synth.noise(rng, count, 30, log_uniform(rng, 120, 500)) * roughness
    result = levelled(synth.struck(count, *blows)) + levelled(rumble, rng.uniform(-16, -2))
    if rng.random() < 0.4:
        result += squeak(rng, count, turns / 2) * decibels(rng.uniform(-8, 2))
    return result


def squeak(rng: np.random.Generator, count: int, rate: float) -> Signal:
    """A dry castor that cries `rate` times a second, its pitch trembling."""
    pressure = synth.swing(rng, count, rate, 0.1)
    pitch = log_uniform(rng, 1_300, 3_500) * (1 + 0.1 * pressure + 0.03 * wander(rng, count, 12))
    return synth.buzz(rng, pitch, 12) * np.maximum(0, pressure * 4 - 3)


def traffic(rng: np.random.Generator, count: int) -> Signal:
    """Vehicles pass: each swells, brightens, falls in pitch and fades; sometimes one sounds its horn."""
    seconds = count / SAMPLE_RATE
    vehicles = int(rng.integers(2, 5))
    dull = synth.noise(rng, count, 60, log_uniform(rng, 400, 900))
    tyres = synth.noise(rng, count, log_uniform(rng, 300, 700), log_uniform(rng, 2_000, 6_000), 0, 1)
    result = dull * decibels(-26)
    first = rng.uniform(0.1, 0.9)
    for vehicle in range(vehicles):
        centre = first + vehicle * rng.uniform(0.7, 1.3) * max(0.6, seconds / vehicles)
        speed = rng.uniform(14, 38)
        nearness, doppler = synth.passing(count, centre, speed, speed * log_uniform(rng, 0.07, 0.2))
        firing = log_uniform(rng, 45, 190) * (1 + rng.uniform(-0.04, 0.06) * synth.times(count))
        engine = synth.buzz(rng, doppler * firing, rng.uniform(2, 7), 5_000)
        engine *= 1 + 0.3 * wander(rng, count, 15)
        sound = decibels(rng.uniform(-8, 4)) * engine + decibels(rng.uniform(-6, 3)) * nearness * tyres + 0.5 * dull
        result += decibels(rng.uniform(-6, 0)) * nearness * np.sqrt(nearness) * sound
        if rng.random() < 0.12:
            low = log_uniform(rng, 300, 480)
            tones = synth.buzz(rng, doppler * low, 2, 5_000) + synth.buzz(rng, doppler * low * 1.26, 2, 5_000)
            blast = synth.bump(count, rng.uniform(0.2, seconds - 0.5), rng.uniform(0.12, 0.7))
            result += blast * tones * decibels(rng.uniform(-8, 0))
    return result


def train(rng: np.random.Generator, count: int) -> Signal:
    """Wheels on rail joints, two and two; rumble; sometimes squealing flanges, a horn's chord or a bell."""
    seconds = count / SAMPLE_RATE
    interval = log_uniform(rng, 0.42, 0.95)
    joints = synth.beats(rng, seconds, 1 / interval, 0.015)
    at = np.concatenate([joints, joints + interval * rng.uniform(0.17, 0.3)])
    strengths = np.repeat([1, rng.uniform(0.6, 1.2)], joints.size) * rng.lognormal(0, 0.2, at.size)
    thud = synth.body(rng, rng.uniform(70, 420, 4), log_uniform(rng, 0.03, 0.07))
    click = synth.body(rng, rng.uniform(500, log_uniform(rng, 1_500, 4_500), 6), log_uniform(rng, 0.01, 0.03), 1.0)
    clacks = synth.struck(count, (at, strengths, thud), (at, strengths * decibels(rng.uniform(-4, 8)), click))
    rumble = synth.noise(rng, count, 35, log_uniform(rng, 200, 1_200), rng.uniform(-4, 0), 1)
    rumble *= 1 + 0.25 * wander(rng, count, 3 / interval)
    result = levelled(clacks) + levelled(rumble, rng.uniform(-14, -3))
    if rng.random() < 0.35:
        pitch = log_uniform(rng, 1_500, 4_500) * (1 + 0.02 * wander(rng, count, 3))
        loudness = np.maximum(0, wander(rng, count, 1.5)) * (1 + 0.5 * wander(rng, count, 60))
        result += synth.buzz(rng, pitch, 6) * loudness * decibels(rng.uniform(-14, -4))
    extra = rng.random()
    if extra < 0.2:
        low = np.full(count, log_uniform(rng, 220, 400), dtype=np.float32)
        horn = synth.bump(count, rng.uniform(0, seconds - 1), rng.uniform(0.4, 1.0), 0.06, 0.15)
        horn *= decibels(rng.uniform(-14, -6))
        for ratio in (1.0, 1.19, 1.5):
            result += synth.buzz(rng, low * ratio, 4, 6_000) * horn
    elif extra < 0.35:
        bell = synth.body(rng, log_uniform(rng, 500, 1_100) * np.array([1, 2, 2.4, 3.01, 4.1, 5.4]), 0.2)
        tolls = synth.beats(rng, seconds, rng.uniform(1.5, 3.5), 0.01)
        result += levelled(synth.struck(count, (tolls, 1.0, bell)), rng.uniform(-9, -2))
    return result


def boat(rng: np.random.Generator, count: int) -> Signal:
    """A slow diesel's exhaust, or an outboard, puff by puff; water that sloshes; sometimes a fog horn or gulls."""
    seconds = count / SAMPLE_RATE
    outboard = rng.random() < 0.2
    rate = log_uniform(rng, 16, 26) if outboard else log_uniform(rng, 5, 14)
    puffs = synth.beats(rng, seconds, rate, 0.03)
    cylinders = rng.lognormal(0, 0.3, int(rng.integers(1, 5)))  # no two fire alike
    strengths = np.resize(cylinders, puffs.size) * rng.lognormal(0, 0.12, puffs.size)
    modes = log_uniform(rng, 70, 350) * np.array([1, 2.1, 3.2, 5.1, 7.3]) * rng.uniform(0.9, 1.1, 5)
    exhaust = synth.struck(count, (puffs, strengths, synth.body(rng, modes, log_uniform(rng, 0.012, 0.03), 0.3)))
    fall = np.exp(-synth.times(int(0.08 * SAMPLE_RATE)) / log_uniform(rng, 0.008, 0.02))
    hiss = synth.struck(count, (puffs, strengths, fall))
    hiss *= synth.noise(rng, count, log_uniform(rng, 200, 800), log_uniform(rng, 1_500, 7_000), -3, 1)
    water = synth.noise(rng, count, log_uniform(rng, 250, 700), log_uniform(rng, 1_500, 4_000), -2, 1)
    water *= synth.swing(rng, count, rng.uniform(0.4, 1.1)) ** 2 * np.exp(0.5 * wander(rng, count, 25))
    result = levelled(exhaust) + levelled(hiss, rng.uniform(-8, 3)) + levelled(water, rng.uniform(-16, -4))
    extra = rng.random()
    if extra < 0.15:
        pitch = np.full(count, log_uniform(rng, 85, 200), dtype=np.float32)
        horn = synth.bump(count, rng.uniform(0, seconds - 1.3), rng.uniform(0.6, 1.2), 0.1, 0.2)
        result += horn * synth.buzz(rng, pitch, 6, 3_000) * decibels(rng.uniform(-9, -2))
    elif extra < 0.35:
        result += gulls(rng, count) * decibels(rng.uniform(-10, -3))
    return result


def gulls(rng: np.random.Generator, count: int) -> Signal:
    """Cries that jump up in pitch and fall off slowly."""
    seconds = count / SAMPLE_RATE
    length = rng.uniform(0.2, 0.4)
    starts = synth.beats(rng, seconds - length, rng.uniform(1.2, 2.0), 0.05)
    points = (starts[:, None] + np.array([0, length, length + 0.001])).ravel()
    cry = synth.curve(count, [0, *points], [0, *np.tile([0, 1, 0], starts.size)])  # from 0 to 1 during a cry
    pitch = log_uniform(rng, 700, 1_300) * (1 + 0.7 * np.sin(np.pi * cry**0.6))
    return np.sin(np.pi * cry) ** 2 * synth.buzz(rng, pitch, 5)


def fountain(rng: np.random.Generator, count: int) -> Signal:
    """Water that falls into water: a broad hiss, and bubbles, each a short tone that rises; gurgles below."""
    seconds = count / SAMPLE_RATE
    hiss = synth.noise(rng, count, log_uniform(rng, 150, 900), log_uniform(rng, 3_000, 10_000), rng.uniform(-3, 2), 1)
    hiss *= np.exp(0.25 * wander(rng, count, 30))
    at = synth.scattered(rng, seconds, log_uniform(rng, 18, 50))
    pitches = log_uniform(rng, 0.7, 1.4) * np.exp(rng.uniform(np.log(500), np.log(4_500), at.size))
    decays = np.clip(rng.lognormal(0, 0.4, at.size) * 18 / pitches, 0.006, 0.03)  # large bubbles ring long
    rises, strengths = rng.uniform(0.05, 0.35, at.size), rng.lognormal(0, 0.6, at.size)
    drops = synth.chirps(count, at, pitches, decays, rises, strengths)
    gulps = synth.beats(rng, seconds, rng.uniform(3, 9), 0.3)
    ones = np.ones(gulps.size)
    low = log_uniform(rng, 180, 500) * rng.uniform(0.8, 1.4, gulps.size)
    gurgle = synth.chirps(count, gulps, low, 0.03 * ones, rng.uniform(0.3, 0.9, gulps.size), ones)
    return levelled(drops) + levelled(hiss, rng.uniform(-12, 0)) + levelled(gurgle, rng.uniform(-14, 0))
