"""Training's speed, data and logs and checkpoints included, as a share of its ceiling.

The ceiling is the same step on one batch that is already on the device. Both are measured in the same process, in
turns, on random media. `--variants` also runs, in processes of their own, what the defaults are chosen over.

    python benchmarks/train_throughput.py                     # preset small, on whatever there is
    python benchmarks/train_throughput.py --preset paper      # 256 pairs and 256 unpaired sounds: wants a GPU
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import av
import numpy as np
import torch
from PIL import Image

from training import run
from training.batch import Feeder
from training.config import TrainingConfig, make_config
from training.data.pack import pack
from training.data.packed import PackedData
from training.data.parallel import cores
from training.data.rows import Row, write_rows
from training.learner import Learner
from training.model.device import resolve_device
from training.ranks import Ranks

GOAL = 0.90
MEDIA = 64  # different files of each kind; rows name them under many names
VARIANTS = {
    "float32": ["precision=fp32"],
    "compiled encoders": ["compile=true"],
    "malloc's defaults": [],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="small")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--steps", type=int, help="end to end (default: from one checkpoint to the next)")
    parser.add_argument("--ceiling-steps", type=int, default=60)
    parser.add_argument("--warm-up", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--items", type=int, default=2048, help="of each kind, in the data set")
    parser.add_argument("--from-disk", action="store_true", help="on a GPU: read the memory map though it would fit")
    parser.add_argument("--variants", action="store_true", help="measure what the defaults are chosen over instead")
    parser.add_argument("--keep-memory", action=argparse.BooleanOptionalAction, default=True, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    if arguments.variants:
        compare()
    else:
        found = measure(arguments)
        print(json.dumps(found) if arguments.json else describe(found))


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Samples a second, of the ceiling and from end to end, a number for each round."""
    keys = ["unpaired=sounds", *arguments.set]
    steps = arguments.steps or make_config(arguments.preset, keys).checkpoint_every
    # past the first checkpoint by as many steps as are left out at the start, so that its time is in the log
    config = make_config(arguments.preset, [*keys, f"steps={arguments.warm_up + steps}"])
    device = resolve_device(arguments.device)
    if not arguments.keep_memory:
        run.keep_freed_memory = lambda largest=0: False
    else:
        run.keep_freed_memory()
    ceiling, share, waits, usage = [], [], [], Usage(device)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        data = make_data(Path(folder), config, arguments.items)
        if arguments.from_disk:
            stack.enter_context(patch.object(torch.cuda, "mem_get_info", return_value=(0, 0)))
        for turn in range(arguments.rounds):
            ceiling.append(measure_ceiling(data, config, device, arguments.warm_up, arguments.ceiling_steps))
            out = Path(folder) / f"run-{turn}"
            with usage.of(out / "metrics.jsonl"):
                run.train(data, out, config, arguments.device)
            lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
            rates = [line["samples_per_second"] for line in lines[arguments.warm_up :]]
            share.append(statistics.harmonic_mean(rates) / ceiling[-1])
            waits.append(statistics.mean(line["data_wait"] for line in lines[arguments.warm_up :]))
    return {
        "preset": arguments.preset,
        "set": arguments.set,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu, {cores()} cores",
        "batch": f"{config.batch_size} pairs, unpaired: {config.unpaired}",
        "images": config.image_size,
        "ceiling": ceiling,
        "share": share,
        "data_wait": waits,
        **usage.peak(),
    }


def measure_ceiling(data: PackedData, config: TrainingConfig, device: torch.device, warm_up: int, steps: int) -> float:
    """Samples a second of the step alone."""
    feeder = Feeder(data, config, device)
    batch = feeder.batch(0)
    preprocessor = run.make_preprocessor(data, config.preprocess_config, feeder.pools["pairs"]).to(device)
    learner = Learner(config, preprocessor, Ranks(device=device))
    for step in range(warm_up + steps):
        if step == warm_up:
            wait_for(device)
            begun = time.perf_counter()
        learner.learn(step, batch)
    wait_for(device)
    items = len(feeder.kinds) * config.batch_size
    return steps * items / (time.perf_counter() - begun)


def wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class Usage:
    """How busy the device is while steps are logged, and the most memory that training takes."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.busy = device, list[float]()

    @contextmanager
    def of(self, metrics: Path) -> Iterator[None]:
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)
        ended = threading.Event()
        thread = threading.Thread(target=self.watch, args=(metrics, ended))
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def watch(self, metrics: Path, ended: threading.Event) -> None:
        while not ended.wait(0.2) and not (metrics.is_file() and metrics.stat().st_size):
            pass
        wall, processor = time.perf_counter(), time.process_time()
        while not ended.wait(0.5):
            if self.device.type == "cuda":
                self.busy.append(gpu_utilisation(self.device))
            else:
                now, spent = time.perf_counter(), time.process_time()
                self.busy.append(100 * (spent - processor) / (now - wall) / cores())
                wall, processor = now, spent

    def peak(self) -> dict[str, float]:
        if self.device.type == "cuda":
            memory = torch.cuda.max_memory_reserved(self.device) / 2**30
        else:
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        return {"utilisation": statistics.median(self.busy), "memory_gib": memory}


def gpu_utilisation(device: torch.device) -> float:
    """Percent of the last moments in which the GPU was at work."""
    query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
    which = f"--id=GPU-{torch.cuda.get_device_properties(device).uuid}"
    return float(subprocess.run([*query, which], capture_output=True, text=True, check=True).stdout)


def make_data(folder: Path, config: TrainingConfig, items: int) -> PackedData:
    """A packed set of noise: as many pairs, unpaired sounds and unpaired images, sounds of five seconds."""
    rng = np.random.default_rng(0)
    for number in range(MEDIA):
        pixels = rng.integers(0, 256, (config.image_size, config.image_size, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.bmp")
        wave = rng.integers(-9000, 9000, 5 * config.sample_rate, np.int16)
        with av.open(str(folder / f"{number}.wav"), "w") as container:
            stream = container.add_stream("pcm_s16le", rate=config.sample_rate, layout="mono")
            frame = av.AudioFrame.from_ndarray(wave[None], "s16", "mono")
            frame.sample_rate = config.sample_rate
            container.mux([*stream.encode(frame), *stream.encode(None)])
    rows = []
    for number in range(items):
        names = [f"item-{number}{suffix}" for suffix in (".bmp", ".wav")]
        for name in names:
            (folder / name).symlink_to(folder / f"{number % MEDIA}{Path(name).suffix}")
        rows += [Row("train", image=names[0], sound=names[1]), Row("unpaired", image=names[0])]
        rows.append(Row("unpaired", sound=names[1]))
    write_rows(folder / "rows.csv", rows)
    return pack(folder / "rows.csv", folder / "packed", config.image_size, config.sample_rate)


def compare() -> None:
    """The end-to-end speed of each variant as a share of the defaults', in processes that take turns."""
    rates: dict[str, list[float]] = {name: [] for name in ("as it is", *VARIANTS)}
    for _ in range(3):
        for name, found in rates.items():
            keys = [part for key in VARIANTS.get(name, []) for part in ("--set", key)]
            memory = ["--no-keep-memory"] if name.startswith("malloc") else []
            asked = [part for part in sys.argv[1:] if part != "--variants"]
            command = [sys.executable, __file__, *asked, "--json", "--rounds", "1", *keys, *memory]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            result = json.loads(done.stdout)
            found.append(result["ceiling"][0] * result["share"][0])
    for name, found in rates.items():
        ratio = statistics.median(found) / statistics.median(rates["as it is"])
        print(f"{name:<18} {spread(found, '.0f')} samples/s; {ratio:.2f} of the first")


def describe(found: dict[str, Any]) -> str:
    total = [ceiling * share for ceiling, share in zip(found["ceiling"], found["share"], strict=True)]
    return "\n".join(
        (
            f"preset {' '.join([found['preset'], *found['set']])}, {found['images']} pixels, {found['device']}",
            f"batch       {found['batch']}",
            f"ceiling     {spread(found['ceiling'], '.0f')} samples/s",
            f"end to end  {spread(total, '.0f')} samples/s",
            f"share       {spread(found['share'], '.3f')} (goal {GOAL:.2f})",
            f"data_wait   {spread(found['data_wait'], '.4f')}",
            f"utilisation {found['utilisation']:.0f} %, most memory {found['memory_gib']:.2f} GiB",
        )
    )


def spread(values: list[float], form: str) -> str:
    return f"median {statistics.median(values):{form}}, {min(values):{form}} to {max(values):{form}} of {len(values)}"


if __name__ == "__main__":
    main()
