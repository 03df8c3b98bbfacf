"""The compiled optima of the clients' rows, compared with the plain ones."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alignsolve import AlignmentProblem
from alignsolve.certificate.bound import bound
from alignsolve.runtime.threads import available_threads, map_in_order
from alignsolve.subproblem import dispatch
from alignsolve.subproblem.dispatch import best_rows
from alignsolve.subproblem.row_compiled import best_rows_compiled
from problems import FAMILIES


@st.composite
def grouped_or_plain(draw):
    """Return rows with every client-side feature of the cardinality class, and prices, integer or not."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, e = draw(st.integers(0, 6)), draw(st.integers(1, 8))
    dtype = draw(st.sampled_from(["float16", "float32", "float64", "int8", "int32", "int64", "uint16"]))
    fitness = (
        rng.integers(0, 9, (n, e)).astype(dtype) if draw(st.booleans()) else (9 * rng.random((n, e))).astype(dtype)
    )
    eligible = rng.random((n, e)) < 0.7 if draw(st.booleans()) else None
    if eligible is not None and fitness.dtype.kind == "f":
        fitness[~eligible] = np.nan
    fields = {
        "client_capacity": rng.integers(0, e + 2, n),
        "client_demand": rng.integers(0, 3, n),
        "eligible": eligible,
    }
    if draw(st.booleans()):
        fields["required"] = rng.random((n, e)) < 0.2
    if draw(st.booleans()):
        fields |= {"expert_group": rng.integers(0, 3, e)}
        groups = int(fields["expert_group"].max()) + 1
        fields |= {"group_capacity": rng.integers(0, 4, (n, groups)), "group_demand": rng.integers(0, 2, (n, groups))}
    prices = rng.integers(-3, 9, e).astype(float) if draw(st.booleans()) else rng.normal(size=e)
    return AlignmentProblem(fitness, **fields), prices


@pytest.mark.kernels
@given(grouped_or_plain())
@settings(max_examples=150, deadline=None)
def test_compiled_rows_equal_the_readable_ones(case):
    problem, prices = case
    block = problem.block(0, problem.num_clients)
    expected, found = best_rows(block, prices), best_rows_compiled(block, prices)
    np.testing.assert_array_equal(found.feasible, expected.feasible)
    assert found.value.dtype == expected.value.dtype
    both = expected.feasible
    np.testing.assert_allclose(found.value[both], expected.value[both], rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(found.magnitude[both], expected.magnitude[both], rtol=1e-12)


@pytest.mark.parametrize("family", ["popular", "layers", "required", "sparse", "integers"])
def test_bounds_do_not_depend_on_compilation_or_threads(family, monkeypatch):
    problem = FAMILIES[family](np.random.default_rng(3), num_clients=20_000, num_experts=16)
    prices = np.random.default_rng(4).integers(-2, 3, 16) * 0.25
    plain = bound(problem, prices)
    monkeypatch.setattr(dispatch, "COMPILED_FROM", 1)
    compiled = [bound(problem, prices, threads=threads) for threads in (1, 2, 4)]
    assert compiled[0] == compiled[1] == compiled[2]
    assert compiled[0].value == pytest.approx(plain.value, rel=1e-13)


def test_results_come_in_the_order_of_the_items():
    assert list(map_in_order(lambda i: i * i, range(100), threads=3)) == [i * i for i in range(100)]
    assert available_threads(5) == 5
    assert available_threads(None) >= 1
