"""A run that is stopped, wherever it is: it says what is on disk and how to go on, and goes on to the same end."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import training.learner
import training.run
from service.cli import main
from training.checkpoint import Checkpoints
from training.config import TrainingConfig
from training.data.packed import PackedData
from training.interrupt import Interrupted, Interruption
from training.run import train

TinyConfig = Callable[..., TrainingConfig]
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def press(monkeypatch: pytest.MonkeyPatch, where: str, number: signal.Signals, call: int = 1, times: int = 1) -> None:
    """The signal comes in a call of a function of training/learner.py or training/run.py."""
    module = training.learner if where == "learning_rate" else training.run
    original = getattr(module, where)
    calls = 0

    def pressed(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            for _ in range(times):
                os.kill(os.getpid(), number)
        return original(*arguments)

    monkeypatch.setattr(module, where, pressed)


@pytest.mark.parametrize("number", SIGNALS)
def test_in_a_step_it_is_ended_and_saved(
    tiny_data: PackedData,
    tiny_config: TinyConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
) -> None:
    before = [signal.getsignal(each) for each in SIGNALS]
    out = tmp_path / "a run"
    press(monkeypatch, "learning_rate", number, call=5)
    with pytest.raises(Interrupted) as stopped:
        train(tiny_data, out, tiny_config(checkpoint_every=100), device="cpu", source="my data")
    assert str(stopped.value) == (
        f"stopped after step 3 of 6; its checkpoint is in {out / 'checkpoints'}; "
        f"go on with: bma train --data 'my data' --out '{out}' --device cpu --resume"
    )
    assert [signal.getsignal(each) for each in SIGNALS] == before
    assert len((out / "metrics.jsonl").read_text().splitlines()) == 3
    assert Checkpoints(out / "checkpoints").files()[-1].name == "step-00000003.safetensors"


def test_a_second_one_does_not_wait_for_the_step(
    tiny_data: PackedData, tiny_config: TinyConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    press(monkeypatch, "learning_rate", signal.SIGINT, call=7, times=2)
    with pytest.raises(Interrupted, match=r"stopped after step 2 of 6; .*; go on with: make it so$"):
        train(tiny_data, tmp_path / "run", tiny_config(), device="cpu", how_to_resume="make it so")
    assert Checkpoints(tmp_path / "run" / "checkpoints").files()[-1].name == "step-00000002.safetensors"


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("Feeder", "stopped before the run began; nothing is in {out} yet, run the same command again"),
        ("windows", "stopped before the first checkpoint; {out} holds the configuration; go on with: {hint}"),
        ("fit_heads", "stopped after step 2 of 2; its checkpoint is in {out}/checkpoints; go on with: {hint}"),
    ],
)
def test_outside_the_steps_it_is_said_too_and_the_run_goes_on(
    tiny_data: PackedData,
    tiny_config: TinyConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
    where: str,
    told: str,
) -> None:
    out = tmp_path / "run"
    keys = {key: value for key, value in tiny_config(steps=2).to_dict().items() if key != "preset"}
    command = ["train", "--data", str(tiny_data.folder), "--out", str(out), "--device", "cpu", "--preset", "small"]
    command += [part for key, value in keys.items() for part in ("--set", f"{key}={value}")]
    with monkeypatch.context() as patch:
        press(patch, where, number)
        assert main(command) == 130
    hint = f"bma train --data {tiny_data.folder} --out {out} --device cpu --resume"
    assert capsys.readouterr().err.splitlines()[-1] == "bma: " + told.format(out=out, hint=hint)
    assert not (out / "model").exists()
    assert main([*command, "--resume"] if where != "Feeder" else command) == 0
    assert (out / "model").is_dir()


def test_a_second_sigterm_waits_for_the_step(
    tiny_data: PackedData, tiny_config: TinyConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes where a job's starter and its watcher both send one."""
    press(monkeypatch, "learning_rate", signal.SIGTERM, call=7, times=2)
    with pytest.raises(Interrupted, match=r"stopped after step 4 of 6; "):
        train(tiny_data, tmp_path / "run", tiny_config(), device="cpu")
    assert Checkpoints(tmp_path / "run" / "checkpoints").files()[-1].name == "step-00000004.safetensors"


def test_one_in_the_last_step_is_not_lost(
    tiny_data: PackedData, tiny_config: TinyConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    press(monkeypatch, "learning_rate", signal.SIGTERM, call=3)
    with pytest.raises(Interrupted, match="stopped after step 2 of 2; "):
        train(tiny_data, tmp_path / "run", tiny_config(steps=2), device="cpu")


def test_what_is_noted_is_asked_for_at_the_end_at_the_latest() -> None:
    stop = Interruption()
    with stop.taken(), pytest.raises(KeyboardInterrupt), stop.noted():
        os.kill(os.getpid(), signal.SIGTERM)
    assert stop
