"""The configuration that server and clients share: fedtrain's, made from that of the job."""

from functools import lru_cache

from fedtrain.config_file import read_config
from fedtrain.server import Federation, prepare


@lru_cache(maxsize=1)
def federation(overrides: tuple[str, ...]) -> Federation:
    """Make data, devices and aligner from a configuration. Every process makes the same."""
    return prepare(read_config(overrides=overrides))
