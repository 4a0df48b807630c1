"""Whose page asks."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import Request

from service.problems import Problem


async def refuse_other_sites(request: Request) -> None:
    """Browsers send forms of any page anywhere, also to a service on the reader's own machine; they say whose it is.

    Over plain http they say it to this machine alone; elsewhere there is the page's origin, which has to be the host
    that was called.

    Raises:
        Problem: a page of another site that is none of `origins`.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is None:
        ours = origin is None or _host(origin) == request.headers.get("host", "").lower()
    else:
        ours = site in ("same-origin", "none")
    if not ours and origin not in request.app.state.origins:
        raise Problem(
            "other-site", "A page of another site may not change the catalogue; send this from the service's own page."
        )


def _host(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None
