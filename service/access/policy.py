"""Who may ask, from where, and how often."""

from __future__ import annotations

from dataclasses import dataclass

from service.access.keys import Keys


@dataclass(frozen=True)
class Access:
    """How a service is guarded.

    Attributes:
        keys: those that open; None for a service that asks for none.
        rate: requests a second of each key, None for any number.
        burst: requests of a key at once, after a rest.
        origins: sites whose pages may ask (CORS), such as `https://example.org`.
        hosts: names of the service besides this machine's own.
        check_host: answer to these names alone.
    """

    keys: Keys | None = None
    rate: float | None = None
    burst: int = 20
    origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    check_host: bool = True
