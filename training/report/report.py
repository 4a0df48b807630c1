"""A report: everything that its page shows, gathered."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from training.data.pack import open_data
from training.data.packed import PackedData, PackError
from training.data.rows import RowsError
from training.model.bundle import Bundle
from training.model.embedder import Embedder
from training.model.memory import MODALITIES, Modality, other
from training.report.gallery import Answer, find_answers
from training.report.record import Record, ReportError, read_record
from training.report.sample import Sample, choose_split, take_sample
from training.report.usage import Slot, Usage, find_slots, measure_usage
from training.retrieval import retrieval_scores


@dataclass(frozen=True)
class Findings:
    """What a model makes of a split.

    Attributes:
        data: the data set.
        sample_rate: Hz of its waves.
        split: val, test or train.
        samples: of the split, by modality.
        scores: of retrieval from each modality to the other, as `retrieval_scores` names them.
        answers: the gallery, by the modality of its queries.
        usages: of the memory by each modality, none without a memory.
        slots: the most used, the first first.
    """

    data: PackedData
    sample_rate: int
    split: str
    samples: dict[Modality, Sample]
    scores: dict[Modality, dict[str, float]]
    answers: dict[Modality, list[Answer]]
    usages: list[Usage]
    slots: list[Slot]


@dataclass(frozen=True)
class Report:
    """What is known of a run.

    Attributes:
        record: the run's folder.
        bundle: its model, None before it has finished.
        findings: what the model makes of the data, None where one of them is missing.
        notes: sentences on what is left out and why.
        made_on: device and precision that made the findings.
    """

    record: Record
    bundle: Bundle | None = None
    findings: Findings | None = None
    notes: list[str] = field(default_factory=list)
    made_on: str = ""


def gather(
    run: Path,
    data: Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    *,
    split: str | None = None,
    examples: int = 12,
    slots: int = 12,
) -> Report:
    """Gather a run's report.

    Args:
        run: the folder that training writes; of a run without a bundle the curves alone are reported.
        data: the data set, the one that the run names when None.
        device: auto, cpu, cuda or cuda:N.
        precision: auto, fp32 or bf16.
        split: what the model is asked about; the first of val, test and train that holds both kinds when None.
        examples: queries of each modality in the gallery.
        slots: how many of the most used slots are shown.

    Raises:
        ReportError: the folder is not a run's, or the split that was asked for does not hold both kinds.
        BundleError: its bundle is damaged.
        RowsError, PackError: `data` can't be used.
        ValueError: the device or the precision is not available.
    """
    record = read_record(run)
    notes = _notes(record)
    if not (run / "model").exists():
        notes.append(
            f"This run has not finished: {len(record.metrics.steps):,} of {record.config['steps']:,} steps are "
            "written and there is no model yet, so these are its curves alone."
        )
        return Report(record, notes=notes)
    embedder = Embedder(run / "model", device, precision, batch_size=128)
    opened = _open(record, data, embedder, notes)
    asked, split = split, None
    if opened:
        split = choose_split(opened, (asked,)) if asked else choose_split(opened)
    if opened and asked and not split:
        raise ReportError(f"{opened.folder} has no images and sounds in split '{asked}'; name another with --split")
    if opened and not split:
        notes.append(f"{opened.folder} has no split with both images and sounds, so there is nothing to retrieve.")
    if split == "test" and not asked:
        notes.append("Split val holds no images and sounds to retrieve, so this looks at split test.")
    if split == "train":
        notes.append("This looks at split train, which the model was trained on: others hold no images and sounds.")
    findings = _find(opened, embedder, split, examples, slots) if opened and split else None
    made_on = f"{embedder.device}, {'bf16' if 'bfloat16' in str(embedder.dtype) else 'fp32'}"
    return Report(record, embedder.bundle, findings, notes, made_on)


def _notes(record: Record) -> list[str]:
    lost = record.metrics.unreadable
    return [f"Lines of metrics.jsonl that could not be read, as after a kill, are left out: {lost}."] if lost else []


def _open(record: Record, data: Path | None, embedder: Embedder, notes: list[str]) -> PackedData | None:
    """The data set that was named, or the one that the run names where it can be read."""
    config = embedder.preprocessor.config
    named = record.config.get("data")
    remedy = f"name it with 'bma report {record.folder} --data DATA' for the memory, the gallery and the slots"
    if data is None and not isinstance(named, str):
        notes.append(f"The run does not say where its data set lies; {remedy}.")
        return None
    try:
        opened = open_data(data or Path(str(named)), config.image_size, config.sample_rate)
    except (RowsError, PackError, OSError) as error:
        if data is not None:
            raise
        notes.append(f"The run's data set can't be read ({error}); {remedy}.")
        return None
    if opened.fingerprint != record.config["data_fingerprint"]:
        notes.append(
            f"{opened.folder} is another data set than the one this run was trained on, or it has changed since."
        )
    return opened


def _find(data: PackedData, embedder: Embedder, split: str, examples: int, slots: int) -> Findings:
    samples = {modality: take_sample(data, embedder, split, modality) for modality in MODALITIES}
    scores, answers = {}, {}
    for modality in MODALITIES:
        queries, targets = samples[modality], samples[other(modality)]
        scores[modality] = retrieval_scores(queries.z, targets.z, queries.truth, targets.truth)
        answers[modality] = find_answers(queries, targets, examples)
    usages = []
    if embedder.bundle.model.config.use_memory:
        usages = [measure_usage(sample) for sample in samples.values()]
    shown = find_slots(list(samples.values()), usages, slots, 3) if usages else []
    return Findings(data, embedder.preprocessor.config.sample_rate, split, samples, scores, answers, usages, shown)
