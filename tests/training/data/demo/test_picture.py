import hashlib

import numpy as np
import pytest
from PIL import Image

from training.data.demo.canvas import Sketch, Transform
from training.data.demo.labels import LABELS
from training.data.demo.picture import draw


def digest(label: str, seed: int) -> str:
    return hashlib.sha256(draw(label, np.random.default_rng(seed)).tobytes()).hexdigest()


def test_the_labels() -> None:
    assert len(LABELS) == len(set(LABELS)) == 10


@pytest.mark.parametrize("label", LABELS)
def test_a_picture_is_determined_by_its_seed(label: str) -> None:
    assert digest(label, 5) == digest(label, 5)
    assert len({digest(label, seed) for seed in range(5, 8)}) == 3


def test_a_picture_depends_on_nothing_drawn_before() -> None:
    alone = digest("train", 11)
    for label in LABELS:
        draw(label, np.random.default_rng(3))
    assert digest("train", 11) == alone


@pytest.mark.parametrize("label", LABELS)
def test_pictures_are_rgb_of_sensible_size_and_show_something(label: str) -> None:
    shapes = set()
    for seed in range(8):
        picture = draw(label, np.random.default_rng(seed))
        assert isinstance(picture, Image.Image)
        assert picture.mode == "RGB"
        assert all(128 <= side <= 320 for side in picture.size)
        shapes.add(picture.width > picture.height)
        small = np.asarray(picture.resize((32, 32)), dtype=np.float64)
        assert small.std() > 4.0
        assert 10.0 < small.mean() < 245.0
    assert shapes == {True, False}


def test_the_same_seed_shows_different_things_for_different_labels() -> None:
    assert len({digest(label, 0) for label in LABELS}) == len(LABELS)


def test_an_unknown_label_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'submarine'") as refused:
        draw("submarine", np.random.default_rng(0))
    assert all(label in str(refused.value) for label in LABELS)


def test_onto_maps_the_corners_of_a_box() -> None:
    corners = [(0.0, 0.0), (4.0, 1.0), (4.0, 2.0), (0.0, 3.0)]
    mapped = Transform.onto((-1, -1, 1, 1), corners).apply([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    np.testing.assert_allclose(mapped, corners, atol=1e-9)


def test_transforms_compose_from_right_to_left() -> None:
    moved = (Transform.shift(10, 0) @ Transform.turn(90) @ Transform.scale(2)).apply([(1, 0)])
    np.testing.assert_allclose(moved, [(10, 2)], atol=1e-9)


def test_a_tint_spares_what_glows() -> None:
    sketch = Sketch()
    sketch.disc(0, 0, 1, (100, 100, 100, 255))
    sketch.disc(0, 0, 1, (100, 100, 100, 255), glow=True)
    sketch.tint(0.5, 1.0, 4.0)
    assert [fill for _, fill, _ in sketch.shapes] == [(50, 100, 255, 255), (100, 100, 100, 255)]


def test_a_line_has_its_width() -> None:
    sketch = Sketch()
    sketch.line([(0, 0), (5, 0), (10, 0)], 2.0, (0, 0, 0, 255))
    assert sketch.bounds() == (0.0, -1.0, 10.0, 1.0)
