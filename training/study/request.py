"""What `bma study` was asked for: studies on a data set. It has their runs done and writes what they say."""

from __future__ import annotations

import argparse
import errno
import json
import os
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from training.config import TrainingConfig
from training.data.pack import open_data
from training.data.packed import PackedData
from training.data.parallel import cores
from training.interrupt import Interrupted, Interruption
from training.model.device import resolve_device
from training.model.draft import replaced_file
from training.study.findings import Findings, collect
from training.study.needs import in_words, missing_scores, require
from training.study.plan import Arm, Study
from training.study.plot import draw
from training.study.pool import Machine, run_all
from training.study.runs import Run, StudyError, make_config, runs_of, writes
from training.study.studies import STUDIES
from training.study.table import Origin, to_markdown
from training.study.words import count, describe, describe_machine, duration, name
from training.study.worker import Job

Say = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """Studies to run on a data set.

    Attributes:
        studies: in the order they were named.
        data: as it was named.
        probe: the other data set of studies that transfer, as it was named; None without one.
        out: where the runs and the results go.
        preset, overrides: of all arms.
        seeds: of all arms.
        jobs: runs at a time; None by the machine.
        device: auto, cpu, cuda or cuda:N.
    """

    studies: Sequence[Study]
    data: Path
    probe: Path | None
    out: Path
    preset: str
    overrides: Sequence[str]
    seeds: Sequence[int]
    jobs: int | None
    device: str

    @classmethod
    def of(cls, names: Sequence[str], arguments: argparse.Namespace) -> Request:
        """From the command line.

        Raises:
            StudyError: a name is unknown, or something is missing.
        """
        unknown = [name for name in names if name not in STUDIES]
        if unknown or not names:
            what = f"there is no study '{unknown[0]}'" if unknown else "name a study"
            raise StudyError(f"{what}; studies are {', '.join(STUDIES)} (bma study --list)")
        for option in ("data", "out"):
            if getattr(arguments, option) is None:
                raise StudyError(f"bma study needs --{option} (bma study --help)")
        if arguments.jobs is not None and arguments.jobs < 1:
            raise StudyError(f"--jobs takes a whole number of at least 1, not {arguments.jobs}")
        studies = [STUDIES[name] for name in dict.fromkeys(names)]
        for study in studies:
            if study.transfer and arguments.probe is None:
                raise StudyError(f"{study.name} scores on another data set; name it with --probe")
        a = arguments
        return cls(studies, a.data, a.probe, a.out, a.preset, a.set, a.seeds, a.jobs, a.device)

    def run(self, say: Say, warn: Say) -> list[Path]:
        """Do the runs that have no result yet, then write each study's; the files written.

        Args:
            say: gets a line for each run that is done.
            warn: gets a line for each run that failed, and for each study that lacks some of its scores.

        Raises:
            StudyError: the data can't be trained or scored on as a study asks, a finished result is damaged, or the
                folder can't be written; or runs failed, or had no score, and what the others say is written.
            ConfigError, RowsError, PackError, DeviceError: nothing could begin.
            Interrupted: after Ctrl-C or SIGTERM; what the finished ones say is written.
        """
        base = make_config(Arm("base"), self.preset, self.overrides, self.seeds[0])
        machine = self._machine()
        self._make_folder()
        with Interruption().taken():
            data = open_data(self.data, base.image_size, base.sample_rate)
            other = self._other(base)
        of_study = {
            study.name: runs_of(study, self.out, self.preset, self.overrides, self.seeds, data.fingerprint)
            for study in self.studies
        }
        for told in require(self.studies, of_study, data, other):
            warn(told)
        jobs, total, who = self._jobs(of_study, data, other)
        say(f"{count(total, 'run')}, {total - len(jobs)} of them done before; {len(machine.devices)} at a time")
        progress = _Progress(len(jobs), len(machine.devices), who, say, warn)
        try:
            run_all(jobs, machine, progress.finished, progress.failed)
        except Interrupted as stopped:
            self._write(of_study, data, other)
            raise Interrupted(f"{stopped}: {self.command}") from None
        written, unscored = self._write(of_study, data, other)
        if progress.failures:
            unscored.append(
                f"{progress.failures} of {count(len(jobs), 'run')} failed, as said above; {self.out} has what the "
                "others say, and the same command tries those again"
            )
        if unscored:
            raise StudyError("; ".join(unscored))
        return written

    @property
    def command(self) -> str:
        """The command line that asks for the same."""
        words = ["bma", "study", *(study.name for study in self.studies), "--data", str(self.data)]
        words += ["--out", str(self.out), "--preset", self.preset]
        words += [part for override in self.overrides for part in ("--set", override)]
        counted = list(self.seeds) == list(range(len(self.seeds)))
        words += [
            "--seeds",
            str(len(self.seeds)) if counted else ",".join(map(str, self.seeds)) + "," * (len(self.seeds) == 1),
        ]
        words += ["--jobs", str(self.jobs)] if self.jobs else []
        words += ["--device", self.device] if self.device != "auto" else []
        words += ["--probe", str(self.probe)] if self.probe else []
        return shlex.join(words)

    def _make_folder(self) -> None:
        """Before hours of work, prove that the runs have a place."""
        for folder in (self.out, self.out / "runs"):
            with writes(folder):
                folder.mkdir(parents=True, exist_ok=True)
                if not os.access(folder, os.W_OK | os.X_OK):
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def _other(self, base: TrainingConfig) -> PackedData | None:
        return open_data(self.probe, base.image_size, base.sample_rate) if self.probe else None

    def _jobs(
        self, of_study: Mapping[str, Mapping[str, Mapping[int, Run]]], data: PackedData, other: PackedData | None
    ) -> tuple[list[Job], int, dict[str, str]]:
        """What is to be done, seed by seed; of how many runs; and what to call each, by its folder.

        Raises:
            StudyError: a result that is there is damaged.
        """
        wanted: dict[str, tuple[Run, set[bool]]] = {}
        who: dict[str, str] = {}
        for seed in self.seeds:
            for study in self.studies:
                for arm, by_seed in of_study[study.name].items():
                    folder = str(by_seed[seed].folder)
                    wanted.setdefault(folder, (by_seed[seed], set()))[1].add(study.transfer)
                    who.setdefault(folder, f"{study.name}, {arm}, seed {seed}")
        jobs = []
        for folder, (run, transfers) in wanted.items():
            probes = [other if transfer else None for transfer in sorted(transfers)]
            fingerprints = [probe.fingerprint if probe else "" for probe in probes]
            measured = [fingerprint for fingerprint in fingerprints if run.is_measured(fingerprint)]
            for fingerprint in measured:
                run.read(fingerprint)
            if measured == fingerprints:
                continue
            named = [str(probe.folder.resolve()) if probe else "" for probe in probes]
            jobs.append(Job(folder, run.config.to_dict(), run.method, str(data.folder.resolve()), named, ""))
        return jobs, len(wanted), who

    def _machine(self) -> Machine:
        first = resolve_device(self.device)
        if first.type == "cuda":
            gpus = (
                [f"cuda:{n}" for n in range(torch.cuda.device_count())]
                if self.device in ("auto", "cuda")
                else [str(first)]
            )
            jobs = self.jobs or len(gpus)
            return Machine([gpus[n % len(gpus)] for n in range(jobs)], max(1, cores() // jobs))
        jobs = self.jobs or cores()
        return Machine(["cpu"] * jobs, max(1, cores() // jobs))

    def _write(
        self,
        of_study: Mapping[str, Mapping[str, Mapping[int, Run]]],
        data: PackedData,
        other: PackedData | None,
    ) -> tuple[list[Path], list[str]]:
        """Write what studies found: the files, and a sentence for each study whose runs have none of its scores."""
        written, unscored = [], []
        for study in self.studies:
            probe = other if study.transfer else None
            found = collect(study, of_study[study.name], probe.fingerprint if probe else "")
            if not found.names:
                if len(found.missing) < len(study.arms) * len(self.seeds):
                    unscored.append(_unscored(study, data, probe))
                continue
            named = f"{name(self.probe)}: {describe(probe)}" if probe and self.probe else ""
            origin = Origin(
                self.command, f"{name(self.data)}: {describe(data)}", named, describe_machine(self.device), self.seeds
            )
            written += write(found, origin, self.out / study.name, data.fingerprint)
        return written, unscored


def _unscored(study: Study, data: PackedData, probe: PackedData | None) -> str:
    why = in_words(missing_scores(study, data, probe)) or "its runs were measured without them"
    return f"{study.name}: none of its scores could be measured on {(probe or data).folder}: {why}"


class _Progress:
    def __init__(self, total: int, at_once: int, who: Mapping[str, str], say: Say, warn: Say) -> None:
        self.total, self.at_once, self.who, self.say, self.warn = total, at_once, who, say, warn
        self.begun = time.monotonic()
        self.done = self.failures = 0
        self.taken: list[float] = []

    def finished(self, job: Job, seconds: float) -> None:
        self.done += 1
        self.taken.append(seconds)
        left = self.total - self.done
        remaining = sum(self.taken) / len(self.taken) * left / min(self.at_once, max(1, left))
        rest = f"; about {duration(remaining)} left" if left else f"; all in {duration(time.monotonic() - self.begun)}"
        self.say(f"[{self.done}/{self.total}] {self.who[job.folder]}: {duration(seconds)}{rest}")

    def failed(self, job: Job, why: str) -> None:
        self.done += 1
        self.failures += 1
        self.warn(f"[{self.done}/{self.total}] {self.who[job.folder]} failed: {why}")


def write(found: Findings, origin: Origin, target: Path, fingerprint: str) -> list[Path]:
    """Write a study's JSON, Markdown and SVG: `target` with these endings. Returns their paths.

    Raises:
        StudyError: one can't be written.
    """
    content = {
        "study": found.study.name,
        "title": found.study.title,
        "command": origin.command,
        "data": {"name": origin.data, "fingerprint": fingerprint},
        "probe": origin.probe,
        "machine": origin.machine,
        "seeds": list(origin.seeds),
        **found.to_dict(),
    }
    files = {
        ".json": json.dumps(content, indent=2) + "\n",
        ".md": to_markdown(found, origin, f"{target.name}.svg"),
        ".svg": draw(found) + "\n",
    }
    written = []
    for ending, text in files.items():
        file = target.with_name(target.name + ending)
        with writes(file), replaced_file(file) as draft:
            draft.write_text(text, encoding="utf-8")
        written.append(file)
    return written
