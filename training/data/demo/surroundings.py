"""What lies between a source and its recording, whatever the source: background, room, distance, microphone.

Everything here is drawn independently of the class, so that a recording's average spectrum and level say little.
"""

import numpy as np

from training.data.demo import synth
from training.data.demo.synth import SAMPLE_RATE, Signal, decibels, levelled, log_uniform, wander


def gate(rng: np.random.Generator, count: int) -> Signal:
    """When the source is heard: all the time, from a start, up to an end, or with a gap."""
    seconds = count / SAMPLE_RATE
    kind = rng.integers(4)
    fade = log_uniform(rng, 0.01, 0.25)
    if kind == 1:
        start = rng.uniform(0.1, 0.7)
        return synth.curve(count, (start, start + fade), (0, 1))
    if kind == 2:
        end = seconds - rng.uniform(0.1, 0.7)
        return synth.curve(count, (end - fade, end), (1, 0))
    if kind == 3:
        start, length = rng.uniform(0.4, seconds - 0.8), rng.uniform(0.1, 0.4)
        return 1 - synth.bump(count, start, length, fade, fade)
    return np.ones(count, dtype=np.float32)


def background(rng: np.random.Generator, count: int) -> Signal:
    """Noise of random colour, and often wind, mains hum, voices, birds or rain; of unit root mean square."""
    hiss = synth.noise(rng, count, log_uniform(rng, 20, 200), log_uniform(rng, 2_000, 11_000), rng.uniform(-8, 1), 1)
    kinds = (None, wind, hum, babble, birds, rain)
    kind = kinds[int(rng.integers(len(kinds)))]
    if kind is None:
        return hiss
    return levelled(hiss + levelled(kind(rng, count), rng.uniform(-9, 6)))


def wind(rng: np.random.Generator, count: int) -> Signal:
    """Gusts that rumble."""
    return synth.noise(rng, count, 20, log_uniform(rng, 100, 600), -3, 1) * np.exp(wander(rng, count, 1.5))


def hum(rng: np.random.Generator, count: int) -> Signal:
    """A transformer in the room."""
    return synth.buzz(rng, np.full(count, rng.choice((50.0, 60.0)), dtype=np.float32), rng.uniform(4, 9), 2_000)


def babble(rng: np.random.Generator, count: int) -> Signal:
    """Voices afar: pitches that wander, syllables, and formants that are common to all to save time."""
    voices = np.zeros(count, dtype=np.float32)
    for _ in range(3):
        pitch = log_uniform(rng, 90, 240) * np.exp(0.12 * wander(rng, count, 3))
        voices += synth.buzz(rng, pitch, 7, 3_500) * np.exp(1.2 * wander(rng, count, rng.uniform(5, 9)))
    return voices


def birds(rng: np.random.Generator, count: int) -> Signal:
    """Short whistles, up or down."""
    at = synth.scattered(rng, count / SAMPLE_RATE, log_uniform(rng, 2, 8))
    if not at.size:
        at = np.array([0.5])
    pitches = log_uniform(rng, 2_500, 5_000) * rng.uniform(0.8, 1.25, at.size)
    ones = np.ones(at.size)
    return synth.chirps(count, at, pitches, 0.04 * ones, rng.uniform(-0.15, 0.2, at.size), ones, 0.15)


def rain(rng: np.random.Generator, count: int) -> Signal:
    """Drops on hard ground: a crackle without pitch."""
    at = synth.scattered(rng, count / SAMPLE_RATE, log_uniform(rng, 100, 1_000))
    drops = synth.impulses(count, at, rng.lognormal(0, 0.7, at.size))
    return synth.filtered(drops, log_uniform(rng, 500, 2_000), log_uniform(rng, 4_000, 10_000), 1)


def path(rng: np.random.Generator, axis: Signal) -> Signal:
    """The gain from the source to the microphone: the make's own colour, and heights lost on the way."""
    colour = synth.tilt(axis, rng.uniform(-3, 3)) * resonances(rng, axis, 2, 9)
    return colour * synth.band(axis, 1, log_uniform(rng, 1_500, 20_000), 1)


def microphone(rng: np.random.Generator, axis: Signal) -> Signal:
    """The gain of a recorder, for source and background alike: a tilt, two corners and wide resonances."""
    corners = synth.band(axis, log_uniform(rng, 20, 350), log_uniform(rng, 3_500, 14_000), int(rng.integers(1, 4)))
    return corners * synth.tilt(axis, rng.uniform(-6, 6)) * resonances(rng, axis, 3, 13)


def resonances(rng: np.random.Generator, axis: Signal, count: int, strongest: float) -> Signal:
    """The gain of some resonances and notches of at most `strongest` dB, anywhere."""
    centres = np.exp(rng.uniform(np.log(120), np.log(9_000), count))
    return synth.peaks(axis, centres, rng.uniform(0.15, 0.6), rng.uniform(-strongest, strongest, count))


def recorded(rng: np.random.Generator, source: Signal) -> Signal:
    """The source as a microphone hears it, somewhere, at some level; the loudest sample is at most 1."""
    count = source.size
    room = synth.reverberation(rng, log_uniform(rng, 0.06, 1.2), log_uniform(rng, 0.05, 1.0))
    length = synth.fast_length(count + room.size)
    axis = synth.frequencies(length)
    heard = np.fft.rfft(source * gate(rng, count), length) * np.fft.rfft(room, length) * path(rng, axis)
    noise = np.fft.rfft(background(rng, count), length)
    ratio = np.float32(decibels(rng.uniform(0, 25)) * np.linalg.norm(noise) / (np.linalg.norm(heard) + 1e-9))
    mixture = np.fft.irfft((heard * ratio + noise) * microphone(rng, axis), length)[:count].astype(np.float32)
    mixture /= np.abs(mixture).max() + np.float32(1e-9)
    if rng.random() < 0.15:
        mixture = synth.soft_clip(mixture, rng.uniform(2, 6))
    return mixture * np.float32(decibels(rng.uniform(-26, -1)))
