"""Whose page asks."""

from __future__ import annotations

from fastapi import Request

from service.problems import Problem


async def refuse_other_sites(request: Request) -> None:
    """Browsers send forms of any page anywhere, also to a service on the reader's own machine; they say whose it is.

    Raises:
        Problem: a page of another site that is none of `origins`.
    """
    if request.headers.get("sec-fetch-site", "none") in ("same-origin", "none"):
        return
    if request.headers.get("origin", "") not in request.app.state.origins:
        raise Problem(
            "other-site", "A page of another site may not change the catalogue; send this from the service's own page."
        )
