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

    join = data.add_parser("join", help="make one rows file of several")
    join.add_argument("out", type=Path, metavar="OUT.csv", help="the new rows file")
    join.add_argument("rows", type=Path, nargs="+", metavar="ROWS", help="rows files, or their folders")
    join.add_argument(
        "--unpaired",
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        metavar="ROWS",
        help="rows files whose train rows become unpaired images and sounds",
    )
    join.set_defaults(run=data_join)

    pack = data.add_parser("pack", help="make a rows file fast to read")
    pack.add_argument("rows", type=Path, metavar="ROWS", help="rows file, or its folder")
    pack.add_argument("out", type=Path, metavar="OUT", help="folder for the packed data set")
    pack.add_argument("--preset", choices=("paper", "small", "demo"), help="for models of this preset (default small)")
    pack.add_argument("--image-size", type=int, help="pixels; instead of the preset's image_size")
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

    limit = "at most so many clips, chosen by their names"
    val = "share of train that becomes val; 0 leaves the official split whole (default 0.1)"
    kinetics = add("kinetics400", prepare_kinetics400, "Kinetics-400", "the folder with annotations, train, val, test")
    kinetics.add_argument(
        "--as",
        dest="use",
        choices=("splits", "unpaired"),
        default="splits",
        help="pairs in the owners' splits (default), or train's images and sounds as unpaired items",
    )
    kinetics.add_argument("--limit", type=int, help=limit)
    vggsound = add("vggsound", prepare_vggsound, "VGGSound", "the folder with vggsound.csv and the clips")
    vggsound.add_argument("--val", type=float, default=0.1, help=val)
    vggsound.add_argument("--limit", type=int, help=limit)
    esc50 = add("esc50", prepare_esc50, "ESC-50", "the folder with audio and meta")
    esc50.add_argument("--test-fold", type=int, default=5, help="1 to 5 (default 5)")
    esc50.add_argument("--val-fold", type=int, default=4, help="1 to 5, 0 for none (default 4)")
    dcase = add("dcase2018", prepare_dcase2018, "DCASE 2018, task 1A", "TUT-urban-acoustic-scenes-2018-development")
    dcase.add_argument("--val", type=float, default=0.1, help=val)

    acivw = add("acivw", prepare_acivw, "ACIVW", "the folder with class_0 to class_9 and lists")
    acivw.add_argument("--lists", type=Path, metavar="FOLDER", help="the split lists (default SRC/lists)")
    acivw.add_argument("--gain", type=float, help="factor from counts to int16 for all (default: by each peak)")
    acivw.add_argument("--acoustic", action="store_true", help="also write the acoustic image of each picture")


def data_demo(arguments: argparse.Namespace) -> None:
    """`bma data demo`."""
    from training.data.demo.dataset import make_demo

    print(f"wrote {make_demo(arguments.out, arguments.seed)}")


def prepare_folder(arguments: argparse.Namespace) -> None:
    """`bma data prepare folder`."""
    from training.data.prepare.folder import prepare_folder

    made = prepare_folder(arguments.src, arguments.out, arguments.every, arguments.per_video)
    say_prepared(made, arguments.src)
    if not made.train_pairs:
        print("a model learns from pairs: add videos with sound, or images and sounds of the same name")


def prepare_acivw(arguments: argparse.Namespace) -> None:
    """`bma data prepare acivw`."""
    from training.data.prepare.acivw import prepare_acivw

    made = prepare_acivw(arguments.src, arguments.out, arguments.lists, arguments.gain, arguments.acoustic)
    say_prepared(made, arguments.src)
    if made.single:
        print(f"seconds that the lists name without a neighbour, in no sample: {made.single}")


def prepare_kinetics400(arguments: argparse.Namespace) -> None:
    """`bma data prepare kinetics400`."""
    from training.data.prepare.kinetics400 import prepare_kinetics400

    made = prepare_kinetics400(arguments.src, arguments.out, arguments.use, arguments.limit)
    say_prepared(made, arguments.src)
    if arguments.use == "unpaired":
        folder = made.rows_file.parent
        joined = folder.with_name(f"{folder.name}-joined") / made.rows_file.name
        print("next: " + shlex.join(["bma", "data", "join", str(joined), "PAIRS", "--unpaired", str(made.rows_file)]))


def prepare_vggsound(arguments: argparse.Namespace) -> None:
    """`bma data prepare vggsound`."""
    from training.data.prepare.vggsound import prepare_vggsound

    say_prepared(prepare_vggsound(arguments.src, arguments.out, arguments.val, arguments.limit), arguments.src)


def prepare_esc50(arguments: argparse.Namespace) -> None:
    """`bma data prepare esc50`."""
    from training.data.prepare.esc50 import prepare_esc50

    made = prepare_esc50(arguments.src, arguments.out, arguments.test_fold, arguments.val_fold)
    say_prepared(made)
    print("next: " + shlex.join(["bma", "evaluate", "MODEL", "--data", str(made.rows_file)]))


def prepare_dcase2018(arguments: argparse.Namespace) -> None:
    """`bma data prepare dcase2018`."""
    from training.data.prepare.dcase2018 import prepare_dcase2018

    made = prepare_dcase2018(arguments.src, arguments.out, arguments.val)
    say_prepared(made)
    print("next: " + shlex.join(["bma", "evaluate", "MODEL", "--data", str(made.rows_file)]))


def data_join(arguments: argparse.Namespace) -> None:
    """`bma data join`."""
    from collections import Counter

    from training.data.join import join_rows
    from training.data.rows import SPLITS

    joined = join_rows(arguments.out, arguments.rows, arguments.unpaired)
    rows = joined.rows
    counts = Counter(row.split for row in rows)
    splits = ", ".join(f"{counts[split]} {split}" for split in SPLITS if counts[split])
    pairs = sum(row.is_pair for row in rows)
    print(f"wrote {arguments.out}: {len(rows)} rows ({splits}), of them {pairs} pairs to train with")
    if joined.held_out:
        print(f"unpaired items left out, as val or test has a clip of that name: {joined.held_out}")


def data_pack(arguments: argparse.Namespace) -> None:
    """`bma data pack`."""
    from training.config import make_config
    from training.data.pack import open_current, pack
    from training.data.packed import ROWS
    from training.data.rows import read_rows
    from training.model.config import PreprocessConfig

    config = make_config(arguments.preset or "small").preprocess_config
    if arguments.image_size is not None:
        config = PreprocessConfig(image_size=arguments.image_size)
    sizes = config.image_size, config.sample_rate
    rows_file = arguments.rows / ROWS if arguments.rows.is_dir() else arguments.rows
    data = open_current(rows_file, read_rows(rows_file), arguments.out, *sizes)
    done = "already packed" if data else "packed"
    data = data or pack(rows_file, arguments.out, *sizes)
    print(f"{done}: {len(data.images)} images and {len(data.offsets) - 1} sounds in {data.folder}")
    say_unreadable(data)


def data_check(arguments: argparse.Namespace) -> None:
    """`bma data check`."""
    from training.data.packed import check

    info = check(arguments.pack)
    print(f"{arguments.pack} is as it was packed: {info['images']} images and {info['sounds']} sounds")


def say_prepared(made: Prepared, src: Path | None = None) -> None:
    """What was made, what was left out and, where the folder that was prepared is named, what to do next."""
    splits = ", ".join(f"{count} {split}" for split, count in made.splits.items())
    print(f"wrote {made.rows_file}: {sum(made.splits.values())} rows ({splits})")
    print(f"pairs of image and sound: {made.pairs}, of them {made.train_pairs} to train with; classes: {made.classes}")
    if made.unreadable:
        listed = made.rows_file.with_name("unreadable.csv")
        print(f"left out, as they can't be read: {made.unreadable}; {listed} lists them")
    if made.copies:
        print(f"copies of other files: {made.copies}; what shares a file is one clip, and in one split")
    if made.missing:
        listed = made.rows_file.with_name("missing.csv")
        print(f"named by the data set's lists and not there: {made.missing}; {listed} lists them")
    if made.unlisted:
        print(f"there and not named by the data set's lists, so not used: {made.unlisted}")
    if made.train_pairs and src:
        folder = made.rows_file.parent
        own = folder.name == "data" and folder.parent.resolve() != src.resolve()  # a folder for the run and its data
        run = folder.parent if own else folder.with_name(f"{folder.name}-run")
        print("next: " + shlex.join(["bma", "train", "--data", str(made.rows_file), "--out", str(run)]))


def say_unreadable(data: PackedData) -> None:
    """Tell of files that were left out."""
    if data.unreadable:
        print(f"left out, as they can't be read: {data.unreadable}; {data.folder / 'unreadable.csv'} lists them")
