"""DESIGN: four rooms, one direction; an import that points back up fails here."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("training", "index", "service")
WEB = {"fastapi", "starlette", "uvicorn", "httpx", "pydantic"}
# What runs a command, and may therefore use the whole of training.
COMMANDS = {f"service/{name}.py" for name in ("cli", "commands", "demo", "indexing", "own", "project", "reembedding")}
CLIENT = ("service/client.py", "service/async_client.py", "service/remote/")
COMPILER = {"torchvision", "torch._dynamo", "torch._inductor", "sympy"}  # to import them takes as long as torch
FILES = sorted(str(file.relative_to(ROOT)) for room in ROOMS for file in (ROOT / room).rglob("*.py"))


def imports(file: str) -> Iterator[str]:
    """Every module that a file names, wherever in it."""
    for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def tops(file: str) -> set[str]:
    return {name.partition(".")[0] for name in imports(file)}


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith("training/")])
def test_training_knows_no_index_no_service_and_no_faiss(file: str) -> None:
    assert not tops(file) & ({"index", "service", "bma_memory", "faiss", "sqlite3"} | WEB)


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith("training/model/")])
def test_the_ground_floor_imports_nothing_above_it(file: str) -> None:
    own = [name for name in imports(file) if name.startswith("training")]
    assert all(name.startswith("training.model") for name in own), own


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith("index/")])
def test_index_is_numpy_faiss_and_the_standard_library(file: str) -> None:
    allowed = {"index", "numpy", "faiss"} | sys.stdlib_module_names
    assert tops(file) <= (allowed | {"pymilvus", "grpc"} if file == "index/milvus_wire.py" else allowed)


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith("service/") and file not in COMMANDS])
def test_service_takes_the_model_from_training_and_nothing_else(file: str) -> None:
    own = [name for name in imports(file) if name.startswith("training")]
    assert all(name.startswith("training.model") for name in own), own
    assert not tops(file) & {"torch", "torchaudio", "torchvision", "faiss", "sqlite3", "av", "PIL"}


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith(CLIENT)])
def test_the_client_needs_httpx_alone(file: str) -> None:
    assert tops(file) <= {"httpx", "service"} | sys.stdlib_module_names
    own = [name for name in imports(file) if name.startswith("service")]
    assert all(name.startswith(("service.remote", "service.client")) for name in own), own


@pytest.mark.parametrize("file", [file for file in FILES if file.endswith("__init__.py")])
def test_packages_import_nothing_by_themselves(file: str) -> None:
    assert list(imports(file)) == []


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import bma_memory", {"torch", "httpx", "fastapi", "numpy"}),
        ("from bma_memory import AsyncClient, Client", {"torch", "fastapi", "numpy", "faiss"}),
        ("from bma_memory import Embedder, load_bundle", {"fastapi", "faiss", "httpx"}),
        ("import index.stores, index.milvus", {"pymilvus", "grpc", "pandas"}),
        ("import service.server", {"opentelemetry.sdk", "opentelemetry.exporter"}),
        ("import service.server, training.run", COMPILER),
        ("import service.asking", {"torch", "PIL", "av", "numpy", "fastapi", "faiss"}),
    ],
)
def test_the_face_imports_no_more_than_is_asked_for(code: str, absent: set[str]) -> None:
    assert not absent & loaded(code)


def test_a_bundle_answers_without_torchs_compiler(bundle_folder: Path) -> None:
    code = f"from bma_memory import Embedder; e = Embedder({str(bundle_folder)!r}); e.embed_images([e.empty('image')])"
    assert not COMPILER & loaded(code)


def test_serving_loads_the_model_from_training_and_nothing_else() -> None:
    own = {name for name in loaded("import service.server") if name.startswith("training.")}
    assert "training.model.embedder" in own
    assert {name for name in own if not f"{name}.".startswith("training.model.")} == set()


def loaded(code: str) -> set[str]:
    """All modules that are there after a piece of code has run by itself."""
    shown = f"{code}; import sys; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", shown], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_files_fit_on_a_few_screens() -> None:
    lengths = {file: len((ROOT / file).read_text(encoding="utf-8").splitlines()) for file in FILES}
    assert {file: length for file, length in lengths.items() if length >= 400} == {}
