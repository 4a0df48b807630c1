"""What studies need of a data set to be trained and scored on it, looked at before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from training.batch import find_pools
from training.config import TrainingConfig
from training.data.packed import PackedData
from training.features import find_items
from training.model.memory import MODALITIES, Modality
from training.study.plan import Study, score_name
from training.study.runs import Run, StudyError

_LEAST = 2  # rows of each kind that training takes
_ROWS = {
    "pairs": "rows of split 'train' with both an image and a sound",
    "unpaired sounds": "rows of split 'unpaired' with a sound",
    "unpaired images": "rows of split 'unpaired' with an image",
}


def require(
    studies: Sequence[Study],
    of_study: Mapping[str, Mapping[str, Mapping[int, Run]]],
    data: PackedData,
    probe: PackedData | None,
) -> list[str]:
    """Refuse studies of which an arm can't be trained, or no score can be measured.

    Args:
        studies: to run.
        of_study: their runs, by study, arm and seed.
        data: to train on.
        probe: to fit and score the probes of studies that transfer on; None without one.

    Returns:
        A sentence for each study of which some scores can't be measured.

    Raises:
        StudyError: names each such study, what can't be done, and what is missing.
    """
    refused: dict[str, list[str]] = {}
    told = []
    for study in studies:
        runs = (run for by_seed in of_study[study.name].values() for run in by_seed.values())
        why = missing_rows((run.config for run in runs), data)
        lacks = missing_scores(study, data, probe)
        if len(lacks) == len(study.scores):
            why.append(f"none of its scores can be measured: {in_words(lacks)}")
        if why:
            refused[study.name] = why
        elif lacks:
            told.append(f"{study.name}: not all of its scores can be measured: {in_words(lacks)}")
    if refused:
        sentences = "; ".join(f"{name}: {'; '.join(why)}" for name, why in refused.items())
        raise StudyError(f"{sentences}; add such rows, or leave out {', '.join(refused)}")
    return told


def missing_rows(configs: Iterable[TrainingConfig], data: PackedData) -> list[str]:
    """What configurations train on and the data set has not, in words."""
    kinds = {"pairs"}
    for config in configs:
        kinds |= {"unpaired sounds"} if config.uses_unpaired_sounds else set()
        kinds |= {"unpaired images"} if config.uses_unpaired_images else set()
    return [
        f"it trains on {kind}, of which {_LEAST} are the least, and {data.folder} has {len(rows)} {_ROWS[kind]}"
        for kind, rows in find_pools(data).items()
        if kind in kinds and len(rows) < _LEAST
    ]


def missing_scores(study: Study, data: PackedData, probe: PackedData | None) -> dict[str, str]:
    """Of a study's scores those that can't be measured, each with what is missing: `training.evaluate.measure` leaves
    them out.

    Args:
        study: which.
        data: whose test split is retrieved from and, where the study does not transfer, classified.
        probe: the other data set, of a study that transfers.
    """
    classified = probe if study.transfer and probe else data
    lacks: dict[str, str] = {modality: _unclassified(classified, modality) for modality in MODALITIES}
    tested = {m: f"{data.folder} has no labelled test {m}s" for m in MODALITIES if not _tested(data, m)}
    found = {}
    for score in study.scores:
        part = score.partition(".")[0]
        lack = next(iter(tested.values()), "") if "_to_" in part else lacks.get(part, "")
        if lack:
            found[score] = lack
    return found


def in_words(lacks: Mapping[str, str]) -> str:
    """Scores that can't be measured, by what is missing."""
    by_lack: dict[str, list[str]] = {}
    for score, lack in lacks.items():
        by_lack.setdefault(lack, []).append(score_name(score))
    return "; ".join(f"{', '.join(names)} ({lack})" for lack, names in by_lack.items())


def _unclassified(data: PackedData, modality: Modality) -> str:
    """Why a probe and kNN can't be fitted or scored; empty where they can."""
    known = set(find_items(data, "train", modality).labels)
    if len(known) < 2:
        return f"it takes labelled training {modality}s of two classes, and {data.folder} has {len(known)}"
    if known.isdisjoint(find_items(data, "test", modality).labels):
        return f"{data.folder} has no test {modality}s of a class that its split 'train' has"
    return ""


def _tested(data: PackedData, modality: Modality) -> bool:
    return bool(find_items(data, "test", modality).labels)
