"""`bma train` as a process: stopped with Ctrl-C, killed, resumed; exit statuses and sentences."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import training.commands
from service.cli import main
from training.config import TrainingConfig
from training.data.packed import PackedData
from training.run import train

pytestmark = pytest.mark.long

ROOT = Path(__file__).parent.parent.parent
STEPS = 150
TinyConfig = Callable[..., TrainingConfig]


@pytest.fixture(scope="module")
def config(tiny_config: TinyConfig) -> TrainingConfig:
    return tiny_config(steps=STEPS, checkpoint_every=20, batch_size=4, unpaired="sounds")


@pytest.fixture(scope="module")
def overrides(config: TrainingConfig) -> list[str]:
    values = {key: value for key, value in config.to_dict().items() if key != "preset"}
    return ["--preset", "small", *(part for key, value in values.items() for part in ("--set", f"{key}={value}"))]


@pytest.fixture(scope="module")
def expected(
    config: TrainingConfig, tiny_data: PackedData, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    """Metrics of a run that nothing disturbed."""
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    train(tiny_data, out, config, device="cpu")
    return read_metrics(out)


def read_metrics(out: Path) -> list[dict[str, Any]]:
    """Everything but the speed, which no two runs share."""
    records = [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [
        {key: value for key, value in record.items() if key not in ("samples_per_second", "data_wait")}
        for record in records
    ]


OWN_KEYS = ": leave out --preset and --set to go on with its own keys"
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tiny_data: PackedData, tmp_path: Path, overrides: list[str]) -> Iterator[Start]:
    """Start the run in `tmp_path/run` and return once it has a checkpoint and goes on."""
    running: list[subprocess.Popen[str]] = []

    def begin() -> "subprocess.Popen[str]":
        out = tmp_path / "run"
        command = [sys.executable, "-m", "service.cli", "train", "--data", str(tiny_data.folder), "--out", str(out)]
        process = subprocess.Popen(
            [*command, "--device", "cpu", *overrides], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        running.append(process)
        deadline = time.monotonic() + 60
        while not (out / "checkpoints" / "step-00000020.safetensors").exists():
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline, "no checkpoint after a minute"
            time.sleep(0.005)
        return process

    yield begin
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def resume(data: Path, out: Path) -> int:
    return main(["train", "--data", str(data), "--out", str(out), "--device", "cpu", "--resume"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_leave_a_checkpoint_and_say_how_to_go_on(
    start: Start, tmp_path: Path, expected: list[dict[str, Any]], number: signal.Signals
) -> None:
    out = tmp_path / "run"
    process = start()
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    (sentence,) = stderr.splitlines()
    assert sentence.startswith("bma: stopped after step ")
    told, command = sentence.split("; go on with: ")
    assert told.endswith(f"; its checkpoint is in {out / 'checkpoints'}")
    done = int(sentence.split()[4])
    assert 20 <= done < STEPS
    assert (out / "checkpoints" / f"step-{done:08d}.safetensors").is_file()
    assert read_metrics(out) == expected[:done]
    assert not (out / "model").exists()

    root = Path(__file__).parents[2]
    assert subprocess.run(shlex.split(command), cwd=root, check=False).returncode == 0  # it runs as it is printed
    assert read_metrics(out) == expected
    assert (out / "model" / "config.json").is_file()


def test_a_folder_in_which_another_process_trains_is_left_to_it(
    start: Start, tiny_data: PackedData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    process = start()
    process.send_signal(signal.SIGSTOP)
    before = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    assert resume(tiny_data.folder, out) == 1
    assert capsys.readouterr().err == (
        f"bma: another process trains in {out}; wait for it or end it, or name another folder with --out\n"
    )
    assert {file: file.read_bytes() for file in out.rglob("*") if file.is_file()} == before
    process.kill()
    process.wait(timeout=60)
    assert resume(tiny_data.folder, out) == 0


def test_a_killed_run_resumes_to_the_same_metrics(
    start: Start, tiny_data: PackedData, tmp_path: Path, expected: list[dict[str, Any]]
) -> None:
    process = start()
    process.kill()
    process.wait(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "run" / "model").exists()
    assert resume(tiny_data.folder, tmp_path / "run") == 0
    assert read_metrics(tmp_path / "run") == expected
    assert len(list((tmp_path / "run" / "checkpoints").glob("step-*"))) == 3


def test_whenever_a_run_is_killed_it_ends_as_an_undisturbed_one(
    tiny_data: PackedData, tiny_config: TinyConfig, tmp_path: Path
) -> None:
    """Every ninth of its changes on disk; all of them with `kills.py … 1`."""
    config = tiny_config(unpaired="both", steps=4, checkpoint_every=1, keep_checkpoints=2)
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    script = [Path(__file__).with_name("kills.py"), tiny_data.folder, tmp_path / "config.json", tmp_path, "9"]
    command = [sys.executable, *map(str, script)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 5


def test_a_disk_that_fills_up_is_one_sentence_and_leaves_the_last_checkpoint(
    tiny_data: PackedData, tmp_path: Path, overrides: list[str]
) -> None:
    """As the kernel says it: no file may become larger than a checkpoint without Adam's moments."""
    out = tmp_path / "run"
    command = [sys.executable, "-m", "service.cli", "train", "--data", str(tiny_data.folder), "--out", str(out)]
    limited = ["bash", "-c", 'ulimit -f "$0"; exec "$@"', "200", *command, "--device", "cpu", *overrides]
    done = subprocess.run(limited, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.splitlines()
    assert re.fullmatch(
        r"bma: the checkpoint of step \d+ could not be written to .*/checkpoints \(.*\); "
        r"earlier checkpoints are untouched: make room and go on with --resume",
        line,
    )
    assert [file.name for file in (out / "checkpoints").iterdir()] == ["step-00000000.safetensors"]
    assert resume(tiny_data.folder, out) == 0


def test_resuming_a_finished_run_exits_0(
    tiny_run: Path, tiny_data: PackedData, capsys: pytest.CaptureFixture[str]
) -> None:
    assert resume(tiny_data.folder, tiny_run) == 0
    said = capsys.readouterr().out
    assert f"{tiny_run / 'model'} holds bma-small-" in said
    assert said.endswith(f" evaluate {tiny_run / 'model'} --data {tiny_data.folder}\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "already holds a run; go on with --resume, or name another folder with --out"),
        (["--resume", "--set", "steps=9"], f"was started with steps=40, not 9{OWN_KEYS}"),
        (["--resume", "--preset", "paper"], f"was started with preset=small, not paper{OWN_KEYS}"),
        (
            ["--resume", "--set", "slots=9", "--set", "seed=0", "--set", "width=1"],
            f"was started with slots=8, not 9; with width=0.03125, not 1.0{OWN_KEYS}",
        ),
    ],
)
def test_what_can_not_be_done_with_a_finished_run_is_one_sentence(
    tiny_run: Path,
    tiny_data: PackedData,
    overrides: list[str],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    sentence: str,
) -> None:
    command = ["train", "--data", str(tiny_data.folder), "--out", str(tiny_run), "--device", "cpu"]
    assert main([*command, *(arguments or overrides)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("bma: ")
    assert line.endswith(sentence)


def test_the_same_command_with_resume_goes_on_and_ends_a_finished_run_with_0(
    tiny_data: PackedData, tmp_path: Path, overrides: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "--data", str(tiny_data.folder), "--out", str(tmp_path / "run"), "--device", "cpu"]
    command += [*overrides, "--set", "steps=2"]
    for more in ([], ["--resume"], ["--resume", "--set", "seed=0"]):
        assert main([*command, *more]) == 0
        assert "holds bma-small-" in capsys.readouterr().out
    assert main([*command[:7], "--resume", "--set", "steps=2"]) == 0


@pytest.mark.parametrize(
    ("called", "on_path", "program"),
    [
        (".venv/bin/bma", None, [".venv/bin/bma"]),
        (".venv/bin/bma", "/usr/bin/bma", [".venv/bin/bma"]),
        ("/usr/bin/bma", "/usr/bin/bma", ["bma"]),
        ("/home/me/bma-memory/service/cli.py", None, [sys.executable, "-m", "service.cli"]),
        ("/usr/bin/pytest", None, ["bma"]),
    ],
)
def test_hints_name_the_program_as_it_was_called(
    monkeypatch: pytest.MonkeyPatch, called: str, on_path: str | None, program: list[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [called])
    monkeypatch.setattr(shutil, "which", lambda name: on_path)
    assert training.commands.program() == program


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("stepz=3", "there is no key 'stepz' to set; did you mean 'steps'?"),
        ("steps=few", "--set: 'steps' takes a whole number, not 'few'"),
        ("image_size=48", "is packed for images of 32 pixels, not 48; pack it again"),
    ],
)
def test_what_is_wrong_with_a_new_run_is_one_sentence_and_makes_no_folder(
    tiny_data: PackedData,
    tmp_path: Path,
    overrides: list[str],
    capsys: pytest.CaptureFixture[str],
    override: str,
    sentence: str,
) -> None:
    out = tmp_path / "run"
    command = ["train", "--data", str(tiny_data.folder), "--out", str(out), "--device", "cpu"]
    assert main([*command, *overrides, "--set", override]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("bma: ")
    assert sentence in line
    assert not out.exists()


def test_evaluating_a_run_prints_json(
    tiny_run: Path, tiny_data: PackedData, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", str(tiny_run / "model"), "--data", str(tiny_data.folder), "--json", "--device", "cpu"]
    assert main(command) == 0
    scores = json.loads(capsys.readouterr().out)
    assert set(scores) == {"image", "sound", "sound_to_image", "image_to_sound", "n"}
