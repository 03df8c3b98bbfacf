"""Reports: what no honest server writes is told to aligners; it is refused, or learned without lasting harm."""

from typing import Any

import numpy as np

from alignsolve import Outcome, Report, SolveError
from tests.fuzz.loop import MOST_CLIENTS, all_finite, draw_aligner, draw_cohort
from tests.fuzz.tally import Fault, Tally
from tests.fuzz.watch import EVERY_ERROR, HangError, in_time
from tests.rounds import reports_of

ODD: list[Any] = [
    np.nan, np.inf, -np.inf, -1, -0.0, 1e308, 1e31, 1e30, 1e29, 1e-320, True, False, None, "1", "x", b"1", 10**400,
    2**63, 1 + 2j, [], {}, [1.0], np.float32(1e30), np.int64(-1), np.array(1.0), np.array([1.0]), object,
]  # fmt: skip
FIELDS = ("client", "experts", "usage", "loss", "accuracy", "num_examples", "seconds", "bytes_down", "bytes_up",
          "outcome", "router_mass", "geometry")  # fmt: skip


def example(rng: np.random.Generator, tally: Tally) -> Fault | None:
    """Play two rounds; some reports are odd. Return the first fault."""
    num_experts, num_clients = int(rng.integers(1, 6)), int(rng.integers(1, MOST_CLIENTS + 1))
    aligner = draw_aligner(rng, num_experts)
    state = aligner.init(num_clients, num_experts, seed=int(rng.integers(100)))
    story: list[str] = [f"aligner = {aligner!r}", f"state = aligner.init({num_clients}, {num_experts})"]
    try:
        for _ in range(2):
            cohort = draw_cohort(rng, num_clients)
            solution, state = in_time(lambda: aligner.align(state, cohort))  # noqa: B023
            honest = reports_of(solution, cohort, num_experts, rng, dropouts=0.2)
            told: list[Report] = []
            for report in honest:
                given = {name: getattr(report, name) for name in FIELDS}
                if rng.random() < 0.5:
                    given = _odd(rng, report)
                    tally.counts["odd reports"] += 1
                    story.append(" ".join(f"Report(**{given!r})".split()))
                try:
                    told.append(Report(**given))
                except ValueError:
                    tally.counts["refused reports"] += 1
            story.append("state = aligner.observe(state, reports)")
            try:
                state = aligner.observe(state, told)
            except ValueError:
                tally.counts["refused rounds"] += 1
        if not all_finite(state) and all_finite(aligner.init(num_clients, num_experts)):
            return Fault("", "the state holds an infinite number", "\n".join(story))
        everybody = np.arange(num_clients)
        story.append("aligner.align(state, everybody)")
        in_time(lambda: aligner.align(state, everybody))
    except SolveError as error:
        return Fault("", f"no alignment after odd reports: {error}", "\n".join(story))
    except HangError:
        return Fault("", "a round does not end", "\n".join(story))
    except EVERY_ERROR as error:
        return Fault("", f"{type(error).__name__}: {error}", "\n".join(story))
    return None


def _odd(rng: np.random.Generator, report: Report) -> dict[str, Any]:
    """Return the arguments of a report, one to three of them odd."""
    given = {name: getattr(report, name) for name in FIELDS}
    for _ in range(int(rng.integers(1, 4))):
        name = FIELDS[int(rng.integers(len(FIELDS)))]
        odd = ODD[int(rng.integers(len(ODD)))]
        value = given[name]
        if name == "outcome" and rng.random() < 0.7:
            odd = tuple(Outcome)[int(rng.integers(len(Outcome)))]
        elif isinstance(value, np.ndarray) and value.ndim == 1 and value.size and rng.random() < 0.7:
            parts = value.tolist()
            parts[int(rng.integers(len(parts)))] = odd
            odd = parts if rng.random() < 0.8 else parts * 2
        given[name] = odd
    return given
