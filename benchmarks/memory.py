"""Memory of packing, and of training, on a set that is ten times what its data may take.

Noise under many names packs to 4 GB. `pack` and `train` run in processes of their own, first on a hundredth of the set:
what they take of private memory there (heap, stacks, private mappings; not files that are mapped, which the kernel
drops at will) is torch's, the model's and the steps'. The whole set may take 400 MB more: RLIMIT_DATA is set to that,
an allocation past it fails, and so does this benchmark.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
import wave
from pathlib import Path

import numpy as np
from PIL import Image

from training.config import make_config
from training.data.pack import pack
from training.data.packed import PackedData
from training.data.rows import Row, write_rows
from training.run import train

SHARE, TIMES = 400_000_000, 10  # bytes that the data may take, and the packed set's multiple of them
STEPS, SECONDS, PAIRS, PICTURES, LABELLED = 10, 20, 4000, 42_000, 200
FILES = 16  # that differ, of each kind
CONFIG = make_config("small", [f"steps={STEPS}", "unpaired=images"])


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        part = make_data(Path(folder) / "part", PAIRS // 100, PICTURES // 100)
        whole = make_data(Path(folder) / "whole", PAIRS, PICTURES)
        for what in ("pack", "train"):
            least = run(what, part, 0)
            found = run(what, whole, least["VmData"] + SHARE)
            if found["packed"] < TIMES * SHARE:
                raise SystemExit(f"the set packs to {found['packed'] / 1e6:.0f} MB, not to {TIMES} times the share")
            own, resident = ((found[key] - least[key]) / 1e6 for key in ("VmData", "RssAnon"))
            print(
                f"{what}: {found['packed'] / 1e9:.2f} GB packed in place of {least['packed'] / 1e6:.0f} MB takes "
                f"{own:+.0f} MB of private memory, of {SHARE / 1e6:.0f} MB ({resident:+.0f} MB in RAM), "
                f"over {least['VmData'] / 1e6:.0f} MB ({least['RssAnon'] / 1e6:.0f} MB in RAM), of which importing is "
                f"{least['imported'] / 1e6:.0f} MB; with mapped files {found['VmHWM'] / 1e6:.0f} MB in RAM; "
                f"{found['seconds']:.0f} s",
                flush=True,
            )


def run(what: str, rows_file: Path, limit: int | float) -> dict[str, float]:
    """What `measure` finds in a process of its own."""
    command = [sys.executable, __file__, what, str(rows_file), str(int(limit))]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return dict(json.loads(output.splitlines()[-1]))


def make_data(folder: Path, pairs: int, pictures: int) -> Path:
    """A rows file of pairs, of which a few have a class, and of unpaired pictures up to so many in all."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(FILES):
        Image.fromarray(rng.integers(0, 256, (96, 96, 3), np.uint8)).save(folder / f"{number}.png")
        with wave.open(str(folder / f"{number}.wav"), "wb") as stream:
            stream.setnchannels(1)
            stream.setsampwidth(2)
            stream.setframerate(CONFIG.sample_rate)
            stream.writeframes(rng.integers(-9000, 9000, SECONDS * CONFIG.sample_rate, np.int16).tobytes())

    def link(number: int, suffix: str) -> str:
        name = f"{number}-{number % FILES}{suffix}"
        os.link(folder / f"{number % FILES}{suffix}", folder / name)
        return name

    rows = [
        Row("train", str(number % 2) if number < LABELLED else "", link(number, ".png"), link(number, ".wav"))
        for number in range(pairs)
    ]
    rows += [Row("unpaired", image=link(number, ".png")) for number in range(pairs, pictures)]
    write_rows(folder / "rows.csv", rows)
    return folder / "rows.csv"


def measure(what: str, rows_file: Path, limit: int) -> dict[str, float]:
    """Run it, under a limit on private memory unless that is 0: bytes after importing and at the peak, seconds."""
    peak = usage()
    imported = peak["VmData"]
    if limit:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            for key, value in usage().items():
                peak[key] = max(peak[key], value)

    watcher = threading.Thread(target=watch)
    watcher.start()
    begun = time.perf_counter()
    try:
        packed = rows_file.with_name("packed")
        if what == "pack":
            data = pack(rows_file, packed, CONFIG.image_size, CONFIG.sample_rate)
        else:
            data = PackedData.open(packed, CONFIG.image_size, CONFIG.sample_rate)
            train(data, rows_file.with_name("run"), CONFIG)
    finally:
        done.set()
        watcher.join()
    packed_bytes = data.images.nbytes + data.waves.nbytes
    return {"packed": packed_bytes, "seconds": time.perf_counter() - begun, "imported": imported, **peak}


def usage() -> dict[str, int]:
    """Bytes: VmData is what the limit counts, RssAnon what of it is in RAM, VmHWM the most in RAM with mapped files."""
    table = dict(line.split(":") for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines())
    return {key: 1024 * int(table[key].split()[0]) for key in ("VmData", "RssAnon", "VmHWM")}


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))
    else:
        main()
