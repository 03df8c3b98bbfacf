"""A model of a few numbers, whose merge can be computed by hand: client i adds i + 1 to every value that it gets."""

import numpy as np

from alignsolve import Aligner, CapacityProfiler

NUM_CLIENTS, NUM_EXPERTS = 5, 4


def weights():
    rng = np.random.default_rng(7)
    experts = {f"experts.{j}.weight": rng.normal(size=(3, 2)).astype(np.float32) for j in range(NUM_EXPERTS)}
    return experts | {"router.weight": rng.normal(size=(NUM_EXPERTS, 3)).astype(np.float32), "head": np.ones(3)}


def make_aligner(num_clients=NUM_CLIENTS):
    return Aligner(capacity=CapacityProfiler(client_capacity=[1, 2, 1, 2, 1][:num_clients]))


def add(given, experts, task):
    trained = {name: value + (task.client + 1) for name, value in given.items()}
    trained["router.weight"] = trained["router.weight"][list(experts)]
    usage = np.linspace(1.0, 2.0, len(experts))
    return trained, {
        "num_examples": 10 * (task.client + 1),
        "usage": usage / usage.sum(),
        "loss": np.arange(len(experts)) + 0.5,
        "accuracy": np.full(len(experts), 0.5),
        "seconds": 2.0 + task.client,
    }


def expected(before, assigned, merged):
    """Return the average, computed by hand, of the updates of the clients in ``merged``."""
    after = {name: value.copy() for name, value in before.items()}
    everybody = sum(10 * (i + 1) for i in merged)
    if merged:
        after["head"] = before["head"] + sum(10 * (i + 1) * (i + 1) for i in merged) / everybody
    for j in range(NUM_EXPERTS):
        shares = {}
        for i in merged:
            usage = np.linspace(1.0, 2.0, len(assigned[i]))
            if j in assigned[i]:
                shares[i] = 10 * (i + 1) * usage[assigned[i].index(j)] / usage.sum()
        if shares:
            step = sum(share * (i + 1) for i, share in shares.items()) / sum(shares.values())
            after[f"experts.{j}.weight"] = before[f"experts.{j}.weight"] + step
            after["router.weight"][j] = before["router.weight"][j] + step
    return after


def assert_close(left, right):
    assert left.keys() == right.keys()
    for name in left:
        np.testing.assert_allclose(left[name], right[name], rtol=0, atol=1e-6, err_msg=name)


def listen(monkeypatch):
    """Record what aligners observe from now on: for each round, the reports by client."""
    told, observe = [], Aligner.observe

    def heard(self, state, reports):
        told.append({report.client: report for report in reports})
        return observe(self, state, reports)

    monkeypatch.setattr(Aligner, "observe", heard)
    return told
