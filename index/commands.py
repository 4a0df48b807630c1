"""Commands on catalogues that need no model. Heavy imports wait until one runs."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Track = Callable[[Iterable[Any], str, int], Iterable[Any]]


def add_commands(index: Any, track: Track) -> None:
    """Add the parsers to those of `bma index`.

    Args:
        index: the subparsers.
        track: shows progress; see `index.build`.
    """
    info = index.add_parser("info", help="what a catalogue holds")
    _add_catalogue(info, index_info)

    check = index.add_parser("check", help="prove that database, indexes and content agree, or say what does not")
    check.add_argument("--deep", action="store_true", help="also read all content and compare it with its hash")
    _add_catalogue(check, index_check)

    root = index.add_parser("root", help="say where a catalogue's files lie now, after it or they were moved")
    root.add_argument("catalogue", type=Path, metavar="CATALOGUE")
    root.add_argument("root", type=Path, metavar="DIR", help="the folder below which the files lie as they did before")
    root.add_argument("--json", action="store_true", help="print JSON")
    root.set_defaults(run=index_root)

    compact = index.add_parser("compact", help="give back the room that removed items have left")
    _add_catalogue(compact, index_compact)

    export = index.add_parser("export", help="write a catalogue as JSON lines, one array and its content")
    export.add_argument("catalogue", type=Path, metavar="CATALOGUE")
    export.add_argument("out", type=Path, metavar="OUT", help="a new folder")
    export.add_argument("--json", action="store_true", help="print JSON")
    export.set_defaults(run=index_export, track=track)

    read = index.add_parser("import", help="bring an export into a catalogue")
    read.add_argument("src", type=Path, metavar="SRC", help="the export's folder")
    read.add_argument("--out", type=Path, required=True, metavar="CATALOGUE", help="made where it is not there")
    read.add_argument(
        "--root", type=Path, metavar="DIR", help="where files by reference lie (default: where they lay at the export)"
    )
    read.add_argument("--json", action="store_true", help="print JSON")
    read.set_defaults(run=index_import, track=track)

    migrate = index.add_parser("migrate", help="move a catalogue between a folder and Milvus, and prove the two equal")
    migrate.add_argument("source", metavar="FROM", help="a folder, or milvus+http://host:19530/NAME?root=…&content=…")
    migrate.add_argument("target", metavar="TO", help="likewise; made where it is not there, gone on with where it is")
    migrate.add_argument(
        "--recall", type=float, default=0.99, help="share of the neighbours that must be found again (default 0.99)"
    )
    migrate.add_argument("--json", action="store_true", help="print JSON")
    migrate.set_defaults(run=index_migrate, track=track)


def index_info(arguments: argparse.Namespace) -> None:
    """`bma index info`."""
    from index.info import describe
    from index.local import LocalCatalogue

    catalogue = LocalCatalogue.open(arguments.catalogue)
    try:
        info = describe(catalogue)
    finally:
        catalogue.close()
    shown = {key: value for key, value in info.items() if not isinstance(value, dict)}
    for modality, index in info["indexes"].items():
        shown[f"index of {modality}s"] = f"{index['kind']}, {index['vectors']} vectors"
    shown |= {what: _size(count) for what, count in info["bytes"].items()}
    _say(arguments, info, *(f"{key}: {value}" for key, value in shown.items()))


def index_check(arguments: argparse.Namespace) -> int:
    """`bma index check`; status 1 where something is wrong."""
    from index.check import check
    from index.local import LocalCatalogue
    from index.tuning import Tuning

    findings = check(arguments.catalogue, arguments.deep)
    lines = findings
    counts: dict[str, int] = {}
    if not findings:
        catalogue = LocalCatalogue.open(arguments.catalogue, tuning=Tuning(background=False))
        counts = {f"{modality}s": count for modality, count in catalogue.count().items()}
        catalogue.close()
        lines = [f"nothing wrong: {_words(counts)}"]
    _say(arguments, {"findings": findings, **counts}, *lines)
    return 1 if findings else 0


def index_root(arguments: argparse.Namespace) -> None:
    """`bma index root`."""
    from index.root import set_root

    done = set_root(arguments.catalogue, arguments.root)
    _say(arguments, done, f"{arguments.catalogue} now has its files below {arguments.root}: {_words(done)}")


def index_compact(arguments: argparse.Namespace) -> None:
    """`bma index compact`."""
    from index.compact import compact
    from index.stores import is_milvus, open_catalogue

    if is_milvus(str(arguments.catalogue)):
        from index.milvus import MilvusCatalogue

        catalogue = open_catalogue(arguments.catalogue, writable=True)
        assert isinstance(catalogue, MilvusCatalogue)
        try:
            removed = catalogue.collect()
        finally:
            catalogue.close()
        _say(arguments, {"contents": removed}, f"files of content removed: {removed}")
        return
    done = compact(arguments.catalogue)
    freed = max(0, done["before"] - done["after"])
    _say(
        arguments,
        done,
        f"{arguments.catalogue} takes {_size(done['after'])}, {_size(freed)} less than before; "
        f"files of content removed: {done['contents']}",
    )


def index_rebuild(arguments: argparse.Namespace) -> None:
    """`bma index rebuild` without a model; its parser is where the model is, too."""
    from index.rebuild import rebuild

    made = rebuild(arguments.catalogue)
    lines = [f"{modality}s: {index['count']}, {index['kind']}" for modality, index in made.items()]
    _say(arguments, made, f"made the indexes of {arguments.catalogue} anew", *lines)


def index_export(arguments: argparse.Namespace) -> None:
    """`bma index export`."""
    from index.export import export
    from index.stores import open_catalogue

    catalogue = open_catalogue(arguments.catalogue)
    try:
        done = export(catalogue, arguments.out, catalogue.root, track=arguments.track)
    finally:
        catalogue.close()
    _say(arguments, done, f"wrote {_words(done)} to {arguments.out}")


def index_import(arguments: argparse.Namespace) -> None:
    """`bma index import`."""
    from index.archive import Archive, bring_in
    from index.local import LocalCatalogue
    from index.stores import create_catalogue, is_catalogue, open_catalogue

    archive = Archive(arguments.src)
    archive.verify(arguments.track)
    root = archive.find_root(arguments.root)
    if is_catalogue(arguments.out):
        catalogue = open_catalogue(arguments.out, writable=True)
    else:
        catalogue = create_catalogue(arguments.out, archive.fingerprint, archive.dimension, root)
    try:
        archive.check_fits(catalogue, catalogue.root, root, arguments.out)
        done = bring_in(archive, catalogue, arguments.track)
        if isinstance(catalogue, LocalCatalogue):
            catalogue.upkeep.finish()  # who serves it next need not train the index first
    finally:
        catalogue.close()
    _say(arguments, done, f"{arguments.out} has the items of {arguments.src}: {_words(done)}")


def index_migrate(arguments: argparse.Namespace) -> int:
    """`bma index migrate`; status 1 where the two are not equal."""
    from dataclasses import asdict

    from index.migrate import migrate
    from index.stores import create_catalogue, is_catalogue, open_catalogue

    source = open_catalogue(arguments.source)
    try:
        if is_catalogue(arguments.target):
            target = open_catalogue(arguments.target, writable=True)
        else:
            target = create_catalogue(arguments.target, source.fingerprint, source.dimension, source.root)
        try:
            done = migrate(source, target, recall=arguments.recall, track=arguments.track)
        finally:
            target.close()
    finally:
        source.close()
    lines = done.faults or [
        f"{arguments.target} is the same as {arguments.source}: {_words(done.target)}; "
        f"neighbours of {done.queries} items found again: {done.recall:.2%}"
    ]
    _say(arguments, {**asdict(done), "faults": done.faults}, f"items moved: {done.moved}, kept: {done.kept}", *lines)
    return 1 if done.faults else 0


def _add_catalogue(parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace], int | None]) -> None:
    parser.add_argument("catalogue", type=Path, metavar="CATALOGUE")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def _say(arguments: argparse.Namespace, document: dict[str, Any], *lines: str) -> None:
    print(json.dumps(document, indent=2) if arguments.json else "\n".join(lines))


def _words(value: Any) -> str:
    """A value to read: numbers with what they count."""
    if not isinstance(value, dict):
        return str(value)
    return ", ".join(f"{part} {key}" if isinstance(part, int) else f"{key} {part}" for key, part in value.items())


def _size(count: int) -> str:
    size, unit = float(count), "B"
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
