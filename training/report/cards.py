"""Items as cards: images to look at, sounds to play."""

from __future__ import annotations

from functools import cached_property, lru_cache
from pathlib import PurePosixPath

from training.data.packed import PackedData
from training.model.memory import Modality
from training.report.markup import Markup, element
from training.report.media import image_uri, sound_uri, spectrogram_uri


class Cards:
    """Makes cards of a packed data set's items.

    Args:
        data: the data set.
        sample_rate: Hz of its waves.
    """

    def __init__(self, data: PackedData, sample_rate: int) -> None:
        self.data = data
        self.sample_rate = sample_rate
        self._image = lru_cache(maxsize=None)(lambda number: image_uri(data.images[number]))
        self._sound = lru_cache(maxsize=None)(self._listen)

    def card(self, modality: Modality, number: int, label: str, score: str = "", right: bool | None = None) -> Markup:
        """An item by its place in the packed array.

        Args:
            modality: its kind.
            number: its place.
            label: its class, empty where unknown; its file's name then stands in.
            score: what stands at the right, such as a similarity.
            right: whether it is a right hit; None where that is not asked.
        """
        file = self._files[modality].get(number, "")
        name = label or file
        shown = self._show_image(number, name) if modality == "image" else self._show_sound(number, name)
        caption = element(
            "p",
            _mark(right),
            element("span", name, class_="label", title=file or None),
            element("span", score, class_="score") if score else None,
            class_="caption",
        )
        return element("div", shown, caption, class_=f"card {modality}")

    def _show_image(self, number: int, name: str) -> Markup:
        return element("img", src=self._image(number), alt=f"Image: {name}")

    def _show_sound(self, number: int, name: str) -> Markup:
        sound, picture = self._sound(number)
        return element(
            "div",
            element("img", src=picture, alt=""),
            element("audio", src=sound, controls=True, preload="none", aria_label=f"Sound: {name}"),
            class_="player",
        )

    def _listen(self, number: int) -> tuple[str, str]:
        wave = self.data.wave(number)
        return sound_uri(wave, self.sample_rate), spectrogram_uri(wave, self.sample_rate)

    @cached_property
    def _files(self) -> dict[Modality, dict[int, str]]:
        """Names of the files, of the first row that has each."""
        names: dict[Modality, dict[int, str]] = {"image": {}, "sound": {}}
        for row, (image, sound) in zip(self.data.rows, self.data.index.tolist(), strict=True):
            names["image"].setdefault(image, PurePosixPath(row.image).name)
            names["sound"].setdefault(sound, PurePosixPath(row.sound).name)
        return names


def _mark(right: bool | None) -> Markup | None:
    if right is None:
        return None
    word = "right" if right else "wrong"
    sign = element("span", "✓" if right else "✕", aria_hidden="true")
    return element("span", sign, element("span", f"{word}:", class_="unseen"), class_=f"mark {word}")
