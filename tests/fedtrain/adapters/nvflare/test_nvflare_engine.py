"""The example in NVFlare's simulator: a server and a process per client; a killed job, and a killed site."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("nvflare", reason="NVFlare is not installed: pip install 'alignsolve[nvflare]'")

from tests.own_loop import assert_same_model, history, own_loop

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parents[4]
PATIENCE = 300.0
FASTER = ("training.epochs=1", "training.batch_size=64")


@pytest.fixture
def simulator(tmp_path):
    """Start the documented command; processes that it leaves behind are killed and count as an error."""
    env = os.environ | {"PYTHONPATH": str(ROOT)}

    def start(*arguments):
        folders = ["--state-dir", str(tmp_path / "state"), "--workspace", str(tmp_path / "workspace")]
        command = [sys.executable, str(ROOT / "examples" / "nvflare" / "simulate.py"), *folders, *arguments]
        log = (tmp_path / "log").open("ab")
        return subprocess.Popen(command, env=env, cwd=tmp_path, stdout=log, stderr=log)

    yield start
    left = kill_all(tmp_path)
    assert not left  # and with them their ports are closed


def processes(folder):
    """Return the processes whose command names the folder."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended
        if str(folder) in command:
            found[int(path.parent.name)] = command
    return found


def kill_all(folder):
    killed = processes(folder)
    for pid in killed:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return killed


def downloads(workspace):
    """Return the number of weight messages of the server, and their bytes, as counted by NVFlare."""
    (counted,) = (workspace / "server").rglob("simulator_cell_stats.json")
    kinds = json.loads(counted.read_text(encoding="utf-8"))["sent_stream_sizes"]["pool"]["cat_data"]
    (sizes,) = (sizes for kind, sizes in kinds.items() if "blob:return_only:download_service" in kind)
    large = [found for found in sizes if found and found["min"] > 0.01]  # in MiB; the others end a download
    return sum(found["count"] for found in large), sum(found["total"] for found in large) * 2**20


def test_the_simulated_job_is_fedtrains_own_loop(simulator, tmp_path):
    assert simulator("--rounds", "2").wait(PATIENCE) == 0
    assert not processes(tmp_path)
    rows, state = own_loop(4, 2)
    assert_same_model(tmp_path / "state", state)
    figures = history(tmp_path / "state")
    assert [(round_["clients"], round_["merged"]) for round_ in figures] == [(4, 4)] * 2
    assert [(round_["bytes-down"], round_["bytes-up"]) for round_ in figures] == [
        (row.bytes_down, row.bytes_up) for row in rows
    ]
    count, size = downloads(tmp_path / "workspace")
    assert count == 2 * 4
    assert size == pytest.approx(sum(row.bytes_down for row in rows), rel=0.01)


def wait_for_round(number, state, started):
    """Wait until a round is saved; fail if the job ends before."""
    deadline = time.monotonic() + PATIENCE
    while not (state / f"round-{number:05d}").exists():
        assert started.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_killed_job_goes_on_from_the_last_whole_round(simulator, tmp_path):
    arguments = ["--clients", "2", "--set", *FASTER]
    started = simulator(*arguments)
    wait_for_round(1, tmp_path / "state", started)
    while kill_all(tmp_path):
        time.sleep(0.2)
    started.wait()
    before = history(tmp_path / "state")
    assert 1 <= len(before) < 3

    assert simulator(*arguments).wait(PATIENCE) == 0
    after = history(tmp_path / "state")
    assert after[: len(before)] == before  # not trained again
    assert [round_["round"] for round_ in after] == [1, 2, 3]
    assert_same_model(tmp_path / "state", own_loop(2, 3, *FASTER)[1])


def test_a_killed_site_costs_one_round_its_update_and_the_others_go_on(simulator, tmp_path):
    started = simulator("--clients", "3", "--rounds", "5", "--timeout", "20", "--set", *FASTER)
    wait_for_round(1, tmp_path / "state", started)
    commands = processes(tmp_path).items()
    (site,) = [pid for pid, command in commands if "simulator_worker" in command and "--client site-2 " in command]
    os.kill(site, signal.SIGKILL)
    assert started.wait(PATIENCE) == 0
    rounds = [(round_["clients"], round_["merged"], round_["dropped"]) for round_ in history(tmp_path / "state")]
    before = rounds.index((3, 2, 1))
    assert 1 <= before < 4
    assert rounds == [(3, 3, 0)] * before + [(3, 2, 1)] + [(2, 2, 0)] * (4 - before)
