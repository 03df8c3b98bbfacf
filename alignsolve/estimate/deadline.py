"""Deadlines as time budgets: the seconds that each expert costs a client, first as declared, then as measured.

The duration of a client's round is modelled as

    fixed + per_expert · (work of its experts) + per_byte · (bytes down and up),

which is the model of FedScale (Lai et al., ICML 2022) with an expert's work in place of batches. The three rates of
each client are estimated by Bayesian linear regression. The prior is Gaussian, centred on the declared rates, and
counts as ``prior_rounds`` rounds. Each completed round is one observation; older ones are discounted. The posterior
mean solves a 3 × 3 system per client. A late client took at least its reported seconds, so its report is used only if
it is slower than expected. A report of a dropped client is not used.

If all experts cost a client the same, its budget is equivalent to a capacity, and the alignment stays a flow problem.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from alignsolve.data import validation
from alignsolve.estimate import checks
from alignsolve.estimate.report import Outcome, Report
from alignsolve.numerics import FloatArray, IntArray


class Budgets(NamedTuple):
    """The budgets of a round's clients in seconds or in bytes, and what experts cost them.

    Attributes
    ----------
    budget
        (num_clients,) in seconds or bytes, not negative.
    cost
        In the budget's unit: (num_clients, 1) if all experts cost a client the same, else (num_clients, num_experts).
        One row instead of num_clients if an expert costs all clients the same.
    """

    budget: FloatArray
    cost: FloatArray


@dataclass(frozen=True, eq=False)
class Speeds:
    """Measurements of each client's speed.

    Attributes
    ----------
    precision, moment
        (num_clients, 3, 3) and (num_clients, 3): the discounted normal equations of the measured rounds.
    expected, measured
        (num_clients,) total seconds of the measured rounds, by the declared rates and as measured.
    """

    precision: FloatArray
    moment: FloatArray
    expected: FloatArray
    measured: FloatArray

    def grow(self, num_clients: int) -> "Speeds":
        """Return a copy with no measurements of the clients that joined."""

        def longer(values: FloatArray) -> FloatArray:
            return np.concatenate([values, np.zeros((num_clients - len(values), *values.shape[1:]))])

        return Speeds(longer(self.precision), longer(self.moment), longer(self.expected), longer(self.measured))


@dataclass(frozen=True, eq=False)
class TimeBudget:
    """Time budgets of clients in seconds, from a deadline and learned speeds.

    Parameters
    ----------
    deadline
        Seconds from the start of a client's download to the end of its upload, above 0.
    expert_seconds
        Scalar or (num_clients,): declared seconds of training per unit of an expert's work, 0 or more.
    fixed_seconds
        Scalar or (num_clients,): declared seconds of a round without any expert, 0 or more.
    bytes_per_second
        Scalar or (num_clients,): declared speed of traffic, down and up together, above 0. Inf: traffic takes no time.
    expert_bytes
        Scalar or (num_experts,): bytes of one expert, down and up together, 0 or more.
    shared_bytes
        Bytes of the rest of the model, down and up together, 0 or more.
    expert_work
        Scalar or (num_experts,): the work of training an expert, above 0.
    prior_rounds
        Number of measured rounds that the declared speeds count as, above 0.
    memory
        Discount of a measured round per later round of the client, above 0 and at most 1.
    margin
        Factor on all times, 1 or more: about half of all rounds take longer than the mean.

    Examples
    --------
    A client declared 1 s per expert and takes 3 s:

    >>> budget = TimeBudget(deadline=10.0, expert_seconds=1.0)
    >>> state = budget.init(2, 4)
    >>> slow = {"usage": [0.5, 0.5], "loss": [1.0, 1.0], "accuracy": [0.5, 0.5], "seconds": 6.0}
    >>> for _ in range(20):
    ...     state = budget.update(state, [Report(1, experts=[0, 1], **slow)])
    >>> seconds, cost = budget.budgets(state, np.arange(2))
    >>> np.floor(seconds / cost[:, 0]), budget.misreporting(state)
    (array([10.,  3.]), array([1]))
    """

    deadline: float
    expert_seconds: Any
    fixed_seconds: Any = 0.0
    bytes_per_second: Any = np.inf
    expert_bytes: Any = 0.0
    shared_bytes: float = 0.0
    expert_work: Any = 1.0
    prior_rounds: float = 1.0
    memory: float = 0.9
    margin: float = 1.0

    def __post_init__(self) -> None:
        """Check the parameters and read the declared values into arrays."""
        for field in ("deadline", "prior_rounds"):
            checks.positive(field, getattr(self, field))
        checks.weight("memory", self.memory)
        checks.amount("shared_bytes", self.shared_bytes)
        if not 1 <= self.margin < np.inf:
            raise ValueError(f"margin is {self.margin}; it must be 1 or more, and finite")
        for field, axis, infinite in (
            ("expert_seconds", "num_clients", False),
            ("fixed_seconds", "num_clients", False),
            ("bytes_per_second", "num_clients", True),
            ("expert_bytes", "num_experts", False),
            ("expert_work", "num_experts", False),
        ):
            object.__setattr__(self, field, _declared(field, getattr(self, field), axis, infinite=infinite))
        for field in ("bytes_per_second", "expert_work"):
            if not (getattr(self, field) > 0).all():
                raise ValueError(f"{field} must be above 0, not {getattr(self, field).min()}")

    def init(self, num_clients: int, num_experts: int) -> Speeds:
        """Return the state without measurements.

        Raises
        ------
        ValueError
            If values are declared for fewer clients, or for another number of experts.
        """
        self._rates(np.array([num_clients - 1]))
        for field in ("expert_bytes", "expert_work"):
            values = getattr(self, field)
            if values.ndim and len(values) != num_experts:
                raise ValueError(f"{field} has {len(values)} entries, there are {num_experts} experts")
        return Speeds(
            np.zeros((num_clients, 3, 3)), np.zeros((num_clients, 3)), np.zeros(num_clients), np.zeros(num_clients)
        )

    def update(self, state: Speeds, reports: Sequence[Report]) -> Speeds:
        """Learn from completed and rejected rounds, and from late rounds that were slower than expected."""
        timed = [report for report in reports if report.seconds > 0 and self._teaches(state, report)]
        if not timed:
            return state
        clients = np.array([report.client for report in timed])
        seconds = np.array([report.seconds for report in timed])
        features = np.array([self._features(report) for report in timed])
        precision, moment = state.precision.copy(), state.moment.copy()
        precision[clients] = self.memory * precision[clients] + features[:, :, None] * features[:, None, :]
        moment[clients] = self.memory * moment[clients] + features * seconds[:, None]
        expected, measured = state.expected.copy(), state.measured.copy()
        expected[clients] += (features * self._rates(clients)).sum(axis=1)
        measured[clients] += seconds
        return Speeds(precision, moment, expected, measured)

    def _teaches(self, state: Speeds, report: Report) -> bool:
        if report.outcome is Outcome.LATE:
            expected = self._learned(state, np.array([report.client]))[0] @ self._features(report)
            return bool(report.seconds > expected)
        return report.outcome in (Outcome.COMPLETED, Outcome.REJECTED)

    def _features(self, report: Report) -> FloatArray:
        """Return the factors of the three rates in one round; traffic in multiples of ``_unit`` bytes."""
        work = np.broadcast_to(self.expert_work, len(report.experts)) if self.expert_work.ndim == 0 else (
            self.expert_work[report.experts]
        )  # fmt: skip
        return np.array([1.0, float(work.sum()), (report.bytes_down + report.bytes_up) / self._unit])

    @property
    def _unit(self) -> float:
        """Unit of traffic in bytes, chosen so that the three features have similar sizes."""
        return max(1.0, float(self.shared_bytes), float(self.expert_bytes.max()))

    def _rates(self, clients: IntArray) -> FloatArray:
        """Return the declared rates, (len(clients), 3): fixed, per unit of work, per unit of traffic."""
        declared = []
        for field in ("fixed_seconds", "expert_seconds", "bytes_per_second"):
            values = getattr(self, field)
            if values.ndim and clients.max(initial=0) >= len(values):
                raise ValueError(f"client {clients.max()} has no declared {field}: there are {len(values)}")
            declared.append(values[clients] if values.ndim else np.full(len(clients), float(values)))
        return np.stack([declared[0], declared[1], self._unit / declared[2]], axis=1)

    def _learned(self, state: Speeds, clients: IntArray) -> FloatArray:
        """Return the learned rates, (len(clients), 3), not negative."""
        prior = self._rates(clients)
        precision = state.precision[clients] + self.prior_rounds * np.eye(3)
        moment = state.moment[clients] + self.prior_rounds * prior
        rates = np.linalg.solve(precision, moment[:, :, None])[:, :, 0]
        return np.maximum(rates, 0.0).astype(np.float64, copy=False)

    def budgets(self, state: Speeds, cohort: IntArray) -> Budgets:
        """Return the seconds that the cohort's clients can spend on experts, and the experts' costs."""
        rates = self._learned(state, cohort)
        spent = rates[:, 0] + rates[:, 2] * (self.shared_bytes / self._unit)
        work, traffic = np.atleast_1d(self.expert_work), np.atleast_1d(self.expert_bytes) / self._unit
        cost = rates[:, 1:2] * work + rates[:, 2:3] * traffic
        budget = np.maximum(self.deadline - self.margin * spent, 0.0)
        return Budgets(budget, self.margin * cost)

    def misreporting(self, state: Speeds, *, factor: float = 1.5) -> IntArray:
        """Return the clients whose rounds took more than ``factor`` times the declared seconds, ascending."""
        return np.flatnonzero(state.measured > factor * state.expected)


def _declared(field: str, given: Any, axis: str, *, infinite: bool) -> FloatArray:
    values = validation.numbers(field, given)
    if values.ndim > 1:
        raise ValueError(f"{field} has shape {values.shape}; it must be a scalar or ({axis},)")
    return validation.amounts(field, values, values.shape, (axis,)[: values.ndim], infinite=infinite)
