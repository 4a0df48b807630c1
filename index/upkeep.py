"""What a catalogue does in the background: train an index when there are many vectors, and save it."""

from __future__ import annotations

import logging
import sqlite3
import threading
from typing import TYPE_CHECKING

from index.catalogue import MODALITIES, CatalogueError, Modality
from index.neighbours import Neighbours
from index.plan import Plan, plan
from index.replay import Outdated, catch_up, exact_neighbours
from index.trainer import Trainer

if TYPE_CHECKING:
    from index.local import LocalCatalogue

GROWTH = 2.0  # an index is made anew when it has so many times the vectors it was made with, or so many times fewer
CHANGES = 0.2  # a snapshot is written anew when this share of its vectors has changed since
_log = logging.getLogger(__name__)


class Stopped(Exception):
    """The catalogue is being closed."""


class Upkeep:
    """One thread that comes when there is work and goes when it is done.

    Args:
        catalogue: whose.
    """

    def __init__(self, catalogue: LocalCatalogue) -> None:
        self._catalogue = catalogue
        self._guard = threading.Lock()  # of the thread's coming and going
        self._section = threading.Lock()  # held while the database is in use: `stop` waits for that, not for FAISS
        self._thread: threading.Thread | None = None
        self._stopping = False

    def look(self) -> None:
        """Begin what is to be done, if there is anything."""
        if self._catalogue.tuning.background:
            self._begin()

    def _begin(self) -> None:
        with self._guard:
            if self._stopping or (self._thread is not None and self._thread.is_alive()) or not self._due():
                return
            self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the work; what it has begun will begin again when the catalogue is opened."""
        with self._guard:
            self._stopping = True
        with self._section:
            pass

    def finish(self) -> None:
        """Do what there is to do now, and wait for it."""
        self._begin()
        while (thread := self._thread) is not None and thread.is_alive():
            thread.join()

    def make(self, modality: Modality) -> None:
        """An index of the planned kind, in place of the one that is there; and its snapshot, where one is worth it."""
        catalogue, wanted = self._catalogue, self._plan(modality)
        if wanted.kind == "flat":
            if not catalogue.neighbours(modality).is_exact:
                self._exact(modality)
            return
        trainer = Trainer(wanted, modality, catalogue.dimension, self._check)
        with self._section:
            self._check()
            with catalogue.database.reading() as connection:
                trainer.sample(connection)
        trainer.train()
        with self._section:
            self._check()
            with catalogue.database.reading() as connection:
                neighbours = trainer.fill(connection)
            self._save(modality, neighbours)
            catalogue.swap(modality, neighbours)
        _log.info("%ss are searched by %s with %d lists now", modality, wanted.kind, wanted.lists)

    def _exact(self, modality: Modality) -> None:
        catalogue = self._catalogue
        with self._section:
            self._check()
            with catalogue.database.reading() as connection:
                neighbours = exact_neighbours(connection, modality, catalogue.dimension)
            catalogue.swap(modality, neighbours)
            if catalogue.writable:
                catalogue.snapshots.remove(modality)

    def save(self, modality: Modality) -> None:
        """Write a snapshot anew: from the one that is there and what came since, so that searches and changes go on."""
        catalogue = self._catalogue
        with self._section:
            self._check()
            neighbours = catalogue.snapshots.load(modality)
            if neighbours is not None:
                with catalogue.database.reading() as connection:
                    catch_up(neighbours, connection, modality)
                self._save(modality, neighbours)
                catalogue.neighbours(modality).saved = neighbours.position
        if neighbours is None:
            self.make(modality)

    def _run(self) -> None:
        try:
            self._work()
        finally:
            self._catalogue.database.release()

    def _work(self) -> None:
        while True:
            try:
                for modality in MODALITIES:
                    if self._is_outgrown(modality):
                        self.make(modality)
                    elif self._is_behind(modality):
                        self.save(modality)
            except Stopped:
                return
            except Outdated:
                continue  # overtaken; once more
            except (CatalogueError, OSError, sqlite3.Error, RuntimeError, ValueError, MemoryError):
                _log.exception("the index of %s could not be made; searches go on as before", self._catalogue.folder)
                return
            with self._guard:
                if self._stopping or not self._due():
                    self._thread = None
                    return

    def _due(self) -> bool:
        return any(self._is_outgrown(modality) or self._is_behind(modality) for modality in MODALITIES)

    def _is_outgrown(self, modality: Modality) -> bool:
        neighbours, wanted = self._catalogue.neighbours(modality), self._plan(modality)
        if neighbours.is_exact or wanted.kind == "flat":
            return neighbours.is_exact != (wanted.kind == "flat") and not self._just_shrunk(neighbours)
        made = max(1, neighbours.curve.count)
        return not 1 / GROWTH <= len(neighbours) / made <= GROWTH

    def _just_shrunk(self, neighbours: Neighbours) -> bool:
        """Whether an index has so little less than the limit that the next few items would bring it back."""
        return not neighbours.is_exact and len(neighbours) > self._catalogue.tuning.exact / GROWTH

    def _is_behind(self, modality: Modality) -> bool:
        catalogue = self._catalogue
        neighbours = catalogue.neighbours(modality)
        if not catalogue.writable or neighbours.is_exact:
            return False
        then, now = neighbours.saved, neighbours.position
        changes = now.number - then.number + now.removal - then.removal
        return changes > CHANGES * max(1, len(neighbours))

    def _plan(self, modality: Modality) -> Plan:
        catalogue = self._catalogue
        return plan(len(catalogue.neighbours(modality)), catalogue.dimension, catalogue.budget, catalogue.tuning.exact)

    def _save(self, modality: Modality, neighbours: Neighbours) -> None:
        neighbours.saved = neighbours.position  # also where it fails: there is no use in trying without end
        if not self._catalogue.writable:
            return
        try:
            self._catalogue.snapshots.save(modality, neighbours)
        except OSError as error:
            _log.warning("the snapshot of %ss could not be written (%s); the next start takes longer", modality, error)

    def _check(self) -> None:
        if self._stopping:
            raise Stopped
