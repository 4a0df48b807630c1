"""Settings: which source wins, and what is said of one that makes no sense."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from index.tuning import Tuning
from service.cli import main
from service.limits import Limits
from service.settings import BadSettings, Settings, known, load_settings


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BMA_INSECURE", "BMA_HOST", "BMA_PORT", "BMA_MODEL", "BMA_INDEX", "BMA_KEYS"):
        monkeypatch.delenv(name, raising=False)


def test_defaults_are_those_of_the_parts() -> None:
    settings = load_settings({})
    assert settings.limits == Limits()
    assert settings.tuning == Tuning()
    assert (settings.host, settings.port, settings.insecure, settings.keys) == ("127.0.0.1", 8000, False, None)


def test_flags_win_then_the_environment_then_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "bma.toml"
    file.write_text(
        'host = "file"\nport = 1\nlog = "json"\norigins = ["https://a.example"]\n'
        "[limits]\nfiles = 1\nk = 1\ntags = 1\n[catalogue]\nrecall = 0.5\nexact = 7\n"
    )
    monkeypatch.setenv("BMA_HOST", "environment")
    monkeypatch.setenv("BMA_PORT", "2")
    monkeypatch.setenv("BMA_LIMITS__K", "2")
    monkeypatch.setenv("BMA_LIMITS__FILES", "2")
    monkeypatch.setenv("BMA_HOSTS", "a.example, b.example")
    settings = load_settings({"host": "flag", "port": None}, file, ["limits.files=3", "catalogue.exact=8"])
    assert (settings.host, settings.port, settings.log) == ("flag", 2, "json")
    assert (settings.limits.files, settings.limits.k, settings.limits.tags) == (3, 2, 1)
    assert settings.tuning == Tuning(recall=0.5, exact=8)
    assert (settings.origins, settings.hosts) == (("https://a.example",), ("a.example", "b.example"))
    assert load_settings({}).host == "environment"  # the file was that call's alone


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Limits)])
def test_each_limit_is_a_setting_and_is_checked(name: str) -> None:
    assert getattr(load_settings({}, None, [f"limits.{name}=5"]).limits, name) == 5
    for nonsense in ("0", "-1", "many", "nan", "inf", ""):
        with pytest.raises(BadSettings, match=rf"^setting limits\.{name} must be (a|at|more) "):
            load_settings({}, None, [f"limits.{name}={nonsense}"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prot=1", "there is no setting 'prot'; did you mean port?"),
        ("limits.file=1", "there is no setting 'limits.file'; did you mean limits.files?"),
        ("zzz.zzz=1", "there is no setting 'zzz"),
        ("catalogue.recall=2", "setting catalogue.recall must be at most 1, not '2'"),
        ("catalogue.memory=0", "setting catalogue.memory must be more than 0, not '0'"),
        ("port=x", "setting port must be a whole number, not 'x'"),
        ("rate=0", "setting rate must be more than 0, not '0'"),
        ("rate=often", "setting rate must be a number, not 'often'"),
        ("rate=2", "setting rate is of each key, and there are no keys; "),
        ("burst=3", "setting burst goes with a rate, and there is none; "),
        ("read_only=perhaps", "setting read_only must be true or false, not 'perhaps'"),
        ("burst=0", "setting burst must be more than 0, not '0'"),
        ("log=xml", "setting log must be 'text' or 'json', not 'xml'"),
        ("limits=3", "setting limits is a table of settings, "),
        ("origins=example.org", "setting origins must be an address of a site, such as "),
        ("origins=*", "setting origins must be an address of a site, such as "),
        ("port", "--set port is not KEY=VALUE"),
        ("=3", "--set =3 is not KEY=VALUE"),
        ("port.x=3", "setting port must be a whole number, not \"{'x': '3'}\""),
    ],
)
def test_what_makes_no_sense_is_one_sentence(text: str, words: str) -> None:
    with pytest.raises(BadSettings) as caught:
        load_settings({}, None, [text])
    assert str(caught.value).startswith(words)
    assert "\n" not in str(caught.value)


def test_the_file_and_the_environment_are_held_to_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "bma.toml"
    file.write_text("[limits]\nfles = 3\n")
    with pytest.raises(BadSettings) as caught:
        load_settings({}, file)
    assert str(caught.value) == f"{file}: there is no setting 'limits.fles'; did you mean limits.files?"
    file.write_text("limits = 3 = 4")
    with pytest.raises(BadSettings, match=r"bma\.toml is not TOML"):
        load_settings({}, file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(BadSettings, match=r"bma\.toml is not TOML"):
        load_settings({}, file)
    with pytest.raises(BadSettings, match="can't be read"):
        load_settings({}, tmp_path)
    monkeypatch.setenv("BMA_LIMITS__FLES", "3")
    with pytest.raises(BadSettings, match=r"^BMA_LIMITS__FLES: there is no setting 'limits\.fles'"):
        load_settings({})
    monkeypatch.delenv("BMA_LIMITS__FLES")
    monkeypatch.setenv("bma_port", "x")
    with pytest.raises(BadSettings, match=r"^BMA_PORT: setting port must be a whole number, not 'x'"):
        load_settings({})
    with pytest.raises(BadSettings, match=r"^setting port must be a whole number, not 'y'"):
        load_settings({}, None, ["port=y"])


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("BMA_READONLY", "did you mean BMA_READ_ONLY?"),
        ("BMA_LIMITS_FILES", "did you mean BMA_LIMITS__FILES?"),
        ("bma_prot", "did you mean BMA_PORT?"),
        ("BMA_FOO", "docs/serving.md lists all"),
        ("BMA_FOO__FILES", "docs/serving.md lists all"),
    ],
)
def test_a_variable_that_is_no_setting_is_refused(name: str, remedy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(BadSettings) as caught:
        load_settings({})
    assert str(caught.value) == f"there is no setting '{name.upper()}'; {remedy}"


@pytest.mark.parametrize(
    "name",
    [
        "BMA_API_KEY",
        "BMA_MILVUS_TOKEN",
        "BMA_SERVICE_HOST",
        "BMA_MEMORY_SERVICE_PORT_HTTP",
        "BMA_MEMORY_PORT",
        "BMA_PORT_8000_TCP",
        "BMA_MEMORY_PORT_8000_TCP_ADDR",
    ],
)
def test_a_variable_that_others_set_is_let_be(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "tcp://10.0.0.1:8000")
    monkeypatch.setenv("BMA_FOO", "")  # as good as not set
    assert load_settings({}).shown() == Settings().shown()


def test_of_several_that_are_wrong_each_is_told() -> None:
    with pytest.raises(BadSettings) as caught:
        load_settings({"port": "abc"}, None, ["limits.files=0", "limits.fles=1"])
    told = str(caught.value)
    assert "setting port must be a whole number, not 'abc'" in told
    assert "setting limits.files must be at least 1, not '0'" in told
    assert "there is no setting 'limits.fles'; did you mean limits.files?" in told
    assert "\n" not in told


def test_all_are_shown_in_one_line() -> None:
    line = load_settings({"model": Path("m")}, None, ["limits.files=3"]).shown()
    assert "\n" not in line
    assert "model=m" in line
    assert "limits.files=3" in line
    assert all(f"{name}=" in line for name in known())
    assert {name.partition(".")[0] for name in known()} == set(Settings.model_fields)


def test_a_service_without_a_model_says_how_to_name_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--port", "0"]) == 1
    assert "say --model BUNDLE, or set BMA_MODEL" in capsys.readouterr().err
    assert main(["serve", "--set", "prot=1"]) == 1
    assert capsys.readouterr().err == "bma: there is no setting 'prot'; did you mean port?\n"


def test_a_service_is_set_up_by_a_file(
    serve: Callable[..., AbstractContextManager[Any]],
    bundle_folder: Path,
    catalogue_folder: Path,
    tmp_path: Path,
    images: list[bytes],
) -> None:
    file = tmp_path / "bma.toml"
    file.write_text(
        f'model = "{bundle_folder}"\nindex = "{catalogue_folder}"\nread_only = true\n[limits]\nfiles = 1\nk = 3\n'
    )
    with serve("--config", file, "--set", "limits.k=4") as server, httpx.Client(base_url=server.url) as client:
        limits = client.get("/v1/model", timeout=60).json()["limits"]
        assert (limits["files"], limits["k"]) == (1, 4)
        two = [("image", ("a.jpg", images[0])), ("image", ("b.jpg", images[1]))]
        answer = client.post("/v1/embed", files=two, timeout=60)
        assert (answer.status_code, answer.json()["limit"]) == (413, 1)
