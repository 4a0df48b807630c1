"""Starting and ending `bma serve`; what stops it from starting is one sentence."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.access.keys import add_key
from service.cli import main
from service.server import ServeError, address, listen
from tests.conftest import Serve, start_server

Sentence = Callable[..., str]


@pytest.fixture
def sentence(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run `bma serve …`, which must fail; the one sentence on stderr that says why."""

    def run(*arguments: str | Path) -> str:
        assert main(["serve", *map(str, arguments)]) == 1
        told = capsys.readouterr()
        assert told.out == ""
        *_, words = told.err.splitlines(keepends=True)  # after whatever was logged
        assert words.startswith("bma: ")
        assert told.err.count("\nbma: ") == (told.err != words)
        return words

    return run


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_others_can_not_reach_it_unless_asked_for(host: str) -> None:
    with pytest.raises(ServeError, match=r"can be reached by others .*; listen on 127\.0\.0\.1, .* or say --insecure"):
        listen(host, 0)
    with listen("0.0.0.0", 0, guarded=True) as listener:
        assert address(listener).startswith("http://0.0.0.0:")


def test_the_command_refuses_such_a_host(
    sentence: Sentence, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("BMA_INSECURE", raising=False)
    arguments = ("--host", "0.0.0.0", "--port", "0", "--model")
    assert "--insecure" in sentence(*arguments, bundle_folder)
    # where it is allowed, what is missing is the bundle
    assert str(tmp_path / "none") in sentence("--insecure", *arguments, tmp_path / "none")
    monkeypatch.setenv("BMA_INSECURE", "1")
    assert str(tmp_path / "none") in sentence(*arguments, tmp_path / "none")
    monkeypatch.delenv("BMA_INSECURE")
    add_key(tmp_path / "keys.json", "web", "read")
    assert str(tmp_path / "none") in sentence("--keys", tmp_path / "keys.json", *arguments, tmp_path / "none")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_alone_is_the_rule(host: str) -> None:
    with listen(host, 0) as listener:
        assert address(listener).startswith(("http://127.0.0.1:", "http://[::1]:"))


def test_an_answer_is_sent_at_once_and_not_with_the_next_one() -> None:
    async def delays(listener: socket.socket) -> bool:
        found: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def accepted(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            option = writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            writer.close()
            found.set_result(not option)

        async with await asyncio.start_server(accepted, sock=listener):
            _, client = await asyncio.open_connection(*listener.getsockname()[:2])
            client.close()
            return await found

    with listen("127.0.0.1", 0) as listener:
        assert not asyncio.run(delays(listener))


@pytest.mark.parametrize(
    ("host", "port"), [("no.such.host.invalid", 8000), ("127.0.0.1", 70_000), ("127.0.0.1", -1), ("x" * 300, 1)]
)
def test_an_address_that_is_none_is_named(host: str, port: int) -> None:
    with pytest.raises(ServeError, match="--port") as caught:
        listen(host, port)
    assert host in str(caught.value)
    assert str(port) in str(caught.value)


def test_a_port_in_use_is_said_at_once(sentence: Sentence) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        # before anything is loaded: the bundle does not even exist
        words = sentence("--model", "no-such-bundle", "--port", port)
    assert f"can't listen on 127.0.0.1 port {port}" in words
    assert "choose another with --port" in words


def test_an_address_of_another_machine_asks_for_another_host(sentence: Sentence) -> None:
    words = sentence("--model", "none", "--insecure", "--host", "192.0.2.1")
    assert words.endswith("; choose another host, such as --host 127.0.0.1\n")


def test_a_missing_bundle_or_catalogue_is_named(sentence: Sentence, bundle_folder: Path, tmp_path: Path) -> None:
    words = sentence("--port", "0", "--model", tmp_path / "nothing")
    assert str(tmp_path / "nothing") in words
    words = sentence("--port", "0", "--model", bundle_folder, "--index", tmp_path / "nothing", "--read-only")
    assert f"{tmp_path / 'nothing'} holds no catalogue" in words
    words = sentence("--port", "0", "--model", bundle_folder, "--index", tmp_path / "nothing")
    assert f"{tmp_path / 'nothing'} holds no catalogue; make one with 'bma index build" in words


def test_a_catalogue_of_another_bundle_is_refused(sentence: Sentence, bundle_folder: Path, tmp_path: Path) -> None:
    from index.local import LocalCatalogue

    LocalCatalogue.create(tmp_path / "index", "another", 128, tmp_path).close()
    words = sentence("--port", "0", "--model", bundle_folder, "--index", tmp_path / "index")
    assert "was made with another model" in words
    assert f"'bma index rebuild {tmp_path / 'index'} --model BUNDLE'" in words


def test_one_service_writes_and_others_read(
    sentence: Sentence, serve: Serve, bundle_folder: Path, empty_catalogue: Path, images: list[bytes]
) -> None:
    from index.local import LocalCatalogue

    arguments = ("--model", bundle_folder, "--index", empty_catalogue)
    with serve(*arguments) as writer, serve(*arguments, "--read-only") as reader, httpx.Client(timeout=60) as http:
        words = sentence("--port", "0", *arguments)
        assert f"{empty_catalogue} is open for writing elsewhere by process {writer.process.pid}" in words
        assert words.endswith(", or serve it from here with --read-only\n")
        file = {"image": images[0]}
        assert http.post(f"{writer.url}/v1/items", files=file, data={"id": "a"}).status_code == 201
        hits = http.post(f"{reader.url}/v1/search/images", files=file).json()["results"][0]["hits"]
        assert [hit["id"] for hit in hits] == ["a"]
        assert http.get(f"{reader.url}/v1/items/a/content").content == images[0]
        assert http.post(f"{reader.url}/v1/items", files=file).json()["type"] == "urn:bma:problem:read-only"
        assert http.delete(f"{writer.url}/v1/items/a").status_code == 204
        assert http.get(f"{reader.url}/v1/items/a").status_code == 404
    LocalCatalogue.open(empty_catalogue, writable=True).close()


def test_a_folder_that_can_not_be_written_is_served_read_only(
    bundle_folder: Path,
    empty_catalogue: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from index.catalogue import NotWritable
    from index.local import LocalCatalogue
    from index.tuning import Tuning
    from service.loading import load_engine

    really = LocalCatalogue.open

    def opened(folder: Path, writable: bool = False, tuning: Tuning | None = None) -> LocalCatalogue:
        if writable:  # as on a disk that is mounted read-only; whoever is root may write to any other
            raise NotWritable(f"{folder} can't be written; open it for reading")
        return really(folder, writable, tuning)

    monkeypatch.setattr(LocalCatalogue, "open", opened)
    engine = load_engine(bundle_folder, empty_catalogue, "cpu")
    try:
        assert engine.catalogue is not None
        assert not engine.catalogue.writable
        assert f"{empty_catalogue} can't be written, so it is served read-only" in caplog.messages
    finally:
        engine.close()


@pytest.mark.parametrize(
    ("value", "told"),
    [(1e38, "the model's answer is not a number"), (0.0, "the model's projection z has no unit norm")],
)
def test_a_model_that_does_not_compute_is_not_announced(
    sentence: Sentence, bundle_folder: Path, tmp_path: Path, value: float, told: str
) -> None:
    from training.model.bundle import load_bundle

    bundle = load_bundle(bundle_folder)
    for weight in bundle.model.parameters():
        weight.data.fill_(value)
    bundle.save(tmp_path / "broken")
    words = sentence("--port", "0", "--model", tmp_path / "broken")
    assert f"{tmp_path / 'broken'} fails its self-test ({told}); " in words
    assert "train it again" in words


def test_a_signal_ends_it_after_what_has_begun(bundle_folder: Path, demo_folder: Path) -> None:
    """SIGTERM here; every other server of the tests is ended with Ctrl-C and must exit with 0."""
    wav = sorted(demo_folder.glob("sounds/*.wav"))[0].read_bytes()
    server = start_server("--model", bundle_folder)
    with server.process as process:
        answers: list[int] = []

        def ask() -> None:
            files = [("sound", (f"{n}.wav", wav)) for n in range(60)]
            answers.append(httpx.post(f"{server.url}/v1/embed", files=files, timeout=60).status_code)

        assert httpx.get(f"{server.url}/readyz", timeout=60).is_success
        asking = threading.Thread(target=ask)
        asking.start()
        time.sleep(0.15)
        process.terminate()
        _, errors = process.communicate(timeout=30)
        asking.join()
    assert (process.returncode, answers) == (-signal.SIGTERM, [200])
    *_, answered, last = errors.splitlines()  # what is told last is not lost
    assert "path=/v1/embed status=200" in answered
    assert last.endswith("bma.service: stopped")
    assert not [line for line in errors.splitlines() if " INFO " not in line]


def test_without_a_catalogue_it_embeds_and_says_why_it_can_not_search(
    serve: Serve, bundle_folder: Path, demo_folder: Path, tmp_path: Path
) -> None:
    """The same server without class heads: 409 for what it lacks, in words."""
    bare = tmp_path / "bare"
    shutil.copytree(bundle_folder, bare)
    from training.model.bundle import load_bundle

    bundle = load_bundle(bundle_folder)
    bundle.heads = {}
    shutil.rmtree(bare)
    bundle.save(bare)
    files = {"image": sorted(demo_folder.glob("images/*.jpg"))[0].read_bytes()}
    with serve("--model", bare) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        assert client.post("/v1/embed", files=files).status_code == 200
        assert client.get("/v1/model").json()["catalogue"] is None
        assert client.get("/v1/model").json()["writable"] is False
        assert client.get("/v1/labels").json()["type"] == "urn:bma:problem:no-catalogue"
        assert client.get("/v1/model").json()["classes"] == {"image": [], "sound": []}
        for path in ("/v1/search/images", "/v1/search/sounds"):
            answer = client.post(path, files=files)
            assert (answer.status_code, answer.json()["type"]) == (409, "urn:bma:problem:no-catalogue")
            assert "start it with --index" in answer.json()["detail"]
        for path in ("", "/content", "/thumbnail"):
            assert client.get(f"/v1/items/a{path}").json()["type"] == "urn:bma:problem:no-catalogue"
        changes = (client.post("/v1/items", files=files), client.put("/v1/items/a", files=files))
        for answer in (*changes, client.put("/v1/items/a", data={"label": "x"}), client.delete("/v1/items/a")):
            assert (answer.status_code, answer.json()["type"]) == (409, "urn:bma:problem:no-catalogue")
        answer = client.post("/v1/classify", files=files)
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:bma:problem:no-class-head")
        assert answer.json()["detail"].startswith(
            "This model has no class head for images; train it on rows with labels"
        )


def test_what_is_indexed_while_it_serves_is_found(
    serve: Serve, bundle_folder: Path, demo_folder: Path, tmp_path: Path
) -> None:
    from service.indexing import build_catalogue
    from training.model.embedder import Embedder

    embedder = Embedder(bundle_folder, "cpu")
    source, index = tmp_path / "media", tmp_path / "index"
    source.mkdir()
    pictures = sorted(demo_folder.glob("images/*_test-*.jpg"))[:3]
    shutil.copy(pictures[0], source)
    build_catalogue(embedder, source, index)
    with (
        serve("--model", bundle_folder, "--index", index, "--read-only") as server,
        httpx.Client(base_url=server.url) as client,
    ):

        def hits() -> list[dict[str, Any]]:
            answer = client.post("/v1/search/images", files={"image": pictures[1].read_bytes()}, timeout=60)
            found: list[dict[str, Any]] = answer.json()["results"][0]["hits"]
            return found

        assert len(hits()) == 1
        for picture in pictures[1:]:
            shutil.copy(picture, source)
        build_catalogue(embedder, source, index)
        assert len(hits()) == 3
        assert hits()[0]["metadata"] == {"path": pictures[1].name}
        (source / pictures[1].name).unlink()
        answer = client.get(hits()[0]["content"])
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:bma:problem:content-gone")
        assert "put it back, or build the index again" in answer.json()["detail"]
        (source / pictures[1].name).write_bytes(b"no longer a picture")
        answer = client.get(hits()[0]["thumbnail"])
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:bma:problem:content-gone")
