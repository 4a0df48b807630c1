"""What a GPU must do as a CPU does; all of it skipped where there is none."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from training.augment.simclr import SimCLRAugment
from training.augment.spec import SpecAugment
from training.batch import Feeder
from training.config import TrainingConfig
from training.data.packed import PackedData
from training.learner import Learner
from training.model.embedder import Embedder
from training.model.preprocess import Preprocessor
from training.ranks import Ranks
from training.run import make_preprocessor, train

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
GPU = torch.device("cuda")
TinyConfig = Callable[..., TrainingConfig]


@pytest.mark.parametrize("augment", [SimCLRAugment(), SpecAugment(2, 10, 12)])
def test_augmentations_draw_the_same_as_on_a_cpu(augment: Callable[[torch.Tensor], torch.Tensor]) -> None:
    shape = (16, 3, 64, 64) if isinstance(augment, SimCLRAugment) else (16, 1, 40, 50)
    inputs = torch.rand(shape)
    torch.manual_seed(5)
    expected = augment(inputs)
    torch.manual_seed(5)
    torch.testing.assert_close(augment(inputs.to(GPU)).cpu(), expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("resident", [True, False])
def test_a_step_never_waits_for_the_device(tiny_data: PackedData, tiny_config: TinyConfig, resident: bool) -> None:
    config = tiny_config(unpaired="both", paired_augment=True, precision="bf16")
    feeder = Feeder(tiny_data, config, GPU)
    preprocessor = make_preprocessor(tiny_data, config.preprocess_config, feeder.pools["pairs"]).to(GPU)
    learner = Learner(config, preprocessor, Ranks(device=GPU))
    if not resident:
        feeder.resident, feeder.images, feeder.waves = False, None, None
    for step, batch in enumerate(feeder.batches(0, 6)):
        if step == 3:  # warm by now
            torch.cuda.set_sync_debug_mode("error")
        try:
            learner.learn(step, batch)
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.fixture(params=[{"precision": "bf16"}, {"precision": "fp32"}, {"precision": "bf16", "compile": True}])
def config(request: pytest.FixtureRequest, tiny_config: TinyConfig) -> Iterator[TrainingConfig]:
    changes: dict[str, Any] = request.param
    yield tiny_config(unpaired="both", **changes)
    torch.compiler.reset()


def test_a_run_resumes_and_its_bundle_serves_on_a_cpu(
    tiny_data: PackedData, config: TrainingConfig, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    train(tiny_data, out, config, device="cuda")
    (out / "model").rename(tmp_path / "first")
    (out / "checkpoints" / "step-00000006.safetensors").unlink()
    train(tiny_data, out, config, device="cuda", resume=True)
    waves = [np.array(tiny_data.wave(0))]
    images = [np.array(tiny_data.images[0])]
    for place in (tmp_path / "first", out / "model"):
        here, there = Embedder(place, "cpu", "fp32"), Embedder(place, "cuda", "bf16")
        for mine, theirs in (
            (here.embed_images(images), there.embed_images(images)),
            (here.embed_sounds(waves), there.embed_sounds(waves)),
        ):
            assert float((mine.z * theirs.z).sum()) > 0.999


def test_log_mels_are_a_cpus(tiny_config: TinyConfig) -> None:
    preprocessor = Preprocessor(tiny_config().preprocess_config)
    windows = torch.randint(-9000, 9000, (4, preprocessor.config.window_samples), dtype=torch.int16)
    expected = preprocessor.sound(windows)
    torch.testing.assert_close(preprocessor.to(GPU).sound(windows.to(GPU)).cpu(), expected, atol=1e-3, rtol=1e-3)
