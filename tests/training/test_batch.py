"""Which items a step sees: fair, the same whatever came before, and what the configuration asks for."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from training.batch import AHEAD, Batch, DataError, Feeder, Sampler, choose_pools, find_pools
from training.config import TrainingConfig
from training.data.pack import pack
from training.data.packed import PackedData
from training.data.rows import Row, write_rows
from training.ranks import Ranks

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


def assert_same(mine: Batch, theirs: Batch) -> None:
    for name in vars(mine):
        a, b = getattr(mine, name), getattr(theirs, name)
        assert (a is None) == (b is None)
        for part in vars(a) if a is not None else ():
            x, y = getattr(a, part), getattr(b, part)
            assert (x is None) == (y is None)
            assert x is None or torch.equal(x.cpu(), y.cpu())


def test_a_feeders_batch_depends_on_seed_and_step_alone(feed: Feed) -> None:
    first = feed(unpaired="both")
    for step in range(3):
        first.batch(step)
    torch.manual_seed(7)
    assert_same(first.batch(3), feed(unpaired="both").batch(3))
    with pytest.raises(AssertionError):
        assert_same(first.batch(3), feed(unpaired="both", seed=1).batch(3))


def test_batches_that_are_gathered_ahead_are_those_of_their_steps(feed: Feed) -> None:
    feeder = feed(unpaired="both")
    ahead = list(feeder.batches(2, 14))
    assert len(ahead) == 12
    for step, batch in enumerate(ahead, start=2):
        assert_same(batch, feeder.batch(step))


def test_only_a_few_batches_are_gathered_ahead_and_none_beyond_the_last(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    feeder, asked = feed(), []
    gather = feeder._gather

    def note(step: int) -> Batch:
        asked.append(step)
        return gather(step)

    monkeypatch.setattr(feeder, "_gather", note)
    batches = feeder.batches(0, 100)
    next(batches)
    next(batches)
    assert max(asked) < 2 + AHEAD
    batches.close()
    asked.clear()
    list(feeder.batches(0, 2))
    assert sorted(asked) == [0, 1]


def test_what_goes_wrong_in_gathering_is_raised_where_the_batch_is_asked_for(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    feeder = feed()

    def fail(step: int) -> Batch:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(feeder, "_gather", fail)
    with pytest.raises(OSError, match="Input/output error"):
        next(feeder.batches(0, 3))


def test_time_spent_waiting_for_data_is_counted(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    feeder = feed()
    gather = feeder._gather

    def slow(step: int) -> Batch:
        time.sleep(0.05)
        return gather(step)

    monkeypatch.setattr(feeder, "_gather", slow)
    assert feeder.waited == 0
    for _ in feeder.batches(0, 1):
        time.sleep(0.5)  # the step's own time is not the data's
    assert 0.04 <= feeder.waited < 0.5


@pytest.mark.parametrize("count", [2, 3])
def test_ranks_share_a_batch_without_loss_or_overlap(
    tiny_data: PackedData, tiny_config: TinyConfig, count: int
) -> None:
    config = tiny_config(unpaired="both")
    whole = Feeder(tiny_data, config, CPU).batch(4)
    parts = [Feeder(tiny_data, config, CPU, Ranks(rank, count)).batch(4) for rank in range(count)]
    for name in vars(whole):
        for part in vars(whole.pairs):
            expected = getattr(getattr(whole, name), part)
            if expected is not None:
                assert torch.equal(torch.cat([getattr(getattr(batch, name), part) for batch in parts]), expected)


def test_the_rows_of_a_step_are_told(feed: Feed) -> None:
    feeder = feed(unpaired="sounds")
    assert feeder.rows(3) == {kind: feeder.sampler.draw(kind, 3).tolist() for kind in ("pairs", "unpaired sounds")}


def test_pools_hold_what_the_split_says(tiny_data: PackedData) -> None:
    pools = find_pools(tiny_data)
    rows = tiny_data.rows
    assert len(pools["pairs"]) == 12
    assert all(rows[n].split == "train" and rows[n].image and rows[n].sound for n in pools["pairs"])
    for kind, column in (("unpaired sounds", "sound"), ("unpaired images", "image")):
        assert len(pools[kind]) == 4
        assert all(rows[n].split == "unpaired" and getattr(rows[n], column) for n in pools[kind])


def test_an_unpaired_sound_may_come_with_two_windows(feed: Feed, tiny_data: PackedData) -> None:
    one, two = feed(unpaired="sounds"), feed(unpaired="sounds", separate_windows=True)
    single, double = one.batch(1).unpaired_sounds, two.batch(1).unpaired_sounds
    assert single is not None
    assert double is not None
    assert single.windows is not None
    assert double.windows is not None
    n = len(single.clip)
    assert double.windows.shape == (2 * n, two.samples)
    assert torch.equal(double.windows[:n], single.windows)
    assert torch.equal(double.clip, single.clip)
    second = two._gather_windows(
        tiny_data.index[two.sampler.draw("unpaired sounds", 1), 1], two.sampler.chances("unpaired sounds", 1, 2)
    )
    assert torch.equal(double.windows[n:], second)
    assert not torch.equal(double.windows[:n], second)


def test_shares_draw_a_part_of_the_pairs_and_of_the_unpaired_items(
    tiny_data: PackedData, tiny_config: Callable[..., TrainingConfig]
) -> None:
    whole = find_pools(tiny_data)

    def chosen(seed: int, pairs: float = 1.0, unpaired: float = 1.0) -> dict[str, list[int]]:
        config = tiny_config(seed=seed, paired_share=pairs, unpaired_share=unpaired)
        return {kind: rows.tolist() for kind, rows in choose_pools(tiny_data, config).items()}

    assert chosen(0) == {kind: rows.tolist() for kind, rows in whole.items()}
    half = chosen(0, pairs=0.5, unpaired=0.75)
    assert {kind: len(rows) for kind, rows in half.items()} == {"pairs": 6, "unpaired sounds": 3, "unpaired images": 3}
    assert all(set(rows) <= set(whole[kind].tolist()) for kind, rows in half.items())
    assert half == chosen(0, pairs=0.5, unpaired=0.75)
    assert half != chosen(1, pairs=0.5, unpaired=0.75)
    assert set(chosen(0, pairs=0.25)["pairs"]) < set(half["pairs"])
    assert set(Feeder(tiny_data, tiny_config(paired_share=0.5), CPU).sampler.draw("pairs", 0)) <= set(half["pairs"])


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
    chances = np.random.default_rng(0).random(300)
    windows = feeder._gather_windows(np.zeros(300, dtype=np.int32), chances).numpy()
    assert (np.diff(windows, axis=1) == 1).all()
    assert set(windows[:, 0].tolist()) == set(range(11))


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
    config = tiny_config(unpaired="both")
    expected = Feeder(tiny_data, config, CPU).batch(3)
    resident = Feeder(tiny_data, config, torch.device("cuda"))
    assert resident.resident
    assert_same(resident.batch(3), expected)
    resident.resident, resident.images, resident.waves = False, None, None  # as where they do not fit
    (batch,) = resident.batches(3, 4)
    assert_same(batch, expected)
