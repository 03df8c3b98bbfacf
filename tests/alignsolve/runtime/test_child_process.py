"""Work without a time limit of its own is stopped at the limit, reports its errors, and leaves nothing behind."""

import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from alignsolve.data.alignment import Alignment
from alignsolve.runtime import child_process
from alignsolve.solution import SolveError
from alignsolve.solver import Answer, Progress
from alignsolve.solvers.common.last_answer import last_answer


@pytest.fixture(params=["child", "thread"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the work in a forked process, or as on systems without fork."""
    if request.param == "thread":
        monkeypatch.delattr(os, "fork")
    elif not child_process.can_fork():
        pytest.skip("this system cannot fork safely")
    return str(request.param)


needs_fork = pytest.mark.skipif(not child_process.can_fork(), reason="this system cannot fork safely")


def counting(number: int, pause: float = 0.0) -> Iterator[Answer]:
    for k in range(number):
        time.sleep(pause)
        yield Answer(x=Alignment.from_dense(np.eye(3, dtype=bool)), bound=k, stats={"k": k})


def children() -> list[str]:
    """Return the child processes of this process, zombies included."""
    listed = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(os.getpid())], check=False, capture_output=True, text=True
    )
    return [line for line in listed.stdout.splitlines() if " ps " not in line]


def test_no_process_is_forked_beside_accelerate(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    pid = []

    def work() -> Iterator[Answer]:
        pid.append(os.getpid())
        yield Answer(bound=2.0)

    answer = last_answer(work, time.monotonic() + 30)
    assert answer is not None
    assert (answer.bound, pid) == (2.0, [os.getpid()])


def test_without_a_deadline_the_last_answer_is_returned_as_it_is():
    pid = []

    def work() -> Iterator[Answer]:
        pid.append(os.getpid())
        yield from counting(3)

    answer = last_answer(work, math.inf)
    assert answer is not None
    assert answer.bound == 2
    assert "stopped" not in answer.stats
    assert pid == [os.getpid()]


def test_without_a_deadline_errors_pass_unchanged():
    def work() -> Iterator[Answer]:
        yield Answer()
        raise KeyError("lost")

    with pytest.raises(KeyError, match="lost"):
        last_answer(work, math.inf)


def test_work_that_ends_in_time_returns_its_last_answer(place: str):
    answer = last_answer(lambda: counting(4), time.monotonic() + 30)
    assert answer is not None
    assert answer.bound == 3
    assert dict(answer.stats) == {"k": 3}
    assert answer.x is not None
    np.testing.assert_array_equal(answer.x.to_dense(3), np.eye(3, dtype=bool))


def test_work_without_answers_returns_none(place: str):
    assert last_answer(lambda: iter(()), time.monotonic() + 30) is None


def test_endless_work_is_cut_off_with_its_last_answer(place: str):
    started = time.monotonic()
    answer = last_answer(lambda: counting(10**9, pause=0.01), started + 0.3)
    assert 0.25 < time.monotonic() - started < 1.0
    assert answer is not None
    assert answer.stats["stopped"] == "time limit"
    assert answer.bound >= 3


def test_a_flood_of_answers_does_not_hide_the_deadline(place: str):
    started = time.monotonic()
    answer = last_answer(lambda: counting(10**9), started + 0.3)
    assert time.monotonic() - started < 1.5
    assert answer is not None
    assert answer.stats["stopped"] == "time limit"


def test_work_that_never_answers_is_cut_off_with_none(place: str):
    started = time.monotonic()
    assert last_answer(lambda: counting(1, pause=3.0), started + 0.2) is None
    assert time.monotonic() - started < 1.0


def test_from_some_time_on_any_answer_will_do_and_without_one_it_is_waited_for(place):
    started = time.monotonic()
    last = last_answer(lambda: counting(10**9, pause=0.01), started + 60, enough=started + 0.3)
    assert last is not None
    assert last.stats["k"] > 0
    assert last.stats["stopped"] == "time limit"
    first = last_answer(lambda: counting(10**9, pause=0.3), started + 60, enough=started)
    assert first is not None
    assert first.stats["k"] == 0
    assert time.monotonic() - started < 30


def test_a_deadline_in_the_past_returns_at_once(place: str):
    started = time.monotonic()
    assert last_answer(lambda: counting(10**9, pause=0.01), started - 1) is None
    assert time.monotonic() - started < 0.5


def test_an_error_comes_back_with_its_message(place: str):
    def work() -> Iterator[Answer]:
        yield Answer(bound=1.0)
        raise ValueError("row 7 is bad")

    with pytest.raises(SolveError, match="ValueError: row 7 is bad") as caught:
        last_answer(work, time.monotonic() + 30)
    told = "".join(getattr(caught.value, "__notes__", [])) + repr(caught.value.__cause__)
    assert "row 7 is bad" in told


@needs_fork
def test_a_child_that_dies_is_an_error_even_after_an_answer():
    def work() -> Iterator[Answer]:
        yield Answer(bound=1.0)
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(SolveError, match="SIGKILL"):
        last_answer(work, time.monotonic() + 30)


@needs_fork
def test_a_child_that_exits_is_an_error():
    def work() -> Iterator[Answer]:
        os._exit(3)
        yield Answer()

    with pytest.raises(SolveError, match="exit code 3"):
        last_answer(work, time.monotonic() + 30)


@needs_fork
def test_no_child_stays_behind_whatever_the_end():
    def failing() -> Iterator[Answer]:
        yield Answer()
        raise ValueError("no")

    last_answer(lambda: counting(2), time.monotonic() + 30)
    last_answer(lambda: counting(10**9, pause=0.01), time.monotonic() + 0.1)
    with pytest.raises(SolveError):
        last_answer(failing, time.monotonic() + 30)
    assert children() == []


@needs_fork
def test_what_the_child_started_is_killed_with_it(tmp_path: Path):
    pid_file = tmp_path / "pid"

    def work() -> Iterator[Answer]:
        with subprocess.Popen(["sleep", "60"]) as grandchild:
            pid_file.write_text(str(grandchild.pid))
            yield Answer()

    last_answer(work, time.monotonic() + 0.5)
    assert is_gone(int(pid_file.read_text()))


def is_gone(pid: int, patience: float = 5.0) -> bool:
    """Return whether a process ends, or becomes a zombie of another parent, within the given seconds."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        shown = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(pid)], check=False, capture_output=True, text=True
        ).stdout.strip()
        if not shown or shown.startswith("Z"):
            return True
        time.sleep(0.05)
    return False


PARENT = """
import os, sys, time
from alignsolve.solver import Answer, Progress
from alignsolve.solvers.common.last_answer import last_answer

def work():
    open(sys.argv[1], "w").write(str(os.getpid()))
    while True:
        yield Answer()
        time.sleep(0.05)

last_answer(work, time.monotonic() + 60)
"""


@needs_fork
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_child_ends_with_its_parent(tmp_path: Path, how: signal.Signals):
    pid_file = tmp_path / "pid"
    with subprocess.Popen([sys.executable, "-c", PARENT, str(pid_file)], stderr=subprocess.PIPE) as parent:
        while not (pid_file.exists() and pid_file.read_text()):
            assert parent.poll() is None
            time.sleep(0.02)
        parent.send_signal(how)
        _, told = parent.communicate(timeout=10)
    assert (b"KeyboardInterrupt" in told) == (how is signal.SIGINT)
    assert is_gone(int(pid_file.read_text()))


@needs_fork
def test_pools_and_threads_of_the_parent_do_not_disturb_the_child():
    def work() -> Iterator[Answer]:
        yield Answer(bound=_corner_of_a_product())

    _sum_in_parallel(np.ones(1000))
    _corner_of_a_product()
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        answers = [last_answer(work, time.monotonic() + 30) for _ in range(5)]
    finally:
        done.set()
        thread.join()
    assert [answer and answer.bound for answer in answers] == [500.0] * 5
    assert _corner_of_a_product() == 500.0
    assert _sum_in_parallel(np.ones(1000)) == 1000.0


@numba.njit(parallel=True)
def _sum_in_parallel(values: Any) -> float:
    total = 0.0
    for k in numba.prange(len(values)):
        total += values[k]
    return total


def _corner_of_a_product() -> float:
    """Compute a matrix product that is large enough for OpenBLAS to start its threads."""
    return float((np.ones((500, 500)) @ np.ones((500, 500)))[0, 0])


def test_the_module_is_not_loaded_by_the_package():
    assert child_process.__name__ == "alignsolve.runtime.child_process"
    code = "import sys, alignsolve; sys.exit('alignsolve.runtime.child_process' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_progress_reaches_the_caller_and_is_no_answer(place: str):
    def work() -> Iterator[Answer | Progress]:
        yield Progress("looking", 0.5, objective=3.0)
        yield Answer(bound=4.0)
        yield Progress("found", 1.0)

    for deadline in (math.inf, time.monotonic() + 30):
        told: list[Progress] = []
        answer = last_answer(work, deadline, told.append)
        assert answer is not None
        assert answer.bound == 4.0
        assert [one.phase for one in told] == ["looking", "found"]
