"""`bma query` against a real service."""

from __future__ import annotations

import json
import mimetypes
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.access.keys import add_key, read_keys
from service.access.policy import Access
from service.asking import QueryError, describe, modality_of
from service.cli import main
from tests.service.conftest import Serving
from training.model.media import image as images
from training.model.media import sound as sounds

Query = Callable[..., str]


@pytest.fixture
def query(service_url: str, capsys: pytest.CaptureFixture[str]) -> Query:
    """Run `bma query URL …` with an expected exit status; what it printed."""

    def run(*arguments: str | Path, status: int = 0, url: str = service_url) -> str:
        assert main(["query", url, *map(str, arguments)]) == status
        told = capsys.readouterr()
        if status:
            assert told.out == ""
            assert told.err.startswith("bma: ")
            assert told.err.count("\n") == 1
            return told.err
        assert told.err == ""
        return told.out

    return run


@pytest.fixture
def image(demo_folder: Path) -> Path:
    return sorted(demo_folder.glob("images/*_test-0000.jpg"))[0]


@pytest.fixture
def sound(demo_folder: Path) -> Path:
    return sorted(demo_folder.glob("sounds/*_test-0000.wav"))[0]


def test_answers_are_printed(query: Query, image: Path, sound: Path) -> None:
    lines = query("images", image, "-k", "2").splitlines()
    assert lines[0] == f"{image.name}:"
    assert len(lines) == 3
    score, label, id = lines[1].split()
    assert float(score) == pytest.approx(1, abs=2e-3)
    assert (label, id) == ("drone", "test-0000:image")
    assert len(query("sounds", image).splitlines()) == 6
    assert len(query("classify", sound).splitlines()) == 6
    assert "  z: 128 numbers, " in query("embed", sound)
    boats = query("images", sound, "--filter", '{"label": "boat"}').splitlines()[1:]
    assert [line.split()[1] for line in boats] == ["boat"] * 3


def test_a_terminal_is_not_told_what_to_do() -> None:
    hit = {"score": 0.5, "label": "\x1b[31mred\x07", "id": "a", "metadata": {"path": "b\u202e.jpg"}}
    assert describe({"name": "a.wav", "hits": [hit]})[1] == "  0.500  ?[31mred?        b?.jpg"


def test_json_is_the_services_results(query: Query, image: Path, sound: Path) -> None:
    (result,) = json.loads(query("images", sound, "--json", "-k", "3"))
    assert result["name"] == sound.name
    assert len(result["hits"]) == 3
    assert [len(result["z"]) for result in json.loads(query("embed", image, image, "--json"))] == [128, 128]


def test_windows_say_which_second_and_explain_says_which_slots(query: Query, image: Path, sound: Path) -> None:
    lines = query("images", sound, "-k", "2", "--windows", "--explain").splitlines()
    assert re.fullmatch(
        r"  0\.\d{3}  \w.+ test-\d+:image  0\.0-2\.0 s 0\.\d{3}  \(slot \d+ [+-]0\.\d{4}, .*\)", lines[1]
    )
    assert re.match(r"  memory: addressed over \d+\.\d of 24 slots, of which these have \d+% of the weight", lines[3])
    assert [line.split()[0] for line in lines[4:]] == ["slot", "images:", "sounds:"] * 5
    assert query("embed", sound, "--windows").splitlines()[-1].startswith("  0.0-2.0 s  z: 128 numbers, ")
    told = query("classify", sound, "--windows").splitlines()
    share, label = told[1].split()
    assert re.fullmatch(rf"  0\.0-2\.0 s  {label} {share}(, [\w ]+ 0\.\d{{3}}){{2}}", told[-1])
    told = query("classify", image, "--labels", "boat,train", "--labels", "drone", "--explain").splitlines()
    assert sorted(re.split(r"\s+", line)[2] for line in told[1:4]) == ["boat", "drone", "train"]
    assert all("(slot " in line for line in told[1:4])
    (result,) = json.loads(query("images", sound, "--json", "--explain", "--windows"))
    assert result.keys() == {"name", "hits", "windows", "explanation"}


def test_options_go_with_what_takes_them(query: Query, image: Path, sound: Path) -> None:
    assert "--explain does not go with embed" in query("embed", sound, "--explain", status=1)
    assert "-k does not go with classify" in query("classify", sound, "-k", "2", status=1)
    for what in ("classify", "embed"):
        assert f"--filter does not go with {what}" in query(what, sound, "--filter", "{}", status=1)
    assert "--labels does not go with images" in query("images", sound, "--labels", "boat", status=1)
    for what in ("images", "classify", "embed"):
        assert "images have no windows" in query(what, image, "--windows", status=1)
    assert "label 'cat'; GET /v1/labels lists those" in query("classify", image, "--labels", "cat", status=1)
    assert "--prototypes does not go with images" in query("images", sound, "--prototypes", "image", status=1)
    assert "name some with --labels" in query("classify", sound, "--prototypes", "image", status=1)


def test_prototypes_say_which_items_stand_for_labels(query: Query, http: httpx.Client, sound: Path) -> None:
    told = {}
    for kind in ("image", "sound", "both"):
        (result,) = json.loads(query("classify", sound, "--labels", "*", "--prototypes", kind, "--json"))
        asked = {"labels": "*", "prototypes": kind}
        answer = http.post("/v1/classify", params=asked, files={"sound": (sound.name, sound.read_bytes())})
        assert [entry["label"] for entry in result["classes"]] == [
            entry["label"] for entry in answer.json()["results"][0]["classes"]
        ]
        told[kind] = [entry["probability"] for entry in result["classes"]]
    assert json.loads(query("classify", sound, "--labels", "*", "--json"))[0]["classes"][0]["probability"] == (
        pytest.approx(told["both"][0])
    )
    assert told["image"] != pytest.approx(told["sound"])


def test_the_key_is_sent(query: Query, image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys: list[str | None] = []

    def request(self: httpx.Client, **arguments: Any) -> httpx.Response:
        keys.append(self.headers.get("authorization"))
        return httpx.Response(200, json={"results": []}, request=httpx.Request("POST", "http://x"))

    monkeypatch.setattr(httpx.Client, "request", request)
    query("embed", image)
    monkeypatch.setenv("BMA_API_KEY", "from-environment")
    query("embed", image)
    query("embed", image, "--key", "from-option")
    assert keys == [None, "Bearer from-environment", "Bearer from-option"]


def test_a_file_that_fails_among_others_is_told_on_stderr_and_by_the_status(
    service_url: str, image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.jpg").write_bytes(b"")
    for json_too in ([], ["--json"]):
        files = map(str, (tmp_path / "empty.jpg", image))
        assert main(["query", service_url, "classify", *files, *json_too]) == 1
        told = capsys.readouterr()
        assert told.err == "bma: empty.jpg is empty (0 bytes); send the file again.\n"
        if json_too:
            assert [result.get("error", {}).get("status") for result in json.loads(told.out)] == [422, None]
        else:
            assert told.out.startswith(f"{image.name}:\n")


def test_items_of_a_folder_go_by_their_paths(
    serving: Serving, empty_catalogue: Path, query: Query, image: Path
) -> None:
    with serving(empty_catalogue) as shelf:
        url = str(shelf.base_url)
        assert query("images", image, url=url).splitlines()[1:] == [
            "  no hits: the catalogue holds none, or none that the filter lets pass"
        ]
        fields = {"id": "hash", "metadata": '{"path": "holiday/1.jpg"}'}
        assert shelf.post("/v1/items", data=fields, files={"image": image.read_bytes()}).is_success
        assert query("images", image, url=url).split()[1:] == ["1.000", "-", "holiday/1.jpg"]
        assert "images: holiday/1.jpg " in query("images", image, "--explain", url=url)


def test_where_a_key_is_needed_the_option_is_named(
    serving: Serving, empty_catalogue: Path, query: Query, image: Path, tmp_path: Path
) -> None:
    add_key(tmp_path / "keys.json", "ann", "read")
    with serving(empty_catalogue, access=Access(read_keys(tmp_path / "keys.json"))) as shelf:
        url = str(shelf.base_url)
        told = query("images", image, status=1, url=url)
        assert told == f"bma: {url} asks for an API key; give it with --key or as BMA_API_KEY\n"
        assert "not known here" in query("images", image, "--key", "bma_other", status=1, url=url)


def test_what_can_not_be_asked_is_one_sentence(query: Query, image: Path, sound: Path, tmp_path: Path) -> None:
    assert "images and sounds; ask for one kind at a time" in query("images", image, sound, status=1)
    assert "does not exist; check the path" in query("images", tmp_path / "no.jpg", status=1)
    assert "--filter takes a JSON object" in query("images", image, "--filter", "{", status=1)
    assert "filter knows no 'x'" in query("images", image, "--filter", '{"x": 1}', status=1)
    assert "'k'" in query("images", image, "-k", "0", status=1)
    assert f"{tmp_path} is a folder; name the files in it" in query("images", tmp_path, status=1)
    (tmp_path / "text.jpg").write_text("hello")
    assert "text.jpg is not an image" in query("classify", tmp_path / "text.jpg", status=1)
    assert "rename it" in query("classify", tmp_path / "what", status=1)
    for url in ("http://127.0.0.1:9", "http://nowhere.invalid"):
        assert f"no answer from {url}" in query("images", image, status=1, url=url)


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "localhost:8000", "nonsense", "ftp://127.0.0.1"])
def test_what_is_no_url_is_told_how_to_be_written(query: Query, image: Path, url: str) -> None:
    assert (
        query("classify", image, status=1, url=url) == f"bma: {url} is not a URL; write it like http://127.0.0.1:8000\n"
    )


@pytest.mark.parametrize(
    ("name", "modality"),
    [("a.JPG", "image"), ("a.webp", "image"), ("a.avif", "image"), ("a.wav", "sound"), ("a.mp3", "sound")]
    + [
        (f"a.{ending}", "sound")
        for ending in ("opus", "flac", "m4a", "weba", "webm", "mp4", "mkv", "mka", "ogg", "aac")
    ]
    + [(f"a.{ending}", "image") for ending in ("png", "tiff", "jp2", "gif", "bmp")],
)
def test_endings_tell_images_from_sounds(name: str, modality: str) -> None:
    assert modality_of(Path(name)) == modality


def test_the_endings_that_are_indexed_can_be_asked_about() -> None:
    for endings, modality in ((images.SUFFIXES, "image"), (sounds.SUFFIXES, "sound")):
        assert {modality_of(Path(f"a{ending}")) for ending in endings} == {modality}


def test_endings_do_not_depend_on_what_the_machine_knows_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mimetypes, "guess_type", lambda *_: (None, None))  # as without /etc/mime.types
    names = ("a.ogg", "a.mkv", "a.mp3", "a.webp", "a.jpg")
    assert [modality_of(Path(name)) for name in names] == ["sound"] * 3 + ["image"] * 2


def test_other_endings_are_refused() -> None:
    for name in ("a.txt", "a", "a.pdf"):
        with pytest.raises(QueryError, match=f"{name}: the ending does not say"):
            modality_of(Path(name))
