"""What a browser is served besides the API: the page, the documentation, and under which policy."""

from __future__ import annotations

import re

import httpx
import pytest

PAGES = ("/", "/docs")


def references(html: str) -> list[str]:
    return re.findall(r'(?:src|href)="([^"]+)"', html)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_refers_to_this_service_only(http: httpx.Client, path: str) -> None:
    answer = http.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    found = references(answer.text)
    assert found
    for reference in found:
        assert not re.match(r"[a-z]+:|//", reference), f"{reference} lies elsewhere"
        assert http.get(f"/{reference.removeprefix('./')}").status_code == 200


@pytest.mark.parametrize("path", PAGES)
def test_a_page_runs_no_script_but_its_own(http: httpx.Client, path: str) -> None:
    answer = http.get(path)
    policy = dict(rule.strip().split(" ", 1) for rule in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'self'"
    assert policy.get("script-src", "'self'") == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<script(?![^>]*\bsrc=)", answer.text)
    assert not re.search(r"\bon[a-z]+=|style=", answer.text)


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("page.css", "text/css"),
        ("page.js", "text/javascript"),
        ("icon.svg", "image/svg+xml"),
        ("swagger-ui.css", "text/css"),
        ("swagger-ui-bundle.js", "text/javascript"),
    ],
)
def test_a_file_of_the_page(http: httpx.Client, name: str, media_type: str) -> None:
    answer = http.get(f"/page/{name}")
    assert answer.status_code == 200
    assert (
        answer.headers["content-type"].split(";")[0].replace("application/javascript", "text/javascript") == media_type
    )
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-cache"
    again = http.get(f"/page/{name}", headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304
    assert not again.content


@pytest.mark.parametrize("path", ["/page/", "/page/nothing.js", "/page/..%2fapp.py", "/page/%2e%2e/app.py"])
def test_nothing_else_is_served_there(http: httpx.Client, path: str) -> None:
    answer = http.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/", "/docs", "/page/page.js"])
@pytest.mark.parametrize("range", ["bytes=0-9", "bytes=", "bytes=999999999-", "x"])
def test_pages_come_whole(http: httpx.Client, path: str, range: str) -> None:
    answer = http.get(path, headers={"range": range})
    assert (answer.status_code, answer.content) == (200, http.get(path).content)


def test_modules_import_only_each_other(http: httpx.Client) -> None:
    seen, left = set(), ["page.js"]
    while left:
        name = left.pop()
        seen.add(name)
        source = http.get(f"/page/{name}").text
        assert "innerHTML" not in source
        assert "eval(" not in source
        imports = re.findall(r'from "([^"]+)"', source)
        assert all(module.startswith("./") for module in imports)
        left += [module.removeprefix("./") for module in imports if module.removeprefix("./") not in seen]
    assert len(seen) > 1


ANY = {"400", "413", "421", "422", "429", "431", "500"}  # that every call may meet
GUARDED = {"401", "503", "504"}  # and every call but those that are open to all
OPEN = {"GET /healthz", "GET /readyz"}
WRITES = {"403"}
BODIES = {"408"}
QUERY_ERRORS = {"400", "409", "413", "415", "422"}
DOCUMENTED: dict[str, set[str]] = {
    "POST /v1/embed": QUERY_ERRORS,
    "POST /v1/classify": QUERY_ERRORS,
    "POST /v1/search/images": QUERY_ERRORS,
    "POST /v1/search/sounds": QUERY_ERRORS,
    "POST /v1/embeddings": {"400", "404", "413"},
    "GET /v1/models": set(),
    "GET /v1/models/{id}": {"404", "4XX"},
    "GET /v1/items": {"409", "422"},
    "POST /v1/items": {*QUERY_ERRORS, "507"},
    "GET /v1/labels": {"409", "422"},
    "GET /v1/items/{id}": {"404", "409", "422"},
    "PUT /v1/items/{id}": {*QUERY_ERRORS, "404", "507"},
    "DELETE /v1/items/{id}": {"404", "409", "422", "507"},
    "GET /v1/items/{id}/content": {"404", "409", "416", "422"},
    "GET /v1/items/{id}/thumbnail": {"404", "409", "422"},
    "GET /healthz": set(),
    "GET /readyz": {"503"},
    "GET /metrics": set(),
    "GET /v1/model": set(),
    "GET /v1/key": set(),
    "POST /v1/admin/reload": {"409"},
}


def test_every_error_is_documented_as_the_problem_that_it_is(http: httpx.Client) -> None:
    document = http.get("/openapi.json").json()
    left: dict[str, set[str]] = dict(DOCUMENTED)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            name = f"{method.upper()} {path}"
            errors = {status: what for status, what in operation["responses"].items() if status >= "400"}
            expected = left.pop(name) | ANY | (set() if name in OPEN else GUARDED)
            if path.startswith(("/v1/embeddings", "/v1/models")):  # OpenAI's clients know one status for both
                expected = (expected - {"422"}) | {"400"}
            if path.startswith(("/v1/items", "/v1/admin")) and method != "get":
                expected |= WRITES
            if "requestBody" in operation:
                expected |= BODIES
            assert set(errors) == expected, name
            for error in errors.values():
                if path.startswith(("/v1/embeddings", "/v1/models")):
                    schema = error["content"].pop("application/json")["schema"]
                    assert schema == {"$ref": "#/components/schemas/OpenAIErrorDocument"}
                else:
                    assert error["content"].pop("application/problem+json")["schema"]["title"] == "ProblemDocument"
                assert error["content"] == {}
    assert left == {}


def test_every_parameter_is_documented(http: httpx.Client) -> None:
    for path, operations in http.get("/openapi.json").json()["paths"].items():
        for method, operation in operations.items():
            for parameter in operation.get("parameters", ()):
                assert parameter.get("description"), (method, path, parameter["name"])
