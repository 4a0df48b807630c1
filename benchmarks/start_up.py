"""How long `bma --help` takes, and `bma serve` until it is ready: medians and ranges of fresh processes.

    python benchmarks/start_up.py                                  # bma --help alone
    python benchmarks/start_up.py --bundle runs/demo/model         # and the service, with a catalogue of 10,000 items

Each process is started once to warm the disk's cache, which does not count.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from index.catalogue import Item
from index.local import LocalCatalogue
from training.model.bundle import load_bundle

COMMAND = str(Path(sys.executable).with_name("bma"))
HELP, READY = 0.5, 6.0  # seconds: the goals
ITEMS = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, help="also start the service with this bundle")
    arguments = parser.parse_args()
    show("bma --help", [help_once() for _ in range(16)][1:], HELP)
    if arguments.bundle:
        with tempfile.TemporaryDirectory() as folder:
            catalogue = Path(folder) / "index"
            make_catalogue(arguments.bundle, catalogue)
            show(f"ready, {ITEMS:,} items", [ready_once(arguments.bundle, catalogue) for _ in range(6)][1:], READY)


def help_once() -> float:
    begin = time.perf_counter()
    subprocess.run([COMMAND, "--help"], check=True, capture_output=True)
    return time.perf_counter() - begin


def ready_once(bundle: Path, catalogue: Path) -> float:
    """From the command to a 200 of /readyz."""
    begin = time.perf_counter()
    command = [COMMAND, "serve", "--model", str(bundle), "--index", str(catalogue), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        told = re.search(r"http://\S+", process.stdout.readline())
        if told is None:
            raise SystemExit("the service has not started")
        while True:
            try:
                urllib.request.urlopen(f"{told[0]}/readyz", timeout=5).close()
                return time.perf_counter() - begin
            except (urllib.error.URLError, OSError):
                time.sleep(0.01)
    finally:
        process.terminate()
        process.wait()


def make_catalogue(bundle: Path, folder: Path) -> None:
    """Items with random vectors; their files are not there, as nobody asks for them."""
    loaded = load_bundle(bundle)
    dimension = loaded.model.config.projection_dim
    vectors = np.random.default_rng(0).normal(size=(ITEMS, dimension)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    catalogue = LocalCatalogue.create(folder, loaded.fingerprint, dimension, folder.parent)
    items = [
        Item(f"{n}", "image" if n % 2 else "sound", f"{n}.jpg", "image/jpeg", f"class {n % 50}") for n in range(ITEMS)
    ]
    catalogue.put(items, vectors)
    catalogue.close()


def show(what: str, seconds: Sequence[float], goal: float) -> None:
    median = statistics.median(seconds)
    print(
        f"{what}: median {median:.3f} s, {min(seconds):.3f} to {max(seconds):.3f} s of {len(seconds)} (goal {goal:g} s)"
    )


if __name__ == "__main__":
    main()
