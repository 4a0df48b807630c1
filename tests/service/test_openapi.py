"""The service keeps to its own OpenAPI document, whatever a client sends by it: schemathesis makes the requests."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.service.conftest import Serving

EXAMPLES = 60  # of each operation, besides the document's own and the edges of its parameters
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "use_after_free",
)
RELOAD = ("POST", "/v1/admin/reload")  # which this service can't, as it was not started from a bundle's folder


def test_answers_are_as_documented(serving: Serving, catalogue_folder: Path, tmp_path: Path) -> None:
    catalogue = shutil.copytree(catalogue_folder, tmp_path / "catalogue")
    with serving(catalogue) as client:
        document = client.get("/openapi.json").json()
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{client.base_url}/openapi.json", "--no-color"]
        command += ["--checks", ",".join(CHECKS), "--max-examples", str(EXAMPLES), "--warnings", "off"]
        command += ["--generation-deterministic", "--continue-on-failure"]
        environment = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.service.openapi_files", "PYTHONPATH": str(ROOT)}
        run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout + run.stderr
        metrics = client.get("/metrics").text
    # all of it was asked so that it was also answered
    answered = set(re.findall(r'bma_requests_total{method="(\w+)",path="([^"]+)",status="2\d\d"}', metrics))
    operations = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert operations - answered == {RELOAD}
