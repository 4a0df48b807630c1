"""metrics.jsonl: one object a step, each step once, whatever interrupted the run."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import training.log
from training.log import LogError, MetricsLog


def read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def write(file: Path, first: int, last: int, offset: float = 0.0) -> None:
    log = MetricsLog(file, first, 100, 8)
    for step in range(first, last):
        log.add(step, {"loss": torch.tensor(step + offset), "loss_pair": torch.tensor(1.0)})
    log.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


def test_every_step_is_one_object_with_its_losses_and_the_rate(file: Path) -> None:
    write(file, 0, 25)
    records = read(file)
    assert [record["step"] for record in records] == list(range(25))
    assert [record["loss"] for record in records] == list(range(25))
    assert all(record["loss_pair"] == 1.0 and record["samples_per_second"] > 0 for record in records)


def test_it_is_written_at_least_every_ten_steps(file: Path) -> None:
    log = MetricsLog(file, 0, 100, 8)
    for step in range(19):
        log.add(step, {"loss": torch.tensor(1.0)})
    assert len(read(file)) == 10
    log.add(19, {"loss": torch.tensor(1.0)})
    assert len(read(file)) == 20
    log.close()


def test_scalars_may_come_and_go(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(training.log.time, "perf_counter", lambda: now)
    log = MetricsLog(file, 0, 100, 8)
    for step in range(3):
        log.add(step, {"loss": torch.tensor(2.0), "loss_unpaired_sounds": torch.tensor(1.0)})
    now = 100.5
    log.add(3, {"loss": torch.tensor(1.0)}, items=4)
    now = 101.0
    log.close()
    records = read(file)
    assert [record.get("loss_unpaired_sounds") for record in records] == [1.0, 1.0, 1.0, None]
    assert [record["samples_per_second"] for record in records] == [48, 48, 48, 8]


def test_it_is_written_at_least_every_second(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(training.log.time, "perf_counter", lambda: now)
    log = MetricsLog(file, 0, 100, 8)
    log.add(0, {"loss": torch.tensor(1.0)})
    assert read(file) == []
    now = 101.0
    log.add(1, {"loss": torch.tensor(1.0)})
    assert len(read(file)) == 2
    log.close()


def test_flush_gives_the_last_steps_scalars(file: Path) -> None:
    log = MetricsLog(file, 0, 100, 8)
    assert log.flush() == {}
    log.add(0, {"loss": torch.tensor(2.0)})
    log.add(1, {"loss": torch.tensor(float("nan"))})
    assert str(log.flush()["loss"]) == "nan"
    log.close()


def test_what_add_has_written_is_not_forgotten(file: Path) -> None:
    log = MetricsLog(file, 0, 100, 8)
    for step in range(10):
        log.add(step, {"loss": torch.tensor(float("inf") if step == 4 else 2.0)})
    assert len(read(file)) == 10
    assert log.flush() == {"loss": 2.0}
    assert log.diverged == (4, float("inf"))
    log.add(10, {"loss": torch.tensor(float("nan"))})
    log.flush()
    assert log.diverged == (4, float("inf"))
    log.close()


def test_the_rate_counts_items(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(training.log.time, "perf_counter", lambda: now)
    log = MetricsLog(file, 0, 100, 8)
    log.add(0, {"loss": torch.tensor(1.0)})
    now = 0.5
    log.add(1, {"loss": torch.tensor(1.0)})
    log.flush()
    assert [record["samples_per_second"] for record in read(file)] == [32.0, 32.0]
    log.close()


def test_the_share_of_time_spent_waiting_for_data_is_of_the_steps_written_together(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(training.log.time, "perf_counter", lambda: now)
    log = MetricsLog(file, 0, 100, 8)
    for step, (now, waited) in enumerate([(0.5, 0.1), (2.0, 0.5), (4.0, 2.0)]):  # noqa: B007 - the clock reads it
        log.add(step, {"loss": torch.tensor(1.0)}, waited=waited)
    log.close()
    assert [record["data_wait"] for record in read(file)] == [0.25, 0.25, 0.75]


def test_what_was_known_before_a_step_stands_beside_what_it_computed(file: Path) -> None:
    log = MetricsLog(file, 0, 100, 8)
    log.add(0, {"loss": torch.tensor(1.0)}, {"learning_rate": 0.5})
    log.close()
    (record,) = read(file)
    assert list(record) == ["step", "loss", "learning_rate", "samples_per_second", "data_wait"]
    assert record["learning_rate"] == 0.5


def read_board(folder: Path) -> dict[str, dict[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    tags = accumulator.Tags()["scalars"]
    return {tag: {event.step: event.value for event in accumulator.Scalars(tag)} for tag in tags}


def test_tensorboard_is_told_the_same(file: Path, tmp_path: Path) -> None:
    for first, last in ((0, 12), (8, 15)):  # the second goes on from step 8
        with MetricsLog(file, first, 100, 8, board=tmp_path / "board") as log:
            for step in range(first, last):
                log.add(step, {"loss": torch.tensor(step + first / 16)}, {"learning_rate": 0.25})
    told = read_board(tmp_path / "board")
    records = read(file)
    assert set(told) == {"loss", "learning_rate", "samples_per_second", "data_wait"}
    assert told["loss"] == {record["step"]: record["loss"] for record in records}
    assert told["loss"][8] == 8.5


def test_without_tensorboard_asking_for_it_says_what_to_install(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(LogError, match=r"say pip install '\.\[tensorboard\]'"):
        MetricsLog(file, 0, 100, 8, board=tmp_path / "board")


def test_going_on_at_a_step_drops_what_was_written_from_there(file: Path) -> None:
    write(file, 0, 20)
    write(file, 12, 25, offset=0.5)
    records = read(file)
    assert [record["step"] for record in records] == list(range(25))
    assert [record["loss"] for record in records] == [*range(12), *(step + 0.5 for step in range(12, 25))]


def test_a_new_run_starts_an_empty_log(file: Path) -> None:
    write(file, 0, 5)
    write(file, 0, 2)
    assert len(read(file)) == 2


@pytest.mark.parametrize("tail", ['{"step": 12, "lo', "\x00\x00\x00"])
def test_a_line_that_a_kill_cut_short_is_dropped(file: Path, tail: str) -> None:
    write(file, 0, 12)
    with file.open("a", encoding="utf-8") as stream:
        stream.write(tail)
    write(file, 12, 14)
    assert [record["step"] for record in read(file)] == list(range(14))


def test_the_graph_of_a_loss_is_not_kept(file: Path) -> None:
    log = MetricsLog(file, 0, 100, 8)
    log.add(0, {"loss": torch.tensor(1.0, requires_grad=True) * 2})
    assert not any(value.requires_grad for _, scalars, _ in log.waiting for value in scalars.values())
    log.close()


def test_a_full_disk_is_said_with_the_file_and_the_remedy(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.jsonl", 0, 100, 8)
    assert log.stream is not None
    log.stream.close()
    log.stream = open("/dev/full", "a", encoding="utf-8")  # noqa: PTH123, SIM115 - a disk that is always full
    log.add(0, {"loss": torch.tensor(1.0)})
    told = r"metrics.jsonl can't be written \(No space left on device\); make room there and go on with --resume"
    with pytest.raises(LogError, match=told):
        log.flush()
    with pytest.raises(OSError, match="No space left"):  # what the stream still holds
        log.stream.close()


def test_what_went_wrong_first_is_not_hidden_by_a_full_disk(tmp_path: Path) -> None:
    def work() -> None:
        with MetricsLog(tmp_path / "metrics.jsonl", 0, 100, 8) as log:
            assert log.stream is not None
            log.stream.close()
            log.stream = open("/dev/full", "a", encoding="utf-8")  # noqa: PTH123, SIM115 - always full
            log.add(0, {"loss": torch.tensor(1.0)})
            raise KeyError("the first")

    with pytest.raises(KeyError, match="the first"):
        work()


def test_a_log_that_can_not_be_rewritten_keeps_its_lines(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is resumed on a full disk must not lose what it had."""
    write(file, 0, 20)

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(LogError, match="No space left"):
        MetricsLog(file, 10, 100, 8)
    assert len(read(file)) == 20
