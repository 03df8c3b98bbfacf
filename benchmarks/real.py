"""The suite ``real``: MoE-Align, alignments of measured routing with measured phones, or with their drawn stand-ins.

An instance's name begins with ``real-`` or ``drawn-``, so that every row, file and table says what it was made of. Then
come model, form, cohort and devices (:mod:`problems.real`), and the sizes.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import partial
from typing import get_args

import numpy as np

from alignsolve import AlignmentProblem
from benchmarks.case import Case
from problems.moe_models import MODELS
from problems.real import COHORTS, Devices, Form, layer_of_each_expert, real
from problems.real_inputs import DRAWN, REAL, read_inputs

SHORT = {"olmoe": "olmoe-1b-7b", "mixtral": "mixtral-8x7b", "qwen3": "qwen3-30b-a3b", "deepseek": "deepseek-v3"}
"""Names of models in the names of instances."""
FORMS: dict[str, Form] = {"3": "measured", "all": "whole"}
"""The name of a form in the names of instances: its layers."""
CLIENTS = 100
"""Clients of most instances; the others say that they are larger."""
ALL_LAYERS: tuple[tuple[str, int, Devices], ...] = (
    ("mixtral", 100, "count"),
    ("mixtral", 100, "memory"),
    ("olmoe", 100, "count"),
    ("olmoe", 100, "bytes"),
    ("olmoe", 100, "work"),
    ("qwen3", 100, "count"),
    ("qwen3", 100, "bytes"),
    ("deepseek", 100, "cached"),
)
"""Model, clients and devices of the instances with all layers; their cohort is "mixture"."""
LARGE: tuple[tuple[str, int, Devices], ...] = (
    ("olmoe", 1000, "count"),
    ("olmoe", 1000, "bytes"),
    ("mixtral", 1000, "seconds"),
    ("mixtral", 10_000, "count"),
)
"""Those of large cohorts with the three measured layers."""


@dataclass(frozen=True)
class Parts:
    """What the name of a family says: its source, model, layers, cohort and devices."""

    source: str
    model: str
    layers: str
    cohort: str
    devices: Devices

    @property
    def name(self) -> str:
        """The name, such as ``drawn-olmoe-3-single-bytes``."""
        return f"{self.source}-{self.model}-{self.layers}-{self.cohort}-{self.devices}"


def parts_of(family: str) -> Parts:
    """Read the name of a family.

    Raises
    ------
    ValueError
        If a part is unknown.
    """
    known: tuple[Collection[str], ...] = ((REAL, DRAWN), SHORT, FORMS, COHORTS, get_args(Devices))
    parts = family.split("-")
    if len(parts) != len(known) or any(part not in names for part, names in zip(parts, known, strict=True)):
        listed = "-".join("|".join(names) for names in known)
        raise ValueError(f"{family!r} is no family of the suite real; its name must be {listed}")
    source, model, layers, cohort, devices = parts
    return Parts(source, model, layers, cohort, next(each for each in get_args(Devices) if each == devices))


def is_real(family: str) -> bool:
    """Whether a family is one of this suite."""
    return family.partition("-")[0] in (REAL, DRAWN)


def make_real(rng: np.random.Generator, case: Case) -> AlignmentProblem:
    """Make the instance of a case; ``case.inputs`` is the folder of the measured files."""
    parts = parts_of(case.family)
    inputs = read_inputs(case.inputs)
    if inputs.source != parts.source:
        raise ValueError(f"{case.family} needs {parts.source} inputs, but the {inputs.source} ones were given")
    make = partial(real, rng, num_clients=case.num_clients, num_experts=case.num_experts, inputs=inputs)
    return make(model=SHORT[parts.model], form=FORMS[parts.layers], cohort=parts.cohort, devices=parts.devices)


def real_cases(folder: str | None = None) -> tuple[Case, ...]:
    """Return the cases of the suite, in order of clients and experts.

    Parameters
    ----------
    folder
        The folder of the measured files; None: the drawn stand-in.
    """
    cases = [Case(family, clients, _num_experts(family), same_shape=True, inputs=folder)
             for family, clients in _families(DRAWN if folder is None else REAL)]  # fmt: skip
    return tuple(sorted(cases, key=lambda case: (case.num_clients, case.num_experts)))


def _families(source: str) -> Iterator[tuple[str, int]]:
    for devices in get_args(Devices):
        for model, cohorts in (("olmoe", COHORTS), ("mixtral", ("single", "mixture"))):
            yield from ((Parts(source, model, "3", cohort, devices).name, CLIENTS) for cohort in cohorts)
    yield from ((Parts(source, model, "all", "mixture", devices).name, n) for model, n, devices in ALL_LAYERS)
    yield from ((Parts(source, model, "3", "mixture", devices).name, n) for model, n, devices in LARGE)


def _num_experts(family: str) -> int:
    parts = parts_of(family)
    return len(layer_of_each_expert(SHORT[parts.model], FORMS[parts.layers]))


def num_layers(case: Case) -> int:
    """Return the number of layers of a case with all its experts."""
    parts = parts_of(case.family)
    return 3 if parts.layers == "3" else MODELS[SHORT[parts.model]].num_layers
