"""A run's configuration: frozen dataclasses with a default for every value, read from and written to TOML files.

All rooms of fedtrain may call it. It imports nothing else of the package.
"""

from fedtrain.config.alignment import FITNESS_NAMES, AlignmentConfig
from fedtrain.config.checks import ConfigError
from fedtrain.config.clients import ClientsConfig, TierConfig
from fedtrain.config.data import DataConfig
from fedtrain.config.model import ModelConfig
from fedtrain.config.run import RunConfig, TrainingConfig
from fedtrain.config.server import AggregationConfig, AttackConfig, ChannelConfig, ValidationConfig

__all__ = [
    "FITNESS_NAMES",
    "AggregationConfig",
    "AlignmentConfig",
    "AttackConfig",
    "ChannelConfig",
    "ClientsConfig",
    "ConfigError",
    "DataConfig",
    "ModelConfig",
    "RunConfig",
    "TierConfig",
    "TrainingConfig",
    "ValidationConfig",
]
