"""Making what is derived anew from the database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from index.catalogue import MODALITIES
from index.local import LocalCatalogue
from index.schema import SPREAD
from index.tuning import Tuning


def rebuild(folder: Path, tuning: Tuning | None = None) -> dict[str, Any]:
    """Make the indexes, and the tables that filters look into, anew from the items and vectors in the database.

    Returns:
        For each modality `count`, `kind` and `lists`.

    Raises:
        CatalogueError: there is no catalogue, another process has it open for writing, or there is no room.
    """
    catalogue = LocalCatalogue.open(folder, writable=True, tuning=tuning)
    try:
        with catalogue.database.writing() as connection:
            for statement in SPREAD.split(";"):
                connection.execute(statement)
            connection.execute("UPDATE settings SET value = value + 1 WHERE key IN ('changes', 'generation')")
            connection.execute("COMMIT")
        for modality in MODALITIES:
            catalogue.snapshots.remove(modality)
        with catalogue.view():  # loads them anew
            pass
        catalogue.upkeep.finish()
        return {
            modality: {
                "count": len(catalogue.neighbours(modality)),
                "kind": catalogue.neighbours(modality).plan.kind,
                "lists": catalogue.neighbours(modality).plan.lists,
            }
            for modality in MODALITIES
        }
    finally:
        catalogue.close()
