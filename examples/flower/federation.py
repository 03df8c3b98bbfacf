"""Start a Flower federation on this machine, run the app in this folder on it, and stop everything again.

    python federation.py simulate    # 8 simulated clients, Flower's simulation engine (Ray)
    python federation.py deploy      # a SuperLink and 3 SuperNodes over loopback: TLS, and every node authenticated

Flower's servers detach the processes that they start. All of these inherit FLWR_HOME, which is a new temporary folder
for each start. So they can be found and stopped, even if the process that started them is gone. If this process itself
is killed, Linux ends the servers, and the servers end their processes.
"""

import argparse
import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from credentials import HOST, Tls, make_node_key, make_tls

APP = Path(__file__).resolve().parent
NAME = "loopback"
"""The name of our SuperLink for Flower's command line."""
STARTUP_SECONDS = 60.0
QUIET = {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1", "RAY_USAGE_STATS_ENABLED": "0"}
"""Switches off what Flower and Ray send to their makers."""


class FederationError(RuntimeError):
    """The federation did not start, or the run of the app failed. The message has the end of the log."""


class Federation:
    """A SuperLink on this machine, and the SuperNodes that were started for it.

    Parameters
    ----------
    home
        A new folder: Flower's home, logs and keys.
    tls
        The SuperLink's certificate. None for a simulation, in which no node connects.
    """

    def __init__(self, home: Path, tls: Tls | None) -> None:
        self.home = home
        self.tls = tls
        self.address = f"{HOST}:{_free_port()}"
        self.nodes: list[subprocess.Popen[bytes]] = []
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        self.environment = os.environ | QUIET | {"FLWR_HOME": str(home), "PATH": path, "RAY_TMPDIR": str(home)}

    def start_superlink(self) -> None:
        """Start it, and wait until it answers."""
        how = ["--simulation", "--insecure"] if self.tls is None else ["--enable-supernode-auth", *_server(self.tls)]
        port = self.address.rpartition(":")[2]
        superlink = self._start(
            "superlink",
            ["flower-superlink", *how, "--disable-runtime-dependency-installation", "--host", HOST, "--port", port],
        )
        trust = "insecure = true" if self.tls is None else f"root-certificates = '{self.tls.authority}'"
        connection = f"[superlink]\ndefault = '{NAME}'\n\n[superlink.{NAME}]\naddress = '{self.address}'\n{trust}\n"
        (self.home / "config.toml").write_text(connection, encoding="utf-8")
        deadline = time.monotonic() + STARTUP_SECONDS
        while not self._answers():
            if superlink.poll() is not None or time.monotonic() > deadline:
                raise FederationError(f"the SuperLink does not answer at {self.address}:\n{self.log()}")
            time.sleep(0.1)

    def start_node(self, number: int, num_nodes: int, *, register: bool = True) -> None:
        """Make a key for a node, register it, and start the node with it; ``number`` is its client."""
        if self.tls is None:
            raise FederationError("nodes of a simulation are simulated; none can be started")
        key = make_node_key(self.home, number)
        if register:
            self.flwr("supernode", "register", str(key.public), NAME)
        command = ["flower-supernode", "--superlink", self.address, "--root-certificates", str(self.tls.authority)]
        command += ["--auth-supernode-private-key", str(key.private), *_server(self.tls), "--port", str(_free_port())]
        command += ["--node-config", f"partition-id={number} num-partitions={num_nodes}"]
        self.nodes.append(self._start(f"node-{number}", command))

    def submit(self, settings: Sequence[str] = (), nodes: int | None = None) -> subprocess.Popen[bytes]:
        """Submit the app with these ``key=value`` settings. The returned process shows the log until the run ends."""
        command = ["flwr", "run", str(APP), NAME, "--stream"]
        command += [word for setting in settings for word in ("--run-config", setting)]
        if self.tls is None:
            cores = len(os.sched_getaffinity(0))
            command += ["--federation-config", f"num-supernodes={nodes} init-args-num-cpus={cores}"]
        return self._popen(command, stdout=None)

    def status(self) -> str:
        """Return the status of the newest run: the exit code of ``flwr run --stream`` is 0 even after a failure."""
        runs = json.loads(self.flwr("list", NAME, "--format", "json"))["runs"]
        return str(runs[0]["status"]) if runs else "never started"

    def flwr(self, *arguments: str) -> str:
        """Run Flower's command line, and return its output."""
        done = subprocess.run(
            ["flwr", *arguments], env=self.environment, capture_output=True, text=True, timeout=120, check=False
        )
        if done.returncode:
            raise FederationError(f"flwr {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def log(self, characters: int = 4000) -> str:
        """Return the end of the logs of the SuperLink and the nodes."""
        logs = (path.read_text(encoding="utf-8", errors="replace") for path in sorted(self.home.glob("*.log")))
        return "\n".join(text[-characters:] for text in logs)

    def processes(self) -> dict[int, str]:
        """Every process of this federation, and its command line."""
        mark = f"FLWR_HOME={self.home}".encode()
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it ended meanwhile, or is not ours
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        found.pop(os.getpid(), None)
        return found

    def stop(self, patience: float = 5.0) -> None:
        """Ask every process to end, and kill those that do not."""
        deadline = time.monotonic() + patience
        for pid in self.processes():
            _signal(pid, signal.SIGTERM)
        while self.processes():
            if time.monotonic() > deadline:
                for pid in self.processes():
                    _signal(pid, signal.SIGKILL)
            for process in self.nodes:
                process.poll()
            time.sleep(0.05)

    def _start(self, name: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
        with (self.home / f"{name}.log").open("ab") as log:
            return self._popen(command, stdout=log)

    def _popen(self, command: Sequence[str], stdout: IO[bytes] | None) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            env=self.environment,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509  (one system call, in a process without threads of its own)
        )

    def _answers(self) -> bool:
        trust = None if self.tls is None else ssl.create_default_context(cafile=self.tls.authority)
        scheme = "http" if trust is None else "https"
        try:
            with urllib.request.urlopen(f"{scheme}://{self.address}/health", timeout=5, context=trust):
                return True
        except urllib.error.URLError:
            return False


@contextlib.contextmanager
def federation(num_nodes: int | None = None) -> Iterator[Federation]:
    """Start a SuperLink, with this many nodes or for simulations. At the end, all its processes are stopped."""
    home = Path(tempfile.mkdtemp(prefix="flwr-"))  # a short path: Ray's sockets lie in it
    started = Federation(home, None if num_nodes is None else make_tls(home))
    try:
        started.start_superlink()
        for number in range(num_nodes or 0):
            started.start_node(number, num_nodes or 0)
        yield started
    finally:
        started.stop()
        shutil.rmtree(home, ignore_errors=True)


def run_app(started: Federation, settings: Sequence[str], nodes: int, patience: float | None = None) -> None:
    """Run the app to its end.

    Raises
    ------
    FederationError
        If the run failed, or did not end within ``patience`` seconds.
    """
    try:
        started.submit(settings, nodes).wait(patience)
    except subprocess.TimeoutExpired:
        raise FederationError(f"the run did not end in {patience} s:\n{started.log()}") from None
    status = started.status()
    if status != "finished:completed":
        raise FederationError(f"the run ended as {status}:\n{started.log()}")


def main() -> None:
    """Run the app as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", choices=["simulate", "deploy"])
    parser.add_argument("--clients", type=int, help="how many; default: 8 simulated, 3 deployed")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a key of [tool.flwr.app.config]"
    )
    parser.add_argument("--state", type=Path, help="where the state is kept; default: runs/flower-ENGINE")
    chosen = parser.parse_args()
    clients = chosen.clients or {"simulate": 8, "deploy": 3}[chosen.engine]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # stop the federation on the way out
    state = (chosen.state or Path("runs") / f"flower-{chosen.engine}").resolve()
    settings = [f"num-clients={clients}", f"state-dir='{state}'", *chosen.set]
    with federation(clients if chosen.engine == "deploy" else None) as started:
        try:
            run_app(started, settings, clients)
        except FederationError as error:
            sys.exit(str(error))
    print(f"the model and the figures of every round: {state}")


def _server(tls: Tls) -> list[str]:
    return [
        *("--ssl-ca-certfile", str(tls.authority)),
        *("--ssl-certfile", str(tls.certificate)),
        *("--ssl-keyfile", str(tls.key)),
    ]


def _free_port() -> int:
    with socket.socket() as found:
        found.bind((HOST, 0))
        return int(found.getsockname()[1])


def _end_with_parent() -> None:
    """Let Linux kill the process that is being started as soon as this one ends, for any reason."""
    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


if __name__ == "__main__":
    main()
