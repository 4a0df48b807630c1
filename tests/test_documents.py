"""The documents' commands, links and code are true to the code."""

import argparse
import inspect
import itertools
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from index.catalogue import Item
from index.filter import BOUNDS, KEYS, Filter
from index.local import LocalCatalogue
from service.async_client import AsyncClient
from service.cli import _parser
from service.client import Client
from training.config import PRESETS, TrainingConfig, make_config

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(*languages: str) -> list[tuple[str, str]]:
    return [
        (f"{document.name}: {code.splitlines()[0]}", code)
        for document in DOCUMENTS
        for language, code in BLOCK.findall(document.read_text(encoding="utf-8"))
        if language in languages
    ]


def commands(program: str) -> list[str]:
    """Lines of shell blocks that run a program, continued lines joined, prompts and comments left out."""
    lines = [
        line.removeprefix("$ ").strip()
        for _, code in blocks("sh", "console")
        for line in code.replace("\\\n", " ").splitlines()
    ]
    return [line for line in lines if re.match(rf"(\S*/)?{program}\b", line)]


@pytest.mark.parametrize("line", commands("bma"))
def test_every_bma_command_parses(line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    arguments = _parser().parse_args(words)
    assert isinstance(arguments, argparse.Namespace)
    assert callable(arguments.run)


@pytest.mark.parametrize("line", commands("make"))
def test_every_make_target_exists(line: str) -> None:
    targets = [word for word in shlex.split(line, comments=True)[1:] if "=" not in word]
    rules = re.findall(r"^([\w.-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(targets) <= set(rules)


@pytest.mark.parametrize(("where", "code"), blocks("python"))
def test_every_python_example_compiles(where: str, code: str) -> None:
    compile(code, where, "exec")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        name, _, heading = target.partition("#")
        file = document.parent / name if name else document
        assert file.exists(), target
        assert not heading or heading in headings(file), target


def headings(document: Path) -> set[str]:
    lines = [line for line in document.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    return {re.sub(r"[^\w\- ]", "", line.lstrip("# ").lower()).replace(" ", "-") for line in lines}


def test_the_keys_of_training_are_those_of_the_document() -> None:
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.*?) \| \S", text, re.MULTILINE)
    assert sorted(key for key, *_ in rows) == sorted(set(TrainingConfig.keys()) - {"preset"})
    for place, preset in enumerate(("paper", "small", "demo"), 1):
        assert make_config(preset, [f"{row[0]}={row[place].strip()}" for row in rows]) == make_config(preset)


def test_the_readme_names_every_preset() -> None:
    table = re.findall(r"^\| `(\w+)` \|", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(table) == set(PRESETS)


def table(document: Path, heading: str) -> list[list[str]]:
    """The rows of the first table below a heading, cells without their spaces."""
    lines = document.read_text(encoding="utf-8").split(f"\n{heading}\n", 1)[1].splitlines()
    below = itertools.dropwhile(lambda line: not line.startswith("|"), lines)
    rows = itertools.takewhile(lambda line: line.startswith("|"), below)
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows][2:]


def test_the_filters_of_the_document_do_what_it_says_and_hold_all_there_is(tmp_path: Path) -> None:
    rows = table(ROOT / "docs" / "answers.md", "## Filters: which items may be found")
    filters = [cells[0].strip("`") for cells in rows]
    assert {key for text in filters for key in json.loads(text)} == set(KEYS)
    told = " ".join(cells[1] for cells in rows)
    assert all(f"`{bound}`" in told for bound in BOUNDS)
    metadata = {"year": 2026, "split": "test", "dry": True, "path": "2019/boat.jpg"}
    item = Item("my-boat", "image", "a", "image/png", "boat", ("sea", "night", "calm"), metadata)
    catalogue = LocalCatalogue.create(tmp_path / "index", "f", 2, tmp_path)
    catalogue.put([item], np.eye(1, 2, dtype=np.float32))
    passed = [bool(list(catalogue.list(Filter.parse(text)))) for text in filters]
    catalogue.close()
    assert passed == [False, True, True, True, True, False, True, True]


def test_the_clients_methods_are_those_of_the_document() -> None:
    rows = table(ROOT / "docs" / "client.md", "## Methods")
    written = {cells[0].strip("`").partition("(")[0]: cells[0] for cells in rows}
    methods = {name: method for name, method in vars(Client).items() if not name.startswith("_")}
    assert set(written) == set(methods) == {name for name in dir(AsyncClient) if not name.startswith("_")}
    for name, method in methods.items():
        named = re.findall(r"[(\s](\w+)(?==|[,)])", written[name])
        assert named == list(inspect.signature(method).parameters)[1:], name


def test_the_documents_hold_examples_to_test() -> None:
    assert len(commands("bma")) >= 7
    assert len(commands("make")) >= 4
    assert len(blocks("python")) >= 2
