"""`bma create`: from a folder of small videos to a search answer over HTTP, by the commands that a person types."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest

from tests.conftest import Bma

pytestmark = pytest.mark.long

COLOURS = {"red": (220, 30, 30), "blue": (30, 30, 220)}
TONES = {"red": 400.0, "blue": 2000.0}
TINY = ("steps=8", "batch_size=4", "width=0.0625", "slots=8", "image_size=32", "checkpoint_every=8")


def save_video(file: Path, label: str, seconds: int = 4) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(file), "w") as output:
        film: Any = output.add_stream("libx264", rate=5, options={"preset": "ultrafast"})
        film.width, film.height, film.pix_fmt = 64, 64, "yuv420p"
        track: Any = output.add_stream("aac", rate=22_050, layout="mono")
        for number in range(seconds * 5):
            pixels = np.full((64, 64, 3), COLOURS[label], np.uint8) // 2 + np.uint8(number)
            output.mux(film.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        output.mux(film.encode(None))
        wave = 0.4 * np.sin(2 * np.pi * TONES[label] * np.arange(seconds * 22_050) / 22_050)
        frame = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), "fltp", "mono")
        frame.sample_rate = 22_050
        output.mux(track.encode(frame))
        output.mux(track.encode(None))


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    folder = tmp_path / "my videos"
    for label in COLOURS:
        for number in range(4):
            save_video(folder / label / f"{number}.mp4", label)
    (folder / "red" / "broken.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(100))
    return folder


def create(bma: Bma, videos: Path, out: Path) -> subprocess.CompletedProcess[str]:
    keys = [part for key in TINY for part in ("--set", key)]
    return bma("create", videos, out, "--preset", "demo", *keys, "--no-serve", "--device", "cpu")


def test_a_folder_of_videos_becomes_a_search_engine(
    bma: Bma, videos: Path, tmp_path: Path, serve: Callable[..., Any]
) -> None:
    out = tmp_path / "mine"
    done = create(bma, videos, out)
    assert done.returncode == 0, done.stderr
    assert "16 rows" in done.stdout
    assert "left out, as they can't be read: 1" in done.stdout
    assert "16 images and 16 sounds" in done.stdout
    assert done.stdout.endswith(f" serve --model {out / 'model'} --index {out / 'index'}\n")
    with serve("--model", out / "model", "--index", out / "index") as server, httpx.Client(timeout=60) as client:
        frame = next((out / "data" / "frames" / "blue").rglob("*.jpg"))
        answer = client.post(f"{server.url}/v1/search/sounds?k=3", files={"image": frame.read_bytes()})
        hits = answer.raise_for_status().json()["results"][0]["hits"]
        assert len(hits) == 3
        assert client.get(f"{server.url}{hits[0]['content']}").raise_for_status().content
        video = (videos / "red" / "1.mp4").read_bytes()  # its sound track asks
        answer = client.post(f"{server.url}/v1/search/images?k=16", files={"sound": video})
        hits = answer.raise_for_status().json()["results"][0]["hits"]
        assert {hit["label"] for hit in hits} == {"red", "blue"}
        assert len(hits) == 16


def test_a_second_time_only_what_is_new_is_made(bma: Bma, videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    assert create(bma, videos, out).returncode == 0
    model = (out / "model" / "model.safetensors").stat().st_mtime_ns
    again = create(bma, videos, out)
    assert again.returncode == 0, again.stderr
    assert "training" not in again.stdout
    assert "indexing" not in again.stdout
    save_video(videos / "blue" / "new.mp4", "blue")
    more = create(bma, videos, out)
    assert more.returncode == 0, more.stderr
    assert "18 images and 18 sounds" in more.stdout
    assert f"learned from an earlier state of the data; to train anew, delete {out}" in more.stdout
    assert (out / "model" / "model.safetensors").stat().st_mtime_ns == model


def test_new_files_after_training_was_stopped_are_one_sentence(bma: Bma, videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    assert create(bma, videos, out).returncode == 0
    shutil.rmtree(out / "model")  # as when it was stopped after its last checkpoint
    save_video(videos / "blue" / "new.mp4", "blue")
    done = create(bma, videos, out)
    assert done.returncode == 1
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("bma: "))
    assert line == (
        f"bma: {out}/data/rows.csv has changed since the training in {out} was stopped: bring the files back as they "
        f"were to go on, or delete {out}/checkpoints to train anew with those of now"
    )
    shutil.rmtree(out / "checkpoints")
    done = create(bma, videos, out)
    assert done.returncode == 0, done.stderr
    assert "18 images and 18 sounds" in done.stdout
    assert "earlier state" not in done.stdout


def test_another_folder_does_not_take_a_projects_place(bma: Bma, videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    assert create(bma, videos, out).returncode == 0
    rows = (out / "data" / "rows.csv").read_bytes()
    save_video(tmp_path / "others" / "red" / "0.mp4", "red")
    done = create(bma, tmp_path / "others", out)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.endswith(f"was made of {videos}; name another folder, or delete it to make it of {tmp_path / 'others'}")
    assert (out / "data" / "rows.csv").read_bytes() == rows
    keys = bma("create", videos, out, "--set", "steps=9", "--no-serve", "--device", "cpu")
    assert keys.returncode == 1
    assert "was started with steps=8, not 9: leave out --preset and --set to go on with its own keys" in keys.stderr


def test_keys_of_a_start_that_failed_may_be_corrected(bma: Bma, videos: Path, tmp_path: Path) -> None:
    """As when a first batch did not fit into memory: there are keys then, and no checkpoint past the first."""
    out = tmp_path / "mine"
    assert create(bma, videos, out).returncode == 0
    shutil.rmtree(out / "model")
    for file in (out / "checkpoints").iterdir():
        file.unlink()
    keys = [part for key in (*TINY, "steps=4") for part in ("--set", key)]
    done = bma("create", videos, out, "--preset", "demo", *keys, "--no-serve", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert "(4 steps of 4 pairs)" in done.stdout


def test_files_that_give_no_pairs_are_refused_in_one_sentence(bma: Bma, tmp_path: Path) -> None:
    save_video(tmp_path / "one" / "a.mp4", "red", seconds=2)
    done = create(bma, tmp_path / "one", tmp_path / "mine")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "gives 1 pairs to train with; a model learns from pairs: add videos with sound" in line
    assert create(bma, tmp_path / "nothing", tmp_path / "mine").stderr.startswith("bma: ")
