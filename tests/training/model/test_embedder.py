"""A file embeds the same, whatever travels with it and whatever computes it."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

import training.model.embedder as embedder_module
from training.model import preprocess
from training.model.bundle import Bundle
from training.model.embedder import Embedder
from training.model.media.source import MediaError
from training.model.memory import Modality

RATE = 22_050
Numbers = Callable[[int, int], npt.NDArray[np.float64]]
Floats = npt.NDArray[np.float32]


def wav_of(wave: npt.NDArray[np.int16]) -> bytes:
    data = wave.astype("<i2").tobytes()
    form = struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16)
    chunks = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


def png_of(pixels: npt.NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def images(numbers: Numbers) -> list[bytes]:
    """Nine PNGs of the model's size: blotches of colour with noise, each its own."""
    y, x = np.mgrid[0:40, 0:40] / 40
    files = []
    for n in range(9):
        waves = np.stack([np.abs((n + 1) * x * (c + 1) + (9 - n) * y) % 1 for c in range(3)], axis=2)
        noise = numbers(40 * 40 * 3, 77 + n).reshape(40, 40, 3)
        files.append(png_of(np.floor(200 * waves + 27 * (noise + 1)).astype(np.uint8)))
    return files


@pytest.fixture
def waves(numbers: Numbers) -> list[npt.NDArray[np.int16]]:
    """Sounds of 0.3 to 7 seconds: triangles of different pitch with noise, in integers."""
    made = []
    for n, seconds in enumerate((0.3, 1.0, 2.0, 2.9, 3.1, 4.0, 7.0)):
        time = np.arange(round(seconds * RATE))
        triangle = np.abs(time * (n + 1) * 137 % RATE - RATE // 2) - RATE // 4
        made.append((triangle + np.floor(2000 * numbers(len(time), 99 + n))).astype(np.int16))
    return made


def cosines(a: Floats, b: Floats) -> Floats:
    dots = (a.astype(np.float64) * b).sum(axis=1)
    norms = np.linalg.norm(a.astype(np.float64), axis=1) * np.linalg.norm(b.astype(np.float64), axis=1)
    return (dots / norms).astype(np.float32)


@pytest.fixture
def embedder(bundle: Bundle) -> Embedder:
    return Embedder(bundle, device="cpu", precision="fp32")


def test_shapes_types_and_norms(embedder: Embedder, images: list[bytes], waves: list[npt.NDArray[np.int16]]) -> None:
    sounds = [wav_of(wave) for wave in waves]
    for sources, modality in ((images, "image"), (sounds, "sound")):
        embedding = embedder.embed(sources, modality)  # type: ignore[arg-type]
        assert embedding.h.shape == (len(sources), 2 * 32)
        assert embedding.z.shape == (len(sources), 16)
        assert embedding.h.dtype == embedding.z.dtype == np.float32
        assert np.isfinite(embedding.h).all()
        np.testing.assert_allclose(np.linalg.norm(embedding.z, axis=1), 1, atol=1e-5)
        apart = embedding.z @ embedding.z.T - np.eye(len(sources))
        assert np.abs(apart).max() < 0.99995, "the model tells nothing apart, so that nothing here could fail"


@pytest.mark.parametrize("batch_size", [1, 2, 3, 32])
def test_a_file_embeds_the_same_alone_and_in_a_batch(
    bundle: Bundle, images: list[bytes], waves: list[npt.NDArray[np.int16]], batch_size: int
) -> None:
    embedder = Embedder(bundle, device="cpu", precision="fp32", batch_size=batch_size)
    sounds = [wav_of(wave) for wave in waves]
    for sources, modality in ((images, "image"), (sounds, "sound")):
        together = embedder.embed(sources, modality)  # type: ignore[arg-type]
        for n, source in enumerate(sources):
            alone = embedder.embed([source], modality)  # type: ignore[arg-type]
            np.testing.assert_allclose(alone.h[0], together.h[n], atol=1e-4)
            assert cosines(alone.z, together.z[n : n + 1])[0] > 0.99999


def test_h_is_visual_then_sound(embedder: Embedder, images: list[bytes], waves: list[npt.NDArray[np.int16]]) -> None:
    model, preprocessor = embedder.bundle.model, embedder.bundle.preprocessor
    f = model.encode(preprocessor.image(torch.from_numpy(embedder.read_image(images[0]))[None]), "image")
    h = embedder.embed(images[:1], "image").h
    np.testing.assert_allclose(h[:, :32], f.numpy(), atol=1e-4)
    np.testing.assert_allclose(h[:, 32:], model.memory.recall(f, "image").numpy(), atol=1e-4)
    f = model.encode(preprocessor.sound(torch.from_numpy(waves[2])[None]), "sound")
    h = embedder.embed_sounds(waves[2:3]).h
    np.testing.assert_allclose(h[:, 32:], f.numpy(), atol=1e-4)
    np.testing.assert_allclose(h[:, :32], model.memory.recall(f, "sound").numpy(), atol=1e-4)


def test_a_long_sound_is_the_mean_of_its_windows(embedder: Embedder, waves: list[npt.NDArray[np.int16]]) -> None:
    second = np.random.default_rng(0).integers(-30_000, 30_000, RATE).astype(np.int16)
    tail = second // 300
    long = np.concatenate([second, second, np.zeros(2 * RATE, np.int16), waves[2], tail])
    pieces = [long[start * RATE : (start + 2) * RATE] for start in (0, 2, 4)] + [np.concatenate([tail, tail])]
    windows = embedder.embed_sounds(pieces)
    whole = embedder.embed_sounds([long])
    np.testing.assert_allclose(whole.h[0], windows.h.mean(axis=0), atol=1e-4)
    z = embedder.bundle.model.project(torch.from_numpy(windows.h.mean(axis=0, keepdims=True)), "sound").numpy()
    np.testing.assert_allclose(whole.z, z / np.linalg.norm(z), atol=1e-4)
    mean_z = windows.z.mean(axis=0)
    assert np.abs(whole.z[0] - mean_z / np.linalg.norm(mean_z)).max() > 1e-3


@pytest.mark.parametrize("seconds", [0.3, 1.0, 2.0, 2.9, 3.1, 4.0, 7.0])
def test_windows_are_what_a_sound_is_the_mean_of(embedder: Embedder, numbers: Numbers, seconds: float) -> None:
    wave = (9000 * numbers(round(seconds * RATE), 41)).astype(np.int16)
    pieces = embedder.cut(wave)
    samples = embedder.preprocessor.config.window_samples
    assert len(pieces) == len(preprocess.windows(torch.from_numpy(wave), samples))
    for place, piece in enumerate(pieces):
        assert piece.start == pytest.approx(2 * place)
        assert piece.end == pytest.approx(min(2 * place + 2, seconds), abs=1 / RATE)
        assert np.array_equal(piece.wave, wave[place * samples : (place + 1) * samples])
    other = (9000 * numbers(RATE, 42)).astype(np.int16)
    h = embedder.embed_sounds([other, *(piece.wave for piece in pieces)]).h
    pooled, whole = embedder.pool(h, [1, len(pieces)]), embedder.embed_sounds([other, wave])
    np.testing.assert_allclose(pooled.h, whole.h, atol=1e-4)
    assert cosines(pooled.z, whole.z).min() > 0.99999


def test_a_long_sound_is_cut_as_it_is_needed(
    bundle: Bundle, waves: list[npt.NDArray[np.int16]], monkeypatch: pytest.MonkeyPatch
) -> None:
    sounds = [np.concatenate([wave, *waves]) for wave in waves]
    embedder = Embedder(bundle, device="cpu", precision="fp32", batch_size=3)
    samples = embedder.preprocessor.config.window_samples
    every = torch.cat([preprocess.windows(torch.tensor(wave), samples) for wave in sounds])
    seen: list[torch.Tensor] = []
    real_windows, real_sound = preprocess.windows, embedder.preprocessor.sound
    sizes: list[int] = []

    def cut(wave: torch.Tensor, samples: int) -> torch.Tensor:
        sizes.append(len(wave))
        return real_windows(wave, samples)

    def sound(batch: torch.Tensor) -> torch.Tensor:
        seen.append(batch)
        return real_sound(batch)

    monkeypatch.setattr(embedder_module, "cut_windows", cut)
    monkeypatch.setattr(embedder.preprocessor, "sound", sound)
    embedder.embed_sounds(sounds)
    assert max(sizes) < 4 * samples
    assert {len(batch) for batch in seen[:-1]} == {3}
    assert torch.equal(torch.cat(seen), every)


@pytest.mark.parametrize("precision", ["bf16", "auto"])
def test_precision_changes_next_to_nothing(
    bundle: Bundle, embedder: Embedder, images: list[bytes], waves: list[npt.NDArray[np.int16]], precision: str
) -> None:
    other = Embedder(bundle, device="cpu", precision=precision)
    sounds = [wav_of(wave) for wave in waves]
    for sources, modality in ((images, "image"), (sounds, "sound")):
        exact, coarse = embedder.embed(sources, modality), other.embed(sources, modality)  # type: ignore[arg-type]
        assert coarse.h.dtype == np.float32
        assert cosines(exact.h, coarse.h).min() >= 0.999
        assert cosines(exact.z, coarse.z).min() >= 0.999
        assert precision == "auto" or not np.array_equal(exact.h, coarse.h)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_gpu_changes_next_to_nothing(
    bundle: Bundle, embedder: Embedder, images: list[bytes], waves: list[npt.NDArray[np.int16]], precision: str
) -> None:
    other = Embedder(bundle, device="cuda", precision=precision)
    sounds = [wav_of(wave) for wave in waves]
    for sources, modality in ((images, "image"), (sounds, "sound")):
        exact, there = embedder.embed(sources, modality), other.embed(sources, modality)  # type: ignore[arg-type]
        assert cosines(exact.h, there.h).min() >= 0.999
        assert cosines(exact.z, there.z).min() >= 0.999
    h = embedder.embed(images, "image").h
    np.testing.assert_allclose(other.classify(h, "image"), embedder.classify(h, "image"), atol=1e-3)


def test_nothing_embeds_to_nothing(embedder: Embedder) -> None:
    for modality in ("image", "sound"):
        embedding = embedder.embed([], modality)
        assert embedding.h.shape == (0, 64)
        assert embedding.z.shape == (0, 16)
    assert embedder.classify(np.empty((0, 64), np.float32), "image").shape == (0, 3)


def test_paths_and_bytes_and_a_saved_bundle_give_the_same(
    bundle: Bundle, embedder: Embedder, images: list[bytes], tmp_path: Path
) -> None:
    bundle.save(tmp_path / "model")
    file = tmp_path / "picture.png"
    file.write_bytes(images[0])
    from_disk = Embedder(tmp_path / "model", device="cpu", precision="fp32").embed([file], "image")
    assert np.array_equal(from_disk.h, embedder.embed(images[:1], "image").h)


def test_the_callers_bundle_is_neither_moved_nor_trusted_to_be_in_eval_mode(
    bundle: Bundle, embedder: Embedder, images: list[bytes]
) -> None:
    bundle.model.train()
    other = Embedder(bundle, device="cpu", precision="fp32")
    assert np.array_equal(other.embed(images, "image").h, embedder.embed(images, "image").h)
    assert bundle.model.training


def test_a_wave_that_can_only_be_read_is_embedded(embedder: Embedder, waves: list[npt.NDArray[np.int16]]) -> None:
    wave = waves[2].copy()
    wave.flags.writeable = False
    h = embedder.embed_sounds([wave]).h
    assert np.array_equal(h, embedder.embed_sounds([waves[2]]).h)
    h.flags.writeable = False
    assert embedder.classify(h, "sound").shape == (1, 2)


@pytest.mark.parametrize("modality", ["image", "sound"])
def test_class_probabilities_are_the_heads(embedder: Embedder, images: list[bytes], modality: Modality) -> None:
    h = embedder.embed(images, "image").h
    probabilities = embedder.classify(h, modality)
    assert probabilities.dtype == np.float32
    assert probabilities.shape == (len(images), len(embedder.labels(modality)))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    head = embedder.bundle.heads[modality]
    logits = h.astype(np.float64) @ head.weight.numpy().T.astype(np.float64)
    assert np.array_equal(probabilities.argmax(axis=1), logits.argmax(axis=1))
    assert embedder.labels(modality) == head.labels


def test_a_model_without_heads_says_how_to_get_one(bundle_of: Callable[..., Bundle]) -> None:
    embedder = Embedder(bundle_of(heads=False), device="cpu", precision="fp32")
    assert embedder.labels("image") == ()
    with pytest.raises(LookupError, match="this model has no class head for images; train it on rows with labels"):
        embedder.classify(np.zeros((1, 64), np.float32), "image")


def test_a_file_that_cannot_be_read_is_named(embedder: Embedder, images: list[bytes], tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(images[0][:200])
    with pytest.raises(MediaError, match=r"broken\.png is damaged"):
        embedder.embed([images[0], broken], "image")
    with pytest.raises(MediaError, match=r"broken\.png is not a sound"):
        embedder.embed([broken], "sound")


def test_limits_reach_the_decoders(embedder: Embedder, images: list[bytes], waves: list[npt.NDArray[np.int16]]) -> None:
    with pytest.raises(MediaError, match=r"p\.png has 40 x 40 pixels"):
        embedder.read_image(images[0], name="p.png", max_pixels=1599)
    with pytest.raises(MediaError, match=r"s\.wav is longer than 2 s"):
        embedder.read_sound(wav_of(waves[3]), name="s.wav", max_seconds=2)


@pytest.mark.parametrize(
    "options", [{"batch_size": 0}, {"device": "abacus"}, {"precision": "fp8"}, {"device": "cpu", "batch_size": -1}]
)
def test_options_that_make_no_sense_are_refused(bundle: Bundle, options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"batch_size must be at least 1|there is no device|there is no precision"):
        Embedder(bundle, **options)  # type: ignore[arg-type]


# h[0:4], h[32:36] and z[0:8] of the first picture, of 0.3 s of sound (repeated) and of 7 s (three windows and a half):
# what every machine and every later version must answer for these files and weights.
GOLDEN: dict[str, tuple[list[float], list[float], list[float]]] = {
    "picture": (
        [0.4497, 0.6745, 5.3869, 1.4605],
        [0.4220, -0.2424, -0.0713, 0.0388],
        [0.0649, 0.2141, 0.0301, 0.6170, 0.2471, -0.1660, 0.1978, 0.3111],
    ),
    "short sound": (
        [-0.0756, -0.2085, -0.0668, 0.4042],
        [0.0170, 2.0904, 0.0129, 3.4466],
        [0.1819, 0.3370, -0.0730, 0.0953, -0.0518, 0.3256, 0.1784, 0.3584],
    ),
    "long sound": (
        [-0.0791, -0.2252, -0.0608, 0.3911],
        [0.0177, 1.9618, 0.0135, 3.4953],
        [0.2019, 0.3350, -0.0809, 0.0975, -0.0047, 0.3722, 0.2243, 0.3302],
    ),
}


@pytest.mark.parametrize("label", GOLDEN)
def test_golden_vectors(
    embedder: Embedder, images: list[bytes], waves: list[npt.NDArray[np.int16]], label: str
) -> None:
    files = {"picture": images[0], "short sound": wav_of(waves[0]), "long sound": wav_of(waves[6])}
    embedding = embedder.embed([files[label]], "image" if label == "picture" else "sound")
    visual, sound, z = GOLDEN[label]
    np.testing.assert_allclose(embedding.h[0, :4], visual, atol=2e-3)
    np.testing.assert_allclose(embedding.h[0, 32:36], sound, atol=2e-3)
    np.testing.assert_allclose(embedding.z[0, :8], z, atol=1e-3)
