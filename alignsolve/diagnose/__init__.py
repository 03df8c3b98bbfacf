"""Diagnosis: why there is no alignment and what would give one, or what one more unit of each bound is worth.

- :mod:`.diagnosis`: the question and its answer.
- :mod:`.cheapest`: the elastic problem; :mod:`.elastic_rows` where clients contradict themselves.
- :mod:`.change`: a repair read off an alignment; :mod:`.weights`: what changes cost.
- :mod:`.worth`, :mod:`.notes`, :mod:`.words`: what binds, what is odd, and how it is told.
"""

from alignsolve.diagnose.change import Change, Repair
from alignsolve.diagnose.diagnosis import Diagnosis, diagnose
from alignsolve.diagnose.weights import Weights
from alignsolve.diagnose.worth import Worth

__all__ = ["Change", "Diagnosis", "Repair", "Weights", "Worth", "diagnose"]
