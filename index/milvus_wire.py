"""Milvus's protocol, as far as a catalogue needs it: three collections of rows, and errors in one sentence."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from index.catalogue import MODALITIES, CatalogueError, Modality, Refused, Unreachable
from index.milvus_address import Address

TIMEOUT = 30.0  # seconds that a request may take, retries included
CONNECT = 5.0  # seconds
MOST = 16_384  # rows that Milvus gives at once
TEXT = 65_535  # bytes of a text in Milvus
TERMS = 4_096  # entries of a list in Milvus
BYTES = 8 * 2**20  # of rows that are sent at once; Milvus takes 64 MiB
CONSISTENCY = "Strong"  # a read sees every change that was acknowledged before it began, by whichever client
SCHEMA = 1
TOKEN = "BMA_MILVUS_TOKEN"
TEXTS = ("label", "tags", "metadata", "path", "content", "media_type", "stamp", "created", "updated")
KNOWN = ("id", "number", *TEXTS)  # what makes an item
WHOLE = (*KNOWN, "terms", "ranges", "vector")

Row = dict[str, Any]
_log = logging.getLogger(__name__)


class Wire:
    """A catalogue's collections on a server: `NAME_image` and `NAME_sound` hold rows, `NAME` one row of settings.

    Settings are a row and not a collection's description or properties, as not every server gives those back. It is
    written last, so a catalogue that was half made is none.

    Args:
        address: of the catalogue.

    Raises:
        CatalogueError: pymilvus is not installed.
        Unreachable: the server does not answer, then or at any later call.
        Refused: it does not do what it is asked, likewise.
    """

    def __init__(self, address: Address) -> None:
        try:
            import pymilvus
        except ImportError:
            raise CatalogueError(
                f"{address} is in Milvus, which needs pymilvus; in the project's folder say pip install '.[milvus]'"
            ) from None
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # it prints a traceback before it raises
        self.address, self._milvus = address, pymilvus
        with self._errors():
            self._client = pymilvus.MilvusClient(
                address.uri,
                token=os.environ.get(TOKEN, ""),
                db_name=address.database,
                timeout=CONNECT,
                dedicated=True,  # a connection of its own
            )

    def create(self, fingerprint: str, dimension: int) -> None:
        """Make the collections of a new catalogue.

        Raises:
            CatalogueError: there already is one.
        """
        if self.settings() is not None:
            raise CatalogueError(f"{self.address} already is a catalogue; name another one, or open it")
        with self._errors():
            for modality in MODALITIES:
                self._make(self.collection(modality), dimension)
            self._make_settings()
            settings = {"schema": SCHEMA, "fingerprint": fingerprint, "dimension": dimension}
            row = {"key": "settings", "value": json.dumps(settings), "vector": [1.0, 0.0]}
            self._client.upsert(self.address.name, [row], timeout=TIMEOUT)

    def settings(self) -> dict[str, Any] | None:
        """A catalogue's settings, None where there is no catalogue."""
        with self._errors():
            if not self._client.has_collection(self.address.name, timeout=TIMEOUT):
                return None
            self._client.load_collection(self.address.name, timeout=TIMEOUT)
            try:
                [row] = self._query(self.address.name, 'key == "settings"', ["value"], 1)
                settings: dict[str, Any] = json.loads(row["value"])
            except (ValueError, KeyError, self._milvus.MilvusException):
                raise CatalogueError(
                    f"{self.address} holds something else than a catalogue; name another one in the address"
                ) from None
        return settings

    def load(self) -> dict[Modality, int]:
        """Make the collections ready to be read; the length of the vectors in each."""
        with self._errors():
            lengths = {}
            for modality in MODALITIES:
                name = self.collection(modality)
                self._client.load_collection(name, timeout=TIMEOUT)
                fields = {field["name"]: field for field in self._client.describe_collection(name)["fields"]}
                lengths[modality] = int(fields["vector"]["params"]["dim"])
            return lengths

    def drop(self) -> None:
        """Remove the catalogue with all its items, where there is one."""
        with self._errors():
            for name in (self.address.name, *map(self.collection, MODALITIES)):
                self._client.drop_collection(name, timeout=TIMEOUT)

    def collection(self, modality: Modality) -> str:
        """The name of a modality's collection."""
        return f"{self.address.name}_{modality}"

    def query(self, modality: Modality, expression: str, fields: Sequence[str], limit: int = MOST) -> list[Row]:
        """Rows that an expression selects, in no order; at most `limit`."""
        with self._errors():
            return self._query(self.collection(modality), expression, fields, limit)

    def count(self, modality: Modality, expression: str = "") -> int:
        """How many rows an expression selects."""
        with self._errors():
            [row] = self._query(self.collection(modality), expression, ["count(*)"], None)
            return int(row["count(*)"])

    def search(self, modality: Modality, queries: list[list[float]], expression: str, limit: int) -> list[list[Row]]:
        """About the `limit` nearest rows of each query `[d]` among those that an expression selects, best first."""
        name = self.collection(modality)
        with self._errors():
            found = self._read(
                self._client.search,
                name,
                data=queries,
                anns_field="vector",
                filter=expression,
                limit=limit,
                output_fields=[*KNOWN, "vector"],
                search_params={"metric_type": "IP", "params": self._effort(limit)},
                consistency_level=CONSISTENCY,
                timeout=TIMEOUT,
            )
            return [[hit["entity"] for hit in hits] for hits in found]

    def upsert(self, modality: Modality, rows: Sequence[Row]) -> None:
        """Put rows in the place of those of their ids; in several requests where they are large."""
        with self._errors():
            for part in _parts(rows):
                self._client.upsert(self.collection(modality), part, timeout=TIMEOUT)

    def delete(self, modality: Modality, ids: Sequence[str]) -> None:
        """Remove rows, where they are there."""
        with self._errors():
            for start in range(0, len(ids), MOST // 4):
                part = list(ids[start : start + MOST // 4])
                self._client.delete(self.collection(modality), ids=part, timeout=TIMEOUT)

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()

    def _query(self, name: str, expression: str, fields: Sequence[str], limit: int | None) -> list[Row]:
        rows = self._read(
            self._client.query,
            name,
            filter=expression,
            output_fields=list(fields),
            consistency_level=CONSISTENCY,
            timeout=TIMEOUT,
            **({} if limit is None else {"limit": limit}),
        )
        return list(rows)

    def _read(self, call: Callable[..., Any], name: str, **asked: Any) -> Any:
        """What a call reads of a collection, which a server that was started again may have to load anew."""
        try:
            return call(name, **asked)
        except self._milvus.MilvusException as error:
            if "load" not in str(error):  # "not loaded", "call load()"
                raise
            _log.warning("%s: loading %s again (%s)", self.address, name, " ".join(str(error).split()))
        self._client.load_collection(name, timeout=TIMEOUT)
        return call(name, **asked)

    def _effort(self, limit: int) -> dict[str, int]:
        return {"ef": max(2 * limit, 128)} if self.address.index == "HNSW" else {}

    def _make(self, name: str, dimension: int) -> None:
        types = self._milvus.DataType
        schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", types.VARCHAR, is_primary=True, max_length=128)
        schema.add_field("number", types.INT64)
        for field in TEXTS:
            schema.add_field(field, types.VARCHAR, max_length=TEXT)
        schema.add_field("terms", types.ARRAY, element_type=types.VARCHAR, max_capacity=TERMS, max_length=32)
        schema.add_field("ranges", types.JSON)
        schema.add_field("vector", types.FLOAT_VECTOR, dim=dimension)
        self._fresh(name, schema)
        parameters = {"M": 16, "efConstruction": 200} if self.address.index == "HNSW" else {}
        self._index(name, "vector", self.address.index, metric_type="IP", params=parameters)
        for field in ("number", "content", "terms"):
            try:
                self._index(name, field, "INVERTED")
            except self._milvus.MilvusException as error:  # filters are right without, and slower
                _log.info("%s: no index over %s (%s)", self.address, field, error)
        self._client.load_collection(name, timeout=TIMEOUT)

    def _make_settings(self) -> None:
        types = self._milvus.DataType
        schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("key", types.VARCHAR, is_primary=True, max_length=128)
        schema.add_field("value", types.VARCHAR, max_length=TEXT)
        schema.add_field("vector", types.FLOAT_VECTOR, dim=2)  # Milvus wants one in every collection
        self._fresh(self.address.name, schema)
        self._index(self.address.name, "vector", "FLAT", metric_type="IP")
        self._client.load_collection(self.address.name, timeout=TIMEOUT)

    def _fresh(self, name: str, schema: Any) -> None:
        """An empty collection, in the place of what a creation that was cut short has left."""
        if self._client.has_collection(name, timeout=TIMEOUT):
            self._client.drop_collection(name, timeout=TIMEOUT)
        self._client.create_collection(name, schema=schema, consistency_level=CONSISTENCY, timeout=TIMEOUT)

    def _index(self, name: str, field: str, kind: str, **options: Any) -> None:
        parameters = self._client.prepare_index_params()
        parameters.add_index(field, index_type=kind, **options)
        self._client.create_index(name, parameters, timeout=TIMEOUT, sync=False)  # nothing to wait for: it is empty

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Whatever Milvus says becomes one sentence with the address and a remedy: `Unreachable` or `Refused`."""
        import grpc

        try:
            yield
        except (self._milvus.MilvusException, grpc.RpcError, grpc.FutureTimeoutError) as error:
            said = " ".join(str(getattr(error, "message", "") or error).split())
            lost = ("connecting", "unavailable", "UNAVAILABLE", "Connection", "closed channel", "DEADLINE", "Retry")
            if isinstance(error, grpc.FutureTimeoutError) or any(word in said for word in lost):
                raise Unreachable(
                    f"Milvus at {self.address.uri} can't be reached; start it, or correct the address {self.address}"
                ) from error
            raise Refused(
                f"Milvus at {self.address.uri} has refused ({said[:300]}); look into its log, then try again"
            ) from error


def _parts(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Rows in portions that a request holds."""
    part: list[Row] = []
    size = 0
    for row in rows:
        more = 4 * len(row["vector"]) + 200 + sum(4 * len(row[field]) for field in TEXTS) + 40 * len(row["terms"])
        more += sum(40 + len(text) for text in row["ranges"].values())
        if part and size + more > BYTES:
            yield part
            part, size = [], 0
        part.append(row)
        size += more
    if part:
        yield part
