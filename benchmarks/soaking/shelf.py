"""Items that are put in, changed and deleted, as the service's answers have left them."""

from __future__ import annotations

import random
from collections.abc import Callable

from benchmarks.soaking.client import UNHEARD
from benchmarks.soaking.forms import Ask, Files, form, part, text

KEPT = 60  # items from which on some are deleted


class Shelf:
    """Items of these clients, as answers have left them; no two changes of an item are under way at once.

    Args:
        name: what all ids begin with.
        files: to put in.
        chance: decides.
    """

    def __init__(self, name: str, files: Files, chance: random.Random) -> None:
        self.name, self.files, self.chance = name, files, chance
        self.items: dict[str, str] = {}  # id: label
        self.deleted: list[str] = []
        self.unsure: list[str] = []  # nobody said what has become of them
        self._free: list[str] = []
        self._count = 0

    def change(self) -> tuple[Ask, Callable[[str], None]]:
        """A request, and who is to be told its status."""
        self._count += 1
        label, draw = f"label {self._count}", self.chance.random()
        modality, pile = self.chance.choice((("image", self.files.pictures), ("sound", self.files.sounds)))
        if len(self._free) < KEPT or draw < 0.4:
            id = f"{self.name}-{modality}-{self._count}"
            fields = [part(modality, self.chance.choice(pile)), text("id", id), text("label", label)]
            return ("POST", "/v1/items", form(fields)), lambda status: self._told(id, label, status)
        id = self._free.pop(self.chance.randrange(len(self._free)))
        if draw < 0.8:
            return ("DELETE", f"/v1/items/{id}", b""), lambda status: self._told(id, None, status)
        fields = [text("label", label)]
        if draw < 0.9:
            same = id.split("-")[-2]
            fields.append(part(same, self.chance.choice(self.files.pictures if same == "image" else self.files.sounds)))
        return ("PUT", f"/v1/items/{id}", form(fields)), lambda status: self._told(id, label, status)

    def _told(self, id: str, label: str | None, status: str) -> None:
        if status in UNHEARD or (status.startswith("5") and status != "504"):
            self.items.pop(id, None)
            self.unsure.append(id)
        elif status.startswith("2") and label is None:
            del self.items[id]
            self.deleted.append(id)
        elif status.startswith("2") and label is not None:
            self.items[id] = label
        elif id not in self.items:
            self.deleted.append(id)  # refused: it must not be there
        if id in self.items:
            self._free.append(id)
