"""Tensors in a file of their own, as safetensors."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor


def write_tensors(tensors: Mapping[str, Tensor], file: Path, metadata: dict[str, str] | None = None) -> None:
    """Write tensors to a new file and have them on disk. Who may read it is the umask's to say; safetensors by itself
    leaves it to its owner alone.

    Raises:
        OSError, SafetensorError: the disk is full, or the folder can't be written.
    """
    file.touch(exist_ok=False)
    mode = stat.S_IMODE(file.stat().st_mode)
    save_file(dict(tensors), file, metadata=metadata)
    file.chmod(mode)
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
