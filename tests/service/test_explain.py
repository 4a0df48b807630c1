"""An explanation is the model's own: what the service says is computed again here from the bundle, in float64."""

from __future__ import annotations

import io
import json
import shutil
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch

from index.local import LocalCatalogue
from tests.conftest import Serve
from tests.service.conftest import Serving
from tests.training.reference import address, recall
from training.model.bundle import Bundle
from training.model.embedder import Embedder

Numbers = Any


def ask(http: httpx.Client, path: str, modality: str, file: bytes, **parameters: Any) -> dict[str, Any]:
    answer = http.post(path, files={modality: file}, params=parameters)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()["results"][0]
    return result


def unit(z: Numbers) -> Numbers:
    return z / np.linalg.norm(z)


@pytest.fixture(scope="module")
def exact(bundle_folder: Path, catalogue_folder: Path, serve: Serve) -> Iterator[httpx.Client]:
    """A client of a service that computes in float32, so that its numbers can be held to others."""
    with (
        serve("--model", bundle_folder, "--index", catalogue_folder, "--precision", "fp32", "--read-only") as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):
        yield client


class Reference:
    """What the model says of one item, from h of its parts, by slow loops in float64."""

    def __init__(self, bundle: Bundle, h: Numbers, modality: str) -> None:
        self.model = bundle.model.double()
        c = self.model.config.channels
        own = torch.from_numpy(np.asarray(h, np.float64))
        self.f = own[:, :c] if modality == "image" else own[:, c:]
        self.modality = modality
        memory = self.model.memory
        self.key, self.value = (memory.visual, memory.sound) if modality == "image" else (memory.sound, memory.visual)
        self.tau = memory.tau_m
        self.weights = torch.stack([address(f, self.key, self.tau) for f in self.f]).mean(dim=0)

    def h(self, without: int | None = None) -> torch.Tensor:
        kept = [slot for slot in range(len(self.key)) if slot != without]
        recalled = torch.stack([recall(f, self.key[kept], self.value[kept], self.tau) for f in self.f])
        halves = (self.f, recalled) if self.modality == "image" else (recalled, self.f)
        return torch.cat(halves, dim=1).mean(dim=0, keepdim=True)

    def z(self, h: torch.Tensor, modality: str) -> Numbers:
        with torch.no_grad():
            return unit(self.model.project(h, modality)[0].numpy())  # type: ignore[arg-type]


@pytest.fixture
def told(bundle_folder: Path) -> Callable[[bytes, str], Reference]:
    """The reference of a file, its encoder's features from the embedder that is under test elsewhere."""
    embedder = Embedder(bundle_folder, "cpu", "fp32")

    def of(file: bytes, modality: str) -> Reference:
        if modality == "image":
            return Reference(embedder.bundle, embedder.embed([file], "image").h, modality)
        pieces = embedder.cut(embedder.read_sound(file))
        return Reference(embedder.bundle, embedder.embed_sounds([piece.wave for piece in pieces]).h, modality)

    return of


def long_sound(folder: Path) -> bytes:
    frames = b""
    for file in sorted(folder.glob("sounds/*_test-*.wav"))[::14]:
        with wave.open(str(file)) as stream:
            frames += stream.readframes(2 * 22_050)
    out = io.BytesIO()
    with wave.open(out, "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(22_050)
        stream.writeframes(frames)
    return out.getvalue()


CASES = [("image", "sounds"), ("image", "images"), ("sound", "images"), ("sound", "sounds")]


@pytest.mark.parametrize(("modality", "target"), CASES)
def test_a_searchs_slots_are_the_memorys(
    exact: httpx.Client,
    demo_folder: Path,
    catalogue_folder: Path,
    told: Callable[[bytes, str], Reference],
    modality: str,
    target: str,
) -> None:
    image = sorted(demo_folder.glob("images/*_test-0003.jpg"))[0].read_bytes()
    file = image if modality == "image" else long_sound(demo_folder)
    plain = ask(exact, f"/v1/search/{target}", modality, file, k=4)
    answer = ask(exact, f"/v1/search/{target}", modality, file, k=4, explain="true")
    assert [hit["id"] for hit in answer["hits"]] == [hit["id"] for hit in plain["hits"]]
    assert "explanation" not in plain
    assert "slots" not in plain["hits"][0]
    reference, said = told(file, modality), answer["explanation"]
    weights = reference.weights.numpy()
    assert [slot["weight"] for slot in said["slots"]] == pytest.approx(sorted(weights)[::-1][:5], rel=1e-3)
    assert said["covered"] == pytest.approx(sum(slot["weight"] for slot in said["slots"]))
    assert said["effective_slots"] == pytest.approx(np.exp(-(weights * np.log(weights)).sum()), rel=1e-3)
    assert said["of_slots"] == len(weights)

    catalogue = LocalCatalogue.open(catalogue_folder)
    items = [item for item in catalogue.list() if item.modality == target.removesuffix("s")]
    vectors = dict(zip([item.id for item in items], catalogue.vectors([item.id for item in items]), strict=True))
    model = reference.model
    z = reference.z(reference.h(), modality)
    places = {}
    for slot in said["slots"]:
        number = slot["slot"]
        assert slot["weight"] == pytest.approx(weights[number], rel=1e-3)
        pair = torch.cat((model.memory.visual[number], model.memory.sound[number]))[None]
        places[number] = reference.z(pair, target.removesuffix("s"))
        near = {id: float(vector @ places[number]) for id, vector in vectors.items()}
        shown = slot[target]
        assert len(slot["images"]) == len(slot["sounds"]) == 3
        assert {hit["modality"] for hit in slot["images"]} == {"image"}
        assert [hit["score"] for hit in shown] == pytest.approx(sorted(near.values())[::-1][:3], abs=2e-3)
        assert all(hit["score"] == pytest.approx(near[hit["id"]], abs=2e-3) for hit in shown)
    for hit in answer["hits"]:
        vector = vectors[hit["id"]]
        assert [effect["slot"] for effect in hit["slots"]] == list(places)
        for effect in hit["slots"]:
            without = reference.z(reference.h(effect["slot"]), modality)
            assert effect["effect"] == pytest.approx((z - without) @ vector, abs=1e-3)
            assert effect["similarity"] == pytest.approx(places[effect["slot"]] @ vector, abs=2e-3)
    catalogue.close()


@pytest.mark.parametrize("modality", ["image", "sound"])
def test_a_class_is_explained_by_what_it_would_be_without_a_slot(
    exact: httpx.Client, demo_folder: Path, told: Callable[[bytes, str], Reference], bundle_folder: Path, modality: str
) -> None:
    image = sorted(demo_folder.glob("images/*_test-0003.jpg"))[0].read_bytes()
    file = image if modality == "image" else long_sound(demo_folder)
    answer = ask(exact, "/v1/classify", modality, file, explain="true")
    reference = told(file, modality)
    embedder = Embedder(bundle_folder, "cpu", "fp32")
    labels = embedder.labels(modality)  # type: ignore[arg-type]

    def probability(without: int | None, label: str) -> float:
        h = reference.h(without).numpy().astype(np.float32)
        return float(embedder.classify(h, modality)[0][labels.index(label)])  # type: ignore[arg-type]

    assert len(answer["explanation"]["slots"]) == 5
    assert [("slots" in entry) for entry in answer["classes"]] == [True] * 5 + [False] * 5
    for entry in answer["classes"][:5]:
        for effect in entry["slots"]:
            expected = probability(None, entry["label"]) - probability(effect["slot"], entry["label"])
            assert effect["effect"] == pytest.approx(expected, abs=2e-3)


def test_zero_shot_answers_are_explained_too(http: httpx.Client, demo_folder: Path) -> None:
    image = sorted(demo_folder.glob("images/*_test-0003.jpg"))[0].read_bytes()
    answer = ask(http, "/v1/classify", "image", image, explain="true", labels="boat,drone")
    assert len(answer["explanation"]["slots"]) == 5
    first, second = ([effect["effect"] for effect in entry["slots"]] for entry in answer["classes"])
    assert first == pytest.approx([-effect for effect in second], abs=1e-5)  # two probabilities sum to 1


def test_without_a_catalogue_slots_have_no_items(
    serving: Serving, embedder: Embedder, demo_folder: Path, empty_catalogue: Path
) -> None:
    image = sorted(demo_folder.glob("images/*_test-0003.jpg"))[0].read_bytes()
    with serving(empty_catalogue) as http:
        slots = ask(http, "/v1/classify", "image", image, explain="true")["explanation"]["slots"]
        assert [(slot["images"], slot["sounds"]) for slot in slots] == [([], [])] * 5
        answer = ask(http, "/v1/search/images", "image", image, explain="true")
        assert (answer["hits"], len(answer["explanation"]["slots"])) == ([], 5)


def test_a_model_without_a_memory_has_nothing_to_explain(
    bundle_folder: Path, tmp_path: Path, serve: Serve, demo_folder: Path
) -> None:
    shutil.copytree(bundle_folder, tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    config["model"]["use_memory"] = False
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    image = sorted(demo_folder.glob("images/*_test-0003.jpg"))[0].read_bytes()
    with serve("--model", tmp_path / "model") as server, httpx.Client(base_url=server.url, timeout=60) as http:
        assert "classes" in ask(http, "/v1/classify", "image", image)
        answer = http.post("/v1/classify?explain=true", files={"image": image})
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:bma:problem:no-memory")
        answer = http.post("/v1/classify?labels=*", files={"image": image})
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:bma:problem:no-catalogue")


def test_many_hits_are_not_explained(http: httpx.Client, demo_folder: Path) -> None:
    image = sorted(demo_folder.glob("images/*_test-0003.jpg"))[0].read_bytes()
    answer = http.post("/v1/search/images", files={"image": image}, params={"explain": "true", "k": 101})
    assert (answer.status_code, answer.json()["limit"]) == (422, 100)
