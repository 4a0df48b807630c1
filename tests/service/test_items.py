"""Listing items over HTTP."""

import httpx
import pytest


def get(url: str, **parameters: str | int) -> httpx.Response:
    return httpx.get(f"{url}/v1/items", params=parameters, timeout=30)


def test_pages_lead_from_one_to_the_next(service_url: str) -> None:
    whole = get(service_url, limit=1000).json()
    assert whole["cursor"] is None
    seen, cursor = [], ""
    while cursor is not None:
        page = get(service_url, limit=7, cursor=cursor).json()
        seen += page["items"]
        cursor = page["cursor"]
    assert seen == whole["items"]
    assert {item["modality"] for item in seen} == {"image", "sound"}


def test_a_filter_keeps_what_passes(service_url: str) -> None:
    items = get(service_url, filter='{"label": "boat"}', limit=1000).json()["items"]
    assert items
    assert {item["label"] for item in items} == {"boat"}


@pytest.mark.parametrize(
    "parameters", [{"limit": 0}, {"limit": 1001}, {"cursor": "x"}, {"cursor": "9" * 19}, {"filter": "{"}]
)
def test_what_makes_no_sense_is_refused(service_url: str, parameters: dict[str, str | int]) -> None:
    answer = get(service_url, **parameters)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
