"""What a batch costs that is decoded already, on some cores: milliseconds an image and a sound of 2 s.

    python -m benchmarks.embedding
    python -m benchmarks.embedding --beside ../main --beside ../main,GLIBC_TUNABLES=

The model has the paper's size and random weights. Each `--beside` names another checkout of this project, and what its
environment has in the place of this one's; all of them compute the same batches in turns, so that a machine that gets
busy slows all, and the last is what the others are compared with: medians of the time that each took in a turn, divided
by that of the last.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy.typing as npt

from benchmarks.serve import make_bundle, pictures, sounds
from training.model.allocator import keep_freed_memory
from training.model.device import set_threads
from training.model.embedder import Embedder

SIZES = (1, 4, 8, 16)
TIMES = 3  # a batch in a turn
MODALITIES = ("image", "sound")
HERE = Path(__file__).parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--beside", action="append", default=[], metavar="FOLDER[,NAME=VALUE]", help="as said above")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--cores", type=int, default=1, help="of a batch")
    parser.add_argument("--compute", type=Path, help=argparse.SUPPRESS)  # a bundle: what one of those at work does
    arguments = parser.parse_args()
    if arguments.compute:
        compute(arguments.compute, arguments.cores)
        return
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        bundle = make_bundle(Path(folder) / "bundle")
        names = [str(HERE), *arguments.beside]
        children = [stack.enter_context(start(name, bundle, arguments.cores)) for name in names]
        for child in children:
            ask(child, "")
        print("| | batch |" + "".join(f" {name} |" for name in names) + " of the last |")
        print("|---|--:|" + "--:|" * (len(names) + 1))
        for modality in MODALITIES:
            for size in SIZES:
                rounds = [[ask(child, f"{modality} {size}") for child in children] for _ in range(arguments.rounds)]
                took = [statistics.median(column) for column in zip(*rounds, strict=True)]
                parts = [statistics.median(turn[place] / turn[-1] for turn in rounds) for place in range(len(names))]
                row = [f"{each:.2f}" for each in took] + [", ".join(f"{part:.2f}" for part in parts)]
                print(f"| {modality}s | {size} | {' | '.join(row)} |", flush=True)
        for child in children:
            assert child.stdin is not None
            child.stdin.close()


def start(name: str, bundle: Path, cores: int) -> subprocess.Popen[str]:
    """A process with a checkout's own code, as the service's workers have it."""
    from service.pipeline.worker import HUGE_PAGES  # here, as an older checkout has none

    folder, *given = name.split(",")
    places = filter(None, (folder, os.environ.get("PYTHONPATH")))
    environment = {**os.environ, "GLIBC_TUNABLES": HUGE_PAGES, "PYTHONPATH": os.pathsep.join(places)}
    environment |= dict(part.split("=", 1) for part in given)
    command = [sys.executable, __file__, "--compute", str(bundle), "--cores", str(cores)]
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def ask(child: subprocess.Popen[str], question: str) -> float:
    assert child.stdin is not None
    assert child.stdout is not None
    print(question, file=child.stdin, flush=True)
    return float(child.stdout.readline())


def compute(bundle: Path, cores: int) -> None:
    """Answer each line, a modality and a size, with milliseconds for one of such a batch."""
    keep_freed_memory()
    embedder = Embedder(bundle, "cpu")
    set_threads(cores)
    images, waves = map(embedder.read_image, pictures()), map(embedder.read_sound, sounds())
    files: dict[str, list[npt.NDArray[Any]]] = {"image": list(images), "sound": list(waves)}
    for line in sys.stdin:
        if not line.strip():
            print(0.0, flush=True)
            continue
        modality, count = line.split()
        embed = embedder.embed_images if modality == "image" else embedder.embed_sounds
        batch = files[modality][: int(count)]
        embed(batch)  # its own caches are cold: others were at work
        begin = time.perf_counter()
        for _ in range(TIMES):
            embed(batch)
        print(1000 * (time.perf_counter() - begin) / TIMES / len(batch), flush=True)


if __name__ == "__main__":
    main()
