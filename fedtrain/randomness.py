"""Every random choice of a run has its own generator, derived from the seed and a purpose.

No generator is carried from round to round. A run that changes one thing, such as its dropouts, therefore keeps all
other random choices: partition, devices, initial model and cohorts.
"""

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """The purposes of random numbers.

    The number of a purpose never changes, because the same seed must always give the same run.
    """

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
    HELD_BACK = 35
    CHANNEL = 36


def generator(seed: int, purpose: Purpose, *indices: int) -> np.random.Generator:
    """Return the generator for a purpose.

    Some purposes have one generator per round or per client; the indices then name the round and the client.

    Examples
    --------
    >>> draws = [generator(0, Purpose.COHORT, number).random() for number in (1, 1, 2)]
    >>> draws[0] == draws[1], draws[0] == draws[2]
    (True, False)
    >>> generator(0, Purpose.HAND).random() == generator(0, Purpose.HAND, 0).random()
    False
    """
    # A spawn key keeps (HAND,) and (HAND, 0) apart; entropy does not.
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(purpose, *indices)))
