"""A run in a process that may be killed, in its own file, so that the process does not import the tests."""

import io
import os
from pathlib import Path

from rich.console import Console

from fedtrain.config.file import read_config
from fedtrain.run import Ending, execute

PRELOAD = ("fedtrain.run", "sklearn.datasets", "torch._dynamo", "ortools.graph.python.min_cost_flow", "tomli_w")
"""Imported once, before processes are forked: what a run imports sooner or later."""

TINY = (
    "name=run",
    "rounds=5",
    "model.num_features=4",
    "model.num_hidden=4",
    "model.num_experts=3",
    "training.epochs=1",
    "training.batch_size=64",
    "clients.num_clients=8",
    "clients.dropout=0.1",
    "clients.dropout_moment=any",
    "clients.stragglers=0.3",
    "clients.deadline=3",
    "clients.late_joiners=0.4",
    "clients.joined_by=3",
    "attack.kind=nans",
    "attack.share=0.4",
    "aggregation.rule=trimmed-mean",
)


def go(out, *overrides, resume=True, overwrite=False) -> Ending:
    """Start or resume the tiny run in this folder."""
    config = read_config(overrides=[*TINY, *overrides])
    return execute(config, Path(out), overwrite=overwrite, resume=resume, console=Console(file=io.StringIO()))


def child(out, fuse):
    """Do the run in a separate process, which kills itself at step ``fuse`` on disk; None: it does not."""
    if fuse is not None:
        left = [fuse]
        for name in ("fsync", "replace", "rename", "open", "rmdir", "unlink"):
            setattr(os, name, _deadly(left, getattr(os, name)))
    go(out)


def _deadly(left, call):
    def killing(*arguments, **keywords):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), 9)
        return call(*arguments, **keywords)

    return killing
