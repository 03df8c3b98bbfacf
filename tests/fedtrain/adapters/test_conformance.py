"""Our adapters conform to the kit, and the kit finds adapters that do not."""

import dataclasses

import numpy as np
import pytest

from alignsolve import Outcome, Report
from fedtrain.adapters.conformance import CHECKS, ConformanceError, check_resumption
from fedtrain.layouts import detect
from fedtrain.partial import PartialUpdate, assignments, merge, slice_weights
from tests.test_guides import FENCE, GUIDES


@dataclasses.dataclass(frozen=True)
class Task:
    """What a client is told."""

    client: int
    round: int


def in_a_loop_of_ones_own(setting):
    """Run as docs/own-loop.md shows it: align, slice, train, merge, observe."""
    weights, layout = dict(setting.weights), detect(setting.weights)
    state, cohort = (
        setting.aligner.init(setting.num_clients, layout.num_experts, seed=setting.seed),
        range(setting.num_clients),
    )
    for number in range(setting.num_rounds):
        solution, state = setting.aligner.align(state, cohort)
        assigned = assignments(solution, np.array(cohort))
        updates, reports = [], {}
        for client, experts in assigned.items():
            reports[client] = Report(client, experts, outcome=Outcome.DROPPED)
            try:
                trained, said = setting.train(slice_weights(weights, layout, experts), experts, Task(client, number))
            except MemoryError:
                reports[client] = Report(client, experts, outcome=Outcome.OUT_OF_MEMORY)
            except RuntimeError:
                continue
            else:
                usage = said["usage"].tolist()
                updates.append(PartialUpdate(client, experts, trained, said["num_examples"], usage))
                measured = usage, said["loss"], said["accuracy"]
                if max(usage) <= 1.0:  # no report holds another; merge() refuses such an update, too
                    reports[client] = Report(client, experts, *measured, num_examples=said["num_examples"])
        merged = merge(weights, updates, layout, assigned=assigned, cap=setting.max_examples)
        for client in merged.faults:
            reports[client] = Report(client, assigned[client], outcome=Outcome.REJECTED)
        weights, state = merged.weights, setting.aligner.observe(state, list(reports.values()))
    return weights


def in_the_guides_pool(setting):
    """Run in the adapter that docs/write-an-adapter.md shows."""
    space = {}
    exec(FENCE.findall(GUIDES["write-an-adapter"].read_text(encoding="utf-8"))[0], space)
    return space["run"](setting)


OURS = {"own loop": in_a_loop_of_ones_own, "guide": in_the_guides_pool}
"""Those of Flower and NVFlare are beside their other tests."""


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", OURS)
def test_our_adapters_conform(name, check):
    CHECKS[check](OURS[name])


def test_the_guides_adapter_resumes(tmp_path):
    check_resumption(in_the_guides_pool, tmp_path)


def changed(**changes):
    """Run the guide's adapter with a changed setting."""
    return lambda setting: in_the_guides_pool(dataclasses.replace(setting, **changes))


def sends_all(setting):
    """Send each client the whole model."""
    given = setting.weights

    def train(part, experts, task):
        return setting.train(dict(given), experts, task)

    return in_the_guides_pool(dataclasses.replace(setting, train=train))


def rounded(setting):
    return {name: np.asarray(value).round(3) for name, value in in_the_guides_pool(setting).items()}


def without_a_client(setting):
    def train(part, experts, task):
        if task.client == 3:
            raise RuntimeError("not asked")
        return setting.train(part, experts, task)

    return in_the_guides_pool(dataclasses.replace(setting, train=train))


WRONG = {
    "another seed": (changed(seed=5), "was told experts|the aligner was told"),
    "a round too few": (changed(num_rounds=2), "was not asked"),
    "whole models": (sends_all, "was sent are"),
    "rounded weights": (rounded, "the final weights: .* differs by up to"),
    "a client that is left out": (without_a_client, "client 3 in round 0, counted from 0, was not asked"),
    "no limit on examples": (changed(max_examples=10**9), "differs by up to"),
}


@pytest.mark.parametrize("name", WRONG)
def test_the_kit_finds_what_does_not_conform(name):
    run, words = WRONG[name]
    check = "too many examples" if name == "no limit on examples" else "nothing goes wrong"
    with pytest.raises(ConformanceError, match=words):
        CHECKS[check](run)


def test_a_run_that_does_not_resume_is_found(tmp_path):
    with pytest.raises(ConformanceError, match=r"after round 1 was saved, rounds \[0, 1, 2\] were run"):
        check_resumption(changed(state_dir=None), tmp_path)
