"""A small development set of DCASE 2018, task 1A, in its true layout, becomes a data set that is scored by file too."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from training.data.pack import open_data
from training.data.prepare import recording
from training.data.prepare.dcase2018 import NAME, prepare_dcase2018
from training.data.prepare.output import PrepareError
from training.data.prepare.split import take_val
from training.data.rows import read_rows

TRAIN = {
    **{f"airport-paris-{place}-0-a.wav": "airport" for place in range(6)},
    **{f"shopping_mall-oslo-{place}-1-a.wav": "shopping_mall" for place in range(7, 12)},
}
TEST = {"airport-lyon-20-5-a.wav": "airport", "shopping_mall-lyon-21-6-a.wav": "shopping_mall"}


def place(name: str) -> str:
    return "-".join(name.split("-")[1:3])


def write_lists(src: Path, train: dict[str, str], test: dict[str, str]) -> None:
    def write(file: Path, lines: list[tuple[str, ...]]) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join("\t".join(line) + "\n" for line in lines))

    header = ("filename", "scene_label", "identifier", "source_label")
    meta = [(f"audio/{name}", label, place(name), "a") for name, label in {**train, **test}.items()]
    write(src / "meta.csv", [header, *meta])
    write(src / "evaluation_setup" / "fold1_train.txt", [(f"audio/{name}", label) for name, label in train.items()])
    write(src / "evaluation_setup" / "fold1_evaluate.txt", [(f"audio/{name}", label) for name, label in test.items()])
    write(src / "evaluation_setup" / "fold1_test.txt", [(f"audio/{name}",) for name in test])


@pytest.fixture
def src(tmp_path: Path, write_recording: Callable[..., None]) -> Path:
    """All sounds the same 10 s, but one of 3.4 s; of train one is broken and one gone."""
    src = tmp_path / NAME
    write_lists(src, TRAIN, TEST)
    first, *others, short, broken, gone = TRAIN
    write_recording(src / "audio" / first)
    for name in (*others, *TEST):
        (src / "audio" / name).symlink_to(src / "audio" / first)
    write_recording(src / "audio" / short, 3.4)
    (src / "audio" / broken).write_bytes(b"RIFF....WAVE")
    assert not (src / "audio" / gone).exists()
    return src


def test_files_become_segments(src: Path, tmp_path: Path, rows_of: Any, listed_in: Any) -> None:
    made = prepare_dcase2018(src.parent, tmp_path / "out", val=0.5)
    rows = rows_of(made)
    first = [row for id, row in rows.items() if id.startswith("airport-paris-0-0-a:")]
    assert [(row.start, row.duration) for row in first] == [(0, 2), (2, 2), (4, 2), (6, 2), (8, 2)]
    assert {(row.label, row.clip, row.sound) for row in first} == {
        ("airport", "paris-0", f"../{NAME}/audio/airport-paris-0-0-a.wav")
    }
    short = [(row.start, row.duration) for row in rows.values() if row.clip == "oslo-9"]
    assert short == [(0, 2), (2, pytest.approx(1.4, abs=0.01))]
    held_out = take_val({place(name) for name in TRAIN}, 0.5)
    assert 0 < len(held_out) < len(TRAIN)
    for row in rows.values():
        assert row.split == ("test" if "lyon" in row.clip else "val" if row.clip in held_out else "train")
    assert (made.unreadable, made.missing, made.classes) == (1, 1, 2)
    assert set(listed_in(made, "unreadable.csv")) == {"audio/shopping_mall-oslo-10-1-a.wav"}
    assert set(listed_in(made, "missing.csv")) == {"audio/shopping_mall-oslo-11-1-a.wav"}


def test_the_official_fold_may_stay_whole(src: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = prepare_dcase2018(src, tmp_path / "out", val=0)
    assert made.splits == {"train": 42, "test": 10}
    before = made.rows_file.read_bytes()
    monkeypatch.setattr(recording, "read_sound", lambda *_, **__: pytest.fail("it is known"))
    (src / "audio" / "shopping_mall-oslo-10-1-a.wav").unlink()
    assert prepare_dcase2018(src, tmp_path / "out", val=0).missing == 2
    assert made.rows_file.read_bytes() == before


def test_from_recordings_to_scores_of_files(
    src: Path, tmp_path: Path, tiny_run: Path, write_sound: Callable[..., None], tone: Any
) -> None:
    from training.evaluate import evaluate
    from training.features import Features
    from training.model.embedder import Embedder
    from training.scoreboard import describe_scores

    names = {**TRAIN, **TEST}
    for number, (name, label) in enumerate(names.items()):
        (src / "audio" / name).unlink(missing_ok=True)
        write_sound(src / "audio" / name, tone(300.0 if label == "airport" else 2500.0, 4.0, number))
    made = prepare_dcase2018(src, tmp_path / "out")
    scores = evaluate(Features(open_data(made.rows_file, 32, 8000), Embedder(tiny_run / "model", "cpu", "fp32")))
    assert scores["n"]["sound_test"] == 4
    assert scores["sound"]["probe"] == scores["sound"]["probe_clip"] == 1.0
    (line,) = (line for line in describe_scores(scores).splitlines() if "over whole files" in line)
    assert line.split()[3:] == ["–", "–", "1.000", "0.500"]


def test_what_is_wrong_is_one_sentence(src: Path, tmp_path: Path) -> None:
    setup = src / "evaluation_setup"

    def says(text: str, **options: Any) -> None:
        with pytest.raises(PrepareError, match=re.escape(text)) as caught:
            prepare_dcase2018(src, tmp_path / "out", **options)
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "out").exists()

    says("--val takes a share from 0 to 0.9, such as 0.1, not -0.1", val=-0.1)
    (setup / "fold1_test.txt").write_text("audio/airport-lyon-20-5-a.wav\n")
    says("audio/shopping_mall-lyon-21-6-a.wav is not in both fold1_test.txt and fold1_evaluate.txt")
    write_lists(src, {"../a-b-1-0-a.wav": "airport"}, TEST)
    says("filename is 'audio/../a-b-1-0-a.wav', not a path below")
    write_lists(src, TEST, TEST)
    says("fold1_train.txt line 1: audio/airport-lyon-20-5-a.wav is in fold1_train.txt and in fold1_evaluate.txt")
    write_lists(src, TRAIN, TEST)
    (setup / "fold1_train.txt").write_text("audio/airport-paris-0-0-a.wav\tpark\n")
    says("meta.csv does not say of audio/airport-paris-0-0-a.wav that it is 'park'")
    (setup / "fold1_train.txt").unlink()
    says(f"{setup}/fold1_train.txt does not exist")
    (src / "meta.csv").write_text("filename,scene_label\n")
    says("meta.csv line 1 must name the columns filename, scene_label, identifier, source_label")
    (src / "audio").rename(src / "sounds")
    says(f"{src}/audio is not there; name the folder {NAME}, unpacked with all its parts")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@example(text="", which=0)
@given(text=st.text(alphabet="audio/.wv\t\n-", max_size=40) | st.text(max_size=40), which=st.integers(0, 3))
def test_no_list_breaks_it(tmp_path: Path, write_sound: Callable[..., None], tone: Any, text: str, which: int) -> None:
    src = tmp_path / "in"
    if not src.exists():
        write_sound(src / "audio" / next(iter(TRAIN)), tone(300.0, 3.0, 0))
    write_lists(src, TRAIN, TEST)
    names = ("meta.csv", *(f"evaluation_setup/fold1_{part}.txt" for part in ("train", "evaluate", "test")))
    with (src / names[which]).open("a", encoding="utf-8") as stream:
        stream.write(text)
    try:
        rows = read_rows(prepare_dcase2018(src, tmp_path / "out", val=0).rows_file)
    except PrepareError:
        assert text
        return
    assert {(row.split, row.label, row.clip) for row in rows} == {("train", "airport", "paris-0")}
    assert [row.start for row in rows] == [0, 2]


def test_segments_are_what_the_recording_holds(src: Path, tmp_path: Path) -> None:
    from training.model.media.sound import read_sound

    made = prepare_dcase2018(src, tmp_path / "out", val=0)
    data = open_data(made.rows_file, 32, 8000)
    whole = read_sound(src / "audio" / "airport-paris-0-0-a.wav", 8000)
    parts = [
        data.wave(int(data.index[number, 1])) for number in range(len(data.rows)) if "paris-0" in data.rows[number].clip
    ]
    assert np.array_equal(np.concatenate(parts), whole)
