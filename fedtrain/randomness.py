"""Every random choice of a run has its own generator, derived from the seed and a purpose.

So nothing random is carried from round to round, and a run that changes one thing, its dropouts say, keeps all the
others: partition, devices, initial model, cohorts.
"""

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What randomness is for. Numbers, once given, stay: they are part of what a seed means."""

    SPLIT = 0
    PARTITION = 1
    DEVICES = 2
    MODEL = 3
    COHORT = 4
    DROPOUT = 5
    TRAINING = 6
    SPREAD = 20
    JOINING = 21
    AVAILABILITY = 22
    STRAGGLING = 23
    DROPOUT_MOMENT = 24
    MISREPORT = 25
    ATTACKERS = 26
    ATTACK = 27
    CONCEPTS = 30
    MIXTURE = 31
    HAND = 32
    GLYPHS = 33
    SUBSET = 34


def generator(seed: int, purpose: Purpose, *indices: int) -> np.random.Generator:
    """Return the generator for a purpose, and for a round or client where it has one of its own.

    Examples
    --------
    >>> draws = [generator(0, Purpose.COHORT, number).random() for number in (1, 1, 2)]
    >>> draws[0] == draws[1], draws[0] == draws[2]
    (True, False)
    >>> generator(0, Purpose.HAND).random() == generator(0, Purpose.HAND, 0).random()
    False
    """
    # A spawn key, unlike entropy, tells (HAND,) from (HAND, 0).
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(purpose, *indices)))
