"""Exemplars of slots as one picture: the images and the sounds that address each slot most, side by side."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from training.model.memory import Modality
from training.report.media import image_picture, spectrogram
from training.report.report import Findings
from training.report.scale import percent
from training.report.usage import Slot, measure_agreement

NAME, CELL, GAP, MARGIN = 168, 124, 12, 36  # a slot's name, an item's side, between items, around all
HEAD, CAPTION = 128, 50  # above the first slot; below an item
QUALITY = 72
INK, SOFT, LINE = "#221932", "#685f78", "#e0d8e6"


def show_exemplars(findings: Findings, slots: Sequence[Slot], foot: str) -> bytes:
    """A JPEG: a row for each of at least one slot, images at the left, log-mel spectrograms of sounds at the right,
    each with its class and its weight on the slot.

    A bitmap and not an SVG, because sites that show pictures of others, such as GitHub, let some browsers load no
    bitmap that is inside an SVG.
    """
    many = {modality: max(len(slot.exemplars[modality]) for slot in slots) for modality in findings.samples}
    left_of: dict[Modality, int] = {"image": MARGIN + NAME}
    left_of["sound"] = left_of["image"] + many["image"] * (CELL + GAP) + 2 * GAP
    row = CELL + CAPTION + 22
    height = MARGIN + HEAD + len(slots) * row + 40
    sheet = _Sheet(left_of["sound"] + many["sound"] * (CELL + GAP) - GAP + MARGIN, height)
    sheet.write(MARGIN, MARGIN - 10, "What addresses a slot", 26)
    sheet.write(MARGIN, MARGIN + 32, _agreement(findings), 18, SOFT)
    for modality in findings.samples:
        sheet.write(left_of[modality], MARGIN + HEAD - 40, f"{modality}s that address it most", 18, SOFT)
    for number, slot in enumerate(slots):
        top = MARGIN + HEAD + number * row
        sheet.rule(top - 10)
        sheet.write(MARGIN, top + 8, f"Slot {slot.number}", 24)
        for line, (modality, mean) in enumerate(slot.mean.items()):
            sheet.write(MARGIN, top + 46 + 24 * line, f"{mean * 100:.1f} % of {modality}s", 17, SOFT)
        for modality in findings.samples:
            for place, (item, weight) in enumerate(slot.exemplars[modality]):
                left = left_of[modality] + place * (CELL + GAP)
                sheet.paste(_picture(findings, modality, item), left, top)
                label = findings.samples[modality].items.labels[item]
                sheet.write(left, top + CELL + 4, label, 18, most=CELL)
                sheet.write(left, top + CELL + (26 if label else 4), f"{weight * 100:.1f} %", 17, SOFT)
    sheet.write(MARGIN, height - 34, foot, 17, SOFT)
    return sheet.encode()


def _agreement(findings: Findings) -> str:
    measured = measure_agreement(list(findings.samples.values()))
    if measured is None:
        return "Row r of the visual memory is linked to row r of the sound memory."
    return (
        "An image and a sound drawn by their weights on the same slot are of the same class in "
        f"{percent(measured[0])} of all cases; chance {percent(measured[1])}."
    )


def _picture(findings: Findings, modality: Modality, item: int) -> Image.Image:
    number = int(findings.samples[modality].items.numbers[item])
    if modality == "image":
        return image_picture(findings.data.images[number])
    return spectrogram(findings.data.wave(number), findings.sample_rate)


class _Sheet:
    """A white sheet to draw on."""

    def __init__(self, width: int, height: int) -> None:
        self.picture = Image.new("RGB", (width, height), "#fff")
        self.draw = ImageDraw.Draw(self.picture)

    def write(self, x: int, y: int, text: str, size: int, colour: str = INK, most: int | None = None) -> None:
        """A line of text, its end left out where it is wider than `most`."""
        font = ImageFont.load_default(size)
        shown = " ".join(text.split())
        while most and self.draw.textlength(shown, font) > most:
            shown = shown.rstrip("…")[:-1].rstrip() + "…"
        self.draw.text((x, y), shown, colour, font)

    def rule(self, y: int) -> None:
        """A line across."""
        self.draw.line((MARGIN, y, self.picture.width - MARGIN, y), LINE, 2)

    def paste(self, picture: Image.Image, x: int, y: int) -> None:
        """A picture, scaled to a cell."""
        self.picture.paste(picture.resize((CELL, CELL), Image.Resampling.LANCZOS), (x, y))

    def encode(self) -> bytes:
        """As a JPEG, in full colour at each pixel: text is thin."""
        stream = io.BytesIO()
        self.picture.save(stream, "JPEG", quality=QUALITY, subsampling=0)
        return stream.getvalue()
