"""Labelled and masked arguments: labels are matched, and nothing that would be lost is taken."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from alignsolve import AlignmentProblem, solve


@dataclass
class Series:
    """As much of a pandas Series as the library looks at."""

    values: list[Any]
    index: list[Any]

    def to_numpy(self) -> np.ndarray:
        """Return the values without their labels."""
        return np.array(self.values)


@dataclass
class Frame(Series):
    """As much of a data frame."""

    columns: list[Any]

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.array(self.values, dtype=dtype)


FITNESS = Frame([[3.0, 1.0], [2.0, 1.5]], ["a", "b"], ["x", "y"])


def test_a_series_is_matched_by_its_labels():
    problem = AlignmentProblem(FITNESS, client_demand=1, expert_capacity=Series([0, 2], ["y", "x"]))
    assert solve(problem).loads.tolist() == [2, 0]
    problem = AlignmentProblem(FITNESS, client_capacity=Series([2, 1], ["b", "a"]))
    assert problem.client_capacity.tolist() == [1, 2]


def test_both_axes_of_a_frame_are_matched():
    problem = AlignmentProblem(FITNESS, eligible=Frame([[False, True], [True, True]], ["b", "a"], ["y", "x"]))
    assert problem.eligible.tolist() == [[True, True], [True, False]]


@pytest.mark.parametrize("labels", [["x", "z"], ["x", "x"], ["x"], [5, 6]])
def test_other_labels_are_refused(labels: list[Any]):
    with pytest.raises(ValueError, match=r"expert_capacity has the labels .* 'x', 'y'.*to_numpy"):
        AlignmentProblem(FITNESS, expert_capacity=Series([1] * len(labels), labels))


def test_labels_without_labels_of_the_fitness_are_refused():
    with pytest.raises(ValueError, match="those of the fitness are none"):
        AlignmentProblem(np.ones((2, 2)), expert_capacity=Series([0, 2], ["y", "x"]))


def test_positions_are_no_labels():
    assert AlignmentProblem(FITNESS, expert_capacity=Series([0, 2], [0, 1])).expert_capacity.tolist() == [0, 2]


def test_a_mask_is_not_lost():
    masked = np.ma.masked_array([[1.0, 9.0], [2.0, 3.0]], mask=[[0, 1], [0, 0]])
    with pytest.raises(ValueError, match=r"fitness is a masked array with 1 masked .* eligible=~mask"):
        AlignmentProblem(masked)
    with pytest.raises(ValueError, match="client_load is a masked array"):
        AlignmentProblem(np.ones((2, 2)), client_load=masked)
    assert AlignmentProblem(np.ma.masked_array([[1.0, 9.0]])).fitness.tolist() == [[1.0, 9.0]]
