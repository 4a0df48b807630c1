"""Where catalogues are: in a folder of this machine, or in Milvus."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from index.database import DATABASE
from index.local import LocalCatalogue
from index.milvus_address import Address, is_milvus
from index.tuning import Tuning

if TYPE_CHECKING:
    from index.milvus import MilvusCatalogue


def open_catalogue(
    place: str | Path, writable: bool = False, tuning: Tuning | None = None
) -> LocalCatalogue | MilvusCatalogue:
    """Open a catalogue wherever it is.

    Args:
        place: a folder, or an address such as `milvus+http://host:19530/NAME?root=…&content=…`.
        writable: allow changes.
        tuning: how a catalogue in a folder searches; Milvus has its own.

    Raises:
        CatalogueError: there is none, it can't be read, or the server can't be reached.
    """
    if not is_milvus(str(place)):
        return LocalCatalogue.open(Path(place), writable, tuning)
    from index.milvus import MilvusCatalogue

    return MilvusCatalogue.open(Address.parse(str(place)), writable)


def create_catalogue(
    place: str | Path, fingerprint: str, dimension: int, root: Path | None = None, tuning: Tuning | None = None
) -> LocalCatalogue | MilvusCatalogue:
    """Make a new catalogue, open for writing.

    Args:
        place: a folder, or an address in Milvus.
        fingerprint: of the bundle that makes the vectors.
        dimension: length of a vector.
        root: the folder below which all files by reference lie; a catalogue in Milvus has that in its address.
        tuning: how a catalogue in a folder searches.

    Raises:
        CatalogueError: there already is one, or it can't be made.
    """
    if not is_milvus(str(place)):
        return LocalCatalogue.create(Path(place), fingerprint, dimension, root or Path(place), tuning)
    from index.milvus import MilvusCatalogue

    return MilvusCatalogue.create(Address.parse(str(place)), fingerprint, dimension)


def is_catalogue(place: str | Path) -> bool:
    """Whether there is a catalogue.

    Raises:
        CatalogueError: the address is none, or its server can't be reached.
    """
    if not is_milvus(str(place)):
        return (Path(place) / DATABASE).exists()
    from index.milvus_wire import Wire

    wire = Wire(Address.parse(str(place)))
    try:
        return wire.settings() is not None
    finally:
        wire.close()
