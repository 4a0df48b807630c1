"""Who may come in: the keys of a request, and the name by which the service was called."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.access import keys as known
from service.access.keys import Keys
from service.access.rate import Rates
from service.problems import Problem

# Without a key: whether it lives, and the pages, which hold nothing of the catalogue. All else needs one.
OPEN = ("/", "/docs", "/openapi.json", "/healthz", "/readyz")
OPEN_BELOW = "/page/"
READING = ("GET", "HEAD", "OPTIONS")
CHANGING = ("/v1/items", "/v1/admin")  # and what is below them, by methods that do not read
LONGEST = 256  # characters of a key that are looked at
NAMES = 256  # by which the service was called lately, and whether they are its own


class KeyGuard:
    """ASGI middleware: a request without a key that allows it is answered with 401, 403 or 429.

    The key is then `scope["state"]["key"]`.

    Args:
        app: what is guarded.
        keys: those that open.
        rates: how often each may ask.
    """

    def __init__(self, app: ASGIApp, keys: Keys, rates: Rates) -> None:
        self.app, self._keys, self._rates = app, keys, rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        if scope["type"] != "http" or scope["path"] in OPEN or scope["path"].startswith(OPEN_BELOW):
            await self.app(scope, receive, send)
            return
        try:
            self._admit(scope)
        except Problem as problem:
            await problem.response(scope["path"])(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _admit(self, scope: Scope) -> None:
        secret = _sent(Headers(scope=scope))
        if not secret:
            raise Problem(
                "no-key",
                "This service asks for an API key; send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'.",
                headers=_challenge(),
            )
        key = self._keys.find(secret[:LONGEST])
        if key is None:
            raise Problem(
                "wrong-key",
                "The API key is not known here; ask whoever runs the service for another.",
                headers=_challenge("invalid_token"),
            )
        scope.setdefault("state", {})["key"] = key  # also where it does not allow this: the log tells whose it is
        wait = self._rates.take(key.name)
        if wait:
            raise Problem(
                "rate-limited",
                f"This key may ask {self._rates.rate:g} times a second, {self._rates.burst} at once; "
                f"try again in {wait} s.",
                headers={"retry-after": str(wait)},
                limit=self._rates.rate,
            )
        needed = scope_of(scope["method"], scope["path"])
        if not key.allows(needed):
            raise Problem(
                "scope-missing",
                f"This key may only read; this takes one of scope '{needed}'.",
                headers=_challenge("insufficient_scope", needed),
            )


class HostGuard:
    """ASGI middleware: a request to a name that is not the service's is answered with 421.

    A page of another site can have its own name lead to this machine (DNS rebinding), and its browser then takes the
    service for a part of that site: what protects is that the browser says the name.

    Args:
        app: what is guarded.
        hosts: names and addresses besides this machine's own, without ports.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self.app, self._hosts = app, {host.lower() for host in hosts}
        self._is_ours = functools.lru_cache(NAMES)(self._knows)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        host = next((value for name, value in scope.get("headers", ()) if name == b"host"), None)
        if host is None or self._is_ours(host):  # every browser names the host
            await self.app(scope, receive, send)
            return
        problem = Problem(
            "unknown-host", "The service does not go by this name; use its address, or add the name to 'hosts'."
        )
        await problem.response(scope["path"])(scope, receive, send)

    def _knows(self, named: bytes) -> bool:
        host = _without_port(named.decode("latin-1"))
        if host == "localhost" or host in self._hosts:
            return True
        try:
            return ipaddress.ip_address(host.strip("[]")).is_loopback
        except ValueError:
            return False


def scope_of(method: str, path: str) -> known.Scope:
    """What a key must allow for a request."""
    changing = any(path == place or path.startswith(f"{place}/") for place in CHANGING)
    return "write" if changing and method not in READING else "read"


def _sent(headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "").strip()


def _challenge(error: str = "", scope: str = "") -> dict[str, str]:
    parts = {"realm": "bma-memory", "error": error, "scope": scope}
    return {"www-authenticate": "Bearer " + ", ".join(f'{name}="{value}"' for name, value in parts.items() if value)}


def _without_port(host: str) -> str:
    name, colon, port = host.lower().rpartition(":")
    return (name if colon and port.isdigit() else host.lower()).rstrip(".")
