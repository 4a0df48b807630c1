"""Commands that learn and measure: train, evaluate, embed, and `data`. Heavy imports wait until a command runs."""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

from training.data.commands import add_data_commands, say_unreadable
from training.study.commands import add_study_command

DATA_HELP = "a packed data set, a rows file, or the rows file's folder"


def add_commands(commands: Any) -> None:
    """Add the parsers to `bma`'s."""
    add_data_commands(commands)

    train = commands.add_parser("train", help="train a model")
    train.add_argument("--data", type=Path, required=True, metavar="DATA", help=DATA_HELP)
    train.add_argument(
        "--out", type=Path, required=True, metavar="RUN", help="the run's folder; the bundle becomes RUN/model"
    )
    train.add_argument("--preset", choices=("paper", "small", "demo"), help="where the keys start (default small)")
    train.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key; repeatable")
    train.add_argument("--resume", action="store_true", help="go on from the last checkpoint with the run's own keys")
    train.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    train.add_argument("--tensorboard", action="store_true", help="also write event files to RUN/tensorboard")
    train.set_defaults(run=run_train)

    evaluate = commands.add_parser("evaluate", help="score a bundle: linear probe, kNN, retrieval")
    evaluate.add_argument("bundle", type=Path, metavar="BUNDLE")
    evaluate.add_argument("--data", type=Path, required=True, metavar="DATA", help=DATA_HELP)
    evaluate.add_argument("--probe", type=Path, metavar="DATA", help="fit and score the probes on this other data set")
    evaluate.add_argument("--raw", action="store_true", help="also probe raw 32 x 32 pixels and raw log-mels")
    evaluate.add_argument("--classes", action="store_true", help="also print scores by class and the confusion matrix")
    evaluate.add_argument("--json", action="store_true", help="print JSON")
    evaluate.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    evaluate.add_argument("--precision", default="auto", help="auto, fp32 or bf16")
    evaluate.set_defaults(run=run_evaluate)

    add_study_command(commands)

    report = commands.add_parser("report", help="write a run's page: curves, memory, retrieval, slots")
    report.add_argument("folder", type=Path, metavar="RUN", help="the run's folder")
    report.add_argument("--data", type=Path, metavar="DATA", help=f"{DATA_HELP} (default the run's own)")
    report.add_argument("--split", metavar="SPLIT", help="ask the model about it (default val, else test or train)")
    report.add_argument("--out", type=Path, metavar="FILE", help="the page (default RUN/report.html)")
    report.add_argument(
        "--pictures", type=Path, metavar="DIR", help="in place of the page, its pictures as files to show elsewhere"
    )
    report.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    report.add_argument("--precision", default="auto", help="auto, fp32 or bf16")
    report.set_defaults(run=run_report)

    embed = commands.add_parser("embed", help="write h and z of files to an .npz")
    embed.add_argument("bundle", type=Path, metavar="BUNDLE")
    embed.add_argument(
        "files", type=Path, nargs="+", metavar="FILE", help="images or sounds, told apart by their content"
    )
    embed.add_argument("--out", type=Path, required=True, metavar="X.npz", help="arrays name, modality, h, z")
    embed.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    embed.add_argument("--precision", default="auto", help="auto, fp32 or bf16")
    embed.set_defaults(run=run_embed)


def run_train(arguments: argparse.Namespace) -> None:
    """`bma train`."""
    from training.config import make_config
    from training.data.pack import open_data
    from training.interrupt import Interruption
    from training.ranks import launcher, leads
    from training.run import resume_command, train

    out = arguments.out
    if arguments.resume and (out / "config.json").is_file():
        config = resumed_config(out, arguments.preset, arguments.set)
    else:
        config = make_config(arguments.preset or "small", arguments.set)
    with Interruption().taken():
        data = open_data(arguments.data, config.image_size, config.sample_rate)
        if leads():
            say_unreadable(data)
        hint = resume_command([*launcher(), *program()], str(arguments.data), out, arguments.device)
        bundle = train(
            data, out, config, arguments.device, arguments.resume, how_to_resume=hint, board=arguments.tensorboard
        )
    if leads():
        print(f"{out / 'model'} holds {bundle.name}")
        score = ["evaluate", str(out / "model"), "--data", str(arguments.data)]
        print("next: " + shlex.join([*program(), *(score if bundle.heads else ["report", str(out)])]))


def resumed_config(out: Path, preset: str | None, overrides: list[str]) -> Any:
    """A run's own configuration. A preset, or keys without one, may be named again if they say the same."""
    from training.config import make_config, parse_overrides
    from training.run_folder import RunError, RunFolder

    config = RunFolder(out).read_config()
    asked = make_config(preset, overrides).to_dict() if preset else parse_overrides(overrides)
    own = config.to_dict()
    differing = [f"{key}={own[key]}, not {value}" for key, value in asked.items() if own[key] != value]
    if preset and preset != own["preset"]:
        differing = [f"preset={own['preset']}, not {preset}"]  # and every key with it
    if differing:
        raise RunError(
            f"{out} was started with {'; with '.join(differing)}: "
            "leave out --preset and --set to go on with its own keys"
        )
    return config


def program() -> list[str]:
    """How this command was called, for sentences that name a command to run."""
    called = Path(sys.argv[0])
    if called.name == "cli.py":
        return [sys.executable, "-m", "service.cli"]
    on_path = shutil.which("bma")
    if called.name != "bma" or (on_path and Path(on_path).resolve() == called.resolve()):
        return ["bma"]
    return [str(called)]


def run_evaluate(arguments: argparse.Namespace) -> None:
    """`bma evaluate`."""
    from training.data.pack import open_data
    from training.evaluate import evaluate, raw_probe
    from training.features import Features
    from training.model.embedder import Embedder
    from training.model.memory import MODALITIES
    from training.scoreboard import describe_scores, scores_json

    embedder = Embedder(arguments.bundle, arguments.device, arguments.precision, batch_size=128)
    config = embedder.preprocessor.config

    def features(data: Path) -> Features:
        return Features(open_data(data, config.image_size, config.sample_rate), embedder)

    data = features(arguments.data)
    probe = features(arguments.probe) if arguments.probe else None
    scores = evaluate(data, probe)
    if arguments.raw:
        for modality in MODALITIES:
            if modality in scores:
                scores[modality]["raw_probe"] = raw_probe(probe or data, modality)
    print(scores_json(scores) if arguments.json else describe_scores(scores, by_class=arguments.classes))


def run_report(arguments: argparse.Namespace) -> None:
    """`bma report`."""
    from training.report.page import render, save_page
    from training.report.pictures import make_pictures, save_pictures
    from training.report.report import gather

    report = gather(arguments.folder, arguments.data, arguments.device, arguments.precision, split=arguments.split)
    for note in report.notes:
        print(note)
    if arguments.pictures:
        print("\n".join(save_pictures(make_pictures(report), arguments.pictures)))
    if arguments.out or not arguments.pictures:
        out = arguments.out or arguments.folder / "report.html"
        command = ["bma", "report", str(arguments.folder)]
        for option in ("data", "split"):
            if getattr(arguments, option):
                command += [f"--{option}", str(getattr(arguments, option))]
        page = render(report, shlex.join(command))
        save_page(page, out)
        print(f"{out} is the report of {report.record.name} ({len(page) / 1e6:.1f} MB)")


def run_embed(arguments: argparse.Namespace) -> None:
    """`bma embed`."""
    import numpy as np

    from training.model.embedder import Embedder
    from training.model.media import suffixes
    from training.model.media.image import image_type
    from training.model.media.source import UnsupportedMedia
    from training.model.memory import Modality
    from training.progress import track

    embedder = Embedder(arguments.bundle, arguments.device, arguments.precision)
    modalities: list[Modality] = []
    h, z = [], []
    for file in track(arguments.files, "embedding", len(arguments.files)):
        try:
            image_type(file)
            modality: Modality = "image"
        except UnsupportedMedia:
            if file.suffix.lower() in suffixes.IMAGES:
                raise
            modality = "sound"
        embedding = embedder.embed([file], modality)
        modalities.append(modality)
        h.append(embedding.h)
        z.append(embedding.z)
    names = np.array([str(file) for file in arguments.files])
    with arguments.out.open("wb") as stream:
        np.savez(stream, name=names, modality=np.array(modalities), h=np.concatenate(h), z=np.concatenate(z))
    print(f"wrote h {list(np.concatenate(h).shape)} and z {list(np.concatenate(z).shape)} to {arguments.out}")
