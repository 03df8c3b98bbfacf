"""The example app in Flower's engines: in simulation, and on a SuperLink with SuperNodes, some of which are killed."""

import os
import signal
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'alignsolve[flower]'")

from tests.own_loop import assert_same_model, history, own_loop

pytestmark = pytest.mark.engine

APP = Path(__file__).parents[4] / "examples" / "flower"
PATIENCE = 600.0
NUM_NODES = 2
FASTER = "training.epochs=1 training.batch_size=64"


@pytest.fixture(scope="module")
def script():
    """Import the helper script as a module."""
    sys.path.insert(0, str(APP))
    try:
        import federation  # noqa: PLC0415
    finally:
        sys.path.remove(str(APP))
    return federation


@pytest.fixture(scope="module")
def deployed(script):
    with script.federation(NUM_NODES) as started:
        yield started
    assert not started.processes()
    assert not started.home.exists()


def settings(folder, rounds, **more):
    keys = {"num-clients": NUM_NODES, "rounds": rounds, "state-dir": f"'{folder}'", "settings": f"'{FASTER}'", **more}
    return [f"{key}={value}" for key, value in keys.items()]


def wait_for(happened, patience=PATIENCE):
    deadline = time.monotonic() + patience
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def check_as_the_own_loop(folder, nodes, rounds, *overrides):
    """Check the model, and every round's clients and bytes."""
    rows, state = own_loop(nodes, rounds, *overrides)
    assert_same_model(folder, state)
    figures = history(folder)
    assert [(round_["round"], round_["clients"], round_["merged"]) for round_ in figures] == [
        (number + 1, nodes, nodes) for number in range(rounds)
    ]
    for round_, row in zip(figures, rows, strict=True):
        assert round_["bytes-down"] == pytest.approx(row.bytes_down, rel=0.01)
        assert round_["bytes-up"] == pytest.approx(row.bytes_up, rel=0.01)


def test_the_simulated_app_is_fedtrains_own_loop(script, tmp_path):
    with script.federation() as started:
        script.run_app(started, [f"state-dir='{tmp_path}'", "rounds=2"], nodes=8, patience=PATIENCE)
        assert started.processes()
    assert not started.processes()
    check_as_the_own_loop(tmp_path, 8, 2)


def test_strangers_do_not_get_in(deployed):
    """A node without a registered key is refused, and there is no communication without TLS."""
    deployed.start_node(NUM_NODES, NUM_NODES + 1, register=False)
    assert deployed.nodes.pop().wait(60) != 0
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        urllib.request.urlopen(f"http://{deployed.address}/health", timeout=10)


def test_the_deployed_app_is_fedtrains_own_loop_though_its_server_app_is_killed(script, deployed, tmp_path):
    """It goes on from the last whole round."""
    submitted = deployed.submit(settings(tmp_path, rounds=2))
    wait_for((tmp_path / "round-00001").exists)
    servers = [pid for pid, command in deployed.processes().items() if "flwr-serverapp" in command]
    assert servers
    for pid in servers:
        os.kill(pid, signal.SIGKILL)
    submitted.kill()  # it shows a log that has ended
    submitted.wait()
    before = history(tmp_path)
    assert len(before) == 1

    script.run_app(deployed, settings(tmp_path, rounds=2), NUM_NODES, PATIENCE)
    assert history(tmp_path)[:1] == before  # not trained again
    check_as_the_own_loop(tmp_path, NUM_NODES, 2, *FASTER.split())


def test_a_killed_node_is_dropped_and_training_continues(script, deployed, tmp_path):
    """The test must be the last one on these nodes: it kills one of them."""
    timeout = 60.0
    submitted = deployed.submit(settings(tmp_path, rounds=3, timeout=timeout))
    wait_for((tmp_path / "round-00001").exists)
    deployed.nodes[1].kill()
    submitted.wait(PATIENCE)
    assert deployed.status() == "finished:completed"
    figures = history(tmp_path)
    assert [(round_["clients"], round_["merged"], round_["dropped"]) for round_ in figures] == [
        (2, 2, 0),
        (2, 1, 1),
        (1, 1, 0),
    ]
    assert figures[1]["seconds"] < timeout + 30.0
    assert figures[2]["seconds"] < timeout  # and nobody waits for it again
