"""A sound longer than the model's window: one answer for the whole, and each window's where it is asked for."""

from __future__ import annotations

import base64
import io
import wave
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

RATE = 22_050


def samples(file: Path) -> bytes:
    with wave.open(str(file)) as stream:
        assert (stream.getframerate(), stream.getnchannels()) == (RATE, 1)
        return stream.readframes(2 * RATE)


def wav(frames: bytes) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(RATE)
        stream.writeframes(frames)
    return out.getvalue()


@pytest.fixture(scope="module")
def pieces(demo_folder: Path) -> list[bytes]:
    """Two seconds each of three sounds of different classes."""
    files = sorted(demo_folder.glob("sounds/*_test-*.wav"))
    return [samples(file)[: 4 * RATE].ljust(4 * RATE, b"\0") for file in (files[0], files[4], files[-1])]


@pytest.fixture(scope="module")
def long(pieces: list[bytes]) -> bytes:
    """Three windows, and a tail of a second that fills a fourth."""
    return wav(b"".join([*pieces, pieces[0][: 2 * RATE]]))


def ask(http: httpx.Client, path: str, file: Any, **parameters: Any) -> dict[str, Any]:
    answer = http.post(path, files={"sound": file}, params=parameters)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()["results"][0]
    return result


def test_embed_gives_each_windows_z_and_the_same_whole(http: httpx.Client, pieces: list[bytes], long: bytes) -> None:
    plain = ask(http, "/v1/embed", long)
    told = ask(http, "/v1/embed", long, windows="true")
    assert plain.keys() == {"name", "h", "z"}
    assert told.keys() == {"name", "h", "z", "windows"}
    np.testing.assert_allclose(told["h"], plain["h"], atol=1e-3)
    assert np.dot(told["z"], plain["z"]) > 0.999
    assert [(w["start"], w["end"]) for w in told["windows"]] == [(0, 2), (2, 4), (4, 6), (6, 7)]
    for window, frames in zip(told["windows"], [*pieces, pieces[0][: 2 * RATE]], strict=True):
        assert np.dot(window["z"], ask(http, "/v1/embed", wav(frames))["z"]) > 0.999
    packed = ask(http, "/v1/embed", long, windows="true", encoding="base64", include="z")
    numbers = np.frombuffer(base64.b64decode(packed["windows"][2]["z"]), "<f4")
    np.testing.assert_allclose(numbers, told["windows"][2]["z"], atol=1e-6)


@pytest.mark.parametrize("target", ["images", "sounds"])
def test_a_hit_says_which_second_matched(http: httpx.Client, long: bytes, pieces: list[bytes], target: str) -> None:
    plain = ask(http, f"/v1/search/{target}", long, k=30)
    told = ask(http, f"/v1/search/{target}", long, k=30, windows="true")
    assert [hit["id"] for hit in told["hits"][:3]] == [hit["id"] for hit in plain["hits"][:3]]
    assert [window["start"] for window in told["windows"]] == [0, 2, 4, 6]
    alone = [
        {hit["id"]: hit["score"] for hit in ask(http, f"/v1/search/{target}", wav(frames), k=30)["hits"]}
        for frames in [*pieces, pieces[0][: 2 * RATE]]
    ]
    for hit in told["hits"]:
        np.testing.assert_allclose(hit["window_scores"], [scores[hit["id"]] for scores in alone], atol=2e-3)
        best = hit["window"]
        assert best["score"] == max(hit["window_scores"])
        assert best["start"] == 2 * hit["window_scores"].index(best["score"])
    assert "window" not in plain["hits"][0]


@pytest.mark.parametrize("chosen", [{}, {"labels": "*"}, {"labels": "boat,drone,train"}], ids=["head", "all", "named"])
def test_each_window_has_classes_of_its_own(
    http: httpx.Client, long: bytes, pieces: list[bytes], chosen: dict[str, str]
) -> None:
    plain = ask(http, "/v1/classify", long, **chosen)
    told = ask(http, "/v1/classify", long, windows="true", **chosen)
    assert told.keys() == plain.keys() | {"windows"}
    whole = {entry["label"]: entry["probability"] for entry in plain["classes"]}
    assert {entry["label"]: entry["probability"] for entry in told["classes"]} == pytest.approx(whole, abs=2e-3)
    assert [(w["start"], w["end"]) for w in told["windows"]] == [(0, 2), (2, 4), (4, 6), (6, 7)]
    for window, frames in zip(told["windows"], [*pieces, pieces[0][: 2 * RATE]], strict=True):
        classes = window["classes"]
        assert len({entry["label"] for entry in classes}) == min(5, len(whole))
        shares = [entry["probability"] for entry in classes]
        alone = ask(http, "/v1/classify", wav(frames), **chosen)["classes"]
        np.testing.assert_allclose(shares, [entry["probability"] for entry in alone[:5]], atol=2e-3)
        of = {entry["label"]: entry["probability"] for entry in alone}
        np.testing.assert_allclose(shares, [of[entry["label"]] for entry in classes], atol=2e-3)
    shares = [window["classes"][0]["probability"] for window in told["windows"]]
    assert max(shares) - min(shares) > 0.02  # they do differ


def test_windows_and_explanations_come_together(http: httpx.Client, long: bytes) -> None:
    plain = ask(http, "/v1/classify", long, explain="true")
    told = ask(http, "/v1/classify", long, explain="true", windows="true")
    assert plain.keys() == {"name", "classes", "explanation"}
    assert told.keys() == plain.keys() | {"windows"}
    assert told["explanation"]["slots"][0]["slot"] == plain["explanation"]["slots"][0]["slot"]
    assert "slots" in told["classes"][0]
    assert all(entry.keys() == {"label", "probability"} for window in told["windows"] for entry in window["classes"])


def test_a_short_sound_is_one_window_and_a_batch_keeps_its_order(
    http: httpx.Client, pieces: list[bytes], long: bytes
) -> None:
    short = wav(pieces[1][:RATE])
    files = [("sound", ("a", long)), ("sound", ("bad", b"hello")), ("sound", ("b", short))]
    results = http.post("/v1/embed?windows=true", files=files).json()["results"]
    assert [len(result.get("windows", [])) for result in results] == [4, 0, 1]
    classified = http.post("/v1/classify?windows=true", files=files).json()["results"]
    assert [len(result.get("windows", [])) for result in classified] == [4, 0, 1]
    (only,) = classified[2]["windows"]
    shares, whole = ([e["probability"] for e in entries] for entries in (only["classes"], classified[2]["classes"]))
    np.testing.assert_allclose(shares, whole[:5], atol=1e-5)
    assert classified[1].keys() == {"name", "error"}
    assert (results[2]["windows"][0]["start"], results[2]["windows"][0]["end"]) == (0, 0.5)
    assert np.dot(results[2]["windows"][0]["z"], results[2]["z"]) > 0.9999
    assert results[1].keys() == {"name", "error"}


def test_windows_of_images_and_of_too_many_hits_are_refused(http: httpx.Client, demo_folder: Path, long: bytes) -> None:
    image = sorted(demo_folder.glob("images/*.jpg"))[0].read_bytes()
    for path in ("/v1/embed", "/v1/classify", "/v1/search/sounds"):
        answer = http.post(path, files={"image": image}, params={"windows": "true"})
        assert answer.status_code == 422
        assert "images have no windows" in answer.json()["detail"]
    answer = http.post("/v1/search/images", files={"sound": long}, params={"windows": "true", "k": 101})
    assert (answer.status_code, answer.json()["limit"]) == (422, 100)
