"""Checks that the adapter of any framework can run, to show that its rounds are those of fedtrain.

An adapter is a function that runs a :class:`Setting` in its framework, with clients in this process, and returns the
final weights. Each check runs it, and compares what clients were sent, what the aligner was told and the final weights
with fedtrain's own rounds. They must be equal, bit for bit::

    @pytest.mark.parametrize("check", CHECKS)
    def test_my_adapter_conforms(check):
        CHECKS[check](run_in_my_framework)
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from alignsolve import Aligner, CapacityProfiler, LossFitness, Outcome, Report
from alignsolve.numerics import FloatArray, IntArray
from fedtrain.adapters.exchange import Measures, read_answer, read_failure, train_and_measure
from fedtrain.layouts import Weights, detect
from fedtrain.server.inspection import Answer
from fedtrain.server.step import Server, ServerState

NUM_CLIENTS, NUM_EXPERTS, NUM_ROUNDS = 5, 4, 3
MOST_EXAMPLES = 1000
FAULTY = 1
"""The client that does something wrong, in the round of the same number."""
Train = Callable[[Weights, Sequence[int], Any], tuple[dict[str, Any], Measures]]
"""A client's training function: of its weights, its experts and a task with ``client`` and ``round`` (from 0)."""


class ConformanceError(AssertionError):
    """An adapter's rounds are not those of fedtrain; the message says where they differ."""


@dataclass(frozen=True)
class Setting:
    """What an adapter has to run.

    Attributes
    ----------
    aligner, weights
        The aligner and the whole model's weights at the start.
    train
        The training function of every client.
    num_clients, num_rounds
        Number of clients, all of which take part in each round, and number of rounds.
    seed
        Seed of the aligner's state.
    max_examples
        Largest number of examples that a client may claim.
    state_dir
        Folder for the state, which a later run continues from; None: no state is saved.
    """

    aligner: Aligner
    weights: Weights
    train: Train
    num_clients: int = NUM_CLIENTS
    num_rounds: int = NUM_ROUNDS
    seed: int = 0
    max_examples: int = MOST_EXAMPLES
    state_dir: Path | None = None


Run = Callable[[Setting], Weights]
"""An adapter: it runs a setting in its framework, and returns the final weights."""


class _Task(NamedTuple):
    client: int
    round: int


@dataclass(frozen=True)
class _Heard:
    """A fitness that writes down what it is told: the outcome of every client, round by round."""

    rounds: list[dict[int, Outcome]] = field(default_factory=list)
    inner: LossFitness = field(default_factory=LossFitness)

    def init(self, num_clients: int, num_experts: int) -> Any:
        return self.inner.init(num_clients, num_experts)

    def update(self, state: Any, reports: Sequence[Report]) -> Any:
        self.rounds.append({report.client: report.outcome for report in reports})
        return self.inner.update(state, reports)

    def fitness(self, state: Any, cohort: IntArray, *, rng: np.random.Generator) -> FloatArray:
        return self.inner.fitness(state, cohort, rng=rng)


@dataclass(frozen=True)
class _Watched:
    """A setting whose clients and aligner are watched: what each was sent, and how each round ended."""

    setting: Setting
    sent: dict[tuple[int, int], tuple[tuple[int, ...], dict[str, Any]]]
    heard: _Heard


def check_plain(run: Run) -> None:
    """Check rounds in which nothing goes wrong."""
    _compare(run, lambda trained, measures: (trained, measures))


def check_resumption(run: Run, folder: Path) -> None:
    """Check that a run that is continued from its saved state ends like one that was not stopped.

    Parameters
    ----------
    run
        The adapter, which saves its state in ``setting.state_dir``.
    folder
        An empty folder.
    """
    whole = run(_watched(_honest).setting)
    run(replace(_watched(_honest).setting, num_rounds=1, state_dir=folder))
    watched = _watched(_honest)
    continued = run(replace(watched.setting, state_dir=folder))
    rounds = sorted({number for number, _ in watched.sent})
    if rounds != list(range(1, NUM_ROUNDS)):
        raise ConformanceError(f"after round 1 was saved, rounds {rounds} were run, counted from 0")
    _same_weights("the final weights of a continued run", continued, whole)


def _refusing(spoil: Callable[[dict[str, Any], dict[str, Any]], None]) -> Callable[[Run], None]:
    """Return the check that an update which is spoilt in this way is refused, and all others are merged."""

    def spoilt(trained: dict[str, Any], measures: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        spoil(trained, measures)
        return trained, measures

    return lambda run: _compare(run, spoilt, Outcome.REJECTED)


def _raising(error: Exception, outcome: Outcome) -> Callable[[Run], None]:
    """Return the check that an error of a client's training function ends its round with this outcome."""

    def failing(trained: dict[str, Any], measures: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        raise error

    return lambda run: _compare(run, failing, outcome)


def _own(trained: dict[str, Any]) -> str:
    return next(name for name in trained if name.startswith("experts."))


def _another_expert(trained: dict[str, Any], measures: dict[str, Any]) -> None:
    absent = next(j for j in range(NUM_EXPERTS) if f"experts.{j}.weight" not in trained)
    trained[f"experts.{absent}.weight"] = trained[_own(trained)]


CHECKS: Mapping[str, Callable[[Run], None]] = {
    "nothing goes wrong": check_plain,
    "training fails": _raising(RuntimeError("the disk is full"), Outcome.DROPPED),
    "memory is too small": _raising(MemoryError("no room"), Outcome.OUT_OF_MEMORY),
    "a tensor is missing": _refusing(lambda trained, _: trained.pop("head")),
    "an expert that was not assigned": _refusing(_another_expert),
    "a value is NaN": _refusing(lambda trained, _: trained.update({_own(trained): trained[_own(trained)] * np.nan})),
    "another shape": _refusing(lambda trained, _: trained.update(head=trained["head"][:1])),
    "another type": _refusing(lambda trained, _: trained.update(head=trained["head"].astype(np.float32))),
    "too many examples": _refusing(lambda _, measures: measures.update(num_examples=MOST_EXAMPLES + 1)),
    "usage that is no share": _refusing(lambda _, measures: measures.update(usage=measures["usage"] * 1e9)),
}
"""Every check by name: a function of an adapter, which raises ConformanceError if it does not conform."""


def _compare(run: Run, change: Callable[..., Any], outcome: Outcome = Outcome.COMPLETED) -> None:
    """Run a setting in which one client's answer is changed, and compare it with fedtrain's own rounds."""

    def train(given: Weights, experts: Sequence[int], task: Any) -> tuple[dict[str, Any], Measures]:
        trained, measures = _honest(given, experts, task)
        return change(trained, measures) if (task.client, task.round) == (FAULTY, FAULTY) else (trained, measures)

    ours, theirs = _watched(train), _watched(train)
    final, reached = _reference(ours.setting), run(theirs.setting)
    for key, (experts, weights) in sorted(ours.sent.items()):
        where = f"client {key[1]} in round {key[0]}, counted from 0,"
        if key not in theirs.sent:
            raise ConformanceError(f"{where} was not asked; it has experts {experts}")
        held, sent = theirs.sent[key]
        if held != experts:
            raise ConformanceError(f"{where} was told experts {held}; they are {experts}")
        _same_weights(f"what {where} was sent", sent, weights)
    if extra := sorted(theirs.sent.keys() - ours.sent.keys()):
        raise ConformanceError(f"client {extra[0][1]} was asked in round {extra[0][0]}, counted from 0; it has no part")
    for number, (expected, heard) in enumerate(itertools.zip_longest(ours.heard.rounds, theirs.heard.rounds)):
        if expected != heard:
            raise ConformanceError(f"in round {number}, counted from 0, the aligner was told {heard}, not {expected}")
    assert ours.heard.rounds[FAULTY][FAULTY] is outcome  # the kit's own rounds do what the check is about
    _same_weights("the final weights", reached, final)


def _watched(train: Train) -> _Watched:
    """Return the setting of all checks, with this training function."""
    sent: dict[tuple[int, int], tuple[tuple[int, ...], dict[str, Any]]] = {}
    heard = _Heard()

    def watched(given: Weights, experts: Sequence[int], task: Any) -> tuple[dict[str, Any], Measures]:
        copies = {name: np.array(value) for name, value in given.items()}
        sent[task.round, task.client] = tuple(int(j) for j in experts), copies
        return train(copies, experts, task)

    rng = np.random.default_rng(7)
    weights: dict[str, Any] = {f"experts.{j}.weight": rng.normal(size=(3, 2)) for j in range(NUM_EXPERTS)}
    weights = {name: value.astype(np.float32) for name, value in weights.items()}
    weights |= {"router.weight": rng.normal(size=(NUM_EXPERTS, 3)).astype(np.float32), "head": np.ones(3)}
    capacity = CapacityProfiler(client_capacity=[1, 2, 1, 2, 1])
    return _Watched(Setting(Aligner(fitness=heard, capacity=capacity), weights, watched), sent, heard)


def _honest(given: Weights, experts: Sequence[int], task: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train: every client adds a number of its own to all values, and measures what depends on the round."""
    step = (task.client + 1) / 8 + task.round / 64
    trained = {name: (np.asarray(value) + step).astype(np.asarray(value).dtype) for name, value in given.items()}
    usage = np.linspace(1.0, 2.0, len(experts))
    losses = np.array([((j + 1) * (task.client + 2) * (task.round + 3)) % 7 / 7.0 for j in experts])
    measures = {"num_examples": 10 * (task.client + 1), "usage": usage / usage.sum(), "loss": losses}
    return trained, {**measures, "accuracy": np.full(len(experts), 0.5), "seconds": 1.0}


def _reference(setting: Setting) -> Weights:
    """Run a setting in fedtrain's own rounds."""
    layout = detect(setting.weights)
    server = Server(setting.aligner, layout)
    known = setting.aligner.init(setting.num_clients, layout.num_experts, seed=setting.seed)
    state = ServerState(0, dict(setting.weights), known)
    for number in range(setting.num_rounds):
        pending = server.begin(state, np.arange(setting.num_clients))
        answers = {
            client: [_answer(setting.train, server.part(pending, client), experts, _Task(client, number))]
            for client, experts in pending.assigned.items()
        }
        state = server.finish(pending, answers, dict.fromkeys(answers, setting.max_examples)).state
    return state.tensors


def _answer(train: Train, part: Weights, experts: Sequence[int], task: _Task) -> Answer:
    try:
        sent = train_and_measure(lambda: train(part, experts, task), experts)
    except RuntimeError as error:
        return Answer(fault=str(error), outcome=Outcome.DROPPED)
    if "outcome" in sent.said:
        return read_failure(sent.said)
    return read_answer(task.client, sent.weights, sent.said, 0)


def _same_weights(what: str, reached: Weights, expected: Weights) -> None:
    """Check that weights are equal, bit for bit."""
    if reached.keys() != expected.keys():
        raise ConformanceError(f"{what} are {sorted(reached)}, not {sorted(expected)}")
    for name, value in expected.items():
        one, other = np.asarray(reached[name]), np.asarray(value)
        if (one.dtype, one.shape) != (other.dtype, other.shape):
            raise ConformanceError(f"{what}: {name} is {one.dtype} {one.shape}, not {other.dtype} {other.shape}")
        if one.tobytes() != other.tobytes():
            raise ConformanceError(f"{what}: {name} differs by up to {np.abs(one - other).max():.3g}")
