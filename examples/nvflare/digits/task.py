"""What server and clients agree on: fedtrain's configuration, from that of the job."""

from functools import lru_cache

from fedtrain.config_file import read_config
from fedtrain.server import Federation, prepare


@lru_cache(maxsize=1)
def federation(overrides: tuple[str, ...]) -> Federation:
    """Data, devices and aligner of a configuration; every process makes the same."""
    return prepare(read_config(overrides=overrides))
