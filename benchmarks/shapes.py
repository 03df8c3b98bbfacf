"""Instances of the suites ``shapes`` and ``bytes``: as many experts as clients, many more, or all layers of a model.

``SHAPES`` are families with parameters. A suite names them like those of ``problems.FAMILIES``. The number of experts
of a layered instance is that of all layers together.
"""

from dataclasses import replace
from functools import partial

from benchmarks.case import Case
from problems.family import Make
from problems.fitness import KINDS
from problems.layered import layered
from problems.moe_models import MODELS
from problems.one_to_one import rectangular, square
from problems.wide import wide

FIXED = ((4, 1), (4, 2), (1, 2), (2, 2), (1, 3))
"""Capacities of a client and of an expert that all have in common."""

SPARSE = (100_000, 10_000)
"""Clients and experts of the sparse case; a client lists about 20 experts."""

SHAPES: dict[str, Make] = {f"square-{kind}": partial(square, fitness=kind) for kind in KINDS}
SHAPES |= {f"rectangular-{kind}": partial(rectangular, fitness=kind) for kind in KINDS}
SHAPES |= {f"wide-{kind}": partial(wide, fitness=kind) for kind in KINDS}
SHAPES |= {f"wide-c{c}e{e}": partial(wide, per_client=c, per_expert=e) for c, e in FIXED}
for _model in MODELS:
    SHAPES |= {
        _model: partial(layered, model=_model),
        f"{_model}-demands": partial(layered, model=_model, expert_demands=True),
        f"{_model}-span": partial(layered, model=_model, span=True),
        f"{_model}-bytes": partial(layered, model=_model, totals="bytes"),
        f"{_model}-mixed": partial(layered, model=_model, totals="bytes", mixed=True),
        f"{_model}-seconds": partial(layered, model=_model, totals="bytes", mixed=True, seconds=True),
    }


def shape_cases() -> tuple[Case, ...]:
    """Return the cases of ``shapes``, in order of clients."""
    cases = [_case(f"square-{kind}", n, n) for kind in ("uniform", "integers", "rank1") for n in (300, 1000, 2000)]
    cases += [_case("square-span", 1000, 1000)]
    cases += [_case("rectangular-uniform", n, e) for n, e in ((200, 5000), (2000, 500), (5000, 200))]
    cases += [_case("wide-uniform", n, e) for n, e in ((1000, 3000), (3000, 1000), (3000, 3000))]
    cases += [_case("wide-c4e1", 1000, 3000), _case("wide-c4e2", 1000, 3000), _case("wide-span", 1000, 3000)]
    cases += [_case("wide-c1e2", 3000, 1000), _case("wide-c2e2", 3000, 3000), _case("wide-c1e3", 10_000, 256)]
    cases += [_whole("olmoe-1b-7b", n, more) for n in (20, 100, 1000) for more in ("", "-demands")]
    cases += [_whole(model, 100, more) for model in ("qwen3-30b-a3b", "deepseek-v3") for more in ("", "-demands")]
    cases += [_whole("olmoe-1b-7b", 100, "-span"), _whole("qwen3-30b-a3b", 100, "-span")]
    cases += [_whole("kimi-k2", 100), _whole("qwen3-30b-a3b", 1000), _case("courses", *SPARSE)]
    return _by_clients(cases)


def byte_cases() -> tuple[Case, ...]:
    """Return the cases of ``bytes``: the same totals as counts and as bytes, then sizes that differ, then seconds."""
    cases = [_whole("olmoe-1b-7b", n, more) for n in (20, 100) for more in ("", "-bytes")]
    cases += [_whole("qwen3-30b-a3b", n, more) for n in (100, 1000) for more in ("", "-bytes")]
    cases += [_whole("qwen3-30b-a3b", n, "-mixed", limit) for n, limit in ((100, 10.0), (1000, 60.0))]
    cases += [_whole("olmoe-1b-7b", 100, "-seconds", 20.0)]
    return _by_clients(cases)


def limited_cases(limits: tuple[float, ...]) -> tuple[Case, ...]:
    """Return layered cases with time limits for ``auto``: counts, bytes, and sizes that differ."""
    wanted = [("olmoe-1b-7b", n, more) for n, more in ((100, ""), (100, "-bytes"), (100, "-mixed"))]
    wanted += [("qwen3-30b-a3b", 100, more) for more in ("", "-bytes", "-mixed")]
    wanted += [("qwen3-30b-a3b", 1000, more) for more in ("", "-mixed")]
    cases = (_whole(model, n, more, limit) for model, n, more in wanted for limit in limits)
    return tuple(replace(case, asked=("auto",)) for case in cases)


def _case(family: str, num_clients: int, num_experts: int, time_limit: float | None = None) -> Case:
    return Case(family, num_clients, num_experts, same_shape=True, time_limit=time_limit)


def _whole(model: str, num_clients: int, more: str = "", time_limit: float | None = None) -> Case:
    """Return a case with all experts of a model."""
    shape = MODELS[model]
    return _case(model + more, num_clients, shape.num_layers * shape.num_experts, time_limit)


def _by_clients(cases: list[Case]) -> tuple[Case, ...]:
    return tuple(sorted(cases, key=lambda case: case.num_clients))
