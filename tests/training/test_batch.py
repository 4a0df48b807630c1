"""Which items a step sees: fair, the same whatever came before, and what the configuration asks for."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from training.batch import DataError, Feeder, Sampler, find_pools
from training.config import TrainingConfig
from training.data.pack import pack
from training.data.packed import PackedData
from training.data.rows import Row, write_rows

CPU = torch.device("cpu")
TinyConfig = Callable[..., TrainingConfig]
Feed = Callable[..., Feeder]


@pytest.fixture
def feed(tiny_data: PackedData, tiny_config: TinyConfig) -> Feed:
    def make(**changes: Any) -> Feeder:
        return Feeder(tiny_data, tiny_config(**changes), CPU)

    return make


def sampler(pool: int = 10, batch_size: int = 4, seed: int = 0) -> Sampler:
    pools = {"pairs": np.arange(100, 100 + pool), "unpaired sounds": np.arange(100, 100 + pool)}
    return Sampler(pools, batch_size, seed)


@pytest.mark.parametrize(("pool", "batch_size"), [(10, 4), (12, 4), (7, 7), (3, 8), (5, 12), (2, 2)])
def test_every_epoch_draws_each_item_once(pool: int, batch_size: int) -> None:
    drawn = np.concatenate([sampler(pool, batch_size).draw("pairs", step) for step in range(4 * pool)])
    assert len(drawn) == 4 * pool * batch_size
    for epoch in range(len(drawn) // pool):
        part = drawn[epoch * pool : (epoch + 1) * pool]
        assert sorted(part) == list(range(100, 100 + pool))


def test_a_step_does_not_depend_on_what_was_drawn_before() -> None:
    one = sampler()
    in_order = [one.draw("pairs", step).tolist() for step in range(20)]
    backwards = [sampler().draw("pairs", step).tolist() for step in reversed(range(20))]
    assert in_order == backwards[::-1]


def test_epochs_seeds_and_kinds_are_shuffled_each_in_its_own_way() -> None:
    one = sampler(50, 50)
    orders = [one.draw("pairs", 0), one.draw("pairs", 1), one.draw("unpaired sounds", 0)]
    orders.append(sampler(50, 50, seed=1).draw("pairs", 0))
    assert len({tuple(order.tolist()) for order in orders}) == 4


def test_a_feeders_batch_depends_on_step_and_random_state_alone(feed: Feed) -> None:
    first = feed(unpaired="both")
    for step in range(3):
        first.batch(step)
    torch.manual_seed(7)
    mine = first.batch(3)
    torch.manual_seed(7)
    theirs = feed(unpaired="both").batch(3)
    for a, b in (
        (mine.pairs, theirs.pairs),
        (mine.unpaired_sounds, theirs.unpaired_sounds),
        (mine.unpaired_images, theirs.unpaired_images),
    ):
        assert a is not None
        assert b is not None
        assert torch.equal(a.clip, b.clip)
        for x, y in ((a.images, b.images), (a.windows, b.windows)):
            assert (x is None) == (y is None)
            assert x is None or y is None or torch.equal(x, y)


def test_pools_hold_what_the_split_says(tiny_data: PackedData) -> None:
    pools = find_pools(tiny_data)
    rows = tiny_data.rows
    assert len(pools["pairs"]) == 12
    assert all(rows[n].split == "train" and rows[n].image and rows[n].sound for n in pools["pairs"])
    for kind, column in (("unpaired sounds", "sound"), ("unpaired images", "image")):
        assert len(pools[kind]) == 4
        assert all(rows[n].split == "unpaired" and getattr(rows[n], column) for n in pools[kind])


@pytest.mark.parametrize(
    ("unpaired", "sounds", "images"),
    [("none", False, False), ("sounds", True, False), ("images", False, True), ("both", True, True)],
)
def test_a_batch_holds_the_unpaired_items_that_are_asked_for(
    feed: Feed, unpaired: str, sounds: bool, images: bool
) -> None:
    batch = feed(unpaired=unpaired).batch(0)
    assert batch.pairs.images is not None
    assert batch.pairs.windows is not None
    assert batch.pairs.images.shape == (6, 3, 32, 32)
    assert batch.pairs.images.dtype == torch.uint8
    assert batch.pairs.windows.shape == (6, 4000)
    assert batch.pairs.windows.dtype == torch.int16
    assert (batch.unpaired_sounds is not None) == sounds
    assert (batch.unpaired_images is not None) == images
    if batch.unpaired_sounds is not None:
        assert batch.unpaired_sounds.images is None
        assert batch.unpaired_sounds.windows is not None
        assert len(batch.unpaired_sounds.windows) == 6
    if batch.unpaired_images is not None:
        assert batch.unpaired_images.windows is None
        assert batch.unpaired_images.images is not None
        assert len(batch.unpaired_images.images) == 6


def test_image_sound_and_clip_of_a_pair_belong_together(feed: Feed, tiny_data: PackedData) -> None:
    feeder = feed()
    rows = feeder.sampler.draw("pairs", 1)
    pairs = feeder.batch(1).pairs
    assert pairs.images is not None
    assert pairs.windows is not None
    for place, row in enumerate(rows):
        image, sound = tiny_data.index[row]
        assert pairs.clip[place] == tiny_data.clips[row]
        assert np.array_equal(pairs.images[place].numpy(), tiny_data.images[image])
        assert is_window_of(pairs.windows[place].numpy(), tiny_data.wave(sound))


def is_window_of(window: npt.NDArray[np.int16], wave: npt.NDArray[np.int16]) -> bool:
    """Whether the window is a stretch of the wave, or a shorter wave repeated."""
    if len(wave) < len(window):
        return np.array_equal(window, np.resize(wave, len(window)))
    starts = np.flatnonzero(wave[: len(wave) - len(window) + 1] == window[0])
    return any(np.array_equal(wave[start : start + len(window)], window) for start in starts)


def test_windows_are_drawn_anew_and_reach_both_ends(tiny_data: PackedData, tiny_config: TinyConfig) -> None:
    counting = np.arange(4010, dtype=np.int16)  # a sample says where it stood
    feeder = Feeder(replace(tiny_data, waves=counting, offsets=np.array([0, 4010])), tiny_config(), CPU)
    torch.manual_seed(0)
    windows = feeder._gather_windows(np.zeros(300, dtype=np.int32)).numpy()
    assert (np.diff(windows, axis=1) == 1).all()
    assert set(windows[:, 0].tolist()) == set(range(11))


def test_items_read_from_disk_are_those_held_in_memory(
    tiny_data: PackedData, tiny_config: TinyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(unpaired="both")
    held = Feeder(tiny_data, config, CPU)
    monkeypatch.setattr("training.batch._free_memory", lambda device: 0)
    mapped = Feeder(tiny_data, config, CPU)
    assert held.images is not None
    assert mapped.images is None
    batches = []
    for feeder in (held, mapped):
        torch.manual_seed(1)
        batches.append(feeder.batch(5).pairs)
    assert batches[0].images is not None
    assert batches[1].images is not None
    assert batches[0].windows is not None
    assert batches[1].windows is not None
    assert torch.equal(batches[0].images, batches[1].images)
    assert torch.equal(batches[0].windows, batches[1].windows)


@pytest.mark.parametrize("unpaired", ["none", "sounds", "images"])
def test_what_the_data_lacks_is_said(tiny_rows: Path, tmp_path: Path, tiny_config: TinyConfig, unpaired: str) -> None:
    """Each case leaves out one kind of row."""
    kept = {"none": "unpaired", "sounds": "train", "images": "train"}[unpaired]
    source = pack(tiny_rows, tmp_path / "all", 32, 8000)
    rows = [row for row in source.rows if row.split == kept]
    folder = tiny_rows.parent
    absolute = [
        Row(
            split=row.split,
            image=str(folder / row.image) if row.image else "",
            sound=str(folder / row.sound) if row.sound else "",
        )
        for row in rows
    ]
    write_rows(tmp_path / "rows.csv", absolute)
    data = pack(tmp_path / "rows.csv", tmp_path / "some", 32, 8000)
    message = {
        "none": "has 0 rows of split 'train' with both an image and a sound; training needs at least 2",
        "sounds": "has 0 rows of split 'unpaired' with a sound; training needs at least 2",
        "images": "has 0 rows of split 'unpaired' with an image; training needs at least 2",
    }[unpaired]
    with pytest.raises(DataError, match=message):
        Feeder(data, tiny_config(unpaired=unpaired), CPU)


def test_a_pair_whose_file_can_not_be_read_is_in_no_pool(
    write_rows_and_media: Callable[[Path], Path], tmp_path: Path
) -> None:
    rows_file = write_rows_and_media(tmp_path)
    (tmp_path / "images/train-03.jpg").write_bytes(b"broken")
    data = pack(rows_file, tmp_path / "packed", 32, 8000)
    pools = find_pools(data)
    assert len(pools["pairs"]) == 11
    assert 3 not in pools["pairs"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gathers_the_same_items(tiny_data: PackedData, tiny_config: TinyConfig) -> None:
    batches = []
    for device in (CPU, torch.device("cuda")):
        torch.manual_seed(1)
        batches.append(Feeder(tiny_data, tiny_config(unpaired="both"), device).batch(3))
    for kind in ("pairs", "unpaired_sounds"):
        mine, theirs = getattr(batches[0], kind), getattr(batches[1], kind)
        assert torch.equal(mine.clip, theirs.clip.cpu())
        assert torch.equal(mine.windows, theirs.windows.cpu())
