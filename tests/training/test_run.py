"""A training run in this process: it learns, resumes exactly, keeps to its folder and says what is wrong."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import training.learner
import training.log
import training.run
from training.batch import DataError, Feeder, find_pools
from training.checkpoint import Checkpoints
from training.config import TrainingConfig
from training.data.pack import open_data
from training.data.packed import PackedData
from training.data.rows import Row, read_rows, write_rows
from training.evaluate import evaluate
from training.features import Features
from training.model.bundle import Bundle, BundleError, load_bundle
from training.model.embedder import Embedder
from training.objective import Objective
from training.run import make_preprocessor, train
from training.run_folder import RunError, RunFolder

TinyConfig = Callable[..., TrainingConfig]


def metrics(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


SPEED = ("samples_per_second", "data_wait")


def losses(out: Path) -> list[dict[str, float]]:
    """Everything but the speed, which no two runs share."""
    return [{key: value for key, value in record.items() if key not in SPEED} for record in metrics(out)]


def weights(out: Path) -> bytes:
    return (out / "model" / "model.safetensors").read_bytes()


def stop_after(monkeypatch: pytest.MonkeyPatch, step: int, how: type[BaseException] = KeyboardInterrupt) -> None:
    """The objective raises at `step`, as a crash would."""
    calls = Objective.__call__
    seen = 0

    def call(self: Objective, *arguments: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen > step:
            raise how("pulled the plug")
        return calls(self, *arguments)

    monkeypatch.setattr(Objective, "__call__", call)


def test_the_loss_falls_on_an_easily_learned_set(tiny_run: Path) -> None:
    records = metrics(tiny_run)
    assert [record["step"] for record in records] == list(range(40))
    for key in ("loss", "loss_pair", "loss_unpaired_sounds", "loss_unpaired_images"):
        assert all(math.isfinite(record[key]) for record in records)
    first, last = (np.mean([record["loss"] for record in part]) for part in (records[:5], records[-5:]))
    assert last < 0.8 * first
    assert records[3]["loss"] == pytest.approx(
        sum(records[3][f"loss_{part}"] for part in ("pair", "unpaired_sounds", "unpaired_images")), rel=1e-5
    )


def test_a_finished_runs_folder(tiny_run: Path) -> None:
    assert {entry.name for entry in tiny_run.iterdir()} == {"config.json", "metrics.jsonl", "checkpoints", "model"}
    names = [file.name for file in sorted((tiny_run / "checkpoints").iterdir())]
    assert names == [f"step-{step:08d}.safetensors" for step in (24, 32, 40)]


def test_the_bundle_loads_and_knows_where_it_comes_from(tiny_run: Path, tiny_data: PackedData) -> None:
    bundle = load_bundle(tiny_run / "model")
    assert bundle.name.startswith("bma-small-")
    assert bundle.training["steps"] == 40
    assert bundle.training["data"] == {
        "fingerprint": tiny_data.fingerprint,
        "pairs": 12,
        "unpaired sounds": 4,
        "unpaired images": 4,
    }
    assert bundle.training["config"] == RunFolder(tiny_run).read_config().to_dict()
    for modality in ("image", "sound"):
        assert Embedder(bundle, "cpu").labels(modality) == ("blue", "green", "red")


def test_the_bundle_holds_the_last_checkpoints_weights(tiny_run: Path) -> None:
    from safetensors.torch import load_file

    last = load_file(Checkpoints(tiny_run / "checkpoints").files()[-1])
    for name, tensor in load_bundle(tiny_run / "model").model.state_dict().items():
        assert torch.equal(last[f"model.{name}"], tensor), name


def test_the_trained_model_retrieves_across_modalities(
    tiny_data: PackedData, tiny_config: TinyConfig, tmp_path: Path
) -> None:
    config = tiny_config(steps=60, checkpoint_every=60, learning_rate=5e-3, batch_size=12)
    train(tiny_data, tmp_path / "run", config, device="cpu")
    scores = evaluate(Features(tiny_data, Embedder(tmp_path / "run" / "model", "cpu", "fp32")))
    assert scores["sound_to_image"]["map"] > 0.6  # chance is about 0.5 on six items of three classes
    assert scores["image_to_sound"]["map"] > 0.6


def test_the_same_seed_gives_the_same_run_and_another_seed_another(
    tiny_data: PackedData, tiny_config: TinyConfig, tmp_path: Path
) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        torch.manual_seed(len(name) + seed * 17)
        train(tiny_data, tmp_path / name, tiny_config(unpaired="both", seed=seed), device="cpu")
    assert losses(tmp_path / "a") == losses(tmp_path / "b")
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert losses(tmp_path / "a") != losses(tmp_path / "c")


def test_a_run_leaves_the_callers_random_state_alone(
    tiny_data: PackedData, tiny_config: TinyConfig, tmp_path: Path
) -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    train(tiny_data, tmp_path / "run", tiny_config(steps=1), device="cpu")
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize("step", [0, 1, 3, 5])
def test_a_crashed_run_resumes_to_exactly_the_same_end(
    tiny_data: PackedData, tiny_config: TinyConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    config = tiny_config(unpaired="both", schedule="cosine", warmup=0.2, unpaired_ramp=0.5)
    train(tiny_data, tmp_path / "whole", config, device="cpu")
    with monkeypatch.context() as patch:
        stop_after(patch, step, RuntimeError)
        with pytest.raises(RuntimeError, match="pulled the plug"):
            train(tiny_data, tmp_path / "crashed", config, device="cpu")
    assert not (tmp_path / "crashed" / "model").exists()
    train(tiny_data, tmp_path / "crashed", config, device="cpu", resume=True)
    assert losses(tmp_path / "crashed") == losses(tmp_path / "whole")
    assert weights(tmp_path / "crashed") == weights(tmp_path / "whole")


def test_a_broken_newest_checkpoint_costs_only_its_steps(
    tiny_data: PackedData, tiny_config: TinyConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(tiny_data, tmp_path / "whole", tiny_config(), device="cpu")
    with monkeypatch.context() as patch:
        stop_after(patch, 5, RuntimeError)
        with pytest.raises(RuntimeError, match="pulled the plug"):
            train(tiny_data, tmp_path / "run", tiny_config(), device="cpu")
    newest = Checkpoints(tmp_path / "run" / "checkpoints").files()[-1]
    assert newest.name == "step-00000004.safetensors"
    newest.write_bytes(newest.read_bytes()[:1000])
    train(tiny_data, tmp_path / "run", tiny_config(), device="cpu", resume=True)
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")


def test_resuming_a_finished_run_gives_its_bundle_and_changes_nothing(tiny_run: Path, tiny_data: PackedData) -> None:
    before = {file: file.stat().st_mtime_ns for file in tiny_run.rglob("*")}
    bundle = train(tiny_data, tiny_run, RunFolder(tiny_run).read_config(), device="cpu", resume=True)
    assert bundle.fingerprint == load_bundle(tiny_run / "model").fingerprint
    assert {file: file.stat().st_mtime_ns for file in tiny_run.rglob("*")} == before


def test_resume_of_a_run_that_does_not_exist_starts_it(
    tiny_data: PackedData, tiny_config: TinyConfig, tmp_path: Path
) -> None:
    train(tiny_data, tmp_path / "run", tiny_config(steps=2), device="cpu", resume=True)
    assert len(metrics(tmp_path / "run")) == 2


def test_a_folder_that_holds_a_run_is_not_taken(tiny_run: Path, tiny_data: PackedData) -> None:
    with pytest.raises(RunError, match="already holds a run; go on with --resume, or name another folder with --out"):
        train(tiny_data, tiny_run, RunFolder(tiny_run).read_config(), device="cpu")


def test_a_run_is_not_resumed_with_another_configuration(
    tiny_run: Path, tiny_data: PackedData, tiny_config: TinyConfig
) -> None:
    changed = tiny_config(**{**RunFolder(tiny_run).read_config().to_dict(), "slots": 9})
    with pytest.raises(RunError, match="was started with slots=8, not 9; resume it with its own values"):
        train(tiny_data, tiny_run, changed, device="cpu", resume=True)


def test_a_run_is_not_resumed_with_other_data(tiny_run: Path, tiny_rows: Path, tmp_path: Path) -> None:
    for name in ("images", "sounds"):
        (tmp_path / name).symlink_to(tiny_rows.parent / name)
    write_rows(tmp_path / "rows.csv", read_rows(tiny_rows)[:-1])
    with pytest.raises(RunError, match="was started with data_fingerprint="):
        train(open_data(tmp_path, 32, 8000), tiny_run, RunFolder(tiny_run).read_config(), device="cpu", resume=True)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"steps": 3}', "3"])
def test_a_run_whose_configuration_is_broken_is_not_resumed(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(RunError, match=r"can't be resumed .*; start another run in another folder"):
        RunFolder(tmp_path).read_config()


def test_checkpoints_without_a_configuration_are_not_resumed(
    tiny_data: PackedData, tiny_config: TinyConfig, tmp_path: Path
) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "step-00000002.safetensors").write_bytes(b"x")
    with pytest.raises(RunError, match=r"config.json is missing, so the run in .* can't be resumed"):
        train(tiny_data, tmp_path, tiny_config(), device="cpu", resume=True)


def test_a_folder_that_can_not_be_made_is_said_at_once(
    tiny_data: PackedData, tiny_config: TinyConfig, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"can't be written \(.*\); name another folder with --out"):
        train(tiny_data, tmp_path / "file" / "run", tiny_config(), device="cpu")


def test_a_loss_that_is_not_a_number_stops_the_run_before_it_is_saved(
    tiny_data: PackedData, tiny_config: TinyConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = Objective.__call__
    monkeypatch.setattr(Objective, "__call__", lambda self, *a: {k: v * math.nan for k, v in calls(self, *a).items()})
    with pytest.raises(RunError, match=r"the loss is nan at step 0 \(.*\); .*: lower learning_rate"):
        train(tiny_data, tmp_path / "run", tiny_config(), device="cpu")
    assert [file.name for file in Checkpoints(tmp_path / "run" / "checkpoints").files()] == [
        "step-00000000.safetensors"
    ]
    told = json.loads((tmp_path / "run" / "diverged.json").read_text(encoding="utf-8"))
    assert told["step"] == 0
    drawn = Feeder(tiny_data, tiny_config(), torch.device("cpu")).rows(0)["pairs"]
    assert [item["row"] for item in told["rows"]["pairs"]] == [number + 1 for number in drawn]
    assert [item["sound"] for item in told["rows"]["pairs"]] == [tiny_data.rows[number].sound for number in drawn]


@pytest.mark.parametrize("seconds", [0.0, 1000.0])
def test_no_checkpoint_is_written_after_a_loss_that_is_not_a_number(
    tiny_data: PackedData, tiny_config: TinyConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """Nor where the log has just been written, in the very step that is due for a checkpoint."""
    calls = Objective.__call__
    steps = iter(range(100))

    def call(self: Objective, *arguments: Any) -> Any:
        factor = math.nan if next(steps) >= 3 else 1.0
        return {key: value * factor for key, value in calls(self, *arguments).items()}

    monkeypatch.setattr(Objective, "__call__", call)
    monkeypatch.setattr(training.log, "FLUSH_SECONDS", seconds)
    with pytest.raises(RunError, match=r"the loss is nan at step 3 .*step-00000002\.safetensors: lower"):
        train(tiny_data, tmp_path / "run", tiny_config(), device="cpu")
    files = Checkpoints(tmp_path / "run" / "checkpoints").files()
    assert [file.name for file in files] == ["step-00000000.safetensors", "step-00000002.safetensors"]
    assert not (tmp_path / "run" / "model").exists()


def test_weights_that_are_not_numbers_are_not_saved_though_the_loss_was_one(
    tiny_data: PackedData, tiny_config: TinyConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = training.learner.learning_rate
    monkeypatch.setattr(training.learner, "learning_rate", lambda c, step: math.inf if step == 5 else rates(c, step))
    with pytest.raises(RunError, match=r"step 5 made weights that are not finite numbers .*step-00000004"):
        train(tiny_data, tmp_path / "run", tiny_config(), device="cpu")
    files = Checkpoints(tmp_path / "run" / "checkpoints").files()
    assert files[-1].name == "step-00000004.safetensors"
    assert not (tmp_path / "run" / "model").exists()


def test_a_first_step_that_failed_does_not_block_the_corrected_run(
    tiny_data: PackedData, tiny_config: TinyConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a batch did not fit into memory: there is a checkpoint of step 0 then, of another model."""
    with monkeypatch.context() as patch:
        stop_after(patch, 0, RuntimeError)
        with pytest.raises(RuntimeError, match="pulled the plug"):
            train(tiny_data, tmp_path / "run", tiny_config(batch_size=12, slots=9), device="cpu")
    assert [file.name for file in (tmp_path / "run" / "checkpoints").iterdir()] == ["step-00000000.safetensors"]
    train(tiny_data, tmp_path / "run", tiny_config(steps=2), device="cpu")
    assert RunFolder(tmp_path / "run").read_config().batch_size == 6


def test_tensorboard_has_what_the_log_has(tiny_data: PackedData, tiny_config: TinyConfig, tmp_path: Path) -> None:
    train(tiny_data, tmp_path / "run", tiny_config(steps=3), device="cpu", board=True)
    assert list((tmp_path / "run" / "tensorboard").glob("events.*"))


@pytest.mark.parametrize("where", ["Feeder", "make_preprocessor"])
def test_a_start_that_failed_does_not_block_the_corrected_one(
    tiny_data: PackedData, tiny_config: TinyConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def fail(*_: Any) -> None:
        raise DataError("not enough")

    with monkeypatch.context() as patch:
        patch.setattr(training.run, where, fail)
        with pytest.raises(DataError, match="not enough"):
            train(tiny_data, tmp_path / "run", tiny_config(unpaired="images"), device="cpu")
    assert (tmp_path / "run").exists() == (where != "Feeder")
    train(tiny_data, tmp_path / "run", tiny_config(steps=2), device="cpu")
    assert RunFolder(tmp_path / "run").read_config().unpaired == "none"


@pytest.mark.parametrize("content", ['{"name": "my web site"}', '{"schema": 1, "model": {}}'])
def test_a_configuration_of_something_else_is_not_overwritten(
    tiny_data: PackedData, tiny_config: TinyConfig, tmp_path: Path, content: str
) -> None:
    (tmp_path / "config.json").write_text(content)
    for resume in (False, True):
        with pytest.raises(RunError, match=r"config.json is not a training run's; name another folder"):
            train(tiny_data, tmp_path, tiny_config(), device="cpu", resume=resume)
    assert (tmp_path / "config.json").read_text() == content


def test_a_bundle_that_can_not_be_written_says_how_to_go_on(
    tiny_data: PackedData, tiny_config: TinyConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"

    def full(self: Bundle, path: Path) -> None:
        raise BundleError(f"the bundle could not be written to {path}")

    with monkeypatch.context() as patch:
        patch.setattr(Bundle, "save", full)
        with pytest.raises(RunError, match=f"written to {out / 'model'}, and go on with: bma train .* --resume"):
            train(tiny_data, out, tiny_config(steps=1), device="cpu")
    assert train(tiny_data, out, tiny_config(steps=1), device="cpu", resume=True).fingerprint


def test_data_without_what_is_asked_for_is_refused(tiny_rows: Path, tmp_path: Path, tiny_config: TinyConfig) -> None:
    for name in ("images", "sounds"):
        (tmp_path / name).symlink_to(tiny_rows.parent / name)
    write_rows(tmp_path / "rows.csv", [row for row in read_rows(tiny_rows) if row.split != "unpaired"])
    with pytest.raises(DataError, match="has 0 rows of split 'unpaired' with a sound"):
        train(open_data(tmp_path, 32, 8000), tmp_path / "run", tiny_config(unpaired="sounds"), device="cpu")


def test_without_labels_there_are_no_heads(tiny_rows: Path, tmp_path: Path, tiny_config: TinyConfig) -> None:
    for name in ("images", "sounds"):
        (tmp_path / name).symlink_to(tiny_rows.parent / name)
    write_rows(tmp_path / "rows.csv", [Row(row.split, "", row.image, row.sound) for row in read_rows(tiny_rows)])
    bundle = train(open_data(tmp_path, 32, 8000), tmp_path / "run", tiny_config(steps=1), device="cpu")
    assert bundle.heads == load_bundle(tmp_path / "run" / "model").heads == {}


def test_log_mels_of_the_training_pairs_are_normalised(tiny_data: PackedData, tiny_config: TinyConfig) -> None:
    from training.model.preprocess import windows

    config = tiny_config().preprocess_config
    preprocessor = make_preprocessor(tiny_data, config, find_pools(tiny_data)["pairs"])
    pairs = [sound for row, (_, sound) in zip(tiny_data.rows, tiny_data.index, strict=True) if row.is_pair]
    cut = [windows(torch.from_numpy(np.array(tiny_data.wave(sound))), config.window_samples) for sound in pairs]
    log_mels = preprocessor.sound(torch.cat(cut))
    assert log_mels.mean().item() == pytest.approx(0, abs=1e-4)
    assert log_mels.std(correction=0).item() == pytest.approx(1, abs=1e-4)


def test_unpaired_items_may_be_left_out_from_a_step_on(
    tiny_data: PackedData, tiny_config: TinyConfig, tmp_path: Path
) -> None:
    config = tiny_config(steps=6, unpaired="both", unpaired_until=0.5)
    train(tiny_data, tmp_path / "run", config, device="cpu")
    records = metrics(tmp_path / "run")
    assert [record["step"] for record in records] == list(range(6))
    terms = {"loss_unpaired_sounds", "loss_unpaired_images"}
    assert all((terms <= record.keys()) == (record["step"] < 3) for record in records)
    assert all(record["loss"] == record["loss_pair"] for record in records[3:])
    feeder = Feeder(tiny_data, config, torch.device("cpu"))
    assert [len(feeder.rows(step)) for step in range(6)] == [3, 3, 3, 1, 1, 1]


def test_a_run_that_crashed_after_its_last_step_only_finishes(
    tiny_data: PackedData, tiny_config: TinyConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(training.run, "fit_heads", lambda features: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train(tiny_data, tmp_path / "run", tiny_config(), device="cpu")
    monkeypatch.setattr(Objective, "__call__", lambda *_: pytest.fail("a step was made"))
    bundle = train(tiny_data, tmp_path / "run", tiny_config(), device="cpu", resume=True)
    assert set(bundle.heads) == {"image", "sound"}
    assert len(metrics(tmp_path / "run")) == 6
