from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.catalogue import Item


@given(id=st.from_regex(r"[A-Za-z0-9._:-]{1,128}", fullmatch=True).filter(lambda id: id not in (".", "..")))
def test_ids_of_the_documented_characters_are_taken(id: str) -> None:
    assert Item(id, "image", "a.jpg", "image/jpeg").id == id


@pytest.mark.parametrize("id", ["", ".", "..", "a/b", "a b", "é", "a\n", "\n", "x" * 129, "a%2f", "a\x00"])
def test_other_ids_are_refused_in_one_sentence(id: str) -> None:
    with pytest.raises(ValueError, match="can't be an id; use 1 to 128 of the characters"):
        Item(id, "image", "a.jpg", "image/jpeg")


def test_the_room_needs_neither_torch_nor_training_nor_a_web_framework() -> None:
    code = (
        "import sys, index.build, index.catalogue, index.filter, index.local;"
        "print(sorted({name.partition('.')[0] for name in sys.modules}"
        " & {'torch', 'training', 'service', 'fastapi', 'starlette', 'httpx', 'PIL', 'av'}))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
