"""What a catalogue in a folder is and holds, in numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from index import content, snapshot
from index.catalogue import MODALITIES
from index.database import DATABASE
from index.local import LocalCatalogue
from index.schema import SCHEMA


def describe(catalogue: LocalCatalogue) -> dict[str, Any]:
    """Counts, model, root, the kind of each index, and the bytes on disk of database, snapshots and content."""
    folder = catalogue.folder
    indexes = {modality: catalogue.neighbours(modality) for modality in MODALITIES}
    return {
        **{f"{modality}s": count for modality, count in catalogue.count().items()},
        "model": catalogue.fingerprint,
        "dimension": catalogue.dimension,
        "root": str(catalogue.root),
        "schema": SCHEMA,
        "indexes": {
            modality: {"kind": index.plan.kind, "lists": index.plan.lists, "vectors": len(index)}
            for modality, index in indexes.items()
        },
        "bytes": {
            "database": sum(_size(file) for file in folder.glob(f"{DATABASE}*")),
            "snapshots": sum(_size(file) for file in (folder / snapshot.FOLDER).rglob("*")),
            "content": sum(_size(file) for file in (folder / content.FOLDER).rglob("*")),
        },
    }


def _size(file: Path) -> int:
    try:
        return file.stat().st_size if file.is_file() else 0
    except FileNotFoundError:  # gone meanwhile
        return 0
