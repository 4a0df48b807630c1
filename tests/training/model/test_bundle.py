"""A bundle comes back as it was saved, or says in one sentence what is wrong with it."""

from __future__ import annotations

import json
import os
import pickle
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.conftest import no_superuser
from training.model.bundle import CAME_WITH_2, CONFIG, HEADS, WEIGHTS, Bundle, BundleError, load_bundle
from training.model.config import ModelConfig, PreprocessConfig


@pytest.fixture
def saved(bundle: Bundle, tmp_path: Path) -> Path:
    path = tmp_path / "runs" / "model"
    bundle.save(path)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(BundleError) as caught:
        load_bundle(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert (
        message.split(";")[-1]
        .strip()
        .startswith(("copy ", "train ", "use ", "the folder ", "name ", "check ", "go on "))
    )
    return message


def edit_config(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    config = json.loads((path / CONFIG).read_text(encoding="utf-8"))
    change(config)
    (path / CONFIG).write_text(json.dumps(config), encoding="utf-8")


def test_a_bundle_comes_back_as_it_was_saved(bundle: Bundle, saved: Path) -> None:
    loaded = load_bundle(str(saved))
    assert sorted(file.name for file in saved.iterdir()) == sorted([CONFIG, WEIGHTS, HEADS])
    assert loaded.model.config == bundle.model.config
    assert loaded.preprocessor.config == bundle.preprocessor.config
    assert (loaded.preprocessor.mean, loaded.preprocessor.std) == (-5.0, 4.0)
    assert loaded.training == bundle.training
    assert loaded.name == f"bma-test-{loaded.fingerprint[:8]}"
    before, after = bundle.model.state_dict(), loaded.model.state_dict()
    assert before.keys() == after.keys()
    for key, tensor in before.items():
        assert torch.equal(tensor, after[key]), key
        assert tensor.dtype == after[key].dtype
    assert loaded.heads.keys() == bundle.heads.keys()
    for modality, head in bundle.heads.items():
        assert torch.equal(head.weight, loaded.heads[modality].weight)
        assert torch.equal(head.bias, loaded.heads[modality].bias)
        assert head.labels == loaded.heads[modality].labels


def test_a_loaded_model_is_ready_to_use_and_frozen(bundle: Bundle, saved: Path) -> None:
    model = load_bundle(saved).model
    assert not any(module.training for module in model.modules())
    assert not any(parameter.requires_grad for parameter in model.parameters())
    x = torch.linspace(0, 1, 3 * 40 * 40).reshape(1, 3, 40, 40)
    assert torch.equal(model.encode(x, "image"), bundle.model.encode(x, "image"))


def test_a_bundle_without_heads_comes_back_without_heads(bundle_of: Callable[..., Bundle], tmp_path: Path) -> None:
    bundle_of(heads=False).save(tmp_path / "model")
    assert load_bundle(tmp_path / "model").heads == {}


def test_the_fingerprint_is_that_of_what_is_on_disk(bundle_of: Callable[..., Bundle], tmp_path: Path) -> None:
    def fingerprint(name: str, bundle: Bundle) -> str:
        bundle.save(tmp_path / name)
        assert load_bundle(tmp_path / name).fingerprint == bundle.fingerprint
        return bundle.fingerprint

    first = fingerprint("a", bundle_of())
    assert len(first) == 64
    assert fingerprint("b", bundle_of()) == first

    touched = bundle_of()
    with torch.no_grad():
        touched.model.memory.visual[3, 4] += 1e-3
    retrained, unlabelled, rescaled = bundle_of(), bundle_of(heads=False), bundle_of()
    retrained.training["seed"] = 9
    rescaled.preprocessor.mean = -5.5
    others = [fingerprint(str(n), bundle) for n, bundle in enumerate((touched, retrained, unlabelled, rescaled))]
    assert len({first, *others}) == 5


def test_saving_replaces_a_bundle_as_a_whole(bundle_of: Callable[..., Bundle], saved: Path) -> None:
    (saved / "stray.txt").write_text("left by someone")
    new = bundle_of(salt=2, heads=False)
    new.save(saved)
    assert load_bundle(saved).fingerprint == new.fingerprint
    assert load_bundle(saved).heads == {}
    assert [file.name for file in saved.parent.iterdir()] == ["model"]
    assert not (saved / "stray.txt").exists()


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_who_may_read_its_files_is_the_umasks_to_say(bundle: Bundle, tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        bundle.save(tmp_path / "model")
    finally:
        os.umask(before)
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "model").iterdir()} == {mode}


def test_a_failed_replacement_leaves_the_old_bundle(
    bundle_of: Callable[..., Bundle], saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = load_bundle(saved).fingerprint
    rename = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if target == saved and self.name != "old":
            raise OSError("disk full")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(BundleError, match=r"could not be written to .* \(disk full\); make room there"):
        bundle_of(salt=2).save(saved)
    assert load_bundle(saved).fingerprint == old
    assert [file.name for file in saved.parent.iterdir()] == ["model"]


def test_a_full_disk_is_said_in_one_sentence(bundle: Bundle, saved: Path) -> None:
    old = load_bundle(saved).fingerprint
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(BundleError) as caught:
            bundle.save(saved)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    message = str(caught.value)
    assert message.startswith(f"the bundle could not be written to {saved} (")
    assert message.endswith("; make room there, or choose another folder")
    assert "\n" not in message
    assert load_bundle(saved).fingerprint == old
    assert [file.name for file in saved.parent.iterdir()] == ["model"]


def test_what_a_killed_save_left_goes_once_the_bundle_is_whole(bundle: Bundle, saved: Path) -> None:
    """Killed between the renames: the old bundle lies in a draft, and goes only when a new one is in its place."""
    left = saved.parent / ".model-draft-abcdefgh"
    left.mkdir()
    saved.rename(left / "old")
    (saved.parent / "file").write_text("not a bundle")
    with pytest.raises(FileExistsError):
        bundle.save(saved.parent / "file")
    assert load_bundle(left / "old")
    bundle.save(saved)
    assert {file.name for file in saved.parent.iterdir()} == {"model", "file"}


def test_a_failed_write_leaves_the_old_bundle(bundle: Bundle, saved: Path) -> None:
    bundle.training["not JSON"] = object()
    with pytest.raises(TypeError):
        bundle.save(saved)
    assert load_bundle(saved).training == {"preset": "test", "seed": 1}
    assert [file.name for file in saved.parent.iterdir()] == ["model"]


def test_saving_never_deletes_what_is_not_a_bundle(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"cat")
    (tmp_path / "file").write_bytes(b"dog")
    for name in ("photos", "file"):
        with pytest.raises(FileExistsError, match="exists and is not a bundle; choose another folder"):
            bundle.save(tmp_path / name)
    assert (tmp_path / "photos" / "cat.jpg").read_bytes() == b"cat"
    assert (tmp_path / "file").read_bytes() == b"dog"


def test_an_empty_folder_is_filled(bundle: Bundle, tmp_path: Path) -> None:
    bundle.save(tmp_path)
    assert load_bundle(tmp_path).fingerprint == bundle.fingerprint


def test_what_is_no_folder_says_how_to_get_a_bundle(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.touch()
    other = tmp_path / "nothing"
    assert refusal(file) == f"{file} is not a bundle's folder; train one with 'bma train' or 'bma demo'"
    assert refusal(other) == f"{other} does not exist; check the path, or train one with 'bma train' or 'bma demo'"


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS, HEADS])
def test_a_missing_file_is_named(saved: Path, name: str) -> None:
    (saved / name).unlink()
    assert refusal(saved).startswith(f"{saved / name} is missing; ")


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS, HEADS])
def test_a_file_that_this_user_may_not_read_is_not_said_to_be_missing(
    saved: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (saved / name).chmod(0)
    monkeypatch.chdir(saved)
    saved.chmod(0o755)
    with no_superuser(), pytest.raises(BundleError) as caught:
        load_bundle(".")
    assert str(caught.value) == f"{name} can't be read (Permission denied); copy the bundle so that this user can"


@pytest.mark.parametrize("name", [WEIGHTS, HEADS])
@pytest.mark.parametrize("keep", [0.0, 0.001, 0.01, 0.1, 0.5, 0.9, 0.999])
def test_truncated_weights_are_refused(saved: Path, name: str, keep: float) -> None:
    data = (saved / name).read_bytes()
    (saved / name).write_bytes(data[: int(len(data) * keep)])
    message = refusal(saved)
    assert message.startswith(f"{saved / name} can't be read (")
    assert message.endswith("; copy the bundle again")


def test_a_bundle_of_schema_1_is_read_as_what_it_was(saved: Path) -> None:
    config = json.loads((saved / CONFIG).read_text())
    older = {key: value for key, value in config["model"].items() if key not in CAME_WITH_2}
    assert len(older) == len(config["model"]) - len(CAME_WITH_2)
    (saved / CONFIG).write_text(json.dumps({**config, "schema": 1, "model": older}))
    assert load_bundle(saved).model.config == ModelConfig.from_dict(config["model"])
    (saved / CONFIG).write_text(json.dumps({**config, "model": older}))
    assert "model: the key 'separate_heads' is missing" in refusal(saved)


@pytest.mark.parametrize("schema", [0, 3, "1", None, [1]])
def test_an_unknown_schema_is_refused_before_anything_else(saved: Path, schema: object) -> None:
    (saved / CONFIG).write_text(json.dumps({"schema": schema}))
    assert f"has schema {schema!r}, this version reads 1 to 2; use the version that wrote the bundle" in refusal(saved)


@pytest.mark.parametrize("text", ["", "{", "not JSON", "[" * 100_000, '{"schema": 1', "\udcff"])
def test_a_configuration_that_is_not_json_is_refused(saved: Path, text: str) -> None:
    (saved / CONFIG).write_bytes(text.encode("utf-8", "surrogateescape"))
    assert f"{saved / CONFIG} can't be read as JSON (" in refusal(saved)


def test_a_runs_folder_says_where_its_bundle_is(saved: Path) -> None:
    run = saved.with_name("run")
    run.mkdir()
    (run / CONFIG).write_text('{"preset": "small"}')
    saved.rename(run / "model")
    for path in (run, run / "modle"):
        assert refusal(path) == f"{path} is not a bundle; name {run / 'model'}, the bundle of this run"
    load_bundle(run / "model")


def test_a_run_that_is_not_finished_is_told_from_a_bundle_of_another_version(tmp_path: Path) -> None:
    (tmp_path / CONFIG).write_text('{"preset": "small", "data_fingerprint": "f"}')
    for path in (tmp_path, tmp_path / "model"):
        assert refusal(path) == (
            f"{path} is not a bundle, as its run has not ended; go on with 'bma train --resume', "
            f"and name {tmp_path / 'model'}"
        )


@pytest.mark.parametrize("text", ["[]", "3", '"schema"', "null"])
def test_a_configuration_that_is_no_object_is_refused(saved: Path, text: str) -> None:
    (saved / CONFIG).write_text(text)
    assert "has schema None, this version reads 1 to 2" in refusal(saved)


@pytest.mark.parametrize("section", ["model", "preprocessing", "classes", "training"])
@pytest.mark.parametrize("value", [None, [], 3])
def test_a_missing_section_is_named(saved: Path, section: str, value: object) -> None:
    edit_config(saved, lambda config: config.pop(section) if value is None else config.update({section: value}))
    assert refusal(saved) == f"{saved / CONFIG}: the section '{section}' is missing; copy or train the bundle again"


KEYS = [("model", key) for key in ModelConfig.keys()]
KEYS += [("preprocessing", key) for key in (*PreprocessConfig.keys(), "mean", "std")]


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_a_missing_or_mistyped_key_is_named(saved: Path, section: str, key: str) -> None:
    edit_config(saved, lambda config: config[section].update({key: "much"}))
    assert f"{section}: '{key}' takes " in refusal(saved)
    edit_config(saved, lambda config: config[section].pop(key))
    message = refusal(saved)
    assert str(saved / CONFIG) in message
    assert f"'{key}'" in message


def test_an_unknown_key_is_named(saved: Path) -> None:
    edit_config(saved, lambda config: config["model"].update(layers=3))
    assert "model: unknown key 'layers'; known keys: width, slots" in refusal(saved)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("model", "slots", 10**30),
        ("model", "width", 1e300),
        ("preprocessing", "n_fft", 10**30),
        ("preprocessing", "std", 0.0),
        ("preprocessing", "image_size", -1),
    ],
)
def test_sizes_out_of_this_world_are_refused(saved: Path, section: str, key: str, value: float) -> None:
    edit_config(saved, lambda config: config[section].update({key: value}))
    refusal(saved)


def edit_tensors(file: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = {key: tensor.clone() for key, tensor in load_file(file).items()}
    change(tensors)
    save_file(tensors, file)


@pytest.mark.parametrize(
    ("name", "key"),
    [(WEIGHTS, "memory.visual"), (WEIGHTS, "image_encoder.bn1.num_batches_tracked"), (HEADS, "sound.bias")],
)
def test_a_tensor_that_does_not_fit_is_named(saved: Path, name: str, key: str) -> None:
    whole = (saved / name).read_bytes()
    edit_tensors(saved / name, lambda tensors: tensors.pop(key))
    assert refusal(saved) == f"{saved / name} lacks the tensor '{key}'; copy or train the bundle again"

    (saved / name).write_bytes(whole)
    edit_tensors(saved / name, lambda tensors: tensors.update({key: tensors[key].reshape(-1).repeat(2)}))
    assert f"{saved / name}: the tensor '{key}' has shape [" in refusal(saved)

    (saved / name).write_bytes(whole)
    edit_tensors(saved / name, lambda tensors: tensors.update({key: tensors[key].to(torch.float16)}))
    assert f"{saved / name}: the tensor '{key}' holds float16, not " in refusal(saved)


@pytest.mark.parametrize(("name", "key"), [(WEIGHTS, "image_encoder.conv1.weight"), (HEADS, "sound.bias")])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_single_number_that_is_not_finite_is_found(saved: Path, name: str, key: str, value: float) -> None:
    edit_tensors(saved / name, lambda tensors: tensors[key].view(-1)[-1:].fill_(value))
    said = f"the tensor '{key}' holds numbers that are not finite; copy or train the bundle again"
    assert refusal(saved) == f"{saved / name}: {said}"


def test_a_tensor_that_nobody_asked_for_is_named(saved: Path) -> None:
    edit_tensors(saved / WEIGHTS, lambda tensors: tensors.update(extra=torch.zeros(3)))
    assert "holds a tensor 'extra' that the model does not know" in refusal(saved)


def test_weights_must_fit_the_configuration(saved: Path) -> None:
    edit_config(saved, lambda config: config["model"].update(slots=25))
    assert "the tensor 'memory.visual' has shape [24, 32], config.json asks for [25, 32]" in refusal(saved)
    edit_config(saved, lambda config: config["model"].update(slots=24))
    edit_config(saved, lambda config: config["classes"]["image"].append("fox"))
    assert "the tensor 'image.weight' has shape [3, 64], config.json asks for [4, 64]" in refusal(saved)


@pytest.mark.parametrize("classes", [{"smell": ["rose"]}, {"image": "cat"}, {"image": [1, 2, 3]}, {"image": None}])
def test_classes_are_lists_of_texts_by_modality(saved: Path, classes: dict[str, object]) -> None:
    edit_config(saved, lambda config: config.update(classes=classes))
    assert f"{saved / CONFIG}: 'classes' holds " in refusal(saved)


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, crater: Path) -> None:
        self.crater = crater

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.crater,))


def test_no_pickle_is_ever_read(saved: Path, tmp_path: Path) -> None:
    crater = tmp_path / "crater"
    bomb = pickle.dumps(Bomb(crater))
    for name in (WEIGHTS, HEADS, CONFIG):
        whole = (saved / name).read_bytes()
        (saved / name).write_bytes(bomb)
        refusal(saved)
        torch.save({"x": Bomb(crater)}, saved / name)
        refusal(saved)
        (saved / name).write_bytes(whole)
    for name in ("model.pt", "pytorch_model.bin", "model.pkl"):
        (saved / name).write_bytes(bomb)
    load_bundle(saved)
    assert not crater.exists()
    pickle.loads(bomb)
    assert crater.exists()
