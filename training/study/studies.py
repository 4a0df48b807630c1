"""The studies that there are: the paper's tables and figures, and what the paper leaves open."""

from __future__ import annotations

from training.study.plan import Arm, Axis, Comparison, Study, against

IMAGE = ("image.probe", "image.knn")
SOUND = ("sound.probe", "sound.knn")
RANKS = tuple(f"sound_to_image.hit@{k}" for k in range(1, 6))
ALL = (*IMAGE, *SOUND, "sound_to_image.hit@1", "sound_to_image.map", "image_to_sound.hit@1", "image_to_sound.map")

# What the paper says, whatever the preset adds. What also acts on pairs, such as levels of sound, stays the preset's.
LITERAL_MEMORY = {
    "memory_init": "normal",
    "normalise_halves": False,
    "separate_heads": False,
    "tau_m": 0.1,
}
LITERAL_UNPAIRED = {
    "unpaired_weight": 1.0,
    "unpaired_ramp": 0.0,
    "unpaired_until": 1.0,
    "separate_windows": False,
    "first_view": "cyclic",
    "second_view": "single",
    "separate_statistics": False,
    "crop_scale": 0.08,
    "colour_jitter": 1.0,
}

PAIRS = Arm("pairs only", {"unpaired": "none"})
SOUNDS = Arm("+ unpaired sounds", {"unpaired": "sounds"})
IMAGES = Arm("+ unpaired images", {"unpaired": "images"})
BOTH = Arm("+ both", {"unpaired": "both"})

SHARES = (0.0, 0.125, 0.25, 0.5, 1.0)
SLOTS = (10, 50, 100, 500, 1000, 5000)


def _table(name: str, title: str, arm: Arm, scores: tuple[str, ...], transfer: bool = False) -> Study:
    comparisons = against(PAIRS.name, [arm], scores)
    return Study(name, title, (PAIRS, arm), scores, comparisons, transfer=transfer)


def _fewer_pairs() -> Study:
    arms = []
    for name, share in (("100 %", 1.0), ("20 %", 0.2)):
        arms.append(Arm(f"{name} of the pairs", {"unpaired": "none", "paired_share": share}))
        arms.append(Arm(f"{name} + unpaired sounds", {"unpaired": "sounds", "paired_share": share}))
    whole, whole_sounds, part, part_sounds = (arm.name for arm in arms)
    asked = ((whole_sounds, whole), (part_sounds, part), (part, whole), (part_sounds, whole))
    comparisons = [Comparison(arm, baseline, score) for arm, baseline in asked for score in IMAGE]
    return Study("table5", "Image classification by the volume of pairs", arms, IMAGE, comparisons)


def _volume(name: str, kind: str, scores: tuple[str, ...]) -> Study:
    arms = []
    for series, policy in (("this preset", {}), ("unpaired items as in the paper", LITERAL_UNPAIRED)):
        for share in SHARES:
            used = {"unpaired": kind, "unpaired_share": share, **policy} if share else {"unpaired": "none"}
            arms.append(Arm(f"{series}: {share:g} of the {kind}", used, series, share))
    own, literal = arms[: len(SHARES)], arms[len(SHARES) :]
    comparisons = []
    for line in (own, literal):
        comparisons += against(line[0].name, line, scores)
        comparisons += against(line[-2].name, line[-1:], scores)  # whether it falls where more is used
    for one, other in zip(own[1:], literal[1:], strict=True):
        comparisons += against(other.name, [one], scores)
    return Study(
        name,
        f"Scores by the volume of unpaired {kind}",
        arms,
        scores,
        comparisons,
        Axis(f"share of the unpaired {kind}"),
    )


def _memory_size() -> Study:
    arms = [Arm(f"{slots} slots", {"unpaired": "none", "slots": slots}, "pairs only", slots) for slots in SLOTS]
    comparisons = against(arms[0].name, arms, IMAGE)
    return Study("figure6", "Image classification by the size of the memory", arms, IMAGE, comparisons, Axis("n", True))


def _memory() -> Study:
    arms = (
        Arm("no memory", {"unpaired": "none", "use_memory": False}),
        Arm("memory as in the paper", {"unpaired": "none", **LITERAL_MEMORY}),
        Arm("this preset's memory", {"unpaired": "none"}),
    )
    none, literal, own = (arm.name for arm in arms)
    comparisons = [*against(none, [literal, own], ALL), *against(literal, [own], ALL)]
    return Study("memory", "With a memory and without", arms, ALL, comparisons)


def _gaps(name: str, base: Arm, gaps: dict[str, tuple[object, ...]], more: tuple[Arm, ...] = ()) -> Study:
    """Gaps of the paper: one key set to each of its values. The value that the preset has is the baseline itself."""
    changed = [
        Arm(f"{base.name}, {key}={str(value).lower()}", {**base.keys, key: value})
        for key, values in gaps.items()
        for value in values
    ]
    arms = (base, *more, *changed)
    comparisons = against(base.name, arms[1:], ALL)
    return Study(name, f"What the paper leaves open, one key at a time: {base.name}", arms, ALL, comparisons)


PAIRED_GAPS: dict[str, tuple[object, ...]] = {
    "memory_init": ("normal", "matched"),
    "normalise_halves": (False, True),
    "separate_heads": (False, True),
    "paired_augment": (False, True),
    "clip_mates": ("positives", "negatives", "masked"),
    "decoupled": (False, True),
}
UNPAIRED_GAPS: dict[str, tuple[object, ...]] = {
    "first_view": ("cyclic", "single"),
    "second_view": ("single", "cyclic"),
    "separate_windows": (False, True),
    "separate_statistics": (False, True),
}
SAME_LEVELS = Arm("pairs only, no changes of level", {**PAIRS.keys, "sound_gain": 0.0, "sound_tilt": 0.0})


def _unpaired() -> Study:
    arms = (PAIRS, SOUNDS, IMAGES, BOTH)
    return Study("unpaired", "Unpaired items of each kind", arms, ALL, against(PAIRS.name, arms, ALL))


def _views() -> Study:
    """Whether the memory's cycle is what unpaired items need, beside the loss that both have."""
    hop, decoupled = {"first_view": "single", "second_view": "single"}, {"decoupled": True}
    pairs = Arm("pairs only, decoupled", {**PAIRS.keys, **decoupled})
    both = Arm("+ both, single-hop", {**BOTH.keys, **hop})
    arms = (PAIRS, both, pairs, Arm("+ both, single-hop, decoupled", {**both.keys, **decoupled}))
    comparisons = (*against(PAIRS.name, arms, ALL), *against(pairs.name, arms[3:], ALL))
    return Study("views", "Unpaired items without the cycle, and the decoupled loss", arms, ALL, comparisons)


STUDIES = {
    study.name: study
    for study in (
        _table("table1", "Image classification, with unpaired sounds", SOUNDS, IMAGE),
        _table("table2", "Sound classification, with unpaired images", IMAGES, SOUND),
        _table("table3", "Sound to image retrieval, with unpaired images", IMAGES, RANKS),
        _table("table4", "Sound classification of another data set", IMAGES, SOUND, transfer=True),
        _fewer_pairs(),
        _volume("figure5", "sounds", IMAGE),
        _volume("figure5-images", "images", (*SOUND, RANKS[0])),
        _memory_size(),
        _memory(),
        _gaps("gaps", PAIRS, PAIRED_GAPS, (SAME_LEVELS,)),
        _gaps("gaps-unpaired", SOUNDS, UNPAIRED_GAPS),
        _unpaired(),
        _views(),
    )
}
