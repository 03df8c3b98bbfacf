"""The package as users install it: from its wheel, without extras, on every Python that is on this machine.

``tests/installed/smoke.py`` runs in these environments and imports nothing of the checkout. To compile takes minutes on
each Python. So commands run compiled on the newest Python, and all else as plain Python. What compiles all solvers is a
step of docs/releasing.md.
"""

import csv
import json
import shutil
import tomllib

import pytest

from tests.installed.environments import (
    NOWHERE,
    ROOT,
    SMOKE,
    Environment,
    build,
    pythons,
    tracked,
    without_rights,
    write_protect,
)
from tests.test_guides import FENCE, FILE, GUIDES, MARK, code_of

PLAIN = {"NUMBA_DISABLE_JIT": "1"}
PYTHONS = pythons()
NEWEST = list(PYTHONS)[-1]
KEPT_RUN = ROOT / "tests" / "fedtrain" / "results" / "kept_run" / "finished"
TRAIN = "error: {} needs torch, sklearn, safetensors, matplotlib, PIL, tomli_w, which the extra [train] brings: "
COMMANDS = {
    "alignsolve": {
        "example": [([], 0, "client,expert,fitness"), (["--folder", "."], 0, "now: alignsolve solve pairs.csv")],
        "solve": [
            (["pairs.csv", "--clients", "clients.csv", "--experts", "experts.csv"], 0, "phone-01"),
            (["possible.npz", "-o", "found.json"], 0, "OPTIMAL"),
            (["impossible.json"], 20, "infeasible"),
            (["absent.npz"], 2, "absent.npz"),
        ],
        "verify": [(["possible.npz", "found.json"], 0, "everything holds")],
        "diagnose": [(["possible.npz"], 0, "at capacity"), (["impossible.json"], 20, "lower the demand of expert")],
        "convert": [(["pairs.csv", "pairs.npz"], 0, "24 clients x 6 experts")],
        "bench": [(["possible.npz", "--solver", "price", "--repeats", "1"], 0, "OPTIMAL")],
        "placement": [
            (["loads.csv", "--gpus", "2", "--slots", "2"], 0, "largest over mean"),
            (["absent.csv", "--gpus", "2", "--slots", "2"], 2, "absent.csv"),
        ],
        "solvers": [([], 0, "lagrangian")],
    },
    "fedtrain": {
        "init": [(["mine.toml"], 0, "fedtrain run mine.toml"), (["run/config.toml"], 2, "pass --overwrite")],
        "config": [(["--help-keys"], 0, "epochs  (passes; default 3)"), ([], 2, "fedtrain config needs tomli_w")],
        "run": [([], 2, TRAIN.format("fedtrain run"))],
        "compare": [(["plan.toml"], 2, TRAIN.format("fedtrain compare"))],
        "report": [(["run"], 0, "report.html"), (["absent"], 2, "is not a run's folder")],
    },
}
"""By program and command: arguments, exit code, and a part of what is printed."""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build(tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module", params=PYTHONS)
def bare(request, built, tmp_path_factory):
    """An environment that has only the wheel and what it needs."""
    return installed(request.param, built, tmp_path_factory)


def installed(version, built, tmp_path_factory):
    environment = Environment(tmp_path_factory.mktemp("installed") / version, PYTHONS[version])
    environment.install(str(built.wheel))
    return environment


@pytest.mark.slow
def test_the_source_distribution_has_all_that_its_tests_need(built):
    hidden = {name for name in tracked() if name.startswith(".") and not name.startswith((".ci/", ".github/"))}
    assert set(tracked()) - hidden - built.files() == set()


@pytest.mark.slow
def test_nothing_that_an_extra_brings_is_there(bare):
    packages = {entry["name"].lower() for entry in json.loads(bare.pip("list", "--format", "json"))}
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert {"alignsolve", "scipy"} <= packages
    assert not packages & {"torch", "scikit-learn", "matplotlib", "transformers", "flwr", "nvflare", "pytest"}
    assert not packages & {"narwhals", "polars", "pyarrow"}  # pandas comes with OR-Tools
    assert set(extras) >= {"train", "hf", "flower", "nvflare"}


@pytest.mark.slow
def test_every_solver_answers_and_is_right(bare):
    bare.run(str(SMOKE), "solvers", **PLAIN)


@pytest.mark.slow
def test_every_command_answers_in_words_and_codes(bare, tmp_path):
    bare.run(str(SMOKE), "files", str(tmp_path))
    settings = {} if bare.folder.name == NEWEST else PLAIN
    shutil.copytree(KEPT_RUN, tmp_path / "run")
    known = json.loads(bare.run(str(SMOKE), "commands"))
    assert {program: sorted(table) for program, table in COMMANDS.items()} == known
    for program, table in COMMANDS.items():
        for command, calls in table.items():
            for arguments, code, told in calls:
                done = bare.ask(program, command, *arguments, cwd=tmp_path, **settings)
                shown = f"{program} {command} {arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
                assert done.returncode == code, shown
                assert told in done.stdout + done.stderr, shown
                assert "Traceback" not in done.stderr, shown
                assert code != 2 or len(done.stderr.splitlines()) == 1, shown
    report = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "<style>" in report  # it is made from files that are no Python
    assert "<script" in report


@pytest.mark.slow
def test_two_commands_lead_from_the_wheel_to_a_named_answer(bare, tmp_path):
    settings = {} if bare.folder.name == NEWEST else PLAIN
    made = bare.ask("alignsolve", "example", **settings)
    (tmp_path / "pairs.csv").write_text(made.stdout, encoding="utf-8")
    done = bare.ask("alignsolve", "solve", "pairs.csv", "-o", "alignment.csv", cwd=tmp_path, **settings)
    assert (made.returncode, done.returncode, done.stderr) == (0, 0, "")
    with (tmp_path / "alignment.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert (len(rows), rows[0]["client"], rows[0]["expert"]) == (24, "phone-01", "travel")


@pytest.mark.slow
def test_the_code_of_every_page_that_needs_no_extra_runs(bare, tmp_path):
    pages = pages_without_extra()
    assert {"call-a-solver", "loop", "own-loop", "benchmark-a-solver", "README"} <= set(pages)
    run_pages(bare, pages, tmp_path)


def pages_without_extra():
    """Return the texts of the README and of the pages whose marker names no package."""
    texts = {name: path.read_text(encoding="utf-8") for name, path in GUIDES.items()}
    pages = {name: text for name, text in texts.items() if not MARK.search(text)["packages"]}
    return pages | {"README": (ROOT / "README.md").read_text(encoding="utf-8")}


def run_pages(environment, pages, folder):
    """Run the code of pages, which say that ``problems`` and ``benchmarks`` are used from a checkout."""
    for house in ("problems", "benchmarks"):
        shutil.copytree(ROOT / house, folder / "checkout" / house)
    for name, text in pages.items():
        place = folder / "pages" / name
        place.mkdir(parents=True)
        (place / "page.py").write_text(code_of(text), encoding="utf-8")
        for block in FENCE.finditer(text):
            if file := FILE.match(block[1]):
                (place / file[1]).write_text(block[1], encoding="utf-8")
    checkout = {"PYTHONPATH": str(folder / "checkout")}
    ran = environment.run(str(SMOKE), "pages", str(folder / "pages"), **checkout, **PLAIN)
    assert set(pages) <= set(ran.splitlines())


@pytest.mark.slow
def test_nothing_is_written_where_nothing_can_be(built, tmp_path_factory):
    """Neither home nor the installation can be written: code is compiled without a cache, and one line says so."""
    prefix = without_rights()
    if prefix is None:
        pytest.skip("file permissions do not hold for this user")
    environment = installed(NEWEST, built, tmp_path_factory)
    write_protect(environment.folder)
    nowhere = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"), NOWHERE)
    done = environment.ask("python", str(SMOKE), "solvers", "augment", prefix=prefix, **nowhere)
    assert (done.returncode, done.stderr.count("compiled code cannot be kept on disk")) == (0, 1), done.stderr
    assert "set NUMBA_CACHE_DIR to a folder that can be written" in done.stderr
    kept = tmp_path_factory.mktemp("cache")
    settings = nowhere | {"NUMBA_CACHE_DIR": str(kept)}
    done = environment.ask("python", str(SMOKE), "solvers", "augment", prefix=prefix, **settings)
    assert (done.returncode, done.stderr.count("compiled code")) == (0, 0), done.stderr
    assert list(kept.rglob("*.nbi"))
