"""What is there of the second protocol: how many runs of each study have a row, and the rows of finished studies.

A study counts only when all its runs are there. A figure of some of them would depend on the moment of looking.
"""

from dataclasses import replace
from itertools import product
from typing import NamedTuple

from benchmarks.evidence.second.judge import Judged
from benchmarks.evidence.second.row import Row


class Done(NamedTuple):
    """The progress of a study.

    Attributes
    ----------
    study
        Its name.
    done, planned
        Numbers of runs.
    """

    study: str
    done: int
    planned: int

    @property
    def finished(self) -> bool:
        """Whether all runs are there."""
        return self.done == self.planned

    @property
    def told(self) -> str:
        """The counts in words."""
        return f"{self.done} of {self.planned} runs"


def progress(judged: Judged) -> list[Done]:
    """Count the judged runs of each study, in the order of the protocol."""
    found = []
    for name, study in judged.protocol.studies.items():
        seeds = judged.protocol.seeds(study)
        pairs = list(product(study.tasks, study.alignments))
        done = sum(row.seed in seeds for pair in pairs for row in judged.rows.get(pair, ()))
        found.append(Done(name, done, len(pairs) * len(seeds)))
    return found


def finished(judged: Judged) -> Judged:
    """Return the rows of finished studies alone."""
    protocol, seeds = judged.protocol, dict[tuple[str, str], set[int]]()
    for one in progress(judged):
        study = protocol.studies[one.study]
        for pair in product(study.tasks, study.alignments) if one.finished else ():
            seeds.setdefault(pair, set()).update(protocol.seeds(study))
    rows: dict[tuple[str, str], list[Row]] = {
        pair: [row for row in judged.rows[pair] if row.seed in wanted] for pair, wanted in seeds.items()
    }
    return replace(judged, rows=rows)
