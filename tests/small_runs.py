"""Configurations of runs that take a second, shared by the tests of whole rounds."""

import dataclasses

from fedtrain.config import RunConfig
from fedtrain.config.file import read_config

SMALL = (
    "rounds=2",
    "clients.num_clients=12",
    "model.num_features=16",
    "model.num_hidden=8",
    "model.num_experts=4",
    "clients.dropout=0",
    "training.epochs=1",
    "training.batch_size=64",
)


def configured(*overrides: str) -> RunConfig:
    config = read_config(overrides=[*SMALL, *overrides])
    sizes = zip(config.clients.tiers, (19.0, 23.0, 29.0), strict=True)
    tiers = tuple(dataclasses.replace(tier, memory_kib=size) for tier, size in sizes)
    return dataclasses.replace(config, clients=dataclasses.replace(config.clients, tiers=tiers))
