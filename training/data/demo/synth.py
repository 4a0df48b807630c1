"""Building blocks of sound synthesis: oscillators, noise, filters, envelopes, impacts, rooms.

Signals are float32 arrays at `SAMPLE_RATE`. Times are in seconds, frequencies in Hz and levels in dB unless a
docstring says otherwise. Whatever is random takes the generator as its first argument.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 22_050

Signal = npt.NDArray[np.floating]  # float32 throughout; the type is wider because that of mixed arithmetic is
Table = npt.NDArray[np.float64]

TABLE_SIZE = 4096  # samples in one period of a wavetable: a power of two, so that wrapping is a bit mask
SPEED_OF_SOUND = 343.0  # m/s


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """One number between `low` and `high`, each octave as likely as any other."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def decibels(level: float) -> float:
    """The amplitude factor of a level in dB."""
    return float(10.0 ** (level / 20.0))


def rms(signal: Signal) -> float:
    """Root mean square, never quite zero so that it may divide."""
    return float(np.sqrt(np.vdot(signal, signal) / signal.size)) + 1e-9


def levelled(signal: Signal, level: float = 0.0) -> Signal:
    """The signal scaled to a root mean square of `level` dB relative to 1."""
    return signal * np.float32(decibels(level) / rms(signal))


def times(count: int) -> Signal:
    """The time of every sample."""
    return np.arange(count, dtype=np.float32) / np.float32(SAMPLE_RATE)


# Curves that move slowly: envelopes, pitches.


def curve(count: int, at: Sequence[float], values: Sequence[float]) -> Signal:
    """Straight lines through the points (`at` seconds, value), held before the first and after the last."""
    return np.interp(np.arange(count) / SAMPLE_RATE, at, values).astype(np.float32)


def wander(rng: np.random.Generator, count: int, rate: float) -> Signal:
    """A smooth random curve of mean 0 and standard deviation about 1 that finds a new aim `rate` times a second."""
    knots = rng.standard_normal(int(count * rate / SAMPLE_RATE) + 3).astype(np.float32)
    position = np.arange(count, dtype=np.float32) * np.float32(rate / SAMPLE_RATE) + np.float32(rng.random())
    index = position.astype(np.int32)
    position -= index.astype(np.float32)
    position *= position * (3 - 2 * position)  # smoothstep: no kinks at the knots
    return knots[index] + np.diff(knots)[index] * position


def swing(rng: np.random.Generator, count: int, rate: float, unevenness: float = 0.3) -> Signal:
    """A to-and-fro motion between 0 and 1, `rate` times a second, each swing a little longer or shorter."""
    phase = cycles(rate * (1 + unevenness * wander(rng, count, rate))) + rng.random()
    return np.float32(0.5) - np.float32(0.5) * np.cos(np.float32(2 * np.pi) * phase.astype(np.float32))


def bump(count: int, start: float, length: float, attack: float = 0.02, release: float = 0.05) -> Signal:
    """An envelope that is 1 from `start` for `length` seconds, with straight flanks."""
    return curve(
        count, (start, start + attack, start + attack + length, start + attack + length + release), (0, 1, 1, 0)
    )


# Oscillators.


def cycles(frequency: npt.ArrayLike) -> Table:
    """The phase, in cycles, of an oscillator whose frequency in Hz is given for every sample."""
    return np.cumsum(frequency, dtype=np.float64) / SAMPLE_RATE


def wavetable(rng: np.random.Generator, amplitudes: npt.ArrayLike) -> Signal:
    """One period of a sum of harmonics, random in phase and of unit root mean square."""
    weights = np.asarray(amplitudes, dtype=np.float64)
    spectrum = np.zeros(TABLE_SIZE // 2 + 1, dtype=np.complex128)
    spectrum[1 : weights.size + 1] = weights * np.exp(2j * np.pi * rng.random(weights.size))
    return levelled(np.fft.irfft(spectrum, TABLE_SIZE).astype(np.float32))


def play(table: Signal, phase: Table) -> Signal:
    """The wavetable read at a running phase in cycles."""
    return table[(phase * TABLE_SIZE).astype(np.int32) & (TABLE_SIZE - 1)]


def buzz(rng: np.random.Generator, frequency: Signal, slope: float, top: float = 9_000.0) -> Signal:
    """A harmonic tone whose partials fall by `slope` dB an octave, each some dB off the line, none above `top` Hz."""
    number = np.arange(1, max(2, int(min(top, 0.48 * SAMPLE_RATE) / max(20.0, float(frequency.max())))) + 1)
    levels = -slope * np.log2(number) + 4 * rng.standard_normal(number.size)
    return play(wavetable(rng, 10 ** (levels / 20)), cycles(frequency))


# Noise and filters. A filter is its gain at the frequencies of the transform.


def fast_length(count: int) -> int:
    """The smallest length of at least `count` that a Fourier transform takes fast: few small prime factors."""
    power = 1 << max(0, (count - 1).bit_length() - 4)
    return next(factor * power for factor in (8, 9, 10, 12, 15, 16) if factor * power >= count)


def frequencies(length: int) -> Signal:
    """The frequencies of a real transform of `length` samples, the first lifted off zero for its logarithm's sake."""
    axis = np.arange(length // 2 + 1, dtype=np.float32) * np.float32(SAMPLE_RATE / length)
    axis[0] = axis[1]
    return axis


def tilt(axis: Signal, slope: float, pivot: float = 1_000.0) -> Signal:
    """The gain that rises by `slope` dB an octave and is 1 at `pivot`."""
    return (axis / np.float32(pivot)) ** np.float32(slope / 6.0206)


def band(axis: Signal, low: float, high: float, order: int = 2) -> Signal:
    """The gain of a band-pass between two corner frequencies, with flanks of 6 dB an octave times `order`."""
    below, above = np.float32(low) / axis, axis / np.float32(high)
    return np.float32(1) / np.sqrt((1 + below ** (2 * order)) * (1 + above ** (2 * order)))


def peaks(axis: Signal, centres: npt.ArrayLike, octaves: float, levels: npt.ArrayLike) -> Signal:
    """The gain of resonances: bells of `levels` dB at `centres`, each some `octaves` wide."""
    logarithm = np.log2(axis)
    gain = np.zeros_like(axis)
    for centre, level in zip(np.atleast_1d(centres), np.atleast_1d(levels), strict=True):
        gain += np.float32(level) * np.exp(-(((logarithm - np.float32(np.log2(centre))) / np.float32(octaves)) ** 2))
    return np.exp(np.float32(np.log(10) / 20) * gain)


def filtered(signal: Signal, low: float, high: float, order: int = 2) -> Signal:
    """The signal through a band-pass; see `band`."""
    length = fast_length(signal.size)
    spectrum = np.fft.rfft(signal, length) * band(frequencies(length), low, high, order)
    return np.fft.irfft(spectrum, length)[: signal.size].astype(np.float32)


def noise(
    rng: np.random.Generator, count: int, low: float = 20.0, high: float = 10_000.0, slope: float = 0.0, order: int = 2
) -> Signal:
    """Noise of unit root mean square between two corner frequencies that tilts by `slope` dB an octave."""
    length = fast_length(count)
    axis = frequencies(length)
    # Drawn as a spectrum, noise needs one transform instead of two; and since each sample is then a sum of thousands
    # of draws, it is Gaussian even though the draws are uniform, which are cheaper.
    spectrum = (rng.random(2 * axis.size, dtype=np.float32) - np.float32(0.5)).view(np.complex64)
    spectrum *= band(axis, low, high, order)
    if slope:
        spectrum *= tilt(axis, slope)
    return levelled(np.fft.irfft(spectrum, length)[:count].astype(np.float32))


# Impacts: impulses that excite bodies, and grains.


def beats(rng: np.random.Generator, seconds: float, rate: float, jitter: float) -> Table:
    """The times of a rhythm of `rate` beats a second; `jitter` is a beat's deviation as a part of the interval."""
    number = np.arange(int(seconds * rate) + 2)
    at = (number - rng.random() + jitter * rng.standard_normal(number.size)) / rate
    return at[(at >= 0) & (at < seconds)]


def scattered(rng: np.random.Generator, seconds: float, rate: float) -> Table:
    """The times of events that happen `rate` times a second on average, independently of one another."""
    return np.sort(rng.uniform(0, seconds, rng.poisson(rate * seconds)))


def impulses(count: int, at: Table, strengths: npt.ArrayLike = 1.0) -> Signal:
    """Single-sample impulses at the given times; those after the end are left out."""
    index = (at * SAMPLE_RATE).astype(np.int64)
    inside = index < count
    return np.bincount(index[inside], np.broadcast_to(strengths, at.shape)[inside], count).astype(np.float32)


def body(rng: np.random.Generator, modes: npt.ArrayLike, decay: float, sharpness: float = 0.0) -> Signal:
    """What a struck body sounds like: damped modes, the higher the shorter, and a click of `sharpness`.

    `decay` is the time in which the lowest mode falls to a third.
    """
    partials = np.asarray(modes, dtype=np.float32)[:, None]
    time = times(int(min(5 * decay, 1.0) * SAMPLE_RATE) + 16)
    shrink = np.float32(decay) * np.sqrt(partials.min() / partials)
    weights = rng.uniform(0.3, 1, partials.shape).astype(np.float32)
    angles = np.float32(2 * np.pi) * (partials * time + rng.random(partials.shape, dtype=np.float32))
    ring = (weights * np.exp(-time / shrink) * np.sin(angles)).sum(0)
    ring[:16] += sharpness * rng.standard_normal(16, dtype=np.float32)
    return levelled(ring)


def struck(count: int, *blows: tuple[Table, npt.ArrayLike, Signal]) -> Signal:
    """The sum of bodies, each given as the times at which it is struck, how strongly, and how it sounds."""
    length = fast_length(count + max(ring.size for _, _, ring in blows))
    spectra = (
        np.fft.rfft(impulses(count, at, strengths), length) * np.fft.rfft(ring, length) for at, strengths, ring in blows
    )
    return np.fft.irfft(sum(spectra), length)[:count].astype(np.float32)


def chirps(
    count: int, at: Table, pitches: Table, decays: Table, rises: Table, strengths: Table, longest: float = 0.1
) -> Signal:
    """Many short damped tones, such as bubbles, one for each time.

    A tone starts at its pitch in Hz, falls to a third in its decay, and within that time its pitch grows by the
    factor 1 + rise.
    """
    size = int(longest * SAMPLE_RATE)
    time = np.arange(size, dtype=np.float32) / np.float32(SAMPLE_RATE)
    pitch, decay, rise, strength = (
        np.asarray(column, dtype=np.float32)[:, None] for column in (pitches, decays, rises, strengths)
    )
    grains = np.sin(np.float32(2 * np.pi) * pitch * time * (1 + rise / (2 * decay) * time))
    grains *= strength * np.exp(-time / decay) * np.minimum(1, time * 2_000)
    index = (at * SAMPLE_RATE).astype(np.int64)[:, None] + np.arange(size)
    return np.bincount(index.ravel(), grains.ravel(), count + size)[:count].astype(np.float32)


# Space.


def passing(count: int, centre: float, speed: float, distance: float) -> tuple[Signal, Signal]:
    """Something passes by at `centre` seconds with `speed` m/s, `distance` metres away at the closest.

    Returns the amplitude, 1 at the closest, and the Doppler factor of its frequencies.
    """
    along = (times(count) - np.float32(centre)) * np.float32(speed)
    separation = np.sqrt(along**2 + np.float32(distance**2))
    return np.float32(distance) / separation, 1 / (1 + np.float32(speed / SPEED_OF_SOUND) * along / separation)


def reflected(signal: Signal, delay: Signal, strength: float) -> Signal:
    """The signal and its echo from a moving surface, `delay` seconds later: a comb that sweeps."""
    position = np.arange(signal.size, dtype=np.float32) - delay * np.float32(SAMPLE_RATE)
    np.clip(position, 0, signal.size - 2, out=position)
    index = position.astype(np.int32)
    fraction = position - index.astype(np.float32)
    return signal + np.float32(strength) * (signal[index] * (1 - fraction) + signal[index + 1] * fraction)


def reverberation(rng: np.random.Generator, decay: float, wetness: float) -> Signal:
    """A room's impulse response: the direct sound and a noise that falls by 60 dB in `decay` seconds."""
    count = int(min(decay, 0.8) * SAMPLE_RATE) + 2
    tail = rng.standard_normal(count, dtype=np.float32) * np.exp(np.float32(-6.9 / decay) * times(count))
    tail *= np.float32(wetness) / np.sqrt(np.vdot(tail, tail))
    tail[0] = 1
    return tail


def soft_clip(signal: Signal, drive: float) -> Signal:
    """The signal overdriven by a factor into a smooth limit of 1."""
    return np.tanh(np.float32(drive) * signal)
