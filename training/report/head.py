"""The page's beginning and end: which run this is, how it did, and how to make it again."""

from __future__ import annotations

import datetime
import math
import shlex
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from training.model.memory import Modality
from training.report.markup import Markup, element, join
from training.report.record import UNPAIRED
from training.report.report import Report
from training.report.scale import plain


def describe_run(report: Report) -> Markup:
    """The run's name, one sentence about it, and its facts to unfold."""
    facts = _facts(report)
    listed = join(element("div", element("dt", name), element("dd", value)) for name, value in facts.items() if value)
    return element(
        "section",
        element("h1", report.record.name),
        element("p", _sentence(report), class_="lead"),
        element("details", element("summary", "Everything about this run"), element("dl", listed), class_="facts"),
        class_="run",
        aria_label="The run",
    )


def show_numbers(report: Report) -> Markup | None:
    """The run's main numbers, large."""
    tiles = []
    if report.findings:
        names: tuple[tuple[Modality, str], ...] = (
            ("sound", "A sound finds images"),
            ("image", "An image finds sounds"),
        )
        for modality, name in names:
            scores = report.findings.scores[modality]
            split = f"hit@1 on split {report.findings.split}"
            about = f"{split}, chance {scores['chance']:.3f}; hit@5 {scores['hit@5']:.3f}"
            tiles.append((name, f"{scores['hit@1']:.3f}", about))
    record = report.record
    if record.last_loss:
        step, loss = record.last_loss
        tiles.append(("Loss", plain(loss), f"at step {step:,}, not smoothed"))
    if math.isfinite(record.seconds):
        rate = float(np.nanmedian(record.metrics.series["samples_per_second"]))
        tiles.append(("Time in steps", duration(record.seconds), f"{plain(rate)} items a second in the median"))
    if not tiles:
        return None
    return element(
        "ul",
        *(
            element("li", element("h2", name), element("p", value, class_="value"), element("p", about, class_="note"))
            for name, value, about in tiles
        ),
        class_="numbers",
    )


def tell_how(report: Report, command: str) -> Markup:
    """The footer: what made this page, and what makes the run again."""
    again = ["bma", "train", "--data", str(report.record.config.get("data", "DATA"))]
    again += ["--out", "RUN", "--preset", report.record.preset]
    for key, value in report.record.differing.items():
        again += ["--set", f"{key}={_text(value)}"]
    parts = [
        element("p", "This page was made by ", element("code", command), f", version {_version()}, {_now()}."),
        element("p", "The run can be made again with ", element("code", shlex.join(again)), "."),
    ]
    if report.findings:
        parts.append(element("p", f"What the model makes of the data was computed on {report.made_on}."))
    return element("footer", *parts)


def duration(seconds: float) -> str:
    """Seconds to read: 45 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def _sentence(report: Report) -> str:
    record = report.record
    differing = len(record.differing)
    changed = f" with {differing} {'key' if differing == 1 else 'keys'} changed" if differing else ""
    text = f"Preset {record.preset}{changed}, seed {record.config.get('seed', '?')}"
    if not report.bundle:
        return f"{text}."
    training = report.bundle.training
    text += f": {record.config['steps']:,} steps on {_counts(training, record.kinds)}"
    return f"{text}. Finished {_when(training.get('finished'))} on {training.get('device', 'an unknown device')}."


def _counts(training: dict[str, Any], kinds: tuple[str, ...]) -> str:
    data = training.get("data", {})
    return ", ".join(f"{data.get(kind, 0):,} {kind}" for kind in kinds)


def _facts(report: Report) -> dict[str, str]:
    record = report.record
    facts = {"Preset": record.preset}
    differing = ", ".join(f"{key}={_text(value)}" for key, value in record.differing.items())
    facts["Keys that differ from it"] = differing or "none"
    if report.bundle:
        training = report.bundle.training
        versions = training.get("versions", {})
        facts |= {
            "Model": f"{report.bundle.name} (fingerprint {report.bundle.fingerprint})",
            "Items in the data set": _counts(training, ("pairs", *UNPAIRED["both"])),
            "Trained on": f"{training.get('device', '?')}, {training.get('precision', '?')}",
            "Versions": ", ".join(f"{name} {number}" for name, number in versions.items()),
            "Finished": _when(training.get("finished")),
        }
    facts["Data set"] = f"{record.config.get('data', '')} fingerprint {record.config['data_fingerprint']}".strip()
    facts["Every key"] = ", ".join(
        f"{key}={_text(value)}" for key, value in record.config.items() if key not in ("data", "data_fingerprint")
    )
    return facts


def _text(value: object) -> str:
    """A configuration's value as `--set` takes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _when(moment: object) -> str:
    try:
        when = datetime.datetime.fromisoformat(str(moment))
    except ValueError:
        return "at an unknown time"
    return f"{when.day} {when:%B %Y, %H:%M} {when.tzname() or ''}".strip()


def _now() -> str:
    return _when(datetime.datetime.now(datetime.UTC).isoformat())


def _version() -> str:
    try:
        return version("bma-memory")
    except PackageNotFoundError:
        return "unknown"
