"""A run's own configuration, also where an older version wrote it."""

import json
from collections.abc import Callable
from pathlib import Path

from training.config import TrainingConfig
from training.data.packed import PackedData
from training.run_folder import RunFolder

TinyConfig = Callable[..., TrainingConfig]


def test_keys_that_an_older_version_did_not_know_say_what_it_did(
    tiny_data: PackedData, tiny_config: TinyConfig, tmp_path: Path
) -> None:
    """It had one key for the crops of pairs and of unpaired images, and no key for the heads."""
    folder = RunFolder(tmp_path / "run")
    config = tiny_config(crop_scale=0.3, colour_jitter=0.2, paired_crop_scale=0.3, paired_colour_jitter=0.2)
    folder.claim(config, tiny_data)
    content = json.loads(folder.config.read_text())
    for key in ("paired_crop_scale", "paired_colour_jitter", "separate_heads"):
        del content[key]
    folder.config.write_text(json.dumps(content))
    assert folder.read_config() == config
    (folder.path / "checkpoints").mkdir()
    (folder.path / "checkpoints" / "step-00000008.safetensors").touch()
    assert folder.is_begun(folder.read_config(), tiny_data, resume=True)


def test_keys_of_today_are_read_as_they_are(tiny_data: PackedData, tiny_config: TinyConfig, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    config = tiny_config(crop_scale=0.3, paired_crop_scale=0.7, tau_l=0.5)
    folder.claim(config, tiny_data)
    assert folder.read_config() == config
