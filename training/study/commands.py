"""`bma study`: the paper's tables and figures, and our own, on any data set. Heavy imports wait until it runs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any


def add_study_command(commands: Any) -> None:
    """Add `study` and its parser to `bma`'s."""
    study = commands.add_parser("study", help="train and compare: the paper's tables and figures on your data")
    study.add_argument("names", nargs="*", metavar="NAME", help="such as table1; several share their runs")
    study.add_argument("--list", action="store_true", help="say which studies there are, and end")
    study.add_argument("--data", type=Path, metavar="DATA", help="a packed data set, a rows file, or its folder")
    study.add_argument("--out", type=Path, metavar="OUT", help="folder for the tables, and for the runs in OUT/runs")
    study.add_argument("--preset", choices=("paper", "small", "demo"), default="small", help="where the keys start")
    study.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a key for all runs; repeatable")
    study.add_argument("--seeds", type=read_seeds, default=[0, 1, 2, 3, 4], help="how many, or which: 5, or 0,1,2")
    study.add_argument("--jobs", type=int, help="runs at a time (default one a core, or one a GPU)")
    study.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    study.add_argument("--probe", type=Path, metavar="DATA", help="table4: fit and score the probes on this data set")
    study.set_defaults(run=run_study)


def read_seeds(text: str) -> list[int]:
    """`5` is 0 to 4; `0,1,7` is these. Raises `ArgumentTypeError`."""
    try:
        seeds = [int(part) for part in text.split(",") if part] if "," in text else list(range(int(text)))
    except ValueError:
        seeds = []
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise argparse.ArgumentTypeError(f"takes a number such as 5, or seeds such as 0,1,2, not '{text}'")
    return seeds


def run_study(arguments: argparse.Namespace) -> None:
    """`bma study`."""
    from training.study.studies import STUDIES

    if arguments.list:
        for study in STUDIES.values():
            print(f"{study.name:16}{study.title} ({len(study.arms)} arms)")
        return

    from training.study.request import Request

    done = Request.of(arguments.names, arguments).run(lambda line: print(line, flush=True), _warn)
    for file in done:
        print(f"wrote {file}")


def _warn(line: str) -> None:
    print(f"bma: {line}", file=sys.stderr, flush=True)
