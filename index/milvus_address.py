"""Where a catalogue in Milvus is: `milvus+http://host:19530/NAME?root=…&content=…`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from index.catalogue import CatalogueError

SCHEMES = ("milvus+http", "milvus+https")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
INDEXES = ("HNSW", "FLAT", "AUTOINDEX")
OPTIONS = ("root", "content", "database", "index")
EXAMPLE = "milvus+http://127.0.0.1:19530/sounds?root=/data/collection&content=/data/content"


@dataclass(frozen=True)
class Address:
    """A catalogue in Milvus, and where this machine sees its files.

    Attributes:
        uri: of the server, `http://host:port` or `https://…`.
        name: of the catalogue; its collections' names begin with it.
        root: the folder below which files by reference lie, None where there are none.
        content: the folder of the contents that the catalogue holds, None where it holds none.
        database: Milvus's, empty for its default one.
        index: Milvus's kind of index over the vectors, chosen when the catalogue is made: `HNSW`, `FLAT` (exact) or
            `AUTOINDEX`.
    """

    uri: str
    name: str
    root: Path | None = None
    content: Path | None = None
    database: str = ""
    index: str = "HNSW"

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read an address.

        Raises:
            CatalogueError: not an address, in one sentence with an example.
        """
        try:
            parts = urlsplit(re.sub("^([^/]*:)/+", r"\1//", text))  # a path made of the address has lost a slash
            host, port = parts.hostname, parts.port
            options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
        except ValueError:
            raise CatalogueError(f"the address is not a URL; write it like {EXAMPLE}") from None
        name = parts.path.strip("/")
        if parts.scheme not in SCHEMES or not host or not NAME.fullmatch(name):
            raise CatalogueError(
                f"'{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}' names no catalogue "
                f"in Milvus; write it like {EXAMPLE}"
            )
        if parts.username or parts.password:
            raise CatalogueError(
                "an address holds no password, as others can read it; set BMA_MILVUS_TOKEN=user:password"
            )
        unknown = next((key for key in options if key not in OPTIONS), None)
        if unknown is not None:
            raise CatalogueError(f"the address knows no '{unknown[:80]}'; it takes {', '.join(OPTIONS)}")
        if options.get("index", "HNSW") not in INDEXES:
            raise CatalogueError(f"there is no index '{options['index'][:80]}'; use {', '.join(INDEXES)}")
        host = f"[{host}]" if ":" in host else host
        return cls(
            uri=f"{parts.scheme.removeprefix('milvus+')}://{host}:{port or 19530}",
            name=name,
            root=Path(options["root"]).resolve() if options.get("root") else None,
            content=Path(options["content"]).resolve() if options.get("content") else None,
            database=options.get("database", ""),
            index=options.get("index", "HNSW"),
        )

    def __str__(self) -> str:
        return f"milvus+{self.uri}/{self.name}"


def is_milvus(text: str) -> bool:
    """Whether a catalogue's place is an address in Milvus rather than a folder."""
    return text.startswith(tuple(f"{scheme}:" for scheme in SCHEMES))
