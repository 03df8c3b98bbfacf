"""Reports: the server's record of one client's part in one round. Estimators learn from reports alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from alignsolve.data import validation
from alignsolve.estimate.geometry import Geometry, same_shape
from alignsolve.numerics import MAX_INTEGER, FloatArray, IntArray

LARGEST = 1e30
"""Largest size of a measure: products of three and their squares still sum up over all rounds. A loss beyond it is a
client's mistake, and would stay in the state for ever."""


class Outcome(StrEnum):
    """How a client's round ended."""

    COMPLETED = "completed"
    """The client's update came back and was merged."""
    DROPPED = "dropped"
    """Nothing came back."""
    LATE = "late"
    """The client's update came after the deadline and was not merged."""
    OUT_OF_MEMORY = "out of memory"
    """The client could not hold the experts that it was given."""
    REJECTED = "rejected"
    """The client's update came back and was refused."""


@dataclass(frozen=True, eq=False)
class Report:
    """One client's part in one round.

    Sequences are read into arrays and validated. If the outcome is not COMPLETED, measures may be missing.

    Parameters
    ----------
    client
        Index of the client, 0 or more.
    experts
        (k,) distinct indices of the experts that the client was assigned.
    usage
        (k,) share or number of the client's examples that were routed to each expert, 0 or more.
    loss, accuracy
        (k,) mean over the examples routed to each expert, of size 1e30 at most. NaN is allowed only where the usage
        is 0.
    num_examples
        Number of examples that the client trained on.
    seconds
        Seconds from the start of the client's download to the end of its upload.
    bytes_down, bytes_up
        The client's traffic in bytes.
    outcome
        How the round ended. Only COMPLETED rounds teach fitness and count as load.
    router_mass
        (num_experts,) the mean probability that the client's router gives every expert, held or not; None if not
        measured.
    geometry
        How the client's update moved the shared parts of the model (:class:`~alignsolve.estimate.Geometry`), which the
        server computes from the update; None if it sees no single updates.

    Raises
    ------
    ValueError
        If a field is wrong; the message names the client and the field.

    Examples
    --------
    >>> report = Report(3, experts=[0, 5], usage=[0.75, 0.25], loss=[0.5, 1.0], accuracy=[0.9, 0.8], num_examples=40)
    >>> report.outcome, report.experts
    (<Outcome.COMPLETED: 'completed'>, array([0, 5]))
    """

    client: int
    experts: Any
    usage: Any = None
    loss: Any = None
    accuracy: Any = None
    num_examples: int = 0
    seconds: float = 0.0
    bytes_down: int = 0
    bytes_up: int = 0
    outcome: Outcome = Outcome.COMPLETED
    router_mass: Any = None
    geometry: Any = None

    def __post_init__(self) -> None:
        """Check every field and read it; afterwards each measure is a float64 array of its full shape."""
        if isinstance(self.client, bool) or not isinstance(self.client, int | np.integer) or self.client < 0:
            raise ValueError(f"client of a report is {self.client!r}; it must be an index, 0 or more")
        if self.outcome not in tuple(Outcome):
            self._refuse(f"outcome is {self.outcome!r}; it must be one of {', '.join(Outcome)}")
        self._set("outcome", Outcome(self.outcome))
        self._set("experts", self._read_experts())
        for field in ("usage", "loss", "accuracy"):
            self._set(field, self._read_measure(field))
        self._check_measures()
        for field in ("num_examples", "seconds", "bytes_down", "bytes_up"):
            value = getattr(self, field)
            if not validation.is_number(value) or not 0 <= value <= LARGEST:
                self._refuse(f"{field} is {value!r}; it must be a finite number, 0 or more")
        if self.router_mass is not None:
            self._set("router_mass", self._read_router_mass())
        if self.geometry is not None and not isinstance(self.geometry, Geometry):
            self._refuse(f"geometry is a {type(self.geometry).__name__}; it must be a Geometry, or None")

    @property
    def completed(self) -> bool:
        """Whether the client's update was merged."""
        return self.outcome is Outcome.COMPLETED

    def part(
        self, experts: IntArray, usage: FloatArray, loss: FloatArray, accuracy: FloatArray, mass: FloatArray | None
    ) -> "Report":
        """Return the same report with some of its pairs; they are not checked again."""
        part = object.__new__(Report)
        pairs = {"experts": experts, "usage": usage, "loss": loss, "accuracy": accuracy, "router_mass": mass}
        part.__dict__.update(self.__dict__, **pairs)
        return part

    def _set(self, field: str, value: Any) -> None:
        object.__setattr__(self, field, value)

    def _refuse(self, what: str) -> None:
        raise ValueError(f"report of client {self.client}: {what}")

    def _read_experts(self) -> IntArray:
        experts = np.asarray(self.experts)
        if experts.ndim != 1 or (experts.size and experts.dtype.kind not in "iu"):
            self._refuse(f"experts must be a list of expert indices, not {self.experts!r}")
        if len(np.unique(experts)) < len(experts) or experts.min(initial=0) < 0:
            self._refuse(f"experts must be distinct and not negative, not {experts.tolist()}")
        if experts.max(initial=0) > MAX_INTEGER:  # unsigned numbers may be too large for an index
            self._refuse(f"experts must be indices of experts, not {experts.tolist()}")
        return experts.astype(np.int64)

    def _read_measure(self, field: str) -> FloatArray:
        given = getattr(self, field)
        if given is None:
            if self.completed and len(self.experts):
                self._refuse(f"{field} is missing, though its round was completed")
            return np.full(len(self.experts), np.nan)
        values = validation.numbers(f"report of client {self.client}: {field}", given)
        if values.shape != self.experts.shape:
            self._refuse(f"{field} has shape {values.shape}, but it has {len(self.experts)} experts")
        return values

    def _check_measures(self) -> None:
        if not self.completed:
            return
        for field, values in (("usage", self.usage), ("loss", self.loss), ("accuracy", self.accuracy)):
            wrong = ~((np.abs(values) <= LARGEST) & (values >= 0 if field != "loss" else True))
            if field != "usage":
                wrong &= self.usage > 0
            if wrong.any():
                j = int(np.argmax(wrong))
                size = f" of at most {LARGEST:g}" if np.isfinite(values[j]) and np.abs(values[j]) > LARGEST else ""
                self._refuse(f"{field} of expert {self.experts[j]} is {values[j]}; it must be a finite number{size}"
                             + ("" if field == "loss" else ", 0 or more"))  # fmt: skip

    def _read_router_mass(self) -> FloatArray:
        mass = validation.numbers(f"report of client {self.client}: router_mass", self.router_mass)
        if mass.ndim != 1 or not ((mass <= LARGEST) & (mass >= 0)).all():
            self._refuse("router_mass must be finite numbers, 0 or more, one per expert")
        return mass


@dataclass(frozen=True)
class Pairs:
    """The client–expert pairs of completed reports, ascending by client; every attribute has shape (num_pairs,).

    Attributes
    ----------
    clients, experts
        Indices of the pair.
    usage, loss, accuracy
        As in :class:`Report`.
    """

    clients: IntArray
    experts: IntArray
    usage: FloatArray
    loss: FloatArray
    accuracy: FloatArray


def completed_pairs(reports: Sequence[Report]) -> Pairs:
    """Collect the pairs of all completed reports."""
    done = [report for report in reports if report.completed]

    def joined(parts: list[npt.NDArray[Any]], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        return np.concatenate([np.zeros(0, dtype=dtype), *parts])

    return Pairs(
        clients=joined([np.full(len(report.experts), report.client) for report in done], np.int64),
        experts=joined([report.experts for report in done], np.int64),
        usage=joined([report.usage for report in done], np.float64),
        loss=joined([report.loss for report in done], np.float64),
        accuracy=joined([report.accuracy for report in done], np.float64),
    )


def told_geometries(reports: Sequence[Report], asked_by: str) -> tuple[IntArray, list[Geometry]]:
    """Return clients (k,) and geometries of the completed reports.

    Raises
    ------
    ValueError
        If a completed report has no geometry, or one of another shape than the others. ``asked_by`` is named.
    """
    done = [report for report in reports if report.completed]
    for report in done:
        if report.geometry is None:
            raise ValueError(
                f"report of client {report.client}: {asked_by} needs geometry, which is None: give Report(geometry="
                "fedtrain.partial.geometry_of(update, weights, layout)), or choose a fitness by router mass"
            )
        same_shape(report.client, "geometry", report.geometry.shape, done[0].geometry.shape)
    return np.array([report.client for report in done], dtype=np.int64), [report.geometry for report in done]


def check_reports(ordered: Sequence[Report], num_clients: int, num_experts: int) -> None:
    """Refuse a client that reports twice, and an unknown client or expert; reports are ascending by client."""
    last = -1
    for report in ordered:
        if report.client == last:
            raise ValueError(f"client {report.client} reports twice in one round")
        if report.client >= num_clients:
            raise ValueError(f"a report names client {report.client}, there are 0..{num_clients - 1}")
        if report.experts.max(initial=-1) >= num_experts:
            raise ValueError(
                f"report of client {report.client} names expert {report.experts.max()}, there are 0..{num_experts - 1}"
            )
        last = report.client


def check_masses(
    masses: Mapping[int, npt.ArrayLike], num_clients: int, num_experts: int
) -> tuple[IntArray, FloatArray]:
    """Read fresh router masses by client: clients (k,), ascending, and masses (k, num_experts).

    Raises
    ------
    ValueError
        If a client is unknown, or its masses are not num_experts finite numbers, 0 or more.
    """
    clients = sorted(masses)
    for client in clients:
        if not 0 <= client < num_clients:
            raise ValueError(f"router masses name client {client}, there are 0..{num_clients - 1}")
    read = [Report(client, [], router_mass=masses[client]).router_mass for client in clients]
    for client, mass in zip(clients, read, strict=True):
        if mass is None or mass.shape != (num_experts,):
            given = None if mass is None else mass.shape
            raise ValueError(f"router mass of client {client} has shape {given}; it must be ({num_experts},)")
    return np.array(clients, dtype=np.int64), np.array(read, dtype=np.float64).reshape(-1, num_experts)
