"""Natural text, divided among clients: next-character prediction in twelve domains, languages and types of files.

Every client has windows of one or a few domains, by a mixture drawn from a Dirichlet distribution (``data.alpha``). The
first four fifths of a domain's windows are for training and the rest for the test. Clients share no window. The
vocabulary is the most frequent characters of all domains, so it says nothing about a client. A client's personalised
accuracy weighs the domains' test windows by its mixture.

A configuration names it as ``data.name = "benchmarks.evidence.second.natural:natural"``.
"""

from collections import Counter
from functools import cache

import numpy as np

from alignsolve.numerics import FloatArray, IntArray
from benchmarks.evidence.second.corpora import DOMAINS, corpora
from fedtrain.config.data import DataConfig
from fedtrain.data import DataError, Examples, Federated
from fedtrain.data.federated import mixture_of
from fedtrain.randomness import Purpose, generator

VOCABULARY = 256
"""Number of symbols; symbol 0 is any character that is not among the most frequent."""
TEST_WINDOWS = 16
"""Test windows of each domain."""
LEAST_SHARE = 0.05
"""Domains with a smaller share of a client's mixture are left out, so that most clients have few."""


def natural(config: DataConfig, num_clients: int, seed: int) -> Federated:
    """Divide the domains' windows among clients: ``data.text.max_characters`` characters for each.

    Windows have ``data.text.context`` characters.

    Raises
    ------
    DataError
        If a package is not installed, or clients want more windows than a domain has.
    """
    context = config.text.context
    windows, tests = _windows(context, seed)
    taken, clients, counts = [0] * len(DOMAINS), [], []
    for client in range(num_clients):
        rng = generator(seed, Purpose.MIXTURE, client)
        shares = _shares(rng, config.alpha)
        wanted = rng.multinomial(config.text.max_characters // context, shares)
        parts = []
        for domain, number in enumerate(wanted.tolist()):
            if taken[domain] + number > len(windows[domain]):
                raise DataError(f"domain {DOMAINS[domain]!r} has {len(windows[domain])} windows, and clients want more")
            parts.append(windows[domain][taken[domain] : taken[domain] + number])
            taken[domain] += number
        clients.append(_examples(np.concatenate(parts)))
        counts.append(wanted)
    group = np.repeat(np.arange(len(DOMAINS)), [len(test) for test in tests])
    owned = np.stack(counts)
    return Federated(tuple(clients), _examples(np.concatenate(tests)), group, mixture_of(owned, group), concepts=owned)


@cache
def symbols() -> tuple[IntArray, ...]:
    """Return every domain's text as symbols, in the order of the domains."""
    texts = corpora()
    counted: Counter[str] = Counter()
    for text in texts.values():
        counted.update(text)
    kept = sorted(counted, key=lambda character: (-counted[character], character))[: VOCABULARY - 1]
    number = {character: k for k, character in enumerate(kept, start=1)}
    return tuple(np.array([number.get(character, 0) for character in texts[name]], dtype=np.int64) for name in DOMAINS)


def _windows(context: int, seed: int) -> tuple[list[IntArray], list[IntArray]]:
    """Return the training windows of each domain, shuffled, and its test windows; both (number, context + 1)."""
    train, test = [], []
    for domain, text in enumerate(symbols()):
        number = (len(text) - 1) // context
        every = np.stack([text[k * context : (k + 1) * context + 1] for k in range(number)])
        kept = int(0.8 * number)
        rng = generator(seed, Purpose.SPLIT, domain)
        train.append(every[:kept][rng.permutation(kept)])
        test.append(every[kept:][np.sort(rng.choice(number - kept, size=TEST_WINDOWS, replace=False))])
    return train, test


def _shares(rng: np.random.Generator, alpha: float) -> FloatArray:
    shares = rng.dirichlet(np.full(len(DOMAINS), alpha))
    if not np.isfinite(shares).all():
        shares = np.eye(len(DOMAINS))[rng.integers(len(DOMAINS))]
    shares = np.where(shares < min(LEAST_SHARE, shares.max()), 0.0, shares)
    return shares / shares.sum()


def _examples(windows: IntArray) -> Examples:
    return Examples(windows[:, :-1], windows[:, 1:], VOCABULARY)
