"""Checkpoints: exact, whole or absent, the last few kept, broken ones passed over."""

import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import training.checkpoint
from training.checkpoint import CheckpointError, Checkpoints
from training.model.device import place

CPU = torch.device("cpu")


def make(seed: int) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(seed)
    model = place(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 16, 2)), CPU)
    return model, torch.optim.Adam(model.parameters(), lr=0.1, fused=True)


def learn(model: nn.Module, optimizer: torch.optim.Optimizer, steps: range) -> list[float]:
    losses = []
    for step in steps:
        torch.manual_seed(step)
        loss: Tensor = model(torch.rand(5, 3, 6, 6)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_a_restored_model_goes_on_exactly_as_the_saved_one(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    model, optimizer = make(0)
    learn(model, optimizer, range(4))
    checkpoints.save(4, model, optimizer)
    expected = learn(model, optimizer, range(4, 10))
    again, again_optimizer = make(99)
    assert checkpoints.load_last(again, again_optimizer) == 4
    assert learn(again, again_optimizer, range(4, 10)) == expected
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


def test_moments_lie_in_memory_as_their_parameters_do(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    model, optimizer = make(0)
    learn(model, optimizer, range(2))
    checkpoints.save(2, model, optimizer)
    again, again_optimizer = make(1)
    checkpoints.load_last(again, again_optimizer)
    for parameter in again.parameters():
        for key in ("exp_avg", "exp_avg_sq"):
            assert again_optimizer.state[parameter][key].stride() == parameter.stride()


def test_only_the_last_three_are_kept(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for step in (0, 5, 10, 15, 100):
        checkpoints.save(step, *make(0))
    assert [file.name for file in checkpoints.files()] == [
        "step-00000010.safetensors",
        "step-00000015.safetensors",
        "step-00000100.safetensors",
    ]
    assert sorted(tmp_path.iterdir()) == checkpoints.files()  # and no drafts


def test_no_checkpoint_means_step_0(tmp_path: Path) -> None:
    model, optimizer = make(0)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert Checkpoints(tmp_path / "none").load_last(model, optimizer) == 0
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


BREAKAGES = ("truncated", "empty", "noise", "without a step", "of another model")


def break_file(file: Path, how: str) -> None:
    content = file.read_bytes()
    if how == "truncated":
        file.write_bytes(content[: len(content) // 2])
    elif how == "empty":
        file.write_bytes(b"")
    elif how == "noise":
        file.write_bytes(b"\xff" * 1000)
    elif how == "without a step":
        save_file({"model.x": torch.zeros(1)}, file)
    else:
        save_file({"model.x": torch.zeros(1)}, file, metadata={"step": "7"})


@pytest.mark.parametrize("how", BREAKAGES)
def test_behind_a_broken_newest_one_the_one_before_is_taken(tmp_path: Path, how: str) -> None:
    checkpoints = Checkpoints(tmp_path)
    model, optimizer = make(0)
    learn(model, optimizer, range(2))
    checkpoints.save(2, model, optimizer)
    expected = learn(model, optimizer, range(2, 5))
    break_file(checkpoints.save(5, model, optimizer), how)
    again, again_optimizer = make(1)
    assert checkpoints.load_last(again, again_optimizer) == 2
    assert learn(again, again_optimizer, range(2, 5)) == expected


@pytest.mark.parametrize("how", BREAKAGES)
def test_where_all_are_broken_that_is_said(tmp_path: Path, how: str) -> None:
    checkpoints = Checkpoints(tmp_path)
    for step in (1, 2):
        break_file(checkpoints.save(step, *make(0)), how)
    with pytest.raises(CheckpointError, match=r"no checkpoint in .* can be read; start another run in another folder"):
        checkpoints.load_last(*make(1))


def test_a_full_disk_leaves_the_earlier_ones_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, *make(0))
    content = checkpoints.files()[0].read_bytes()

    def fail(tensors: object, file: Path, metadata: object) -> None:
        file.write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(training.checkpoint, "write_tensors", fail)
    with pytest.raises(CheckpointError, match=r"of step 2 could not be written to .* \(No space left on device\)"):
        checkpoints.save(2, *make(0))
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [content]


def test_who_may_read_one_is_the_umasks_to_say(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        file = Checkpoints(tmp_path).save(1, *make(0))
    finally:
        os.umask(before)
    assert file.stat().st_mode & 0o777 == 0o640


def test_a_disk_without_room_for_what_a_run_writes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = nn.Linear(999, 1000)  # 4 MB, 12 MB with its moments
    usage = shutil.disk_usage(tmp_path)
    for free, kept, fits in ((48_000_000, 3, True), (47_999_999, 3, False), (24_000_000, 1, True), (10**7, 1, False)):
        monkeypatch.setattr(shutil, "disk_usage", lambda path, free=free: usage._replace(free=free))
        checkpoints = Checkpoints(tmp_path / "not" / "yet", kept)
        if fits:
            checkpoints.check_room(model)
        else:
            with pytest.raises(
                CheckpointError, match=r"needs 0.0[25] GB for its checkpoints, and 0.0[15] GB is free; make"
            ):
                checkpoints.check_room(model)


def test_as_many_are_kept_as_asked_for(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, 1)
    for step in (0, 5):
        checkpoints.save(step, *make(0))
    assert [file.name for file in checkpoints.files()] == ["step-00000005.safetensors"]


def test_a_broken_one_does_not_keep_its_place_once_a_step_before_it_is_saved(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, 1)
    model, optimizer = make(0)
    learn(model, optimizer, range(2))
    checkpoints.save(80, model, optimizer)
    content = checkpoints.files()[0].read_bytes()
    (tmp_path / "step-00000100.safetensors").write_bytes(content[:1000])
    assert checkpoints.load_last(model, optimizer) == 80
    checkpoints.save(85, model, optimizer)
    assert [file.name for file in checkpoints.files()] == ["step-00000085.safetensors"]
    assert checkpoints.load_last(*make(1)) == 85


def test_a_folder_that_can_not_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("a file")
    with pytest.raises(CheckpointError, match="could not be written"):
        Checkpoints(tmp_path / "checkpoints").save(1, *make(0))


def test_drafts_of_a_killed_run_are_not_taken_for_checkpoints(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    file = checkpoints.save(3, *make(0))
    left = tmp_path / ".step-draft-abcdefgh"
    left.mkdir()
    shutil.copy(file, left / "step-00000006.safetensors")
    assert checkpoints.files() == [file]
    assert checkpoints.load_last(*make(1)) == 3
    assert list(tmp_path.iterdir()) == [file]  # and they do not pile up
