"""A made, small, realistic problem as tables: phones that train a few experts of a language model on what they hold."""

from typing import Any

import numpy as np

EXPERTS = ("code", "law", "medicine", "news", "sport", "travel")
PHONES = 24
SEED = 7


def example() -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return the columns of pairs, clients and experts; always the same ones.

    A phone has text of two or three topics. Its fitness for an expert is the expert's share of its text, in hundredths.
    Where it has no text for an expert, the pair is not listed. A large phone trains two experts, a small one trains
    one. Every expert must have three phones, and can have eight.
    """
    rng = np.random.default_rng(SEED)
    pairs: dict[str, list[Any]] = {"client": [], "expert": [], "fitness": []}
    popular = rng.permutation(len(EXPERTS)) + 2.0
    for phone in range(PHONES):
        topics = np.sort(rng.choice(len(EXPERTS), rng.integers(2, 4), replace=False, p=popular / popular.sum()))
        shares = rng.dirichlet(np.full(len(topics), 2.0))
        pairs["client"] += [f"phone-{phone + 1:02d}"] * len(topics)
        pairs["expert"] += [EXPERTS[j] for j in topics]
        pairs["fitness"] += [max(0.01, round(float(share), 2)) for share in shares]
    clients = {
        "client": [f"phone-{phone + 1:02d}" for phone in range(PHONES)],
        "capacity": rng.choice([1, 2], PHONES, p=[0.6, 0.4]),
        "demand": np.ones(PHONES, dtype=np.int64),
    }
    experts = {
        "expert": list(EXPERTS),
        "capacity": np.full(len(EXPERTS), 8),
        "demand": np.full(len(EXPERTS), 3),
    }
    return pairs, clients, experts
