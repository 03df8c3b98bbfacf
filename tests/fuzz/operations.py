"""Operations: an aligner aligns, observes, grows, admits, saves and loads in any order; its laws hold throughout."""

from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np

from alignsolve import AdmissionError, Aligner, SolveError, load_state, save_state
from tests.fuzz.loop import MOST_CLIENTS, all_finite, draw_aligner, draw_cohort
from tests.fuzz.tally import Fault, Tally
from tests.fuzz.watch import EVERY_ERROR, HangError, in_time
from tests.rounds import reports_of

STEPS = 12
FOLDER: list[Path] = []


class BrokenLawError(AssertionError):
    """An aligner does what it must not."""


def example(rng: np.random.Generator, tally: Tally) -> Fault | None:
    """Draw an aligner and a sequence of operations; return the first fault."""
    num_experts = int(rng.integers(1, 6))
    aligner = draw_aligner(rng, num_experts)
    play = _Play(rng, aligner, num_experts, int(rng.integers(1, 7)))
    try:
        for _ in range(STEPS):
            name = ("align", "align", "observe", "observe", "grow", "admit", "store")[int(rng.integers(7))]
            play.story.append(name)
            tally.counts[f"operations: {name}"] += 1
            in_time(getattr(play, name))
    except HangError:
        return Fault("", "an operation does not end", play.told())
    except SolveError as error:
        return Fault("", f"no alignment: {error}", play.told())
    except EVERY_ERROR as error:
        return Fault("", f"{type(error).__name__}: {error}", play.told())
    return None


class _Play:
    """A federation under way."""

    def __init__(self, rng: np.random.Generator, aligner: Aligner, num_experts: int, num_clients: int) -> None:
        self.rng, self.aligner, self.num_experts = rng, aligner, num_experts
        self.state = aligner.init(num_clients, num_experts, seed=int(rng.integers(100)))
        self.story: list[str] = []
        self.open: tuple[Any, Any] | None = None

    def told(self) -> str:
        """The operations so far."""
        return (
            f"{self.aligner!r}\n{self.state.num_clients} clients, {self.num_experts} experts: {', '.join(self.story)}"
        )

    def align(self) -> None:
        """Align; the same state and cohort give the same alignment, within the clients' capacities."""
        cohort = draw_cohort(self.rng, self.state.num_clients)
        before = _copied(self.state)
        solution, after = self.aligner.align(self.state, cohort)
        again, _ = self.aligner.align(self.state, cohort)
        self._check(np.array_equal(solution.x, again.x), "the same state gave two alignments")
        self._check(_same(before, self.state.to_arrays()), "align() changed the state that it was given")
        most, _ = self.aligner.capacity.capacity(self.state.capacity, cohort)
        self._check(bool((np.asarray(solution.x).sum(axis=1) <= most).all()), "a client got more than its capacity")
        self._check(after.round == self.state.round + 1, "the round was not counted")
        self._check(bool(np.isfinite(after.prices).all()), "prices are not finite")
        self.state, self.open = after, (solution, cohort)

    def observe(self) -> None:
        """Observe honest reports of the last round, or none."""
        before, reports = _copied(self.state), []
        if self.open is not None:
            reports = reports_of(*self.open, self.num_experts, self.rng, dropouts=0.3)
            order = self.rng.permutation(len(reports))
        after = self.aligner.observe(self.state, reports)
        self._check(_same(before, self.state.to_arrays()), "observe() changed the state that it was given")
        if reports and self.aligner.privacy is None:
            other = self.aligner.observe(self.state, [reports[k] for k in order])
            self._check(_same(after.to_arrays(), other.to_arrays()), "the order of the reports changes the state")
        self._check(all_finite(after) or not all_finite(self.state), "a state became infinite")
        self.state, self.open = after, None

    def grow(self) -> None:
        """Let clients join; those who were there stay as they are."""
        if self.state.num_clients < MOST_CLIENTS:
            self.state = self.state.grow(self.state.num_clients + 1)
            self.open = None if self.open is None else self.open

    def admit(self) -> None:
        """Admit a client that is not at work; it gets experts that have room."""
        if self.state.round == 0 or self.open is not None:
            return
        client = int(self.rng.integers(self.state.num_clients))
        try:
            experts, after = self.aligner.admit(self.state, client)
        except AdmissionError:
            return
        self._check(bool((self.state.room[experts] >= 1).all()), "an expert without room was given")
        self._check(len(np.unique(experts)) == len(experts), "an expert was given twice")
        most, _ = self.aligner.capacity.capacity(self.state.capacity, np.array([client]))
        self._check(len(experts) <= most[0], "the client got more than its capacity")
        if self.aligner.sets is not None:
            rooms = self.aligner.sets.rooms(self.state.at_work)
            self._check(rooms.within(experts), "a server without room was given")
        taken = self.state.room - after.room
        self._check(taken.sum() == len(experts), "the room does not fit the experts that were given")

    def store(self) -> None:
        """Save and load; nothing is lost."""
        if not FOLDER:
            FOLDER.append(Path(mkdtemp(prefix="alignsolve-fuzz-")))
        path = FOLDER[0] / f"state.{('json', 'npz')[int(self.rng.integers(2))]}"
        save_state(path, self.state, self.aligner)
        loaded = load_state(path, self.aligner)
        self._check(_same(self.state.to_arrays(), loaded.to_arrays()), f"{path.suffix} lost something of the state")
        self.state = loaded

    def _check(self, holds: bool, told: str) -> None:
        if not holds:
            raise BrokenLawError(told)


def _copied(state: Any) -> dict[str, Any]:
    return {name: np.array(array) for name, array in state.to_arrays().items()}


def _same(left: dict[str, Any], right: dict[str, Any]) -> bool:
    """Whether two states hold the same, NaN and types too."""
    return left.keys() == right.keys() and all(
        left[name].dtype == right[name].dtype
        and np.array_equal(left[name], right[name], equal_nan=left[name].dtype.kind == "f")
        for name in left
    )
