"""Diagnosis: why a problem has no alignment and how to repair it, or which bounds bind and what one more unit gains.

Users and the command line call it. It imports front and the rooms below it, and the integer program of ``solvers.ilp``.

- :mod:`.diagnosis`: the entry point :func:`diagnose` and its result.
- :mod:`.cheapest`: the cheapest repair; :mod:`.elastic_rows`: its integer program if clients contradict themselves.
- :mod:`.change`: a repair, computed from an alignment; :mod:`.weights`: the cost of changes.
- :mod:`.worth`: binding bounds and their value; :mod:`.notes`: odd experts and clients; :mod:`.words`: the text.
"""

from alignsolve.diagnose.change import Change, Repair
from alignsolve.diagnose.diagnosis import Diagnosis, diagnose
from alignsolve.diagnose.weights import Weights
from alignsolve.diagnose.worth import Worth

__all__ = ["Change", "Diagnosis", "Repair", "Weights", "Worth", "diagnose"]
