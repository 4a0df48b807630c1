"""Pictures of a run: as files, by the command, and in a real browser."""

from __future__ import annotations

import dataclasses
import io
import re
import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import sync_playwright

from service.cli import main
from training.data.packed import PackedData
from training.features import Items
from training.report.frame import Key, Panel, frame
from training.report.markup import element
from training.report.pictures import Picture, make_pictures, save_pictures
from training.report.record import ReportError
from training.report.report import Report, gather

CopyRun = Callable[..., Path]
NAMES = ["addressing.svg", "recall.svg", "sharing.svg", "exemplars.jpg", "map.svg"]


@pytest.fixture(scope="module")
def pictures(report: Report) -> list[Picture]:
    return make_pictures(report)


def texts(svg: bytes) -> list[str]:
    return [node.text or "" for node in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def drawn(pictures: list[Picture]) -> list[str]:
    return [picture.name for picture in pictures if picture.content is not None]


def test_they_are_whole_and_need_nothing_else(pictures: list[Picture]) -> None:
    assert drawn(pictures) == NAMES
    for picture in pictures:
        assert picture.content
        assert len(picture.content) < 300_000
        if picture.name.endswith(".jpg"):
            with Image.open(io.BytesIO(picture.content)) as opened:
                opened.load()
            continue
        root = ElementTree.fromstring(picture.content)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        names = {name for node in root.iter() for name in node.attrib}
        assert not {"style", "href", "{http://www.w3.org/1999/xlink}href", "src"} & names
        assert not any(name.startswith("on") for name in names)
        assert not re.search(rb"url\(|@import|<script|<image|var\(", picture.content)


def test_the_same_run_gives_the_same_bytes(pictures: list[Picture], tiny_run: Path, tiny_data: PackedData) -> None:
    assert make_pictures(gather(tiny_run, tiny_data.folder, "cpu", "fp32", examples=4, slots=5)) == pictures


def test_they_say_what_they_show(pictures: list[Picture]) -> None:
    shown = {picture.name: texts(picture.content) for picture in pictures if picture.content and "svg" in picture.name}
    assert {"Effective slots", "Slots in use", "all 8 slots", "at most 6"} <= set(shown["addressing.svg"])
    assert {"Length of what is recalled", "Likeness of what is recalled"} <= set(shown["recall.svg"])
    assert {"Effective slots of a query", "Weight of the slots", "even shares"} <= set(shown["sharing.svg"])
    assert {"Map of z", "image", "sound", "red", "green", "blue"} <= set(shown["map.svg"])
    for name in ("recall.svg", "sharing.svg", "map.svg"):
        assert "Run finished: preset small, 40 steps, split val." in shown[name]


def test_labels_are_text(report: Report) -> None:
    findings = report.findings
    assert findings
    evil = ['</text><script>alert("1")</script>&\x00\x1b', "a" * 400, "two\nlines"]
    samples = {
        modality: dataclasses.replace(sample, items=Items(sample.items.numbers, evil, sample.items.clips))
        for modality, sample in findings.samples.items()
    }
    made = make_pictures(dataclasses.replace(report, findings=dataclasses.replace(findings, samples=samples)))
    assert drawn(made) == NAMES
    map_of = next(picture.content for picture in made if picture.name == "map.svg")
    assert map_of
    assert any("<script>alert" in text for text in texts(map_of))
    assert b"<script>" not in map_of


def test_a_run_under_way_has_its_curves_and_the_others_are_named(copy_run: CopyRun, tmp_path: Path) -> None:
    made = make_pictures(gather(copy_run(model=False), device="cpu"))
    assert drawn(made) == ["addressing.svg", "recall.svg"]
    (tmp_path / "map.svg").write_text("old", encoding="utf-8")
    said = save_pictures(made, tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir() if file.is_file()) == [
        "addressing.svg",
        "map.svg",
        "recall.svg",
    ]
    assert f"{tmp_path / 'sharing.svg'} is left out: the run has no model yet, or its data set is not at hand" in said
    assert said[-1].endswith("; the map.svg that is there is an older one")


def test_without_a_memory_there_is_the_map(report: Report) -> None:
    assert report.findings
    series = {name: values for name, values in report.record.metrics.series.items() if name.startswith("loss")}
    record = dataclasses.replace(
        report.record,
        config={**report.record.config, "use_memory": False},
        metrics=dataclasses.replace(report.record.metrics, series=series),
    )
    findings = dataclasses.replace(report.findings, usages=[], slots=[])
    made = make_pictures(dataclasses.replace(report, record=record, findings=findings))
    assert drawn(made) == ["map.svg"]
    assert {picture.reason for picture in made[:-1]} == {"the model was trained without its memory (use_memory=false)"}


def test_a_run_of_no_steps_has_nothing_to_draw(copy_run: CopyRun) -> None:
    run = copy_run(model=False)
    (run / "metrics.jsonl").unlink()
    with pytest.raises(ReportError, match=r"run has nothing to draw yet: .*says nothing of the memory; the run has no"):
        make_pictures(gather(run, device="cpu"))


def test_a_memory_that_recalls_nothing_is_drawn(report: Report) -> None:
    findings = report.findings
    assert findings
    samples = {
        modality: dataclasses.replace(sample, recalled=np.zeros_like(sample.recalled))
        for modality, sample in findings.samples.items()
    }
    made = make_pictures(dataclasses.replace(report, findings=dataclasses.replace(findings, samples=samples)))
    recall = next(picture.content for picture in made if picture.name == "recall.svg")
    assert recall
    assert "Likeness of what is recalled" not in texts(recall)


def test_the_command_writes_them_in_place_of_the_page(
    copy_run: CopyRun, tiny_data: PackedData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, folder = copy_run(), tmp_path / "some/pictures"
    command = ["report", str(run), "--data", str(tiny_data.folder), "--device", "cpu", "--split", "test"]
    assert main([*command, "--pictures", str(folder)]) == 0
    assert sorted(file.name for file in folder.iterdir()) == sorted(NAMES)
    printed = capsys.readouterr().out
    for name in NAMES:
        assert re.search(rf"{re.escape(str(folder / name))} \(\d+ kB\)", printed)
    assert "split test" in texts((folder / "map.svg").read_bytes())[-1]
    assert not (run / "report.html").exists()
    assert main([*command, "--pictures", str(folder), "--out", str(tmp_path / "page.html")]) == 0
    assert (tmp_path / "page.html").exists()


def test_a_split_that_is_not_there_is_said(
    tiny_run: Path, tiny_data: PackedData, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(tiny_run), "--data", str(tiny_data.folder), "--split", "holiday"]) != 0
    error = capsys.readouterr().err
    assert "has no images and sounds in split 'holiday'; name another with --split" in error
    assert "Traceback" not in error


def test_a_folder_that_can_not_be_written_is_said(pictures: list[Picture], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(ReportError, match=r"can't be written \(.*\); name another folder with --pictures"):
        save_pictures(pictures, tmp_path / "file")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


def test_a_legend_wraps_inside_its_panel() -> None:
    keys = [Key("n" * 20, "key image") for _ in range(9)]
    root = ElementTree.fromstring(frame([Panel("Title", "About it.", element("g"), 420, 100, keys)], "Foot."))
    moves = [node.get("transform", "") for node in root.iter("{http://www.w3.org/2000/svg}g")]
    places = [re.fullmatch(r"translate\((\S+) (\S+)\)", move) for move in moves]
    xs = [float(place[1]) for place in places if place]
    assert max(xs) <= 420 - 16 - 20 * 6
    assert len({place[2] for place in places if place}) > 4


@pytest.mark.browser
def test_a_browser_draws_them(pictures: list[Picture], tmp_path: Path) -> None:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium on the PATH; install the system's package 'chromium'")
    save_pictures(pictures, tmp_path)
    page = tmp_path / "page.html"
    page.write_text("".join(f'<img src="{name}">' for name in NAMES), encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        tab = browser.new_page()
        asked: list[str] = []
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(page.as_uri(), wait_until="load")
        sizes = tab.evaluate("[...document.images].map((image) => image.complete && image.naturalWidth)")
        browser.close()
    assert all(size > 400 for size in sizes)
    assert sorted(Path(url).name for url in asked) == sorted([*NAMES, "page.html"])
