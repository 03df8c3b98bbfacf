"""Run the job in NVFlare's simulator: a server and one process per client, on this machine, offline.

    python examples/nvflare/simulate.py                                     # 4 clients, 3 rounds
    python examples/nvflare/simulate.py --clients 8 --rounds 10 --set training.epochs=1

Run it again with more rounds and the same --state-dir to continue. With as many rounds as before, or fewer, nothing is
trained; with another --state-dir, a new run starts.
"""

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the models are tiny, and the clients many

from digits.client import DigitsExecutor
from digits.server import DigitsController
from nvflare.job_config.api import FedJob


def main() -> int:
    """Make the job and run it; returns 0 if all went well."""
    given = _arguments()
    if done := sorted(given.state_dir.glob("round-*")):
        print(f"{done[-1]} is there: the job goes on after it, up to round {given.rounds}; --state-dir names another")
    sites = [f"site-{number + 1}" for number in range(given.clients)]
    overrides = [f"clients.num_clients={given.clients}", f"rounds={given.rounds}", "clients.dropout=0", *given.set]
    job = FedJob(name="aligned-digits", min_clients=1)
    server = DigitsController(
        sites,
        num_rounds=given.rounds,
        timeout=given.timeout,
        router_down="all",  # fedtrain's clients compare their experts with those that they do not hold
        state_dir=str(given.state_dir.resolve()),
        config={"overrides": overrides},
    )
    job.to_server(server)
    job.to_clients(DigitsExecutor(), tasks=["train"])
    failed = job.simulator_run(str(given.workspace.resolve()), n_clients=given.clients, threads=given.clients)
    if not failed:
        print(f"the model and the figures of every round: {given.state_dir}")
    return failed


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds that a round waits for its clients")
    parser.add_argument("--state-dir", type=Path, default=Path("runs/nvflare"), help="saved every round, resumed from")
    parser.add_argument("--workspace", type=Path, default=Path("runs/nvflare-workspace"), help="NVFlare's; cleared")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="of fedtrain's configuration")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
