"""How a service is set up: flags win over the environment (`BMA_…`), which wins over a file."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveInt, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from index.tuning import Tuning
from service.limits import Limits
from service.logs import Style
from service.pipeline.capacity import Capacity

PREFIX = "BMA_"
NESTED = "__"
OTHERS = ("BMA_API_KEY", "BMA_MILVUS_TOKEN")  # read elsewhere, and never shown
# What Kubernetes puts into a pod beside a service named bma-…, such as BMA_MEMORY_PORT_8000_TCP_ADDR.
_KUBERNETES = re.compile(r"BMA(_\w+)?_(SERVICE_HOST|SERVICE_PORT(_\w+)?)|BMA_(\w+_)?PORT_\d+_\w+|BMA_\w+_PORT")
_WORDS = {  # of pydantic's kinds of errors
    "bool_parsing": "true or false",
    "finite_number": "a number",
    "float_parsing": "a number",
    "float_type": "a number",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "less_than_equal": "at most {le:g}",
    "literal_error": "{expected}",
    "string_pattern_mismatch": "an address of a site, such as https://app.example",  # of `Origin`
}


class BadSettings(ValueError):
    """The service can't be set up so; `str()` is one sentence."""


def _list(value: Any) -> Any:
    """A flag or a variable holds several, with commas between them."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_list)]
Origin = Annotated[str, Field(pattern=r"^https?://[^/*\s]+$")]  # named one by one: `*` would let every page ask
Origins = Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(_list)]


class CatalogueSettings(BaseModel):
    """How a catalogue in a folder searches; see `index.local.Tuning`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recall: Annotated[float, Field(gt=0, le=1)] = Tuning.recall
    memory: PositiveInt | None = Tuning.memory  # bytes
    exact: Annotated[int, Field(ge=0)] = Tuning.exact  # vectors


class Settings(BaseSettings):
    """All that can be set. In the file `limits` and `catalogue` are tables; elsewhere `BMA_LIMITS__FILES`,
    `--set limits.files=…`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter=NESTED, extra="forbid", frozen=True, env_ignore_empty=True
    )
    file: ClassVar[Mapping[str, Any]] = {}  # what `load_settings` has read

    model: Path | None = None  # the bundle's folder
    index: str | None = None  # the catalogue's folder, or its address in Milvus
    read_only: bool = False  # take no changes
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    host: str = "127.0.0.1"
    port: int = 8000
    insecure: bool = False  # listen where others can reach the service, without keys
    keys: Path | None = None  # the keys file; with it every call needs a key
    rate: Annotated[float, Field(gt=0, le=1e6)] | None = None  # requests a second of each key
    burst: PositiveInt = 20  # requests of a key at once
    origins: Origins = ()  # of pages on other sites that may ask (CORS)
    hosts: Names = ()  # names by which the service is called, besides this machine's own
    log: Style = "text"
    limits: Limits = Limits()
    capacity: Capacity = Capacity()
    catalogue: CatalogueSettings = CatalogueSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, the environment, the file."""
        return init_settings, env_settings, InitSettingsSource(settings_cls, dict(cls.file))

    @property
    def tuning(self) -> Tuning:
        """How a catalogue in a folder searches."""
        return Tuning(**dict(self.catalogue))

    def shown(self) -> str:
        """In one line, without anything secret: keys are in a file of their own, a password has no place here."""
        return " ".join(f"{name}={value}" for name, value in _flat(self.model_dump(mode="json")))


def load_settings(flags: Mapping[str, Any], file: Path | None = None, sets: Sequence[str] = ()) -> Settings:
    """Put the settings together.

    Args:
        flags: those that were given; None means not given.
        file: TOML, None for none.
        sets: `key=value` each, such as `limits.files=8`.

    Raises:
        BadSettings: a key that is none, a value that is out of range or has no effect, or a file that can't be read.
    """
    _check_environment()
    given = {name: value for name, value in flags.items() if value is not None}
    for text in sets:
        _put(given, text)
    within = type("Settings", (Settings,), {"file": _read(file), "__module__": __name__})
    try:
        settings: Settings = within(**given)
    except SettingsError as error:
        raise BadSettings(f"the environment's settings can't be read ({' '.join(str(error).split())})") from None
    except ValidationError as error:
        errors = error.errors(include_url=False)
        raise BadSettings("; ".join(_from(found, given, file) + _sentence(found) for found in errors)) from None
    if settings.keys is None and settings.rate is not None:
        raise BadSettings("setting rate is of each key, and there are no keys; say --keys FILE, or leave it out")
    if settings.rate is None and "burst" in settings.model_fields_set:
        raise BadSettings("setting burst goes with a rate, and there is none; set rate too, or leave it out")
    return settings


def traces_endpoint() -> str | None:
    """Where a collector takes traces, by OpenTelemetry's own variables; None where they ask for none.

    Raises:
        BadSettings: the address or the protocol is none that traces can be sent by.
    """

    def said(name: str) -> str:
        return os.environ.get(name, "").strip()

    endpoint = said("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    if not endpoint and (base := said("OTEL_EXPORTER_OTLP_ENDPOINT")):
        endpoint = f"{base.removesuffix('/')}/v1/traces"
    off = said("OTEL_SDK_DISABLED").lower() == "true" or said("OTEL_TRACES_EXPORTER").lower() == "none"
    if off or not endpoint:
        return None
    if not endpoint.lower().startswith(("http://", "https://")) or not _has_host(endpoint):
        raise BadSettings("OTEL_EXPORTER_OTLP_ENDPOINT is not an HTTP address; write it like http://127.0.0.1:4318")
    protocol = said("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or said("OTEL_EXPORTER_OTLP_PROTOCOL") or "http/protobuf"
    if protocol != "http/protobuf":
        raise BadSettings(
            f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol[:80]!r} and traces are sent by 'http/protobuf' alone; leave it "
            "out, and name the collector's port for HTTP, 4318 as a rule"
        )
    return endpoint


def _has_host(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:  # such as a port that is no number
        return False


def _put(given: dict[str, Any], text: str) -> None:
    key, equals, value = text.partition("=")
    *tables, name = key.strip().split(".")
    if not equals or not name:
        raise BadSettings(f"--set {text[:80]} is not KEY=VALUE; write it like --set limits.files=8")
    place = given
    for table in tables:
        place = place.setdefault(table, {})
        if not isinstance(place, dict):
            raise BadSettings(f"--set {text[:80]}: '{table}' is a setting, not a table of settings")
    place[name] = value.strip()


def _read(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadSettings(
            f"the settings file {file} can't be read ({error.strerror}); check its path and permissions"
        ) from None
    except ValueError as error:
        raise BadSettings(f"the settings file {file} is not TOML ({error}); correct it there") from None


def _check_environment() -> None:
    """Refuse a variable that looks like a setting and is none; those below tables pydantic finds."""
    for name, value in os.environ.items():
        name = name.upper()
        key = name.removeprefix(PREFIX).lower().replace(NESTED, ".")
        if not name.startswith(PREFIX) or key.partition(".")[0] in Settings.model_fields or not value:
            continue
        if name not in OTHERS and not _KUBERNETES.fullmatch(name):
            near = _nearest(key)
            meant = f"{PREFIX}{near.replace('.', NESTED)}".upper() if near else ""
            remedy = f"did you mean {meant}?" if near else "docs/serving.md lists all"
            raise BadSettings(f"there is no setting '{name[:80]}'; {remedy}")


def _nearest(key: str) -> str | None:
    return next(iter(difflib.get_close_matches(key, known(), 1)), None)


def _from(error: Any, given: Mapping[str, Any], file: Path | None) -> str:
    """Where a setting was made that pydantic complains of: a variable or the file; a flag is where one looks first."""
    place: Any = given
    for part in _path(error):
        if not isinstance(place, Mapping) or part not in place:
            break
        place = place[part]
    else:
        return ""
    set_ones = {name.upper() for name, value in os.environ.items() if value}
    for depth in range(len(_path(error)), 0, -1):  # a table may be one variable, in JSON
        variable = PREFIX + NESTED.join(_path(error)[:depth]).upper()
        if variable in set_ones:
            return f"{variable}: "
    return f"{file}: " if file else ""


def _path(error: Any) -> list[str]:
    return [part for part in error["loc"] if isinstance(part, str)]


def _sentence(error: Any) -> str:
    """One of pydantic's complaints, by the setting's name and in our words."""
    name = ".".join(_path(error))
    if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        near = _nearest(name)
        remedy = f"did you mean {near}?" if near else "docs/serving.md lists all"
        return f"there is no setting '{name[:80]}'; {remedy}"
    if any(key.startswith(f"{name}.") for key in known()):
        return f"setting {name} is a table of settings, such as {name}.KEY=VALUE"
    given = f"not {str(error['input'])[:80]!r}"
    if words := _WORDS.get(error["type"]):
        return f"setting {name} must be {words.format(**error.get('ctx', {}))}, {given}"
    message = str(error["msg"])
    return f"setting {name}: {message[:1].lower()}{message[1:]}, {given}"


def known() -> list[str]:
    """The names of all settings, dotted where they are in a table."""
    return [name for name, _ in _flat(Settings.model_construct().model_dump(mode="json"))]


def _flat(values: Mapping[str, Any], table: str = "") -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for name, value in values.items():
        flat += _flat(value, f"{table}{name}.") if isinstance(value, dict) else [(f"{table}{name}", value)]
    return flat
