"""Demo sounds: recordings of ten kinds of machines and places, synthesised."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from training.data.demo import machines, wheels_and_water
from training.data.demo.surroundings import recorded
from training.data.demo.synth import SAMPLE_RATE, Signal

__all__ = ["SAMPLE_RATE", "synthesise"]

SHORTEST, LONGEST = 2.2, 3.2  # seconds

SOURCES: dict[str, Callable[[np.random.Generator, int], Signal]] = {
    "drone": machines.drone,
    "shopping cart": wheels_and_water.shopping_cart,
    "traffic": wheels_and_water.traffic,
    "train": wheels_and_water.train,
    "boat": wheels_and_water.boat,
    "fountain": wheels_and_water.fountain,
    "drill": machines.drill,
    "razor": machines.razor,
    "hair dryer": machines.hair_dryer,
    "vacuum cleaner": machines.vacuum_cleaner,
}


def synthesise(label: str, rng: np.random.Generator) -> npt.NDArray[np.int16]:
    """One mono recording of 2.2 to 3.2 seconds at `SAMPLE_RATE`, determined by the state of `rng`."""
    if label not in SOURCES:
        raise ValueError(f"no demo sound is called {label!r}; the known ones are {', '.join(SOURCES)}")
    count = int(rng.uniform(SHORTEST, LONGEST) * SAMPLE_RATE)
    return np.rint(recorded(rng, SOURCES[label](rng, count)) * 32_767).astype(np.int16)
