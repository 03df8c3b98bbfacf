"""The configuration that server and clients share: fedtrain's, made from that of the run."""

from functools import lru_cache
from typing import Any

from flwr.app import Context

from fedtrain.config_file import read_config
from fedtrain.server import Federation, prepare


def federation(context: Context) -> Federation:
    """Make data, devices and aligner from the run's configuration. Every process makes the same."""
    run: dict[str, Any] = context.run_config
    overrides = (f"clients.num_clients={run['num-clients']}", f"rounds={run['rounds']}", *run["settings"].split())
    return _prepare(overrides)


@lru_cache(maxsize=1)
def _prepare(overrides: tuple[str, ...]) -> Federation:
    return prepare(read_config(overrides=overrides))
