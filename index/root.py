"""Where the files lie that a catalogue has by reference."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from index.catalogue import CatalogueError, Item
from index.local import LocalCatalogue
from index.tuning import Tuning


def gone(catalogue: LocalCatalogue, items: Iterable[Item]) -> Iterator[Item]:
    """Those items whose file is not in its place."""
    for item in items:
        try:
            catalogue.file(item)
        except CatalogueError:
            yield item


def set_root(folder: Path, root: Path) -> dict[str, int]:
    """Have a catalogue look for its files below another folder.

    Args:
        folder: the catalogue's.
        root: where the files lie now, as they lay below the root before.

    Returns:
        How many items by reference have their file there (`found`), and how many have not (`missing`).

    Raises:
        CatalogueError: there is no such folder, or not one file lies below it; another process has the catalogue open
            for writing. Nothing has changed.
    """
    if not root.is_dir():
        raise CatalogueError(f"{root} is no folder; name the one below which the files lie")
    catalogue = LocalCatalogue.open(folder, writable=True, tuning=Tuning(background=False))
    try:
        catalogue.root = root.resolve()
        references = [item for item in catalogue.list() if item.path]
        missing = list(gone(catalogue, references))
        if references and len(missing) == len(references):
            raise CatalogueError(
                f"not one of the {len(missing)} files of {folder} lies below {root}, such as {missing[0].path}; "
                "name the folder below which they lie"
            )
        relative = os.path.relpath(catalogue.root, folder.resolve())
        with catalogue.database.writing() as connection:
            connection.execute("UPDATE settings SET value = ? WHERE key = 'root'", (relative,))
            connection.execute("COMMIT")
    finally:
        catalogue.close()
    return {"found": len(references) - len(missing), "missing": len(missing)}
