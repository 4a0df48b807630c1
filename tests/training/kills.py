"""Kills a training run with SIGKILL before its first, second, third, … change of a file, and each time goes on with it.

Run as `kills.py PACKED CONFIG.json FOLDER EVERY`: every so-manieth moment is tried, in a process of its own that is
forked for it. Whatever the moment, the run must end with the losses and the weights of an undisturbed one.
"""

import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from training.config import TrainingConfig
from training.data.packed import PackedData
from training.run import train

EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "shutil.rmtree"}
SPEED = ("samples_per_second", "data_wait")


def run(data: PackedData, out: Path, config: TrainingConfig, fatal: int = 0) -> int:
    """Train in a forked process that dies before its `fatal`-th change; its wait status."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if fatal:
                sys.addaudithook(Killer(out, fatal))
            train(data, out, config, device="cpu", resume=True)
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1]


class Killer:
    """Counts what is about to be done to files below a folder."""

    def __init__(self, out: Path, fatal: int) -> None:
        self.out, self.left = str(out), fatal

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in EVENTS and any(self.out in str(argument) for argument in arguments[:2]):
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def outcome(out: Path) -> tuple[list[dict[str, float]], bytes]:
    lines = (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    records = [{key: value for key, value in json.loads(line).items() if key not in SPEED} for line in lines]
    return records, (out / "model" / "model.safetensors").read_bytes()


def main(packed: Path, config_file: Path, folder: Path, every: int) -> None:
    config = TrainingConfig(**json.loads(config_file.read_text()))
    data = PackedData.open(packed, config.image_size, config.sample_rate)
    assert run(data, folder / "whole", config) == 0
    expected = outcome(folder / "whole")
    assert len(expected[0]) == config.steps
    kills, moment, status = 0, 1, -1
    while status != 0:
        out = folder / f"killed-{moment}"
        status = run(data, out, config, moment)
        if status != 0:
            assert os.WTERMSIG(status) == signal.SIGKILL, f"moment {moment}: status {status}"
            assert run(data, out, config) == 0, f"moment {moment}: it does not go on"
            assert outcome(out) == expected, f"moment {moment}: it ends differently"
            left = sorted(entry.name for entry in out.iterdir())
            assert left == ["checkpoints", "config.json", "metrics.jsonl", "model"], f"moment {moment}: {left}"
            kills, moment = kills + 1, moment + every
            shutil.rmtree(out)
    sys.stdout.write(f"{kills}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
