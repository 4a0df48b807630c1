"""Pairs a second in training, preset `demo` on random media: as it is, with malloc's defaults, and in float32.

The variants take turns, each in processes of its own, so that a noisy machine is noisy to all of them.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import wave
from pathlib import Path

import numpy as np
from PIL import Image

from training import run
from training.config import make_config
from training.data.pack import open_data
from training.data.rows import Row, write_rows

ROUNDS, STEPS, WARM_UP = 3, 60, 20
VARIANTS = ("as it is", "malloc's defaults", "float32")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        rows_file = make_data(Path(folder))
        rates: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
        for _ in range(ROUNDS):
            for variant in VARIANTS:
                command = [sys.executable, __file__, str(rows_file), variant]
                output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                rates[variant].append(float(output))
    for variant, found in rates.items():
        ratio = statistics.median(found) / statistics.median(rates[VARIANTS[0]])
        spread = f"{min(found):.0f} to {max(found):.0f} of {ROUNDS}"
        print(f"{variant:<18} median {statistics.median(found):.0f} pairs/s, {spread}; {ratio:.2f} of the first")


def make_data(folder: Path, pairs: int = 256) -> Path:
    """Noise pictures and noise sounds."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(pairs):
        Image.fromarray(rng.integers(0, 256, (96, 96, 3), np.uint8)).save(folder / f"{number}.png")
        with wave.open(str(folder / f"{number}.wav"), "wb") as stream:
            stream.setnchannels(1)
            stream.setsampwidth(2)
            stream.setframerate(22050)
            stream.writeframes(rng.integers(-9000, 9000, 60000, np.int16).tobytes())
        rows.append(Row("train", str(number % 2), f"{number}.png", f"{number}.wav"))
    write_rows(folder / "rows.csv", rows)
    return folder / "rows.csv"


def measure(rows_file: Path, variant: str) -> float:
    """The median rate of the logged steps after warming up."""
    keys = [f"steps={STEPS}", *(["precision=fp32"] if variant == "float32" else [])]
    if variant == "malloc's defaults":
        run.keep_freed_memory = lambda: False
    config = make_config("demo", keys)
    data = open_data(rows_file, config.image_size, config.sample_rate)
    with tempfile.TemporaryDirectory() as out:
        run.train(data, Path(out), config)
        lines = [json.loads(line) for line in (Path(out) / "metrics.jsonl").read_text().splitlines()]
    return statistics.median(line["samples_per_second"] for line in lines[WARM_UP:])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(measure(Path(sys.argv[1]), sys.argv[2]))
    else:
        main()
