"""A weakly paired data set of real sounds and images: ESC-50 and Tiny-ImageNet, paired by class.

    python benchmarks/data/esc50_tiny_imagenet.py ESC50 TINY_IMAGENET OUT

ESC50 is the folder with `audio/` and `meta/esc50.csv` (Piczak 2015), TINY_IMAGENET the one with `train/` and `val/`.
Writes OUT/rows.csv, which names their files where they lie. 14 classes; of each, 144 pairs over the sounds of folds 1
and 2 and 180 images without sound to train on, 32 images and the sounds of fold 3 to validate, the 50 images of
Tiny-ImageNet's own validation set and the sounds of folds 4 and 5 to test. Unpaired: 28 images of each other class, and
14 sounds of 28 other categories. A clip is the recording that a sound was cut from; none crosses splits.
"""

import csv
import os
import random
import sys
from collections import defaultdict
from itertools import cycle, islice
from pathlib import Path

from training.data.rows import Row, write_rows

# class: ESC-50's categories, Tiny-ImageNet's WordNet ids
CLASSES = {
    "car": (("engine", "car_horn"), ("n03670208", "n02814533", "n04285008", "n03100240")),
    "cat": (("cat",), ("n02123394", "n02123045", "n02124075")),
    "clock": (("clock_tick", "clock_alarm"), ("n04328186",)),
    "cow": (("cow",), ("n02403003",)),
    "cricket": (("crickets",), ("n02226429",)),
    "dog": (("dog",), ("n02099712", "n02094433", "n02106662", "n02099601", "n02113799", "n02085620")),
    "frog": (("frog",), ("n01641577", "n01644900")),
    "insect": (("insects",), ("n02268443", "n02190166", "n02206856")),
    "keyboard": (("keyboard_typing",), ("n03085013",)),
    "pig": (("pig",), ("n02395406",)),
    "sea_waves": (("sea_waves",), ("n09428293",)),
    "sheep": (("sheep",), ("n02415577",)),
    "siren": (("siren",), ("n03977966",)),
    "train": (("train",), ("n02917067", "n03393912")),
}
PAIRS, IMAGES, VAL, TEST, UNPAIRED = 144, 180, 32, 50, 28
FOLDS = {"1": "train", "2": "train", "3": "val", "4": "test", "5": "test"}


def main(esc50: Path, tiny: Path, out: Path) -> Path:
    rng = random.Random(0)
    sounds: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)  # (category, split): (path, clip)
    with (esc50 / "meta/esc50.csv").open(newline="") as stream:
        for line in csv.DictReader(stream):
            path = os.path.relpath(esc50 / "audio" / line["filename"], out)
            clip = f"{line['category']}-{line['src_file']}"
            sounds[line["category"], FOLDS[line["fold"]]].append((path, clip))
    tests: dict[str, list[str]] = defaultdict(list)
    for text in (tiny / "val/val_annotations.txt").read_text().splitlines():
        name, synset = text.split("\t")[:2]
        tests[synset].append(os.path.relpath(tiny / "val/images" / name, out))

    def images(synset: str) -> list[str]:
        return sorted(os.path.relpath(file, out) for file in (tiny / "train" / synset / "images").iterdir())

    rows = []
    for label, (categories, synsets) in CLASSES.items():
        pool = [image for synset in synsets for image in images(synset)]
        held = [image for synset in synsets for image in tests[synset]]
        rng.shuffle(pool)
        rng.shuffle(held)
        heard = {split: [s for category in categories for s in sounds[category, split]] for split in FOLDS.values()}
        paired, alone, val = pool[:PAIRS], pool[PAIRS : PAIRS + IMAGES], pool[PAIRS + IMAGES : PAIRS + IMAGES + VAL]
        for image, (sound, clip) in zip(paired, cycle(heard["train"]), strict=False):
            rows.append(Row("train", label, image, sound, clip))
        rows += [Row("train", label, image) for image in alone]
        for split, pictures in (("val", val), ("test", held[:TEST])):
            partners = heard[split] + [("", "")] * (len(pictures) - len(heard[split]))
            for image, (sound, clip) in zip(pictures, partners, strict=True):
                rows.append(Row(split, label, image, sound, clip))
    used = {synset for _, synsets in CLASSES.values() for synset in synsets}
    for folder in sorted((tiny / "train").iterdir()):
        if folder.name not in used:
            rows += [Row("unpaired", image=image) for image in islice(images(folder.name), UNPAIRED)]
    taken = {category for categories, _ in CLASSES.values() for category in categories}
    others = sorted({category for category, _ in sounds} - taken)[:28]
    for category in others:
        rows += [Row("unpaired", sound=sound, clip=clip) for sound, clip in sounds[category, "train"][:14]]
    out.mkdir(parents=True, exist_ok=True)
    write_rows(out / "rows.csv", rows)
    return out / "rows.csv"


if __name__ == "__main__":
    print(main(*map(Path, sys.argv[1:4])))
