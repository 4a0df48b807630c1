"""Training on several ranks (gloo, on this CPU): the same losses and gradients as alone, one log, one error."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from training.config import TrainingConfig
from training.data.packed import PackedData
from training.model.device import DeviceError
from training.ranks import Ranks, join_ranks
from training.run_folder import RunFolder

pytestmark = pytest.mark.long

ROOT = Path(__file__).parent.parent.parent
RANK = Path(__file__).with_name("rank.py")
TinyConfig = Callable[..., TrainingConfig]

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def torchrun(count: int, *arguments: str | Path, timeout: float = 240) -> "subprocess.CompletedProcess[str]":
    command = [*TORCHRUN, str(count), *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=timeout)


def train_command(data: PackedData, out: Path, config: TrainingConfig, *more: str) -> list[str]:
    keys = {key: value for key, value in config.to_dict().items() if key != "preset"}
    overrides = [part for key, value in keys.items() for part in ("--set", f"{key}={value}")]
    where = ["--data", str(data.folder), "--out", str(out), "--device", "cpu"]
    return ["-m", "service.cli", "train", *where, "--preset", "small", *overrides, *more]


def read_metrics(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"second_view": "cyclic", "normalise_halves": True, "paired_augment": True},
        {
            "clip_mates": "masked",
            "separate_windows": True,
            "separate_heads": True,
            "sound_gain": 10.0,
            "sound_tilt": 6.0,
            "paired_augment": True,
            "memory_init": "matched",
            "memory_start": 1.0,
            "steps": 6,
        },
    ],
    ids=["as in the paper", "other views", "what is ours"],
)
def test_two_ranks_have_the_losses_gradients_and_weights_of_one(
    tiny_data: PackedData, tiny_config: TinyConfig, tmp_path: Path, changes: dict[str, Any]
) -> None:
    """Of everything: pairs, both kinds of unpaired items, windows and augmentations drawn at random."""
    (tmp_path / "config.json").write_text(json.dumps(tiny_config(unpaired="both", **changes).to_dict()))
    arguments = [RANK, tiny_data.folder, tmp_path / "config.json"]
    subprocess.run([sys.executable, *arguments, tmp_path / "1.safetensors"], env=ENVIRONMENT, check=True, timeout=240)
    done = torchrun(2, *arguments, tmp_path / "2.safetensors")
    assert done.returncode == 0, done.stderr
    alone, shared = (json.loads((tmp_path / f"{count}.json").read_text()) for count in (1, 2))
    for name in ("loss", "loss_pair", "loss_unpaired_sounds", "loss_unpaired_images"):
        assert shared[name] == pytest.approx(alone[name], rel=1e-9), name
    one, two = (load_file(tmp_path / f"{count}.safetensors") for count in (1, 2))
    assert set(one) == set(two)
    assert {"grad.image_encoder.conv1.weight", "weight.memory.sound"} <= set(one)
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-9, atol=1e-9, msg=name)
    assert all(one[name].abs().max() > 1e-3 for name in ("grad.image_encoder.conv1.weight", "grad.memory.sound"))


@pytest.fixture(scope="module")
def shared_run(tiny_data: PackedData, tiny_config: TinyConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("shared") / "run"
    config = tiny_config(unpaired="both", steps=24, checkpoint_every=8)
    done = torchrun(2, *train_command(tiny_data, out, config))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("holds bma-small-") == 1  # rank 0 speaks for all
    return out


def test_a_run_on_two_ranks_logs_each_step_once_and_leaves_one_bundle(shared_run: Path) -> None:
    records = read_metrics(shared_run)
    assert [record["step"] for record in records] == list(range(24))
    first, last = (np.mean([record["loss"] for record in part]) for part in (records[:4], records[-4:]))
    assert last < first
    assert sorted(entry.name for entry in shared_run.iterdir()) == [
        "checkpoints",
        "config.json",
        "metrics.jsonl",
        "model",
    ]
    provenance = json.loads((shared_run / "model" / "config.json").read_text())["training"]
    assert provenance["ranks"] == 2


def test_ranks_that_have_parted_leave_no_thread_behind_that_could_abort_them(
    tiny_data: PackedData, tiny_config: TinyConfig, tmp_path: Path
) -> None:
    """A thread of gloo's that frees a tensor while the interpreter shuts down does; it lives as long as its group."""
    code = f"""
from pathlib import Path
from service.cli import main

main({train_command(tiny_data, tmp_path / "run", tiny_config(steps=2))[2:]})
print("left:", *(Path(task, "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()))
"""
    done = torchrun(2, "--no-python", sys.executable, "-c", code)
    assert done.returncode == 0, done.stderr
    left = [line for line in done.stdout.splitlines() if "left:" in line]
    assert len(left) == 2
    assert "gloo" not in "".join(left)


def test_what_two_ranks_began_one_can_finish(
    shared_run: Path, tiny_data: PackedData, tmp_path: Path, bma: Callable[..., Any]
) -> None:
    for name in ("config.json", "metrics.jsonl"):
        (tmp_path / name).write_bytes((shared_run / name).read_bytes())
    (tmp_path / "checkpoints").mkdir()
    checkpoint = "checkpoints/step-00000016.safetensors"
    (tmp_path / checkpoint).write_bytes((shared_run / checkpoint).read_bytes())
    done = bma("train", "--data", tiny_data.folder, "--out", tmp_path, "--device", "cpu", "--resume")
    assert done.returncode == 0, done.stderr
    assert [record["step"] for record in read_metrics(tmp_path)] == list(range(24))
    assert read_metrics(tmp_path)[:16] == read_metrics(shared_run)[:16]


def test_the_error_of_one_rank_ends_the_job_with_its_sentence(
    tiny_data: PackedData, tiny_config: TinyConfig, tmp_path: Path, shared_run: Path
) -> None:
    done = torchrun(2, *train_command(tiny_data, shared_run, RunFolder(shared_run).read_config()))
    assert done.returncode != 0
    assert done.stderr.count("already holds a run; go on with --resume") == 1
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("bma: ") and "as another one" not in line]
    assert said.endswith("name another folder with --out")


@pytest.fixture
def long_job(tiny_data: PackedData, tiny_config: TinyConfig, tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Two ranks that train into `tmp_path/run` for longer than a test, past their first checkpoint."""
    config = tiny_config(steps=100_000, checkpoint_every=5)
    command = [*TORCHRUN, "2", *train_command(tiny_data, tmp_path / "run", config)]
    with subprocess.Popen(
        command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as job:
        try:
            deadline = time.monotonic() + 120
            while not (tmp_path / "run" / "checkpoints" / "step-00000005.safetensors").exists():
                assert job.poll() is None, job.communicate()[1]
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield job
        finally:
            if job.poll() is None:
                job.kill()


def test_sigterm_to_torchrun_leaves_a_checkpoint_of_the_step_it_stopped_at(
    long_job: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    long_job.terminate()
    _, errors = long_job.communicate(timeout=120)
    assert long_job.returncode != 0
    steps = len(read_metrics(tmp_path / "run"))
    newest = sorted((tmp_path / "run" / "checkpoints").glob("step-*"))[-1]
    assert newest.name == f"step-{steps:08d}.safetensors"
    assert f"stopped after step {steps} of 100000" in errors
    assert "go on with: torchrun --nproc-per-node 2 --no-python " in errors


def test_a_rank_that_is_killed_ends_the_job(long_job: "subprocess.Popen[str]", tmp_path: Path) -> None:
    ranks = Path(f"/proc/{long_job.pid}/task/{long_job.pid}/children").read_text().split()
    assert len(ranks) == 2
    os.kill(int(ranks[1]), signal.SIGKILL)
    _, errors = long_job.communicate(timeout=120)
    assert long_job.returncode != 0
    assert "RuntimeError" not in errors
    assert not list((tmp_path / "run").glob("*/.*"))  # nothing half-written
    assert not (tmp_path / "run" / "model").exists()


def test_a_loss_that_is_not_a_number_stops_all_ranks_at_the_same_step(
    tiny_data: PackedData, tiny_config: TinyConfig, tmp_path: Path
) -> None:
    config = tiny_config(steps=40, checkpoint_every=20, learning_rate=1e30)
    done = torchrun(2, *train_command(tiny_data, tmp_path / "run", config))
    assert done.returncode != 0
    assert "lower learning_rate" in done.stderr
    files = sorted(file.name for file in (tmp_path / "run" / "checkpoints").iterdir())
    assert files == ["step-00000000.safetensors"]
    assert json.loads((tmp_path / "run" / "diverged.json").read_text())["rows"]["pairs"]


def test_a_batch_that_can_not_be_shared_is_refused(
    tiny_data: PackedData, tiny_config: TinyConfig, tmp_path: Path
) -> None:
    done = torchrun(2, *train_command(tiny_data, tmp_path / "run", tiny_config(batch_size=5)))
    assert done.returncode != 0
    assert "batch_size=5 is of all ranks together and can't be shared evenly by 2" in done.stderr
    assert not (tmp_path / "run").exists()


def test_draws_of_the_ranks_are_those_of_one(tiny_config: TinyConfig) -> None:
    torch.manual_seed(3)
    whole = Ranks().rand(6, 4)
    parts = []
    for rank in range(3):
        torch.manual_seed(3)
        parts.append(Ranks(rank, 3).rand(2, 4))
    assert torch.equal(torch.cat(parts), whole)


def test_alone_nothing_is_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with join_ranks("cpu") as ranks:
        assert (ranks.rank, ranks.count, ranks.leads) == (0, 1, True)
        assert not torch.distributed.is_initialized()
    with pytest.raises(DeviceError, match="there is no device 'tpu'"), join_ranks("tpu"):
        pass
