"""`bma data`: commands that make and pack data sets. Heavy imports wait until a command runs."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from training.data.packed import PackedData
    from training.data.prepare.output import Prepared


def add_data_commands(commands: Any) -> None:
    """Add `data` and its parsers to `bma`'s."""
    data = commands.add_parser("data", help="make and pack data sets").add_subparsers(dest="action", required=True)

    demo = data.add_parser("demo", help="draw and synthesise the demo data set: files and rows.csv")
    demo.add_argument("out", type=Path, metavar="OUT", help="folder for the files and rows.csv")
    demo.add_argument("--seed", type=int, default=0, help="the same seed gives the same files (default 0)")
    demo.set_defaults(run=data_demo)

    _add_prepare(data.add_parser("prepare", help="make a rows file from files that you have"))

    pack = data.add_parser("pack", help="make a rows file fast to read")
    pack.add_argument("rows", type=Path, metavar="ROWS", help="rows file")
    pack.add_argument("out", type=Path, metavar="OUT", help="folder for the packed data set")
    pack.add_argument("--image-size", type=int, default=224, help="pixels; the model's image_size (default 224)")
    pack.set_defaults(run=data_pack)

    check = data.add_parser("check", help="read a packed data set whole and find what has changed by itself")
    check.add_argument("pack", type=Path, metavar="PACK", help="folder of the packed data set")
    check.set_defaults(run=data_check)


def _add_prepare(prepare: argparse.ArgumentParser) -> None:
    kinds = prepare.add_subparsers(dest="kind", required=True, metavar="KIND")

    def add(kind: str, run: Any, help: str, src: str) -> argparse.ArgumentParser:
        parser = kinds.add_parser(kind, help=help)
        parser.add_argument("src", type=Path, metavar="SRC", help=src)
        parser.add_argument("out", type=Path, metavar="OUT", help="folder for rows.csv and the media that must be made")
        parser.set_defaults(run=run)
        return parser

    folder = add(
        "folder",
        prepare_folder,
        "a folder of your own images, sounds and videos",
        "the folder; first-level folders in it are labels",
    )
    folder.add_argument("--every", type=float, default=2.0, help="cut videos into pieces of this length (default 2 s)")
    folder.add_argument("--per-video", type=int, default=30, help="at most so many pieces of a video (default 30)")


def data_demo(arguments: argparse.Namespace) -> None:
    """`bma data demo`."""
    from training.data.demo.dataset import make_demo

    print(f"wrote {make_demo(arguments.out, arguments.seed)}")


def prepare_folder(arguments: argparse.Namespace) -> None:
    """`bma data prepare folder`."""
    from training.data.prepare.folder import prepare_folder

    made = prepare_folder(arguments.src, arguments.out, arguments.every, arguments.per_video)
    say_prepared(made)
    if not made.train_pairs:
        print("a model learns from pairs: add videos with sound, or images and sounds of the same name")


def data_pack(arguments: argparse.Namespace) -> None:
    """`bma data pack`."""
    from training.data.pack import open_current, pack
    from training.data.rows import read_rows
    from training.model.config import PreprocessConfig

    config = PreprocessConfig(image_size=arguments.image_size)
    sizes = config.image_size, config.sample_rate
    data = open_current(arguments.rows, read_rows(arguments.rows), arguments.out, *sizes)
    done = "already packed" if data else "packed"
    data = data or pack(arguments.rows, arguments.out, *sizes)
    print(f"{done}: {len(data.images)} images and {len(data.offsets) - 1} sounds in {data.folder}")
    say_unreadable(data)


def data_check(arguments: argparse.Namespace) -> None:
    """`bma data check`."""
    from training.data.packed import check

    info = check(arguments.pack)
    print(f"{arguments.pack} is as it was packed: {info['images']} images and {info['sounds']} sounds")


def say_prepared(made: Prepared) -> None:
    """What was made, what was left out, and what to do next."""
    splits = ", ".join(f"{count} {split}" for split, count in made.splits.items())
    print(f"wrote {made.rows_file}: {sum(made.splits.values())} rows ({splits})")
    print(f"pairs of image and sound: {made.pairs}, of them {made.train_pairs} to train with; classes: {made.classes}")
    if made.unreadable:
        listed = made.rows_file.with_name("unreadable.csv")
        print(f"left out, as they can't be read: {made.unreadable}; {listed} lists them")
    if made.train_pairs:
        folder = made.rows_file.parent
        run = folder.parent if folder.name == "data" else folder.with_name(f"{folder.name}-run")
        print("next: " + shlex.join(["bma", "train", "--data", str(made.rows_file), "--out", str(run)]))


def say_unreadable(data: PackedData) -> None:
    """Tell of files that were left out."""
    if data.unreadable:
        print(f"left out, as they can't be read: {data.unreadable}; {data.folder / 'unreadable.csv'} lists them")
