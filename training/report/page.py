"""The page of a report: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import html
from importlib.resources import files
from pathlib import Path
from string import Template

from training.report.cards import Cards
from training.report.head import describe_run, show_numbers, tell_how
from training.report.markup import element, join
from training.report.output import save
from training.report.report import Report
from training.report.sections import show_curves, show_gallery, show_memory, show_slots


def render(report: Report, command: str = "bma report RUN") -> str:
    """A report as an HTML document that works from a file and asks for nothing.

    Its policy allows the one style and the one script in it, and what stands in the page as data.
    """
    cards = Cards(report.findings.data, report.findings.sample_rate) if report.findings else None
    sections = [show_curves(report), show_memory(report), show_gallery(report, cards), show_slots(report, cards)]
    shown = [section for section in sections if section]
    links = [element("a", section.title, href=f"#{section.name}") for section in shown]
    title = f"{report.record.name}: a training run"
    icon = f"data:image/svg+xml;base64,{base64.b64encode(_part('icon.svg').encode()).decode('ascii')}"
    body = [
        element(
            "header",
            element("p", element("img", src=icon, alt="", width=30, height=30), "BMA-Memory", class_="brand"),
            element("nav", *links, aria_label="Sections"),
            class_="top",
        ),
        element(
            "main",
            describe_run(report),
            *(element("p", note, class_="problem") for note in report.notes),
            show_numbers(report),
            *(section.markup for section in shown),
        ),
        tell_how(report, command),
        element("p", class_="unseen", id="status", role="status"),
    ]
    style = "\n".join(_part(f"{name}.css") for name in ("page", "chart", "cards", "print"))
    script = _part("page.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "img-src data:; media-src data:; base-uri 'none'; form-action 'none'"
    )
    return Template(_part("page.html")).substitute(
        policy=policy, title=html.escape(title), icon=icon, style=style, script=script, body=join(body)
    )


def save_page(page: str, file: Path) -> None:
    """Write a page as a whole or not at all. Raises `ReportError` where the file can't be written."""
    save(page.encode("utf-8", errors="replace"), file, "name another file with --out")


def _part(name: str) -> str:
    return (files("training.report") / name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    """What a policy calls an inline style or script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode('ascii')}"
