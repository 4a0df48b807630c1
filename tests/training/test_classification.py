"""Files of several segments, and what is taken for what."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.classification import clip_right, confusion_matrix
from training.model.head import ClassHead
from training.probe import Labelled


@pytest.mark.parametrize("seed", range(4))
def test_a_files_class_has_the_highest_mean_probability(seed: int) -> None:
    rng = np.random.default_rng(seed)
    head = ClassHead(torch.from_numpy(rng.normal(size=(3, 5))).float(), torch.zeros(3), ("a", "b", "c"))
    files = [int(file) for file in rng.integers(0, 9, 40)]  # of 0 to 8 segments each, in no order
    classes = rng.integers(0, 3, 9)
    test = Labelled(torch.from_numpy(rng.normal(size=(40, 5))).float(), torch.from_numpy(classes[files]))
    right = []
    for file in dict.fromkeys(files):
        segments = [place for place, other in enumerate(files) if other == file]
        logits = [head.weight.double().numpy() @ test.features[place].double().numpy() for place in segments]
        probabilities = [np.exp(row) / np.exp(row).sum() for row in logits]
        right.append(np.mean(probabilities, axis=0).argmax() == classes[file])
    assert clip_right(head, test, files).tolist() == right


def test_one_sure_segment_outvotes_two_that_lean_the_other_way() -> None:
    head = ClassHead(torch.eye(2), torch.zeros(2), ("a", "b"))
    test = Labelled(torch.tensor([[4.0, 0.0], [0.0, 0.4], [0.0, 0.4], [0.0, 1.0]]), torch.tensor([0, 0, 0, 1]))
    assert clip_right(head, test, ["x", "x", "x", "y"]).tolist() == [True, True]


@given(
    st.integers(1, 6).flatmap(lambda n: st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), min_size=1))
)
def test_confusion_counts_pairs_of_true_and_predicted(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = np.array(pairs).T
    found = confusion_matrix(truth, predicted, 6)
    assert found.shape == (6, 6)
    for true in range(6):
        for taken in range(6):
            assert found[true, taken] == pairs.count((true, taken))
