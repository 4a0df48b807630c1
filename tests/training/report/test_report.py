from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from training.data.packed import PackedData
from training.data.rows import Row, RowsError, write_rows
from training.model.bundle import load_bundle
from training.report.record import ReportError, read_record
from training.report.report import Report, gather
from training.retrieval import retrieval_scores

CopyRun = Callable[..., Path]


def test_a_finished_run_has_everything(report: Report) -> None:
    findings = report.findings
    assert findings
    assert report.notes == []
    assert findings.split == "val"
    assert [len(sample.items.numbers) for sample in findings.samples.values()] == [3, 3]
    assert [len(answers) for answers in findings.answers.values()] == [3, 3]
    assert len(findings.slots) == 5
    sound, image = findings.samples["sound"], findings.samples["image"]
    scores = retrieval_scores(sound.z, image.z, sound.items.labels, image.items.labels)
    assert findings.scores["sound"] == scores


def test_the_run_names_its_data_set(copy_run: CopyRun, tiny_data: PackedData) -> None:
    report = gather(copy_run(data=str(tiny_data.folder)), device="cpu")
    assert report.findings
    assert report.notes == []


def test_a_run_that_names_none_is_reported_without_galleries(copy_run: CopyRun) -> None:
    report = gather(copy_run(data=None), device="cpu")
    assert report.findings is None
    assert report.bundle
    assert "does not say where its data set lies" in report.notes[0]
    assert "--data DATA" in report.notes[0]


def test_a_data_set_that_has_gone_is_said_with_the_remedy(copy_run: CopyRun, tmp_path: Path) -> None:
    report = gather(copy_run(data=str(tmp_path / "gone")), device="cpu")
    assert report.findings is None
    assert str(tmp_path / "gone") in report.notes[0]
    assert "--data DATA" in report.notes[0]


def test_a_data_set_that_was_asked_for_must_be_there(copy_run: CopyRun, tmp_path: Path) -> None:
    with pytest.raises(RowsError, match="gone"):
        gather(copy_run(), tmp_path / "gone", device="cpu")


def test_another_data_set_is_said(copy_run: CopyRun, tiny_data: PackedData) -> None:
    report = gather(copy_run(data_fingerprint="0" * 64), tiny_data.folder, device="cpu")
    assert report.findings
    assert "another data set" in report.notes[0]


def test_an_unfinished_run_is_reported_by_its_curves(copy_run: CopyRun, tiny_data: PackedData) -> None:
    run = copy_run(model=False)
    with (run / "metrics.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"step": 40, "lo')
    report = gather(run, tiny_data.folder, device="cpu")
    assert report.bundle is None
    assert report.findings is None
    assert "40 of 40 steps are written and there is no model yet" in report.notes[1]
    assert report.notes[0].endswith("left out: 1.")


def test_a_model_without_memory_has_no_slots(copy_run: CopyRun, tiny_data: PackedData) -> None:
    run = copy_run()
    bundle = load_bundle(run / "model")
    bundle.model.config = type(bundle.model.config)(**{**bundle.model.config.to_dict(), "use_memory": False})
    bundle.save(run / "model")
    report = gather(run, tiny_data.folder, device="cpu")
    assert report.findings
    assert report.findings.usages == []
    assert report.findings.slots == []
    assert report.findings.answers["sound"]


def test_without_labels_the_clip_is_what_is_right(copy_run: CopyRun, tiny_rows: Path, tmp_path: Path) -> None:
    files = sorted(path.stem for path in (tiny_rows.parent / "images").glob("test-*.jpg"))
    rows = [Row("test", image=f"images/{name}.jpg", sound=f"sounds/{name}.wav") for name in files]
    for kind in ("images", "sounds"):
        shutil.copytree(tiny_rows.parent / kind, tmp_path / "plain" / kind)
    write_rows(tmp_path / "plain/rows.csv", rows)
    report = gather(copy_run(), tmp_path / "plain/rows.csv", device="cpu")
    findings = report.findings
    assert findings
    assert report.notes[-1].endswith("so this looks at split test.")
    assert findings.split == "test"
    assert findings.scores["sound"]["chance"] == pytest.approx(1 / 6)
    for answer in findings.answers["sound"]:
        assert [hit.item for hit in answer.hits if hit.right] in ([answer.query], [])


def test_a_split_of_one_modality_is_passed_over(copy_run: CopyRun, tiny_rows: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_rows.parent / "images", tmp_path / "images")
    write_rows(tmp_path / "rows.csv", [Row("val", image=f"images/{f.name}") for f in tmp_path.glob("images/*")])
    report = gather(copy_run(), tmp_path, device="cpu")
    assert report.findings is None
    assert "no split with both images and sounds" in report.notes[-1]


def test_what_is_no_run_is_refused_in_one_sentence(tmp_path: Path, tiny_run: Path) -> None:
    with pytest.raises(ReportError, match=r"config\.json is missing; name the folder that 'bma train --out' wrote"):
        gather(tmp_path)
    with pytest.raises(ReportError, match="is not a training run's"):
        gather(tiny_run / "model")
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(ReportError, match="can't be read"):
        gather(tmp_path)
    (tmp_path / "config.json").write_text('{"data_fingerprint": "", "steps": "x"}', encoding="utf-8")
    with pytest.raises(ReportError, match="is not a training run's"):
        gather(tmp_path)


def test_keys_that_differ_from_the_preset(copy_run: CopyRun) -> None:
    differing = read_record(copy_run(key_of_another_version=1)).differing
    assert differing["width"] == 1 / 32
    assert differing["unpaired"] == "both"
    assert not {"preset", "tau_m", "data_fingerprint", "key_of_another_version"} & set(differing)


def test_time_is_items_over_their_rate(copy_run: CopyRun) -> None:
    run = copy_run()
    unpaired = {"loss_unpaired_sounds": 1.0, "loss_unpaired_images": 1.0}
    rows = [(9, unpaired), (18, unpaired), (0, unpaired), (3, {})]
    lines = [
        json.dumps({"step": step, "loss": 1, "samples_per_second": rate, **more})
        for step, (rate, more) in enumerate(rows)
    ]
    (run / "metrics.jsonl").write_text("\n".join(lines), encoding="utf-8")
    # 6 pairs, 6 sounds and 6 images a step, and pairs alone in the last
    assert read_record(run).seconds == pytest.approx(18 / 9 + 18 / 18 + 6 / 3)
