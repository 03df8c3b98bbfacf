"""MoE-Align: its instances, its measured inputs and their stand-in, and folders that hold something else."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from alignsolve import AlignmentProblem, Feature, ProblemClass, solve
from alignsolve.io import FileError
from benchmarks.references import fingerprint
from problems.moe_models import MODELS
from problems.phones import GIGABYTES
from problems.real import Devices, real
from problems.real_inputs import COUNTS, DEVICES, LAYERS, LINKS, MEASURED, read_inputs, sources

SHARED = Path(__file__).parents[3] / "shared" / "data"
GENERAL = {
    "bytes": Feature.BUDGETS,
    "memory": Feature.BUDGETS,
    "seconds": Feature.BUDGETS,
    "work": Feature.WEIGHTED_LOADS,
}


def drawn(devices: Devices = "count", seed: int = 0, **more: object) -> AlignmentProblem:
    given = {"num_clients": 12, "num_experts": 24, **more}
    return real(np.random.default_rng(seed), inputs=read_inputs(None), devices=devices, **given)


@pytest.mark.parametrize("devices", get_args(Devices))
def test_instances_are_repeatable_and_of_their_class(devices: Devices) -> None:
    problem = drawn(devices)
    assert fingerprint(problem) == fingerprint(drawn(devices)) != fingerprint(drawn(devices, seed=1))
    assert (problem.class_ is ProblemClass.GENERAL) == (devices in GENERAL)
    assert GENERAL.get(devices, Feature.GROUPS) in problem.features
    assert (Feature.SOFT_BOUNDS in problem.features) == (devices == "cached")
    for values in (problem.fitness[:12], problem.expert_capacity):
        assert np.array_equal(values, np.round(values, 6))
    assert (problem.group_demand == 1).all()


def test_the_numbers_are_those_of_phones_and_models() -> None:
    problem = drawn("memory", num_clients=200, num_experts=None, cohort="single")
    weights = MODELS["olmoe-1b-7b"].expert_bytes
    assert problem.shape == (200, 3 * 64)
    assert (problem.expert_cost[..., 0] > weights).all()
    sizes = np.floor(np.unique(GIGABYTES) * 2**30 / 2 * 3 / 16)  # half the memory; 3 of 16 layers
    assert np.isin(problem.client_budget[:, 0], sizes).mean() > 0.9  # the others have what their planted experts take
    means = np.add.reduceat(problem.fitness[:200], np.arange(0, 192, 64), axis=1) / 64
    assert means.mean() == pytest.approx(1.0, abs=0.05)
    whole = drawn(num_experts=None, model="mixtral-8x7b", form="whole")
    assert whole.shape == (12, 256)
    assert whole.client_capacity.max() <= 256


def test_the_stand_in_has_the_statistics_that_it_is_drawn_with() -> None:
    inputs = read_inputs(None)
    assert inputs.source == "drawn"
    assert "stand-in" in sources(None)[0]
    for model, skew in MEASURED.items():
        logs = np.log(inputs.shares[model])
        assert logs.shape == (skew.num_domains, len(LAYERS), skew.num_experts)
        for layer in range(len(LAYERS)):
            expected = np.hypot(skew.own[layer], skew.shared[layer])
            assert logs[:, layer].std() == pytest.approx(expected, rel=0.4)
        assert inputs.shares[model].mean(axis=2) == pytest.approx(1.0)
    assert np.median(inputs.gigabytes) == 4.0
    assert np.median(inputs.slowness) == pytest.approx(1.0)


def test_measured_inputs_are_used_as_they_are() -> None:
    if not SHARED.is_dir():
        pytest.skip("the folder shared/data of measured inputs is not beside this checkout")
    inputs = read_inputs(SHARED)
    assert inputs.source == "real"
    assert str(SHARED) in sources(str(SHARED))[0]
    assert len(inputs.gigabytes) == 333
    assert len(inputs.links) == 19
    assert inputs.shares["olmoe-1b-7b"].shape == (6, 3, 64)
    most = {model: round(float(share.max()), 1) for model, share in inputs.shares.items()}
    assert most == {"olmoe-1b-7b": 7.8, "mixtral-8x7b": 1.3}  # 7.8 as the folder's own description says
    problem = real(np.random.default_rng(0), num_clients=12, inputs=inputs, devices="seconds")
    assert problem.shape == (12, 192)
    assert fingerprint(problem) != fingerprint(drawn("seconds", num_experts=None))


def test_unknown_names_are_told() -> None:
    for name, value in (("model", "gpt"), ("form", "half"), ("cohort", "pair"), ("devices", "cars")):
        with pytest.raises(ValueError, match=f"there is no {name} '{value}'; there are: "):
            drawn(**{name: value})
    with pytest.raises(ValueError, match="there is no model 'qwen3-30b-a3b'"):
        drawn(model="qwen3-30b-a3b")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of the right form, with the numbers of the stand-in."""
    inputs, lines = read_inputs(None), ["model,domain,layer,expert,tokens,further"]
    for model, shares in inputs.shares.items():
        for (domain, layer, expert), share in np.ndenumerate(shares):
            lines.append(f"{model.upper()},d{domain},{layer},{expert},{share * 1e6:.0f},x")
    for path in (COUNTS, DEVICES, LINKS):
        (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / COUNTS).write_text("\n".join(lines))
    phones = [f"{size},{1000 / slow}" for size, slow in zip(inputs.gigabytes, inputs.slowness, strict=True)]
    (tmp_path / DEVICES).write_text("\n".join(["ram_gb,cpu_float_score", *phones]))
    links = [",".join(map(str, row / 1e3)) for row in inputs.links]
    (tmp_path / LINKS).write_text("\n".join(["down_mean_kbytes_per_s,down_sd,up_mean_kbytes_per_s,up_sd", *links]))
    return tmp_path


def test_a_folder_is_read(folder: Path) -> None:
    inputs, same = read_inputs(folder), read_inputs(None)
    assert inputs.source == "real"
    for model, shares in same.shares.items():
        assert inputs.shares[model] == pytest.approx(shares, rel=1e-3, abs=1e-6)
    assert inputs.slowness == pytest.approx(same.slowness)
    assert inputs.links == pytest.approx(same.links)


Edit = Callable[[str], str]
FAULTS: dict[str, tuple[Path, Edit, str]] = {
    "no column": (COUNTS, lambda text: text.replace("tokens", "count"), "lacks the column 'tokens' .*rename or add"),
    "no number": (DEVICES, lambda text: text.replace("\n4.0,", "\nfour,", 1), "column 'ram_gb' is 'four'; it must be"),
    "zero": (LINKS, lambda text: text + "\n0,1,1,1", "line 192, column 'down_mean_kbytes_per_s' is '0'; it must be"),
    "no rows": (LINKS, lambda text: text.splitlines()[0], "has no rows; the folder must hold"),
    "a model less": (COUNTS, lambda text: text.replace("MIXTRAL", "OTHER"), "lacks rows of mixtral-8x7b"),
    "an expert more": (COUNTS, lambda text: text + "\nMixtral-8x7B,d0,0,8,5,x", "column 'expert' is 8; of mixtral"),
    "half a layer": (COUNTS, lambda text: text + "\nMixtral-8x7B,d0,0.5,1,5,x", "column 'layer' is 0.5; of mixtral"),
    "negative": (COUNTS, lambda text: text + "\nMixtral-8x7B,d0,0,1,-5,x", "column 'tokens' is -5; it must be 0"),
    "no text": (DEVICES, lambda text: "ram_gb,cpu_float_score\n\0", "ram_gb|CSV"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_files_with_something_else_are_told(fault: str, folder: Path) -> None:
    path, edit, told = FAULTS[fault]
    (folder / path).write_text(edit((folder / path).read_text()))
    with pytest.raises(FileError, match=told) as error:
        read_inputs(folder)
    assert str(folder / path) in str(error.value)


def test_a_folder_without_the_files_is_told(folder: Path) -> None:
    shutil.rmtree(folder / "devices")
    for missing in (folder, folder / "nowhere"):
        with pytest.raises(FileError, match=r"cannot be read: .*the folder must hold .*the drawn stand-in is used"):
            read_inputs(missing)


def test_no_phone_has_the_memory_of_a_large_model() -> None:
    with pytest.raises(ValueError, match="no phone has 40 GB"):
        read_inputs(None).draw_phones(np.random.default_rng(0), 3, 40.0)


@pytest.mark.parametrize("devices", get_args(Devices))
def test_an_alignment_keeps_every_bound(devices: Devices) -> None:
    assert solve(drawn(devices), "ilp", gap=0.5).objective > 0.0
