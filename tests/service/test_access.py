"""Who is let in: keys, scopes, how often, by which name; and the whole log searched for what it must not say."""

from __future__ import annotations

import json
import logging
import signal
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.access.keys import Keys, KeysError, add_key, read_keys, remove_key
from service.access.policy import Access
from service.access.rate import Rates
from service.cli import main
from service.server import ServeError, access_of, listen
from service.settings import load_settings
from tests.service.conftest import Serving

Guarded = Callable[[Access], AbstractContextManager[httpx.Client]]


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A keys file, its key that reads and its key that writes."""
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    return file, add_key(file, "web", "read"), add_key(file, "ops", "write")


@pytest.fixture
def guarded(serving: Serving, empty_catalogue: Path) -> Guarded:
    """A service in this process, guarded in some way."""
    return lambda access: serving(empty_catalogue, access=access)


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def test_a_file_holds_hashes_and_its_owner_alone_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    secret = add_key(file, "web", "read")
    other = add_key(file, "ops", "write")
    assert secret.startswith("bma_")
    assert len(secret) == 4 + 43  # 256 bits
    assert secret != other
    text = file.read_text()
    assert secret not in text
    assert secret[4:] not in text
    assert file.stat().st_mode & 0o777 == 0o600
    keys = read_keys(file)
    assert [(key.name, key.scope) for key in keys] == [("web", "read"), ("ops", "write")]
    found = keys.find(other)
    assert found is not None
    assert found.name == "ops"
    for wrong in ("", secret[:-1], secret + "x", found.hash, secret.upper(), "\udcff"):
        assert keys.find(wrong) is None
    assert [path.name for path in tmp_path.iterdir()] == ["keys.json"]


def test_a_file_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    file = tmp_path / ("k" * 250)  # its draft can neither be made nor, as on a disk that is read-only, removed
    with pytest.raises(KeysError, match=r"k can't be written \(File name too long\); name another file"):
        add_key(file, "web", "read")


def test_a_key_is_removed_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    secret = add_key(file, "web", "read")
    add_key(file, "ops", "write")
    remove_key(file, "web")
    assert read_keys(file).find(secret) is None
    with pytest.raises(KeysError, match="has no key named web; it has ops"):
        remove_key(file, "web")


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", '{"keys": 3}', '{"keys": [{"name": "a"}]}', '{"keys": [3]}', "\x00", '{"keys": []}']
    + [json.dumps({"keys": [{"name": "a", "scope": scope, "hash": hash}]}) for scope, hash in (
        ("admin", "0" * 64), ("read", "0"), ("read", 3), ("read", None), (["read"], "0" * 64),
    )],
)  # fmt: skip
def test_a_file_that_is_none_is_one_sentence(tmp_path: Path, text: str) -> None:
    file = tmp_path / "keys.json"
    file.write_text(text)
    with pytest.raises(KeysError, match="keys") as caught:
        read_keys(file)
    assert str(file) in str(caught.value)


def test_the_command_prints_the_key_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "keys.json"
    assert main(["keys", "add", "web", "--scope", "read", "--keys", str(file)]) == 0
    told = capsys.readouterr()
    secret = told.out.strip()
    assert read_keys(file).find(secret) is not None
    assert secret not in told.err
    assert main(["keys", "list", "--keys", str(file)]) == 0
    assert capsys.readouterr().out.startswith("web  read  20")
    assert main(["keys", "add", "web", "--scope", "write", "--keys", str(file)]) == 1
    assert "has a key named web" in capsys.readouterr().err
    assert main(["keys", "add", "no name", "--scope", "write", "--keys", str(file)]) == 1
    assert "can't name a key" in capsys.readouterr().err
    assert main(["keys", "remove", "web", "--keys", str(file)]) == 0
    assert main(["keys", "list", "--keys", str(file)]) == 1
    assert "holds no keys" in capsys.readouterr().err


def test_what_needs_a_key_and_what_needs_none(
    guarded: Guarded, secrets: tuple[Path, str, str], images: list[bytes]
) -> None:
    file, read, write = secrets
    picture = {"image": images[0]}
    with guarded(Access(read_keys(file))) as client:
        for path in ("/", "/docs", "/healthz", "/readyz", "/openapi.json", "/page/page.css"):
            assert client.get(path).status_code in (200, 404), path
        for asked in ("GET /v1/model", "GET /v1/items", "POST /v1/embed", "GET /nothing", "GET /metrics",
                      "POST /v1/admin/reload", "GET /v1/items/a", "GET //v1/items", "OPTIONS /v1/items"):  # fmt: skip
            method, path = asked.split()
            answer = client.request(method, path)
            assert answer.status_code == 401, path
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["type"] == "urn:bma:problem:no-key"
            assert answer.headers["www-authenticate"] == 'Bearer realm="bma-memory"'
        wrong = client.get("/v1/model", headers=bearer(read[:-1] + ("A" if read[-1] != "A" else "B")))
        assert (wrong.status_code, wrong.json()["type"]) == (401, "urn:bma:problem:wrong-key")
        assert 'error="invalid_token"' in wrong.headers["www-authenticate"]
        assert client.get("/v1/model", headers={"authorization": f"Basic {read}"}).status_code == 401
        assert client.get("/v1/model?key=" + read).status_code == 401

        for sent in (bearer(read), {"x-api-key": read}, {"authorization": f"bearer  {read}"}):
            assert client.get("/v1/key", headers=sent).json() == {"name": "web", "scopes": ["read"]}
        assert client.get("/v1/key", headers=bearer(write)).json() == {"name": "ops", "scopes": ["read", "write"]}
        for secret, writable in ((read, False), (write, True)):
            assert client.get("/v1/model", headers=bearer(secret)).json()["writable"] is writable
        assert client.post("/v1/embed", files=picture, headers=bearer(read)).status_code == 200
        for asked in ("POST /v1/items", "PUT /v1/items/a", "DELETE /v1/items/a", "POST /v1/admin/reload",
                      "PATCH /v1/items/a", "POST /v1/items/"):  # fmt: skip
            method, path = asked.split()
            refused = client.request(method, path, headers=bearer(read), files=picture)
            assert (refused.status_code, refused.json()["type"]) == (403, "urn:bma:problem:scope-missing"), path
            assert refused.headers["www-authenticate"].endswith('error="insufficient_scope", scope="write"')
        added = client.post("/v1/items", files=picture, data={"id": "a"}, headers=bearer(write))
        assert added.status_code == 201
        assert client.get("/v1/items/a", headers=bearer(read)).json()["id"] == "a"
        assert client.delete("/v1/items/a", headers=bearer(write)).status_code == 204


def test_openai_s_paths_answer_in_its_dialect(guarded: Guarded, secrets: tuple[Path, str, str]) -> None:
    with guarded(Access(read_keys(secrets[0]))) as client:
        for answer in (client.get("/v1/models"), client.post("/v1/embeddings", headers=bearer("bma_x"))):
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Bearer")
            error = answer.json()["error"]
            assert (error["type"], error["param"]) == ("authentication_error", None)
            assert error["code"] in ("no_key", "wrong_key")


def test_a_key_asks_so_often_and_others_are_not_held_up(guarded: Guarded, secrets: tuple[Path, str, str]) -> None:
    file, read, write = secrets
    with guarded(Access(read_keys(file), rate=0.001, burst=3)) as client:  # none comes back while this runs
        answers = [client.get("/v1/key", headers=bearer(read)) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        assert answers[3].json()["type"] == "urn:bma:problem:rate-limited"
        assert 900 < int(answers[3].headers["retry-after"]) <= 1000
        assert client.get("/v1/models", headers=bearer(read)).json()["error"]["type"] == "rate_limit_error"
        assert client.get("/v1/key", headers=bearer(write)).status_code == 200
        assert client.get("/healthz").status_code == 200


def test_whose_request_is_refused_is_in_the_log(
    guarded: Guarded, secrets: tuple[Path, str, str], caplog: pytest.LogCaptureFixture
) -> None:
    file, read, _ = secrets
    caplog.set_level(logging.INFO, "bma.request")
    with guarded(Access(read_keys(file), rate=0.001, burst=2)) as client:
        for path, status in (("/v1/admin/reload", 403), ("/v1/embed", 422), ("/v1/embed", 429)):
            assert client.post(path, headers=bearer(read)).status_code == status
    fields = [vars(record)["fields"] for record in caplog.records if record.name == "bma.request"]
    assert [line["status"] for line in fields] == [403, 422, 429]
    assert len({line["key"] for line in fields}) == 1


def test_a_bucket_fills_at_its_rate_and_no_further() -> None:
    now = 0.0
    rates = Rates(2.0, 3, lambda: now)
    assert [rates.take("a") for _ in range(4)] == [0, 0, 0, 1]
    now = 0.5
    assert [rates.take("a") for _ in range(2)] == [0, 1]
    now = 1000.0
    assert [rates.take("a") for _ in range(4)] == [0, 0, 0, 1]
    slow = Rates(0.1, 1, lambda: now)
    assert [slow.take("a") for _ in range(2)] == [0, 10]
    assert not any(Rates(None, 1).take("a") for _ in range(100))


def test_only_its_own_names_are_answered_to(guarded: Guarded) -> None:
    with guarded(Access(hosts=("Sounds.example",))) as client:
        for host in ("localhost", "localhost:8000", "127.0.0.1:1", "127.0.0.2", "[::1]:8000", "[::1]", "LOCALHOST",
                     "sounds.example", "sounds.example:443", "localhost."):  # fmt: skip
            assert client.get("/healthz", headers={"host": host}).status_code == 200, host
        for host in ("evil.example", "evil.example:8000", "localhost.evil.example", "10.0.0.1", "", "[::2]",
                     "127.0.0.1.evil.example", "sounds.example.evil.example"):  # fmt: skip
            answer = client.get("/v1/items", headers={"host": host})
            assert (answer.status_code, answer.json()["type"]) == (421, "urn:bma:problem:unknown-host"), host
    with guarded(Access(check_host=False)) as client:
        assert client.get("/healthz", headers={"host": "any.example"}).status_code == 200


def test_when_names_are_checked(tmp_path: Path) -> None:
    keys = Keys([])
    assert access_of(load_settings({}), None).check_host
    assert access_of(load_settings({"host": "localhost"}), None).check_host
    assert not access_of(load_settings({}), keys).check_host  # a page of another site has no key
    assert not access_of(load_settings({"host": "0.0.0.0", "insecure": True}), None).check_host
    assert access_of(load_settings({"host": "0.0.0.0", "hosts": ("a.b",)}), None).check_host


def test_pages_of_other_sites_are_off_unless_named(guarded: Guarded, secrets: tuple[Path, str, str]) -> None:
    file, read, _ = secrets
    site = "https://app.example"
    asked = {"origin": site, "access-control-request-method": "GET", "access-control-request-headers": "authorization"}
    with guarded(Access(read_keys(file))) as client:
        answer = client.get("/v1/key", headers={**bearer(read), "origin": site})
        assert "access-control-allow-origin" not in answer.headers
        assert "access-control-allow-origin" not in client.options("/v1/key", headers=asked).headers
    with guarded(Access(read_keys(file), origins=(site,))) as client:
        preflight = client.options("/v1/key", headers=asked)
        assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, site)
        for sent in (bearer(read), {}):  # also a refusal can be read
            answer = client.get("/v1/key", headers={**sent, "origin": site})
            assert answer.headers["access-control-allow-origin"] == site
        other = client.get("/v1/key", headers={**bearer(read), "origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers
    change = {"sec-fetch-site": "cross-site", "origin": site}
    with guarded(Access(origins=(site,))) as client:
        assert client.delete("/v1/items/a", headers=change).status_code == 404
        assert client.delete("/v1/items/a", headers={**change, "origin": "https://evil.example"}).status_code == 403


def test_with_keys_another_host_is_fine(secrets: tuple[Path, str, str]) -> None:
    with pytest.raises(ServeError, match="bma keys add"):
        listen("0.0.0.0", 0)
    listen("0.0.0.0", 0, guarded=True).close()


def test_no_key_is_ever_in_a_log(
    serve: Callable[..., Any],
    bundle_folder: Path,
    empty_catalogue: Path,
    secrets: tuple[Path, str, str],
) -> None:
    file, read, write = secrets
    wrong = "bma_" + "w" * 43
    arguments = ("--model", bundle_folder, "--index", empty_catalogue, "--keys", file, "--log", "json")
    with serve(*arguments) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        for secret in (read, write, wrong):
            for sent in (bearer(secret), {"x-api-key": secret}, {"x-request-id": secret}, {"cookie": secret}):
                client.get(f"/v1/items/{secret}?key={secret}", headers=sent)
                client.post(f"/{secret}", headers=sent, files={"image": (secret, b"no picture")})
                client.post("/v1/embed", headers=sent, files={"image": (secret, b"no picture")})
        with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as raw:
            raw.sendall(f"NOT HTTP {read}\r\nx: {write}\r\n\r\n".encode())
            raw.recv(1000)
        server.process.send_signal(signal.SIGINT)
        logged = server.told() + server.process.stdout.read()
        assert '"status": 401' in logged
        assert '"key": "ops"' in logged
        for secret in (read, write, wrong):
            assert secret[4:] not in logged
