"""The contract of all estimators: shapes, immutable values, states that can be stored."""

import numpy as np
import pytest

from alignsolve import (
    AffinityFitness,
    Aligner,
    BipartitionFitness,
    CapacityProfiler,
    ChangeTest,
    ClusterFitness,
    ConflictFitness,
    CoverageLoad,
    EmbeddingFitness,
    GatedFitness,
    ImportanceFitness,
    LabelAgreement,
    LoadMonitor,
    LossFitness,
    LowRankFitness,
    MemoryLearner,
    NeededFitness,
    OortFitness,
    OptimisticFitness,
    OracleFitness,
    Privacy,
    RevealedFitness,
    RouterFitness,
    SumFitness,
    SwitchingCost,
    TimeBudget,
    TypeFitness,
    UpdateFitness,
    estimate,
    load_state,
    save_state,
)
from alignsolve.estimate import WithDemand
from alignsolve.io.record_file import FileError
from tests.rounds import play, reports_of

PARTS = (ConflictFitness, estimate.FitnessEstimator, estimate.LayeredFitness, OracleFitness, SumFitness, TypeFitness)
"""What has a fitness and cannot be made without arguments."""
KINDS = [kind for name in estimate.__all__ if hasattr(kind := getattr(estimate, name), "fitness") and kind not in PARTS]
FITNESS = (
    *(kind() for kind in KINDS),
    EmbeddingFitness("loss", features=np.eye(14, 2), young=0),
    GatedFitness(strength=0.0, agreement=0.1),
    LossFitness(purpose="repair"),
    LowRankFitness(rank=1, purpose="repair"),
    NeededFitness(after=1, threshold=0.01),
    OortFitness(purpose="specialise", preferred_seconds=0.5),
    OptimisticFitness(method="thompson"),
    RouterFitness(scaling="none"),
    RouterFitness(purpose="repair"),
    SumFitness(((1.0, RouterFitness()), (0.5, LossFitness()))),
    BipartitionFitness(after=1, stalled=1.0),
    ConflictFitness(AffinityFitness()),
    ConflictFitness(RevealedFitness(), GatedFitness(), LabelAgreement(threshold=1.0, after=1, steady=0.0)),
    OracleFitness(np.eye(14, 3)),
    RevealedFitness(alone=0),
    UpdateFitness(num_clusters=3, young=1),
    TypeFitness(np.arange(14) % 3, OptimisticFitness()),
)
NAMES = [f"{k}-{type(fitness).__name__}" for k, fitness in enumerate(FITNESS)]


def aligner_of(fitness, **others) -> Aligner:
    return Aligner(fitness=fitness, capacity=CapacityProfiler(client_capacity=np.resize([1, 2, 1, 3], 14)), **others)


def played(aligner, *, rounds=4, seed=0):
    state = aligner.init(10, 4, seed=seed)
    return play(aligner, state, rounds=rounds, cohort_size=8, rng=np.random.default_rng(1), dropouts=0.2)


def same(left, right) -> bool:
    left, right = left.to_arrays(), right.to_arrays()
    return left.keys() == right.keys() and all(
        np.array_equal(left[name], right[name], equal_nan=True) and left[name].dtype == right[name].dtype
        for name in left
    )


EVERYTHING = Aligner(
    NeededFitness(after=1),
    capacity=MemoryLearner(CapacityProfiler(client_capacity=np.resize([1, 2, 1, 3], 14))),
    load=CoverageLoad(),
    switching=SwitchingCost(expert_bytes=1e6, price=1e-7, cache_size=2),
    budget=TimeBudget(deadline=10.0, expert_seconds=1.0),
    privacy=Privacy(epsilon=8.0, release=("router_mass", "pairs")),
)
LAYERED = aligner_of(ClusterFitness(), layers=(1, 3))
LAYERED_CONFLICT = aligner_of(ConflictFitness(RevealedFitness()), layers=(1, 3))


@pytest.mark.parametrize("fitness", FITNESS, ids=NAMES)
def test_fitness_is_finite_and_not_negative_before_and_after_rounds(fitness):
    aligner = aligner_of(fitness)
    _, _, state = played(aligner)
    for known in (fitness.init(10, 4), state.fitness):
        value = fitness.fitness(known, np.array([0, 3, 9]), rng=np.random.default_rng(0))
        assert value.shape == (3, 4)
        assert np.isfinite(value).all()
        assert (value >= 0).all()


@pytest.mark.parametrize("aligner", [*map(aligner_of, FITNESS), EVERYTHING, LAYERED, LAYERED_CONFLICT],
                         ids=[*NAMES, "all", "layers", "layers-conflict"])  # fmt: skip
def test_states_are_values_that_can_be_stored_grown_and_repeated(aligner, tmp_path):
    solutions, _, state = played(aligner)
    again, _, repeated = played(aligner)
    assert [solution.x.tolist() for solution in solutions] == [solution.x.tolist() for solution in again]
    assert same(state, repeated)

    kept = {name: array.copy() for name, array in state.to_arrays().items()}
    solution, aligned = aligner.align(state, np.arange(10))
    reports = reports_of(solution, range(10), 4, np.random.default_rng(2), dropouts=0.2)
    assert same(aligner.observe(aligned, reports), aligner.observe(aligned, reports[::-1]))
    assert all(np.array_equal(array, kept[name], equal_nan=True) for name, array in state.to_arrays().items())

    for suffix in ("npz", "json"):
        save_state(tmp_path / f"state.{suffix}", state, aligner)
        assert same(load_state(tmp_path / f"state.{suffix}", aligner), state)

    joined = state.grow(14)
    solution, joined = aligner.align(joined, [0, 10, 13])
    joined = aligner.observe(joined, reports_of(solution, [0, 10, 13], 4, np.random.default_rng(3)))
    assert joined.num_clients == 14


def test_files_of_other_estimators_are_refused(tmp_path):
    aligner = aligner_of(LossFitness())
    path = tmp_path / "state.npz"
    save_state(path, aligner.init(3, 2), aligner)
    with pytest.raises(FileError, match=r"state.npz: is the state of fitness=LossFitness.*fitness=SumFitness\(Rout"):
        load_state(path, aligner_of(SumFitness(((1.0, RouterFitness()),))))
    with pytest.raises(FileError, match="exists already"):
        save_state(path, aligner.init(3, 2), aligner, overwrite=False)


def test_a_state_that_was_tampered_with_is_refused(tmp_path):
    aligner = aligner_of(LossFitness())
    path = tmp_path / "state.json"
    save_state(path, aligner.init(3, 2), aligner)
    text = path.read_text()
    for find, put, told in (
        ('"prices": [0.0, 0.0]', '"prices": [0.0]', "prices is float64"),
        ('"prices": [0.0, 0.0]', '"prices": null', "prices is missing"),
        ('"seed": 0', '"sead": 0', "state lacks seed"),
    ):
        assert find in text
        path.write_text(text.replace(find, put))
        with pytest.raises(FileError, match=told):
            load_state(path, aligner)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: AffinityFitness(temperature=0), "temperature is 0"),
        (lambda: BipartitionFitness(stalled=2), "stalled is 2"),
        (lambda: BipartitionFitness(after=0), "after is 0"),
        (lambda: BipartitionFitness(fewest=1), "fewest is 1"),
        (lambda: ChangeTest(slack=-1), "slack is -1"),
        (lambda: ChangeTest(limit=0), "limit is 0"),
        (lambda: ChangeTest(rate=0), "rate is 0"),
        (lambda: ChangeTest(after=0), "after is 0"),
        (lambda: ClusterFitness(beta=0), "beta is 0"),
        (lambda: ClusterFitness(turns=0), "turns is 0"),
        (lambda: ConflictFitness(RouterFitness(), share=2), "share is 2"),
        (lambda: CoverageLoad(risk=0), "risk is 0"),
        (lambda: CoverageLoad(prior_rate=2), "prior_rate is 2"),
        (lambda: CoverageLoad(memory=0), "memory is 0"),
        (lambda: GatedFitness(agreement=0), "agreement is 0"),
        (lambda: GatedFitness(strength=2), "strength is 2"),
        (lambda: ImportanceFitness(mean_weight=2), "mean_weight is 2"),
        (lambda: ImportanceFitness(redundancy=-1), "redundancy is -1"),
        (lambda: LabelAgreement(threshold=2), "threshold is 2"),
        (lambda: LabelAgreement(after=0), "after is 0"),
        (lambda: LabelAgreement(memory=0), "memory is 0"),
        (lambda: LabelAgreement(steady=2), "steady is 2"),
        (lambda: LoadMonitor(measure="luck"), "measure is 'luck'"),
        (lambda: LossFitness(purpose="rest"), "purpose is 'rest'; it must be 'specialise' or 'repair'"),
        (lambda: LowRankFitness(rank=0), "rank is 0; it must be a whole number, 1 or more"),
        (lambda: LowRankFitness(rank=True), "rank is True"),
        (lambda: LowRankFitness(rank=3).init(5, 2), "rank is 3; there are only 2 experts"),
        (lambda: LowRankFitness(ridge=0), "ridge is 0"),
        (lambda: MemoryLearner(patience=0), "patience is 0"),
        (lambda: NeededFitness(measure="luck"), "measure is 'luck'"),
        (lambda: NeededFitness(threshold=0), "threshold is 0"),
        (lambda: NeededFitness(after=0), "after is 0"),
        (lambda: OortFitness(clip=0), "clip is 0"),
        (lambda: OortFitness(staleness=-1), "staleness is -1"),
        (lambda: OortFitness(exploration=2), "exploration is 2"),
        (lambda: OortFitness(preferred_seconds=0), "preferred_seconds is 0"),
        (lambda: OptimisticFitness(method="luck"), "method is 'luck'"),
        (lambda: OptimisticFitness(exploration=np.inf), "exploration is inf"),
        (lambda: OptimisticFitness(discount=0), "discount is 0"),
        (lambda: OracleFitness([0.5, 0.5]), r"mixture has shape \(2,\); it must be"),
        (lambda: OracleFitness([[-1.0]]), "mixture of client 0"),
        (lambda: OracleFitness([[1.0]]).init(2, 2), "the mixture has 1 clients, and none with index 1"),
        (lambda: Privacy(epsilon=0), "epsilon is 0"),
        (lambda: Privacy(epsilon=1, delta=1), "delta is 1"),
        (lambda: Privacy(epsilon=1, mechanism="luck"), "mechanism is 'luck'"),
        (lambda: Privacy(epsilon=1, release=()), "release is empty"),
        (lambda: Privacy(epsilon=1, release=("luck",)), "release is 'luck'"),
        (lambda: Privacy(epsilon=1, loss_clip=0), "loss_clip is 0"),
        (lambda: RevealedFitness(visible=0), "visible is 0"),
        (lambda: RevealedFitness(hidden=2), "hidden is 2; it must lie between 1 and 1.5"),
        (lambda: RevealedFitness(after=0), "after is 0"),
        (lambda: RevealedFitness(alone=-1), "alone is -1"),
        (lambda: RevealedFitness(fit=2), "fit is 2"),
        (lambda: RevealedFitness(beta=0), "beta is 0"),
        (lambda: RouterFitness(scaling="luck"), "scaling is 'luck'"),
        (lambda: SumFitness(()), "parts is empty"),
        (lambda: SumFitness(((0.0, RouterFitness()),)), "the weight of RouterFitness is 0.0"),
        (lambda: SwitchingCost(expert_bytes=-1, price=1), "expert_bytes is -1"),
        (lambda: SwitchingCost(expert_bytes=[[1]], price=1), "expert_bytes has shape"),
        (lambda: SwitchingCost(expert_bytes=1, price=-1), "price is -1"),
        (lambda: SwitchingCost(expert_bytes=1, price=1, cache_size=0), "cache_size is 0"),
        (lambda: SwitchingCost(expert_bytes=[1, 2], price=1).init(2, 3), "expert_bytes has 2 entries, there are 3"),
        (lambda: TimeBudget(deadline=0, expert_seconds=1), "deadline is 0"),
        (lambda: TimeBudget(deadline=1, expert_seconds=[1, -1]), "expert_seconds of client 1 is -1"),
        (lambda: TimeBudget(deadline=1, expert_seconds=[[1]]), "expert_seconds has shape"),
        (lambda: TimeBudget(deadline=1, expert_seconds=1, bytes_per_second=0), "bytes_per_second must be above 0"),
        (lambda: TimeBudget(deadline=1, expert_seconds=1, margin=0.5), "margin is 0.5"),
        (lambda: TimeBudget(deadline=1, expert_seconds=[1.0]).init(2, 3), "client 1 has no declared expert_seconds"),
        (lambda: TimeBudget(deadline=1, expert_seconds=1, expert_work=[1, 2]).init(2, 3), "expert_work has 2 entries"),
        (lambda: UpdateFitness(num_clusters=0), "num_clusters is 0"),
        (lambda: UpdateFitness(beta=0), "beta is 0"),
        (lambda: UpdateFitness(young=0), "young is 0"),
        (lambda: WithDemand(CapacityProfiler(client_capacity=2), demand=-1), "demand is -1"),
        (lambda: Aligner(fresh_masses=True), "LossFitness takes no fresh router masses"),
        (lambda: Aligner(layers=()), "layers is empty"),
        (lambda: Aligner(layers=(2, 0)), r"layers\[1\] is 0"),
        (lambda: Aligner(layers=(2, 2)).init(3, 5), "layers has 4 experts in all, there are 5"),
    ],
)
def test_parameters_are_checked(make, told):
    with pytest.raises(ValueError, match=told):
        make()
