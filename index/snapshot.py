"""FAISS files: written whole or not at all, checked when they are read."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import uuid
from dataclasses import asdict
from pathlib import Path
from typing import Any

import faiss

from index.catalogue import MODALITIES, Modality
from index.database import sync_folder
from index.neighbours import Curve, Neighbours, Position
from index.plan import Plan

FOLDER = "faiss"
FORMAT = 1
_log = logging.getLogger(__name__)


class Snapshots:
    """The indexes of a catalogue as files, each with the last change it contains. They can all be made anew.

    A snapshot is a FAISS file and a JSON document that names it, its size and its hash; a new document takes the
    place of the old one at once, so there is always one whole pair.

    Args:
        folder: the catalogue's.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / FOLDER

    def save(self, modality: Modality, neighbours: Neighbours) -> None:
        """Write an index that nobody changes meanwhile.

        Raises:
            OSError: the disk is full, or the like; the earlier snapshot is as it was.
        """
        self.folder.mkdir(exist_ok=True)
        name = f"{modality}-{uuid.uuid4().hex[:12]}.faiss"
        file, draft = self.folder / name, self.folder / f".{modality}.json"
        try:
            neighbours.settle()
            try:
                faiss.write_index(neighbours.index, str(file))
            except RuntimeError as error:  # FAISS's own
                raise OSError(str(error)) from None
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            document = {
                "format": FORMAT,
                "file": name,
                "sha256": digest,
                "plan": asdict(neighbours.plan),
                "position": asdict(neighbours.position),
                "curve": asdict(neighbours.curve),
            }
            with draft.open("w", encoding="utf-8") as text:
                text.write(json.dumps({**document, "check": _check(document)}))
                text.flush()
                os.fsync(text.fileno())
            draft.replace(self._document(modality))
            sync_folder(self.folder)
        except BaseException:
            file.unlink(missing_ok=True)
            draft.unlink(missing_ok=True)
            raise
        neighbours.saved = neighbours.position
        self._sweep(modality, name)

    def load(self, modality: Modality) -> Neighbours | None:
        """The index of a modality, as it was saved; None where there is none, or none that is whole (and the log says
        why)."""
        if not self._document(modality).exists():
            return None
        while True:
            name = ""
            try:
                document = self.read(modality)
                name = document["file"]
                return self._made_of(document)
            except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
                if name and self._now(modality) not in ("", name):
                    continue  # a writer has saved another meanwhile, and removed this one
                _log.warning(
                    "the snapshot of %ss in %s can't be used (%s); making it anew", modality, self.folder, error
                )
                return None

    def read(self, modality: Modality) -> dict[str, Any]:
        """The document of a snapshot.

        Raises:
            OSError: there is none.
            ValueError: it is not as it was written, or of another version.
        """
        document = json.loads(self._document(modality).read_text(encoding="utf-8"))
        if not isinstance(document, dict) or document.pop("check", "") != _check(document):
            raise ValueError(f"{modality}.json is not as it was written")
        if document["format"] != FORMAT:
            raise ValueError(f"{modality}.json has format {document['format']}")
        return document

    def remove(self, modality: Modality) -> None:
        """Forget a snapshot, where there is one."""
        self._document(modality).unlink(missing_ok=True)
        self._sweep(modality, "")

    def sweep(self) -> None:
        """Remove what a crash has left half written."""
        for modality in MODALITIES:
            try:
                self._sweep(modality, self.read(modality)["file"])
            except (OSError, ValueError, KeyError):
                self._sweep(modality, "")

    def _made_of(self, document: dict[str, Any]) -> Neighbours:
        file = self.folder / document["file"]
        with file.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != document["sha256"]:
                raise ValueError(f"{file.name} is not as it was written")
        recalls = {int(k): [(int(n), float(r)) for n, r in at] for k, at in document["curve"]["recalls"].items()}
        return Neighbours(
            faiss.read_index(str(file)),
            Plan(**document["plan"]),
            Position(**document["position"]),
            Curve(document["curve"]["count"], recalls),
        )

    def _now(self, modality: Modality) -> str:
        """The file that the document names by now, empty where it can't be told."""
        try:
            return str(self.read(modality)["file"])
        except (OSError, ValueError, KeyError):
            return ""

    def _document(self, modality: Modality) -> Path:
        return self.folder / f"{modality}.json"

    def _sweep(self, modality: Modality, kept: str) -> None:
        """Remove what earlier snapshots, or a crash, have left."""
        for file in self.folder.glob(f"{modality}-*.faiss"):
            if file.name != kept:
                file.unlink(missing_ok=True)


def _check(document: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
