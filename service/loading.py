"""A bundle and its catalogue made into an engine, at the start and whenever they are loaded anew."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from weakref import WeakKeyDictionary

from index.catalogue import Catalogue, CatalogueError, InUse, NotWritable
from index.database import DATABASE
from index.local import LocalCatalogue
from index.root import gone
from index.stores import open_catalogue
from index.tuning import Tuning
from service.access.keys import Keys, read_keys
from service.engine import Engine
from service.fingerprint import check_fingerprint
from service.limits import Limits
from service.pipeline.capacity import Capacity
from service.pipeline.worker import prepare
from service.settings import Settings
from training.model.embedder import Embedder

LOOKED_AT = 10  # items whose files are looked for at the start

log = logging.getLogger("bma.service")


class ServeError(ValueError):
    """The service can't start; `str()` is one sentence with the remedy."""


def load_engine(
    model: Path,
    index: Path | str | None,
    device: str = "auto",
    precision: str = "auto",
    read_only: bool = False,
    limits: Limits | None = None,
    tuning: Tuning | None = None,
    capacity: Capacity | None = None,
) -> Engine:
    """A bundle and its catalogue, ready to answer.

    Args:
        model: the bundle's folder.
        index: the catalogue's folder or its address in Milvus, None to serve without one.
        device: auto, cpu, cuda or cuda:N.
        precision: auto, fp32 or bf16.
        read_only: leave the catalogue to another that writes.
        limits: on what a request may ask for.
        tuning: how a catalogue in a folder searches.
        capacity: how much at once, and for how long.

    Raises:
        BundleError, CatalogueError: one can't be used, or they do not belong together.
        ServeError: the model does not compute, or another process has the catalogue open for writing.
    """
    prepare()
    embedder = Embedder(model, device, precision)
    catalogue = None
    if index is not None:
        catalogue = _open(index, read_only, tuning)
        try:
            check_fingerprint(catalogue, embedder, Path(index))
        except CatalogueError:
            catalogue.close()
            raise
        _warn_of_files_gone(catalogue)
    engine = Engine(embedder, catalogue, limits or Limits(), capacity)
    try:
        asyncio.run(engine.self_test())
    except Exception as error:  # whatever is wrong, the model can't be served
        engine.close()
        raise ServeError(
            f"{model} fails its self-test ({' '.join(str(error).split())}); "
            "choose another --device or --precision, or train it again"
        ) from error
    except BaseException:  # interrupted: its threads end before its processes
        engine.close()
        raise
    return engine


class Succession:
    """Engines one after the other, from the places that the settings name.

    Args:
        settings: with a model.
        keys: those that open the service; read anew along with the rest.
    """

    def __init__(self, settings: Settings, keys: Keys | None = None) -> None:
        self.settings, self.keys = settings, keys
        self._files: WeakKeyDictionary[Catalogue, tuple[int, int] | None] = WeakKeyDictionary()
        self._read: WeakKeyDictionary[Engine, Keys] = WeakKeyDictionary()  # what was read along with each

    def first(self) -> Engine:
        """The engine to start with. Raises what `load_engine` raises."""
        settings = self.settings
        assert settings.model is not None
        file = _identity(settings.index)
        engine = load_engine(
            settings.model,
            settings.index,
            settings.device,
            settings.precision,
            settings.read_only,
            settings.limits,
            settings.tuning,
            settings.capacity,
        )
        if engine.catalogue is not None:
            self._files[engine.catalogue] = file
        return engine

    def next(self, old: Engine) -> Engine:
        """The successor of an engine, not tested yet; the same catalogue is handed over if it is held for writing.

        Raises:
            KeysError, BundleError, CatalogueError, ServeError: one can't be used; `old` is as it was.
        """
        settings, catalogue = self.settings, old.catalogue
        assert settings.model is not None
        keys = read_keys(settings.keys) if settings.keys else None
        # a link is followed once, as it may be pointed elsewhere while the files are read
        embedder = Embedder(settings.model.resolve(), settings.device, settings.precision)
        file = _identity(settings.index)
        handed_over = (
            isinstance(catalogue, LocalCatalogue) and catalogue.writable and file == self._files.get(catalogue)
        )
        if settings.index is not None and not handed_over:
            catalogue = _open(settings.index, settings.read_only, settings.tuning)
        try:
            if catalogue is not None:
                check_fingerprint(catalogue, embedder, Path(settings.index or ""))
            engine = Engine(embedder, catalogue, settings.limits, settings.capacity, old.metrics)
        except BaseException:
            if catalogue is not None and not handed_over:
                catalogue.close()
            raise
        if catalogue is not None:
            self._files[catalogue] = file
        if keys is not None:
            self._read[engine] = keys
        return engine

    def answers(self, engine: Engine) -> None:
        """An engine has passed its test and answers from now on: so do the keys that were read with it."""
        if self.keys is not None and engine in self._read:
            self.keys.become(self._read[engine])


def _open(index: Path | str, read_only: bool, tuning: Tuning | None) -> Catalogue:
    """For writing, unless it is to be read only or can't be written."""
    if read_only:
        return open_catalogue(index, tuning=tuning)
    try:
        return open_catalogue(index, writable=True, tuning=tuning)
    except InUse as error:
        raise ServeError(f"{error}, or serve it from here with --read-only") from None
    except NotWritable:
        log.warning("%s can't be written, so it is served read-only", index)
        return open_catalogue(index, tuning=tuning)


def _warn_of_files_gone(catalogue: Catalogue) -> None:
    """Of a catalogue that was moved without its files, or they without it; by some items, as there may be millions."""
    if isinstance(catalogue, LocalCatalogue):
        some = catalogue.page(LOOKED_AT).items
        missing = list(gone(catalogue, some))
        if missing:
            log.warning(
                "%d of the first %d items of %s have no file in its place below %s, such as %s; "
                "'bma index check' names them all, 'bma index root' says where they lie",
                *(len(missing), len(some), catalogue.folder, catalogue.root, missing[0].path or missing[0].id),
            )


def _identity(index: str | None) -> tuple[int, int] | None:
    """Which database it is that a folder holds now, as another may have taken its place; None where there is none."""
    try:
        found = (Path(index or "") / DATABASE).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
