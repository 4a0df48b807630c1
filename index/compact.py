"""Giving back the room that removed items have left."""

from __future__ import annotations

from pathlib import Path

from index.catalogue import MODALITIES
from index.local import LocalCatalogue
from index.replay import position
from index.tuning import Tuning


def compact(folder: Path, tuning: Tuning | None = None) -> dict[str, int]:
    """Remove content without items, forget removals that every snapshot knows, and write the database anew.

    Can be ended at any moment, however roughly; nothing is lost by it.

    Returns:
        `before` and `after`: bytes of the catalogue's folder; `contents`: files of content that were removed.

    Raises:
        CatalogueError: there is no catalogue, another process has it open for writing, or there is no room: the
            database is written anew beside the old one.
    """
    before = size(folder)
    catalogue = LocalCatalogue.open(folder, writable=True, tuning=tuning)
    try:
        removed = _sweep(catalogue)
        catalogue.upkeep.finish()
        for modality in MODALITIES:
            if not catalogue.neighbours(modality).is_exact:
                catalogue.upkeep.save(modality)
        with catalogue.database.writing() as connection:
            known = position(connection).removal
            connection.execute("INSERT OR REPLACE INTO settings VALUES ('pruned', ?)", (str(known),))
            connection.execute("DELETE FROM removed")
            connection.execute("COMMIT")
        catalogue.database.vacuum()
    finally:
        catalogue.close()
    return {"before": before, "after": size(folder), "contents": removed}


def size(folder: Path) -> int:
    """Bytes of all files in a folder and below."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _sweep(catalogue: LocalCatalogue) -> int:
    held = {item.content for item in catalogue.list()}
    spare = [hash for hash in catalogue.content.hashes() if hash not in held]
    for hash in spare:
        catalogue.content.remove(hash)
    drafts = list(catalogue.content.drafts())
    for draft in drafts:
        draft.unlink(missing_ok=True)
    return len(spare) + len(drafts)
