"""Commands that join the rooms: demo, create, index, serve, keys, query. Heavy imports wait until a command runs."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import index.commands

SPLITS = ("train", "unpaired", "val", "test")


def add_commands(commands: Any) -> None:
    """Add the parsers to `bma`'s."""
    demo = commands.add_parser("demo", help="make the demo data, train, index, ask, serve")
    demo.add_argument("--no-serve", action="store_true", help="stop after the answers")
    demo.add_argument("--no-ask", action="store_true", help="only make what is missing: data, model, catalogue")
    demo.add_argument("--out", type=Path, default=Path("runs/demo"), help="folder (default runs/demo)")
    _add_address(demo)
    demo.set_defaults(run=run_demo)

    create = commands.add_parser("create", help="make a search engine of your own videos, pictures and sounds")
    create.add_argument("src", type=Path, metavar="SRC", help="the folder; first-level folders in it are labels")
    create.add_argument("out", type=Path, metavar="OUT", help="folder for data/, model/, index/; the same one goes on")
    create.add_argument("--preset", choices=("paper", "small", "demo"), help="where the keys start (default small)")
    create.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key; repeatable")
    create.add_argument("--every", type=float, default=2.0, help="cut videos into pieces of this length (default 2 s)")
    create.add_argument("--per-video", type=int, default=30, help="at most so many pieces of a video (default 30)")
    create.add_argument("--no-serve", action="store_true", help="stop when all is made")
    create.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    _add_address(create)
    create.set_defaults(run=run_create, precision="auto")

    actions = commands.add_parser("index", help="make, keep and look at catalogues").add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )
    for name, what in (
        ("build", "embed what is new or has changed in a rows file or a folder"),
        ("sync", "the same, and remove the items whose file or row is gone"),
    ):
        build = actions.add_parser(name, help=what)
        build.add_argument("bundle", type=Path, metavar="BUNDLE")
        build.add_argument("source", type=Path, metavar="SOURCE", help="a rows file, or a folder of images and sounds")
        build.add_argument("--out", type=Path, required=True, metavar="CATALOGUE", help="the catalogue's folder")
        build.add_argument("--split", action="append", choices=SPLITS, help="of a rows file, only this; repeatable")
        build.add_argument("--copy", action="store_true", help="keep the files' content in the catalogue")
        build.add_argument("--json", action="store_true", help="print JSON")
        _add_model(build)
        build.set_defaults(run=index_build, sync=name == "sync")
    create = actions.add_parser("create", help="make an empty catalogue, to be filled over HTTP")
    create.add_argument("bundle", type=Path, metavar="BUNDLE")
    create.add_argument("--out", type=Path, required=True, metavar="CATALOGUE", help="the catalogue's folder")
    create.set_defaults(run=index_create)
    rebuild = actions.add_parser("rebuild", help="make a catalogue's indexes anew, or its vectors with another model")
    rebuild.add_argument("catalogue", type=Path, metavar="CATALOGUE")
    rebuild.add_argument("--model", type=Path, metavar="BUNDLE", help="embed all items again with this bundle")
    rebuild.add_argument(
        "--remove-unreadable", action="store_true", help="with --model, remove items whose files can't be read"
    )
    rebuild.add_argument("--json", action="store_true", help="print JSON")
    _add_model(rebuild)
    rebuild.set_defaults(run=index_rebuild)
    index.commands.add_commands(actions, _track)

    serve = commands.add_parser("serve", help="answer over HTTP")
    serve.add_argument("--config", type=Path, metavar="FILE", help="settings in TOML: docs/serving.md")
    serve.add_argument("--model", type=Path, metavar="BUNDLE")
    serve.add_argument(
        "--index",
        metavar="CATALOGUE",
        help="a folder, or milvus+http://host:19530/NAME?root=…&content=…; leave out to embed and classify only",
    )
    serve.add_argument(
        "--read-only",
        action="store_true",
        default=None,
        help="take no changes, so that several services may share a catalogue",
    )
    serve.add_argument("--keys", type=Path, metavar="FILE", help="ask for API keys, those of this file: bma keys add")
    serve.add_argument("--log", choices=("text", "json"), help="how log lines look (default text)")
    serve.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="any other setting, such as limits.files=8; repeatable",
    )
    _add_address(serve)
    _add_model(serve)
    serve.set_defaults(run=run_serve, device=None, precision=None)

    _add_keys(commands.add_parser("keys", help="make and remove the API keys of a service"))

    query = commands.add_parser("query", help="ask a running service")
    query.add_argument("url", metavar="URL", help="such as http://127.0.0.1:8000")
    query.add_argument("what", choices=("images", "sounds", "classify", "embed"), help="what you want back")
    query.add_argument("files", type=Path, nargs="+", metavar="FILE", help="images or sounds, by their endings")
    query.add_argument("-k", type=int, help="with images and sounds: hits for each file (default 5)")
    query.add_argument("--filter", help='JSON conditions on the hits, such as \'{"label": "train"}\'')
    query.add_argument("--windows", action="store_true", help="of long sounds, also which second it was")
    query.add_argument("--explain", action="store_true", help="also the memory's slots that the answer came through")
    query.add_argument(
        "--labels", action="append", help="with classify: of these labels of the catalogue, * for all; repeatable"
    )
    query.add_argument(
        "--prototypes",
        choices=("image", "sound", "both"),
        help="with --labels: which of their items stand for them (default both)",
    )
    query.add_argument("--key", help="API key; better in the environment, as BMA_API_KEY, where nobody reads along")
    query.add_argument("--json", action="store_true", help="print the results as JSON")
    query.set_defaults(run=run_query)


def run_demo(arguments: argparse.Namespace) -> None:
    """`bma demo`."""
    from service.demo import Demo
    from service.server import listen

    demo = Demo(arguments.out)
    if arguments.no_ask:
        demo.make()
        return
    settings = _settings(arguments)
    where = (settings.host, settings.port, settings.insecure)
    listen(*where).close()  # a port in use is said now, not after minutes
    demo.make()
    demo.ask(listen(*where), serve=not arguments.no_serve)


def run_create(arguments: argparse.Namespace) -> None:
    """`bma create`."""
    from service.own import OwnProject
    from service.server import listen, serve
    from training.commands import program, resumed_config
    from training.config import make_config
    from training.run_folder import RunFolder

    if RunFolder(arguments.out).has_begun:  # else keys may be corrected
        config = resumed_config(arguments.out, arguments.preset, arguments.set)
    else:
        config = make_config(arguments.preset or "small", arguments.set)
    project = OwnProject(arguments.src, arguments.out, config, arguments.device, arguments.every, arguments.per_video)
    settings = _settings(arguments, model=project.model, index=str(project.index))
    if not arguments.no_serve:
        listen(settings.host, settings.port, settings.insecure or bool(settings.keys)).close()  # in use is said now
    project.make()
    if arguments.no_serve:
        command = [*program(), "serve", "--model", str(project.model), "--index", str(project.index)]
        print(f"next: {shlex.join(command)}")
    else:
        serve(settings)


def index_build(arguments: argparse.Namespace) -> None:
    """`bma index build` and `bma index sync`."""
    from index.summary import UNREADABLE
    from service.indexing import build_catalogue
    from training.model.allocator import keep_freed_memory
    from training.model.embedder import Embedder

    keep_freed_memory()
    embedder = Embedder(arguments.bundle, arguments.device, arguments.precision)
    summary = build_catalogue(
        embedder, arguments.source, arguments.out, arguments.split, copy=arguments.copy, sync=arguments.sync
    )
    counts = summary.counts()
    if arguments.json:
        print(json.dumps(counts))
        return
    held = " and ".join(
        f"{count} {what}{'' if count == 1 else 's'}"
        for what, count in (("image", summary.images), ("sound", summary.sounds))
    )
    print(f"{arguments.out} now holds {held} of {arguments.source}")
    print(", ".join(f"{what}: {count}" for what, count in counts.items() if what not in ("images", "sounds")))
    if summary.gone:
        print("what is gone is still found; 'bma index sync' with the same arguments removes it")
    for unreadable in summary.unreadable[:10]:
        print(f"  left out: {unreadable.reason}")
    if summary.unreadable:
        print(f"{len(summary.unreadable)} files were left out; {arguments.out / UNREADABLE} lists them all")


def index_create(arguments: argparse.Namespace) -> None:
    """`bma index create`."""
    from service.indexing import create_empty

    create_empty(arguments.bundle, arguments.out)
    print(f"made the empty catalogue {arguments.out}; serve it with 'bma serve --index' and add items over HTTP")


def index_rebuild(arguments: argparse.Namespace) -> None:
    """`bma index rebuild`."""
    if arguments.model is None:
        index.commands.index_rebuild(arguments)
        return
    from service.reembedding import re_embed
    from training.model.allocator import keep_freed_memory
    from training.model.embedder import Embedder

    keep_freed_memory()
    embedder = Embedder(arguments.model, arguments.device, arguments.precision)
    done = re_embed(embedder, arguments.catalogue, arguments.remove_unreadable)
    if arguments.json:
        print(json.dumps(done))
        return
    print(f"{arguments.catalogue} is now one of {embedder.bundle.name}; items embedded: {done['embedded']}")
    if done["removed"]:
        listed = arguments.catalogue / "unreadable.csv"
        print(f"{done['removed']} items whose files can't be read were removed; {listed} lists them")


def run_serve(arguments: argparse.Namespace) -> None:
    """`bma serve`."""
    from service.pipeline import worker

    worker.prepare()  # loads torch on another core while this process does
    from service.server import serve

    given = {name: getattr(arguments, name) for name in ("model", "index", "read_only", "keys", "log", "precision")}
    serve(_settings(arguments, arguments.config, arguments.set, **given))


def keys_add(arguments: argparse.Namespace) -> None:
    """`bma keys add`."""
    from service.access.keys import add_key

    print(add_key(arguments.keys, arguments.name, arguments.scope))
    print("this key is shown once and kept nowhere; the file holds its hash", file=sys.stderr)


def keys_remove(arguments: argparse.Namespace) -> None:
    """`bma keys remove`."""
    from service.access.keys import remove_key

    remove_key(arguments.keys, arguments.name)
    print(f"{arguments.name} is out; a running service drops it when it reloads (SIGHUP)", file=sys.stderr)


def keys_list(arguments: argparse.Namespace) -> None:
    """`bma keys list`."""
    from service.access.keys import read_keys

    for key in read_keys(arguments.keys):
        print(f"{key.name}  {key.scope}  {key.created}")


def run_query(arguments: argparse.Namespace) -> int:
    """`bma query`; status 1 where a file failed."""
    from service.asking import query

    return query(arguments)


def _settings(arguments: argparse.Namespace, file: Path | None = None, sets: Sequence[str] = (), **given: Any) -> Any:
    """What flags, the environment and a file say together; a flag that is None was not given."""
    from service.settings import load_settings

    common = {name: getattr(arguments, name, None) for name in ("host", "port", "insecure", "device")}
    return load_settings({**common, **given}, file, sets)


def _add_keys(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = actions.add_parser("add", help="make a key and print it, once")
    add.add_argument("name", metavar="NAME", help="whose it is; logs say it")
    add.add_argument("--scope", choices=("read", "write"), required=True, help="write includes reading")
    add.set_defaults(run=keys_add)
    remove = actions.add_parser("remove", help="take a key out of the file")
    remove.add_argument("name", metavar="NAME")
    remove.set_defaults(run=keys_remove)
    listing = actions.add_parser("list", help="names and scopes of the file's keys")
    listing.set_defaults(run=keys_list)
    for action in (add, remove, listing):  # as `bma serve` has it
        action.add_argument(
            "--keys", type=Path, required=True, metavar="FILE", help="the file; it holds hashes of keys"
        )


def _add_address(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (default 8000)")
    parser.add_argument(
        "--insecure",
        action="store_true",
        default=None,
        help="allow an address others can reach though no keys are asked for (or BMA_INSECURE=1)",
    )


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--precision", default="auto", choices=("auto", "fp32", "bf16"), help="of the convolutions")


def _track(items: Iterable[Any], what: str, total: int) -> Iterator[Any]:
    from training.progress import track

    yield from track(items, what, total)
