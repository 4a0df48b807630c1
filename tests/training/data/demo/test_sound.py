"""The demo sounds: determined by their generator, of the promised shape, and never mute."""

import numpy as np
import pytest

from training.data.demo.labels import LABELS
from training.data.demo.sound import LONGEST, SAMPLE_RATE, SHORTEST, SOURCES, synthesise

SEEDS = range(2)


def test_every_label_has_a_source() -> None:
    assert set(SOURCES) == set(LABELS)


@pytest.mark.parametrize("label", LABELS)
def test_a_sound_is_determined_by_its_generator(label: str) -> None:
    first, again, other = (synthesise(label, np.random.default_rng(seed)) for seed in (7, 7, 8))
    assert np.array_equal(first, again)
    assert not np.array_equal(first[: int(SHORTEST * SAMPLE_RATE)], other[: int(SHORTEST * SAMPLE_RATE)])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("label", LABELS)
def test_a_sound_is_mono_int16_of_allowed_length_and_audible(label: str, seed: int) -> None:
    sound = synthesise(label, np.random.default_rng(seed))
    assert sound.dtype == np.int16
    assert sound.ndim == 1
    assert SHORTEST - 0.01 <= sound.size / SAMPLE_RATE <= LONGEST
    samples = sound.astype(np.float64)
    peak = np.abs(samples).max()
    assert peak > 0.04 * 32_767  # the quietest recordings peak at -26 dB
    assert np.abs(samples.mean()) < 0.1 * peak
    # No stretch is dead: the background goes on where the source pauses.
    tenths = samples[: sound.size // 10 * 10].reshape(10, -1)
    assert (tenths.std(1) > 0).all()


def test_levels_differ_widely_within_a_class() -> None:
    levels = [np.abs(synthesise("boat", np.random.default_rng(seed)).astype(np.float64)).max() for seed in range(12)]
    assert 20 * np.log10(max(levels) / min(levels)) > 12


def test_classes_differ_though_the_generator_is_the_same() -> None:
    count = int(SHORTEST * SAMPLE_RATE)
    sounds = {synthesise(label, np.random.default_rng(3))[:count].tobytes() for label in LABELS}
    assert len(sounds) == len(LABELS)


def test_an_unknown_label_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'piano'.*drone.*vacuum cleaner"):
        synthesise("piano", np.random.default_rng(0))
