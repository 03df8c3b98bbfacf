"""``lagrangian``: prices → choices → repair → chains of moves → a small integer program. For the general class.

With many clients and few experts, the experts' bounds are few constraints among many small problems. With prices in
their place, every client is left alone with its own problem, which is solved exactly. The duality gap that remains
shrinks as num_experts / num_clients (Shapley and Folkman).

1. *Incumbent.* The greedy alignment, if the problem is so small that it takes little time. It is the answer if time
   is short.
2. *Prices* (:mod:`.multigrid`). A level method on samples of the clients, corrected by few passes over all of them.
3. *Portions* (:mod:`.portions`), where clients are many. They choose portion by portion; each portion makes up for
   the experts' bounds that the one before missed. One pass over the clients makes an alignment.
4. *Repair* (:mod:`.move_chains`). The clients' choices at these prices nearly meet the experts' bounds. Chains of
   moves with the least regret repair the rest, and go on while they gain.
5. *Rows* (:mod:`.perturbation`). Clients that were moved choose anew, exactly, within the room that the others leave.
   Rounds of random perturbation and repair follow while there is time and a gap.
6. *Reduced program* (:mod:`.reduced_program`). Pairs that the reduced fitness decides against the incumbent are
   fixed. If few are left open, an integer program decides them exactly.

Classical generalised assignment, where every client takes at most one expert and both are few, is passed on to
:mod:`alignsolve.solvers.generalised_assignment` with the incumbent. Its relaxation, a knapsack for each expert, is
stronger there.

The bound is that of the prices, which the front door computes anew, or that of the integer program if it is complete.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from alignsolve.certificate.witness import from_direction
from alignsolve.numerics import Number
from alignsolve.problem import AlignmentProblem
from alignsolve.runtime.interruptible import late
from alignsolve.solver import EVERYTHING, Answer, Capabilities, Progress, ProgressHook, WarmStart
from alignsolve.solvers.common.incumbent_search import IncumbentSearch
from alignsolve.solvers.common.last_answer import last_answer
from alignsolve.solvers.common.warm_up import Kind, warm_up
from alignsolve.solvers.generalised_assignment.instance import assignment_like

if TYPE_CHECKING:
    from alignsolve.solvers.lagrangian.multigrid import Prices

GREEDY_ENTRIES, HURRIED_ENTRIES = 1 << 15, 1 << 19
"""Pairs up to which greed goes first, without and under a time limit. Above, it is tried if nothing else has
succeeded."""
PORTIONED_ENTRIES = 1 << 20
"""Pairs up to which all choices are repaired at once. With more pairs the clients choose in portions first."""
LARGEST_ENTRIES = 1 << 24
"""Pairs up to which chains of moves go through all clients after that."""
PERTURBED_ENTRIES = 1 << 16
"""Pairs up to which perturbation pays: with more, the duality gap is small and chains have closed the rest."""
REPAIR_PASSES = 10.0
"""Time, in passes over all clients, to write their choices into a state, to list their moves and to read the result."""
HASTE = 0.6
"""Share of the time after which greed's first alignment will do, where greed goes first."""


@dataclass(frozen=True)
class Lagrangian:
    """Prices and repair for problems with many more clients than experts. Both classes, made for the general one.

    Parameters
    ----------
    gap
        Relative gap at which the answer is good enough.
    rounds
        Rounds of perturbation and repair in a row without a better alignment, after which the search ends.
    core_pairs
        Most pairs that may be open for an integer program to be worth its time; 0: never.

    Examples
    --------
    >>> from alignsolve import AlignmentProblem, solve
    >>> problem = AlignmentProblem([[3.0, 2.0], [2.0, 1.5]], expert_capacity=3, client_load=[3.0, 2.0])
    >>> solve(problem, solver=Lagrangian()).objective
    4.5
    """

    gap: float = 0.0
    rounds: int = 40
    core_pairs: int = 4000

    capabilities: ClassVar[Capabilities] = Capabilities(takes=EVERYTHING, presolve=True)

    def __call__(
        self,
        problem: AlignmentProblem,
        *,
        deadline: float,
        warm_start: WarmStart,
        seed: int,
        threads: int | None,
        progress: ProgressHook | None,
    ) -> Answer:
        """Solve; the seed decides the perturbations."""
        crossed = problem.experts.least > problem.experts.most
        if crossed.any():
            return Answer(witness=from_direction(problem, -crossed.astype(np.float64)))
        search = _Search(self, problem, deadline, seed, threads, progress)
        if not assignment_like(problem):
            return search.solve(warm_start)
        from alignsolve.solvers.generalised_assignment.solver import (  # noqa: PLC0415  (loads numba)
            solve_generalised_assignment,
        )

        known = search.quick_incumbent(warm_start)
        if isinstance(known, Answer):
            return known
        return solve_generalised_assignment(
            problem, deadline=deadline, warm_start=known, seed=seed, threads=threads, progress=progress
        )

    def prepare(self, problem: AlignmentProblem) -> None:
        """Compile the code that such a problem needs."""
        if assignment_like(problem):
            from alignsolve.solvers.generalised_assignment.warm_up import warm_up_search  # noqa: PLC0415
            from alignsolve.solvers.greedy import Greedy  # noqa: PLC0415

            warm_up_search()
            Greedy(passes=0).prepare(problem)
        else:
            from alignsolve.solvers.lagrangian.portions import warm_up_portions  # noqa: PLC0415

            warm_up(self, problem)
            warm_up_portions(Kind.of(problem))


class _Search(IncumbentSearch):
    """One solution under way: the best alignment and the best prices so far."""

    def __init__(
        self,
        solver: Lagrangian,
        problem: AlignmentProblem,
        deadline: float,
        seed: int,
        threads: int | None,
        progress: ProgressHook | None,
    ) -> None:
        super().__init__(problem, solver.gap, threads, progress)
        self.solver, self.deadline = solver, deadline
        self.rng = np.random.default_rng(seed)
        self.claimed: Number = math.inf

    def solve(self, warm_start: WarmStart) -> Answer:
        """Take the steps of the module's docstring, as far as time allows."""
        from alignsolve.solvers.lagrangian.multigrid import prices_by_multigrid  # noqa: PLC0415  (loads numba)

        known = self.quick_incumbent(warm_start)
        if isinstance(known, Answer):
            return known
        entries = self.problem.num_clients * self.problem.num_experts
        many = entries > PORTIONED_ENTRIES
        for found in prices_by_multigrid(
            self.problem, warm_start.prices, gap=self.solver.gap, deadline=self.deadline, threads=self.threads
        ):
            self.bound = found.bound
            self.stats |= {"passes": found.passes, "sample_passes": found.sample_passes}
            self._tell("prices")
            if many and not self._good_enough():
                self._choose_in_portions(found)
            if self._good_enough():
                break
        if found.chosen is not None and entries <= LARGEST_ENTRIES and self._worth_repairing(found):
            self._from_choices(found)
        infeasible = self._greed() if self.alignment is None else None
        if infeasible is not None:
            return infeasible
        stopped = {} if self.alignment else {"stopped": self._why_none()}
        return Answer(self.alignment, found.guess, self.claimed, stats={**self.stats, **stopped})

    def quick_incumbent(self, warm_start: WarmStart) -> WarmStart | Answer:
        """Return the better of the warm start and greed, where greed is quick; an answer if there is no alignment."""
        self._keep(warm_start.alignment, "warm start")
        few = GREEDY_ENTRIES if math.isinf(self.deadline) else HURRIED_ENTRIES
        if self.problem.num_clients * self.problem.num_experts <= few:
            infeasible = self._greed(enough=self.started + HASTE * (self.deadline - self.started))
            if infeasible is not None:
                return infeasible
        return WarmStart(self.alignment, warm_start.prices)

    def _worth_repairing(self, found: "Prices") -> bool:
        """Whether there is something to gain, and time for it: the clock is not looked at before the first chains."""
        if self._good_enough():
            return False
        return self.alignment is None or time.monotonic() + REPAIR_PASSES * found.pass_seconds < self.deadline

    def _greed(self, enough: float = math.inf) -> Answer | None:
        """Take greed's alignment, from ``enough`` on its first one; return its answer if it proves infeasibility."""
        from alignsolve.solvers.greedy import Greedy  # noqa: PLC0415

        def work() -> Iterator[Answer | Progress]:
            return Greedy(passes=0).answers(self.problem, self.deadline, WarmStart(), self.threads)

        answer = last_answer(work, self.deadline, enough=enough) or Answer()
        if answer.witness is not None:
            return answer
        self._keep(answer.x, "greedy")
        return None

    def _choose_in_portions(self, found: "Prices") -> None:
        """Step 3: let the clients choose in portions."""
        from alignsolve.solvers.lagrangian.portions import choose_in_portions  # noqa: PLC0415

        portioned = choose_in_portions(self.problem, found, self.rng, deadline=self.deadline, threads=self.threads)
        self._keep(portioned, "dealing")
        self.stats["dealt_seconds"] = time.monotonic() - self.started

    def _from_choices(self, found: "Prices") -> None:
        """Steps 4 to 6, from the clients' choices under the best prices."""
        from alignsolve.solvers.lagrangian.perturbation import Perturbation  # noqa: PLC0415
        from alignsolve.solvers.lagrangian.reduced_program import solve_reduced  # noqa: PLC0415

        assert found.chosen is not None
        perturbation = Perturbation(self.problem, found.prices, self.rng, self.deadline)
        if perturbation.begin(found.chosen):
            self._keep(perturbation.alignment(), "choices")
        self.stats |= {"chains": perturbation.made, "repair_seconds": time.monotonic() - self.started}
        if self._good_enough():
            return
        if self.solver.core_pairs and self.alignment is not None:
            core = solve_reduced(
                self.problem, found.prices, self.bound, self.objective, self.alignment,
                most=self.solver.core_pairs, gap=self.solver.gap, deadline=self.deadline, threads=self.threads,
            )  # fmt: skip
            self.stats |= core.stats
            self._keep(core.alignment, "core")
            self.claimed = core.bound
        if self._good_enough():
            return
        if self.problem.num_clients * self.problem.num_experts > PERTURBED_ENTRIES:
            return
        for better in perturbation.perturb(self.alignment, self.objective, self.solver.rounds):
            self._keep(better, "disturbances")
            if self._good_enough():
                return

    @property
    def lowest_bound(self) -> Number:
        """The bound of the prices, or that of the integer program."""
        return min(self.bound, self.claimed)

    def _why_none(self) -> str:
        """Why there is no alignment, for the stats."""
        if late(self.deadline):
            return "the time limit came first"
        return "no chain of moves meets the experts' bounds, which does not prove that there is no alignment"
