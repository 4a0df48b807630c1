"""Whether the service survives overload and hostile clients.

    python -m benchmarks.soak                # ten minutes; a model of preset small's size with random weights
    python -m benchmarks.soak --minutes 1 --bundle runs/demo/model --json soak.json
    python -m benchmarks.soak --apart        # half of the cores for the service, the others for the clients

Starts `bma serve` and, in turns, measures what clients get from it that wait for their answers, and sends it twice that
for two minutes, whatever it says, with hostile clients beside (`benchmarks/soaking/load.py`). Watches its memory,
threads and files, ends it with SIGTERM, starts it again, and looks for every change that it has acknowledged. Exits
with 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.soaking.service import ENVIRONMENT, FEW, Cores, halves, served, settled, started_on
from benchmarks.soaking.stock import make_bundle, make_catalogue
from service.pipeline.cores import cores

CLIENTS = 16  # of the closed loop, for each core of the service: enough to keep it at work, and too few to be refused
OVERLOAD = 2.0  # times the capacity
DEADLINE = 2.0  # seconds of each request
ROUND = 120.0  # seconds of overload between two measurements of the capacity
GOODPUT = 0.9  # of the capacity
GROWTH = 1.1  # times the memory of the first minute
GROWTH_SHORT = 1.5  # where the first minute is not over
REFUSALS = ("429", "503", "504")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, help="a trained bundle; without it one of preset small's size is made")
    parser.add_argument("--minutes", type=float, default=10.0, help="of overload")
    parser.add_argument("--short", action="store_true", help="for seconds: no goals on speed, memory may grow")
    parser.add_argument(
        "--apart", action="store_true", help="half of the cores for the service, the others for the clients (Linux)"
    )
    parser.add_argument("--json", type=Path, help="also write all that was measured here")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the service ends too
    with tempfile.TemporaryDirectory() as folder:
        bundle = arguments.bundle or make_bundle(Path(folder) / "bundle")
        measured = soak(bundle, Path(folder), 60 * arguments.minutes, *(halves() if arguments.apart else ()))
    missed = [said for said, good in goals(measured, arguments.short).items() if not good]
    show(measured, missed)
    if arguments.json:
        machine = {"cores": os.cpu_count(), "load": os.getloadavg()}
        arguments.json.write_text(json.dumps({"machine": machine, **measured, "missed": missed}, indent=1) + "\n")
    return 1 if missed else 0


def soak(bundle: Path, folder: Path, seconds: float, ours: Cores = None, theirs: Cores = None) -> dict[str, Any]:
    """Capacity, overload, end, and what is there after a new start.

    Args:
        bundle: the model's.
        folder: for the catalogue and the service's log.
        seconds: of overload.
        ours, theirs: the service's cores and the clients'; all where None.
    """
    catalogue = make_catalogue(bundle, folder / "catalogue")
    rounds = max(1, round(seconds / ROUND))
    brief, long = min(20.0, max(3.0, seconds / 10)), seconds / rounds
    clients = CLIENTS * (len(ours) if ours else cores())
    with served(bundle, catalogue, folder / "first.log", ours) as service:

        def waiting(number: int) -> dict[str, Any]:
            closed = ("--clients", clients, "--seconds", brief, "--warm", brief / 3)
            return load(service.url, *closed, "--name", f"waiting-{number}", cores=theirs)

        calm, loud = [waiting(0)], list[dict[str, Any]]()
        before = service.sample()
        for number in range(1, rounds + 1):
            rate = OVERLOAD * done(calm[-1]) / brief
            _say(f"capacity {rate / OVERLOAD:.1f}/s; now {rate:.1f}/s for {long:.0f} s")
            with service.watched(min(5.0, long / 12)):
                overload = ("--rate", rate, "--seconds", long, "--hostile", "--name", f"overload-{number}")
                loud.append(load(service.url, *overload, cores=theirs))
            calm.append(waiting(number))
        quiet = settled(service, before)
        ended = service.end()
    runs = [*calm, *loud]
    capacities = [done(run) / brief for run in calm]
    goodputs = [done(run) / long for run in loud]
    with served(bundle, catalogue, folder / "second.log") as again:
        lost = missing(again.url, runs)
        again.end()
    command = [sys.executable, "-m", "service.cli", "index", "check", str(catalogue), "--deep"]
    check = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    part = max(1, round(len(service.samples) * min(60.0, seconds / 3) / seconds))
    return {
        "seconds": seconds,
        "deadline": DEADLINE,
        "cores": [sorted(each) if each else "all" for each in (ours, theirs)],
        "clients": clients,
        "rounds": rounds,
        "capacity": capacities,
        "offered": [run["offered"] / long for run in loud],
        "goodput": goodputs,
        # the machine's speed changes: each stretch of overload beside what was possible just before and after it
        "shares": [2 * good / sum(pair) for good, pair in zip(goodputs, pairwise(capacities), strict=True)],
        "calm": together(calm),
        "loud": together(loud),
        "before": before,
        "begin": middle(service.samples[:part]),
        "end": middle(service.samples[-part:]),
        "quiet": quiet,
        "samples": service.samples,
        "status": ended,
        "errors": sum("Traceback" in line for line in (folder / "first.log").read_text().splitlines()),
        "acknowledged": sum(len(run["items"]) + len(run["deleted"]) for run in runs),
        "lost": lost,
        "check": check.returncode,
        "findings": check.stdout + check.stderr,
    }


def goals(measured: dict[str, Any], short: bool) -> dict[str, bool]:
    """What is asked for, and whether it was reached."""
    loud, begin, end, quiet = measured["loud"], measured["begin"], measured["end"], measured["quiet"]
    statuses, hostile = loud["statuses"], loud["hostile"]
    growth = GROWTH_SHORT if short else GROWTH
    heard = {status for kind in ("rubbish", "noise", "slow") for status in hostile.get(kind, {})}
    found = {
        "every request is answered with 2xx, 429, 503 or 504": all(
            status.startswith("2") or status in REFUSALS for status in statuses
        ),
        "rubbish is answered with 4xx (or, as all else, with 429, 503, 504)": "rubbish" in hostile
        and all(status.startswith("4") or status in REFUSALS for status in heard),
        f"memory does not grow over {growth:g} times": end["memory"] <= growth * begin["memory"],
        "threads and files are those of before once the load has gone": all(
            quiet[what] <= measured["before"][what] + FEW for what in ("threads", "files")
        ),
        "no place is taken once the load has gone": quiet["places"] == 0,
        "no traceback is in the log": measured["errors"] == 0,
        "SIGTERM ends it": measured["status"] == -signal.SIGTERM,
        "every acknowledged change is there, and none that was refused": not measured["lost"],
        "bma index check --deep finds nothing": measured["check"] == 0,
    }
    if not short:
        found[f"goodput is at least {GOODPUT:g} of the capacity"] = statistics.median(measured["shares"]) >= GOODPUT
        found["p99 of what was accepted is within the deadline"] = loud["ms"]["p99"] <= 1000 * measured["deadline"]
    return found


def show(measured: dict[str, Any], missed: Sequence[str]) -> None:
    """All of it as Markdown."""
    loud, begin, end = measured["loud"], measured["begin"], measured["end"]
    stretches = f"{measured['rounds']} x {measured['seconds'] / measured['rounds']:.0f} s"
    rows = {
        f"capacity, {measured['clients']} clients that wait, before and after each": spread(measured["capacity"], "/s"),
        f"offered, {stretches}": spread(measured["offered"], "/s"),
        "goodput (2xx)": spread(measured["goodput"], "/s"),
        "**goodput, of the capacity before and after**": f"**{spread(measured['shares'], '', 2)}**",
        "accepted, p50 / p99 / most": " / ".join(f"{loud['ms'][rank]:.0f}" for rank in ("p50", "p99", "most"))
        + f" ms; the deadline is {1000 * measured['deadline']:.0f} ms",
        "sent late by the clients, p50 / p99": f"{loud['lag_ms']['p50']:.1f} / {loud['lag_ms']['p99']:.1f} ms",
        "answers": listed(loud["statuses"]),
        "answers to clients that wait": listed(measured["calm"]["statuses"]),
        **{f"hostile: {kind}": listed(heard) for kind, heard in loud["hostile"].items()},
        "resident memory, begin / end": f"{begin['memory'] / 1e6:.0f} / {end['memory'] / 1e6:.0f} MB",
        "threads, begin / end": f"{begin['threads']:.0f} / {end['threads']:.0f}",
        "open files, begin / end / before / after": " / ".join(
            f"{sample['files']:.0f}" for sample in (begin, end, measured["before"], measured["quiet"])
        ),
        "items put in, deleted or refused, looked for after a new start": f"{measured['acknowledged']:,}",
        "of them not as acknowledged": f"{len(measured['lost'])}",
    }
    print("\n| | |\n|---|---|")
    for what, value in rows.items():
        print(f"| {what} | {value} |")
    print()
    for said in missed:
        print(f"missed: {said}")
    if measured["lost"]:
        print("  such as", ", ".join(measured["lost"][:5]))
    if measured["check"]:
        print(measured["findings"])


def spread(values: Sequence[float], unit: str, digits: int = 1) -> str:
    """The median, and the least and the most where there are several."""
    median = f"{statistics.median(values):.{digits}f}{unit}"
    return f"{median}, {min(values):.{digits}f} to {max(values):.{digits}f}" if len(values) > 1 else median


def together(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What the clients of several runs saw: counts in all, of p50 the median, of p99 and the most the worst."""
    hostile: dict[str, Counter[str]] = {}
    for run in runs:
        for kind, heard in run["hostile"].items():
            hostile.setdefault(kind, Counter()).update(heard)
    worst = {
        of: {
            rank: (statistics.median if rank == "p50" else max)(run[of][rank] for run in runs)
            for rank in ("p50", "p99", "most")
        }
        for of in ("ms", "lag_ms")
    }
    return {"statuses": sum((Counter(run["statuses"]) for run in runs), Counter()), "hostile": hostile, **worst}


def listed(statuses: Mapping[str, int]) -> str:
    """How often each was heard."""
    return ", ".join(f"{status}: {count:,}" for status, count in sorted(statuses.items()))


def load(url: str, *arguments: object, cores: Cores = None) -> dict[str, Any]:
    """Run clients in a process of their own; what they saw."""
    command = [sys.executable, "-m", "benchmarks.soaking.load", url, "--deadline", DEADLINE, *arguments]
    with started_on(cores):
        done = subprocess.run([*map(str, command)], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def done(run: dict[str, Any]) -> int:
    """Requests that were answered with 2xx."""
    return sum(count for status, count in run["statuses"].items() if status.startswith("2"))


def middle(samples: Sequence[dict[str, float]]) -> dict[str, float]:
    """Medians."""
    return {what: statistics.median(sample[what] for sample in samples) for what in samples[0]}


def missing(url: str, runs: Sequence[dict[str, Any]]) -> list[str]:
    """Ids of items that are not as the clients were told."""
    there: dict[str, str] = {}
    cursor: str | None = ""
    while cursor is not None:
        with urllib.request.urlopen(f"{url}/v1/items?limit=1000&cursor={cursor}", timeout=60) as answer:
            page = json.load(answer)
        there |= {item["id"]: item["label"] for item in page["items"]}
        cursor = page.get("cursor")
    wrong = [id for run in runs for id, label in run["items"].items() if there.get(id) != label]
    wrong += [id for run in runs for id in run["deleted"] if id in there]
    return wrong


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
