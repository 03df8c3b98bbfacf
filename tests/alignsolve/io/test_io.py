"""Files keep every bit and store broadcast values once; every bad file is refused with its reason."""

import json
import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from alignsolve import Alignment, AlignmentProblem, Answer, RowBlocks
from alignsolve.certificate.judge import judge
from alignsolve.certificate.verify import Claim, verify
from alignsolve.certificate.witness import Witness
from alignsolve.io import load_problem, load_solution, save_problem, save_solution
from alignsolve.io.record_file import FileError
from alignsolve.numerics import MAX_FLOAT
from alignsolve.problem import FIELDS
from problems import FAMILIES
from tests.problem_fields import arrays as arrays_of

SUFFIXES = [".npz", ".json"]


def assert_same_problem(a: AlignmentProblem, b: AlignmentProblem) -> None:
    for name in FIELDS:
        one, other = getattr(a, name), getattr(b, name)
        if one is None or other is None:
            assert one is other, name
            continue
        for part, again in zip(arrays_of(one), arrays_of(other), strict=True):
            assert part.dtype == again.dtype, name
            assert part.shape == again.shape, name
            assert part.tobytes() == again.tobytes(), name
            axes = [axis for axis, size in enumerate(part.shape) if size > 1]
            assert [part.strides[axis] == 0 for axis in axes] == [again.strides[axis] == 0 for axis in axes], name


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_round_trips_bit_for_bit(name, suffix, tmp_path):
    for num_clients, num_experts in ((1, 1), (1, 5), (12, 4)):
        problem = FAMILIES[name](np.random.default_rng(3), num_clients=num_clients, num_experts=num_experts)
        save_problem(problem, tmp_path / f"p{num_clients}x{num_experts}{suffix}")
        loaded = load_problem(tmp_path / f"p{num_clients}x{num_experts}{suffix}")
        assert_same_problem(problem, loaded)
        assert repr(loaded) == repr(problem)


@st.composite
def extreme_problems(draw) -> AlignmentProblem:
    n, e = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    dtype = draw(st.sampled_from(["float64", "float32", "float16", "int8", "int64", "uint16"]))
    kind = {"f": {"allow_nan": False, "allow_infinity": False}}.get(np.dtype(dtype).kind, {})
    limits = {"min_value": -(2**53), "max_value": 2**53} if dtype == "int64" else {}
    limits = {"min_value": -MAX_FLOAT, "max_value": MAX_FLOAT} if dtype == "float64" else limits
    fitness = draw(arrays.arrays(dtype, (n, e), elements=arrays.from_dtype(np.dtype(dtype), **kind, **limits)))
    amount = st.floats(0, MAX_FLOAT, allow_subnormal=True)
    resources = draw(st.integers(1, 2))
    return AlignmentProblem(
        fitness,
        client_capacity=draw(st.integers(0, 2**53)),
        expert_capacity=draw(arrays.arrays(np.float64, e, elements=amount | st.just(np.inf))),
        expert_demand=draw(amount),
        eligible=draw(st.none() | arrays.arrays(np.bool_, (n, e))),
        client_load=draw(st.none() | arrays.arrays(np.float64, st.sampled_from([(n,), (n, e)]), elements=amount)),
        client_budget=draw(arrays.arrays(np.float64, (n, resources), elements=amount)),
        expert_cost=draw(
            arrays.arrays(np.float64, st.sampled_from([(e, resources), (n, e, resources)]), elements=amount)
        ),
        overload_penalty=draw(amount | st.none()),
        switching_cost=draw(st.floats(-MAX_FLOAT, MAX_FLOAT) | arrays.arrays(np.float64, e, elements=amount)),
        previous=draw(st.none() | arrays.arrays(np.bool_, (n, e))),
    )


@settings(deadline=None)
@given(problem=extreme_problems())
def test_extreme_numbers_round_trip_bit_for_bit(problem, tmp_path_factory):
    for suffix in SUFFIXES:
        path = tmp_path_factory.mktemp("extreme") / f"p{suffix}"
        save_problem(problem, path)
        assert_same_problem(problem, load_problem(path))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_broadcast_values_are_stored_once(suffix, tmp_path):
    fitness = np.broadcast_to(np.arange(50.0), (10_000, 50))
    problem = AlignmentProblem(fitness, client_capacity=2, switching_cost=0.25, client_load=np.full(10_000, 2.0),
                               eligible=np.broadcast_to(np.arange(50) > 3, (10_000, 50)))  # fmt: skip
    save_problem(problem, tmp_path / f"p{suffix}")
    assert (tmp_path / f"p{suffix}").stat().st_size < 100_000
    assert_same_problem(problem, load_problem(tmp_path / f"p{suffix}"))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_fitness_read_in_blocks_is_written_whole(suffix, tmp_path):
    matrix = np.random.default_rng(0).random((30, 4))
    save_problem(AlignmentProblem(RowBlocks((30, 4), float, lambda a, b: matrix[a:b])), tmp_path / f"p{suffix}")
    assert load_problem(tmp_path / f"p{suffix}").fitness.tobytes() == matrix.tobytes()


def test_byte_order_does_not_matter(tmp_path):
    matrix = np.arange(6.0).reshape(2, 3)
    save_problem(AlignmentProblem(matrix.astype(">f8")), tmp_path / "p.npz")
    loaded = load_problem(tmp_path / "p.npz")
    assert loaded.fitness.dtype == np.float64
    assert np.array_equal(loaded.fitness, matrix)


def test_a_problem_can_be_written_by_hand(tmp_path):
    path = tmp_path / "hand.json"
    path.write_text(
        '{"format": "alignsolve problem", "version": 1, "fitness": [[3, 1], [2.5, "nan"]], "client_capacity": [1, 2],'
        ' "expert_capacity": ["inf", 1], "eligible": [[true, true], [true, false]], "client_load": null}'
    )
    problem = load_problem(path)
    assert problem.client_capacity.tolist() == [1, 2]
    assert problem.expert_capacity.tolist() == [np.inf, 1.0]
    assert np.isnan(problem.fitness[1, 1])
    assert problem.objective([[True, True], [True, False]]) == 6.5


def test_json_holds_no_tokens_that_json_does_not_have(tmp_path):
    problem = FAMILIES["sparse"](np.random.default_rng(0), num_clients=5, num_experts=3)
    save_problem(problem, tmp_path / "p.json")
    json.loads((tmp_path / "p.json").read_text(), parse_constant=pytest.fail)


HEAD = {"format": "alignsolve problem", "version": 1}
GOOD = {**HEAD, "fitness": [[3.0, 1.0]]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not valid JSON, or truncated"),
        ('{"format": "alignsolve problem", "version": 1, "fitness": [[3.0, 1', "not valid JSON, or truncated"),
        ("[1, 2]", "its JSON is a list, not an object"),
        ("[" * 100_000, "nested too deeply"),
        ("{}", "is not an alignsolve problem"),
        ({"fitness": [[1.0]]}, "is not an alignsolve problem"),
        ({**GOOD, "format": 7}, "is not an alignsolve problem"),
        ({**GOOD, "format": "alignsolve solution"}, "is an alignsolve solution, not an alignsolve problem"),
        ({**GOOD, "version": 2}, "version 2; this alignsolve reads version 1"),
        ({**GOOD, "version": True}, "version True; this alignsolve reads version 1"),
        ({"format": "alignsolve problem", "fitness": [[1.0]]}, "version None"),
        ({**GOOD, "fitnes": [[1.0]]}, "unknown field, 'fitnes'; did you mean 'fitness'"),
        ({**GOOD, "zzz": 1}, "unknown field, 'zzz'; there are: fitness, client_capacity"),
        (HEAD, "the field 'fitness' is missing"),
        ({**HEAD, "fitness": None}, "the field 'fitness' is missing"),
        ({**HEAD, "fitness": "big"}, "big/manifest.json: cannot be read: No such file"),
        ({**HEAD, "fitness": "../big"}, "fitness is '../big'; it must be numbers, or the path of a folder"),
        ({**HEAD, "fitness": "/big"}, "fitness is '/big'; it must be numbers, or the path of a folder"),
        ({**HEAD, "fitness": ""}, "fitness is ''; it must be numbers, or the path of a folder"),
        ({**HEAD, "fitness": [[1.0], [1.0, 2.0]]}, "fitness is not an array of numbers"),
        ({**HEAD, "fitness": [[1.0, {"a": 1}]]}, "fitness is not an array of numbers"),
        ({**HEAD, "fitness": [[10**30]]}, "fitness must hold numbers or bools of at most 64 bits"),
        ({**HEAD, "fitness": {"shape": [2, 3]}}, "only empty arrays are given by their shape"),
        ({**HEAD, "fitness": {"shape": [0, "x"]}}, "only empty arrays are given by their shape"),
        ({**HEAD, "fitness": [1.0, 2.0]}, "fitness must have shape"),
        ({**HEAD, "fitness": [[1.0, "nan"]]}, "fitness of client 0, expert 1 is nan"),
        ({**GOOD, "fitness_dtype": "float99"}, "fitness_dtype is 'float99'; it must be one of float64"),
        ({**HEAD, "fitness": [[0.1]], "fitness_dtype": "int8"}, "values that are not int8"),
        ({**HEAD, "fitness": [[1e300]], "fitness_dtype": "float32"}, "values that are not float32"),
        ({**GOOD, "shape": [1]}, "the shape is [1]; it must be [num_clients, num_experts]"),
        ({**GOOD, "shape": [1, 7]}, "fitness has shape (1, 2), which does not fit the shape (1, 7)"),
        ({**GOOD, "client_capacity": 1.5}, "client_capacity is 1.5; it must be a whole number"),
        ({**GOOD, "overload_penalty": -1}, "overload_penalty is -1.0"),
        ({**GOOD, "client_budget": [1.0]}, "client_budget is given without expert_cost"),
        ('{"format": "alignsolve problem", "version": 1, "fitness": [[NaN]]}', 'NaN is not JSON; write "inf"'),
        ('{"format": "alignsolve problem", "version": 1, "fitness": 1, "fitness": 2}', "'fitness' is given twice"),
    ],
)
def test_bad_json_is_told_with_the_files_name(content, message, tmp_path):
    path = tmp_path / "bad.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    assert_refused(path, message)


def assert_refused(path, message, load=load_problem):
    with pytest.raises(FileError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


def test_text_in_another_encoding_is_refused(tmp_path):
    (tmp_path / "bad.json").write_bytes('{"format": "größe"}'.encode("latin-1"))
    assert_refused(tmp_path / "bad.json", "is not UTF-8 text")


def npz(path, header=None, **members):
    header = {**HEAD} if header is None else header
    if not isinstance(header, np.ndarray):
        header = np.array(header if isinstance(header, str) else json.dumps(header))
    np.savez(path, header=header, **members)
    return path


def test_a_truncated_npz_is_refused_wherever_it_is_cut(tmp_path):
    path = tmp_path / "p.npz"
    save_problem(FAMILIES["uniform"](np.random.default_rng(0), num_clients=40, num_experts=5), path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 37):
        path.write_bytes(whole[:length])
        assert_refused(path, "is truncated")


def test_flipped_bytes_never_pass_silently(tmp_path):
    path = tmp_path / "p.npz"
    problem = FAMILIES["uniform"](np.random.default_rng(0), num_clients=4, num_experts=3)
    save_problem(problem, path)
    whole = path.read_bytes()
    for place in range(0, len(whole), 5):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            loaded = load_problem(path)
        except FileError:
            continue
        assert_same_problem(loaded, problem)  # the byte was one that no reader looks at


def test_pickled_objects_are_never_loaded(tmp_path):
    path = npz(tmp_path / "p.npz", fitness=np.array([[{"a": 1}]], dtype=object))
    assert_refused(path, "contains pickled objects")
    (tmp_path / "q.npz").write_bytes(pickle.dumps([[1.0]]))
    assert_refused(tmp_path / "q.npz", "is not an .npz file")


def test_bad_npz_members_are_told(tmp_path):
    path = tmp_path / "p.npz"
    np.savez(path, fitness=np.ones((2, 2)))
    assert_refused(path, "its member 'header' is missing")
    assert_refused(npz(path, header=np.array([1, 2])), "its member 'header' is missing or no text")
    assert_refused(npz(path, header="{"), "damaged header")
    assert_refused(npz(path, header="[1]"), "damaged header: it is not an object")
    assert_refused(npz(path, {**HEAD, "members": ["fitness"]}), "is damaged: it should hold ['fitness'], it holds []")
    assert_refused(npz(path), "the field 'fitness' is missing")
    assert_refused(npz(path, fitness=np.array([["1", "2"]])), "fitness must hold numbers")
    assert_refused(npz(path, fitness=np.ones((2, 2)), previos=np.ones(2)), "did you mean 'previous'")
    assert_refused(npz(path, {**HEAD, "version": 9}, fitness=np.ones((2, 2))), "version 9")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "a zip, but of something else")
    assert_refused(path, "its member 'header' is missing")


def test_a_member_that_claims_to_be_huge_is_refused(tmp_path):
    path = tmp_path / "p.npz"
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000, 100000000), }"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("fitness.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    assert_refused(path, "is damaged")


def test_unreadable_paths_and_wrong_suffixes_are_told(tmp_path):
    assert_refused(tmp_path / "absent.npz", "cannot be read: No such file")
    (tmp_path / "folder.json").mkdir()
    assert_refused(tmp_path / "folder.json", "cannot be read: it is not a file")
    assert_refused(tmp_path / "problem.csv", "has the suffix '.csv'; it must be .npz or .json")


SMALL = AlignmentProblem([[3.0, 1.0], [2.0, 1.5]], expert_capacity=1)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_existing_file_is_kept_unless_asked(suffix, tmp_path):
    path = tmp_path / f"p{suffix}"
    path.write_text("precious")
    with pytest.raises(FileError, match="exists already"):
        save_problem(SMALL, path)
    assert path.read_text() == "precious"
    save_problem(SMALL, path, overwrite=True)
    assert_same_problem(load_problem(path), SMALL)


def test_places_that_cannot_be_written_are_told(tmp_path):
    with pytest.raises(FileError, match="there is no folder"):
        save_problem(SMALL, tmp_path / "absent" / "p.npz")
    with pytest.raises(FileError, match="has the suffix ''"):
        save_problem(SMALL, tmp_path / "p")
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(FileError, match="is not a file"):
        save_problem(SMALL, tmp_path / "folder.npz", overwrite=True)
    with pytest.raises(FileError, match="cannot be written: File name too long"):
        save_problem(SMALL, tmp_path / f"{'p' * 300}.npz")


def test_a_write_protected_folder_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write anywhere
    with pytest.raises(FileError, match="is write-protected"):
        save_problem(SMALL, tmp_path / "p.npz")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_failed_write_leaves_the_old_file_and_nothing_else(suffix, tmp_path, monkeypatch):
    path = tmp_path / f"p{suffix}"
    save_problem(SMALL, path)
    before = path.read_bytes()
    monkeypatch.setattr("pathlib.Path.replace", full_disk)
    with pytest.raises(FileError, match="No space left"):
        save_problem(AlignmentProblem([[1.0]]), path, overwrite=True)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def full_disk(*_):
    raise OSError(28, "No space left on device")


def test_a_link_is_written_through(tmp_path):
    (tmp_path / "link.npz").symlink_to(tmp_path / "real.npz")
    save_problem(SMALL, tmp_path / "link.npz")
    assert (tmp_path / "link.npz").is_symlink()
    assert_same_problem(load_problem(tmp_path / "real.npz"), SMALL)


BEST = Alignment.from_dense([[True, False], [False, True]])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_solutions_round_trip_and_hold(suffix, tmp_path):
    solution = judge(SMALL, Answer(x=BEST, prices=np.array([1.0, 0.5])))
    save_solution(solution, tmp_path / f"s{suffix}")
    claim = load_solution(tmp_path / f"s{suffix}")
    assert claim.assigned is not None
    assert [part.tolist() for part in claim.assigned] == [part.tolist() for part in BEST]
    assert (claim.status, claim.proof, claim.objective, claim.bound) == ("OPTIMAL", "PRICES", 4.5, solution.bound)
    assert claim.prices.tobytes() == solution.prices.tobytes()
    checked = verify(SMALL, claim)
    assert checked.holds
    assert not checked.unconfirmed
    assert checked.solution.loads.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", [name for name, family in FAMILIES.items() if not family.feasible])
def test_infeasible_solutions_round_trip_and_hold(name, suffix, tmp_path):
    family = FAMILIES[name]
    problem = family(np.random.default_rng(0), num_clients=9, num_experts=4)
    reason, nobody = family.infeasible, np.zeros(9, dtype=bool)
    sets = None if reason.sets is None else reason.sets(problem)
    witness = Witness(reason.side, reason.experts(problem), nobody, 0.0, sets)
    solution = judge(problem, Answer(witness=witness))
    assert solution.status == "INFEASIBLE"
    save_solution(solution, tmp_path / f"s{suffix}")
    checked = verify(problem, load_solution(tmp_path / f"s{suffix}"))
    assert checked.holds
    assert checked.solution.status == "INFEASIBLE"
    assert checked.solution.witness.missing == solution.witness.missing


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_exact_integers_and_infinities_of_solutions_round_trip(suffix, tmp_path):
    claim = Claim((1, 1), "FEASIBLE", "NONE", objective=3**50, bound=np.inf)
    save_solution(claim, tmp_path / f"s{suffix}")
    loaded = load_solution(tmp_path / f"s{suffix}")
    assert (loaded.objective, loaded.bound) == (3**50, np.inf)
    assert isinstance(loaded.objective, int)
    assert loaded.assigned is None


CLAIM = {
    "format": "alignsolve solution", "version": 1, "shape": [2, 2], "status": "OPTIMAL", "proof": "PRICES",
    "objective": 4.5, "bound": 4.5, "indptr": [0, 1, 2], "experts": [0, 1], "prices": [1.0, 0.5],
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "alignsolve problem"}, "is an alignsolve problem, not an alignsolve solution"),
        ({"version": 3}, "version 3"),
        ({"objektive": 3}, "unknown field, 'objektive'; did you mean 'objective'"),
        ({"status": "FINE"}, "status is 'FINE'; it must be one of OPTIMAL, FEASIBLE"),
        ({"status": ["OPTIMAL"]}, "it must be one of OPTIMAL"),
        ({"proof": None}, "proof is None; it must be one of PRICES"),
        ({"objective": "much"}, "objective is 'much'; it must be a number"),
        ({"objective": True}, "objective is True; it must be a number"),
        ({"bound": "nan"}, "bound is 'nan'; it must be a number"),
        ({"bound": None}, "the field 'bound' is missing"),
        ({"shape": [2, -2]}, "the shape is [2, -2]"),
        ({"prices": [1.0]}, "prices have shape (1,), expected (2,)"),
        ({"experts": None}, "the field 'experts' is missing"),
        ({"indptr": [0, 1.5, 2]}, "indptr must be a list of whole numbers"),
        ({"experts": [[0, 1]]}, "experts must be a list of whole numbers"),
        ({"witness_side": "left"}, "witness_side is 'left'; it must be one of demand, capacity, row"),
        ({"witness_experts": [2]}, "witness_experts must be indices of experts, 0..1"),
        ({"witness_experts": [0.5]}, "witness_experts must be indices of experts, 0..1"),
    ],
)
def test_bad_solution_files_are_told(change, message, tmp_path):
    path = tmp_path / "s.json"
    path.write_text(json.dumps(CLAIM))
    assert load_solution(path).objective == 4.5
    path.write_text(json.dumps({**CLAIM, **change}))
    assert_refused(path, message, load_solution)
