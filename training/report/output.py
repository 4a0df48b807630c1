"""Files that a report writes: each as a whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from training.report.record import ReportError


def save(content: bytes, file: Path, remedy: str) -> None:
    """Write a file, and the folder that it goes into.

    Args:
        content: all of it.
        file: where; what is there is replaced.
        remedy: what to do where it can't be written, for the error's sentence.

    Raises:
        ReportError: the file can't be written; nothing is left behind, and what was there is as it was.
    """
    draft = None
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        Path(draft).chmod(0o644)
        Path(draft).replace(file)
    except OSError as error:
        if draft:
            Path(draft).unlink(missing_ok=True)
        raise ReportError(f"{file} can't be written ({error.strerror}); {remedy}") from None
