"""NVFlare's messages between server and clients: FLModels, whose ``meta`` holds the task or the measures.

The weights are the model's ``params``, plain arrays or tensors by name. NVFlare's own filters therefore work on them.
NVFlare serialises with FOBS: arrays in numpy's format without pickles, and tensors as safetensors. It refuses unknown
types. Tensors need a decomposer on both sides, which :func:`prepare` registers, because NVFlare does not.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from nvflare.app_common.abstract.fl_model import FLModel, ParamsType
from nvflare.app_opt.pt.decomposers import TensorDecomposer
from nvflare.fuel.utils import fobs

from fedtrain.adapters.exchange import ExchangeError, Sent, read_answer, read_failure
from fedtrain.aggregate import arrays
from fedtrain.aggregate.arrays import Array
from fedtrain.server.inspection import Answer

ABOUT = "alignsolve"
"""Key in ``meta`` of a message's content beside the weights."""


def prepare() -> None:
    """Let this process send and receive tensors."""
    fobs.register(TensorDecomposer)


def write_task(part: Mapping[str, Array], number: int, total_rounds: int, about: Mapping[str, Any]) -> FLModel:
    """Write a task: a part of the weights, the rounds done, and ``client``, ``experts``, ``config`` and ``pull``."""
    meta = {ABOUT: dict(about)}
    return FLModel(ParamsType.FULL, dict(part), current_round=number, total_rounds=total_rounds, meta=meta)


def read_task(model: FLModel) -> dict[str, Any]:
    """Read the ``client``, ``experts``, ``config`` and ``pull`` of a task. The client trusts the server.

    Raises
    ------
    ExchangeError
        If the task comes from another controller.
    """
    about = model.meta.get(ABOUT)
    if not isinstance(about, dict) or "experts" not in about or not isinstance(model.params, dict):
        raise ExchangeError("the model holds no task: the server must run an AlignedController")
    return about


def write_sent(sent: Sent) -> FLModel:
    """Write a client's answer to a task."""
    return FLModel(params_type=ParamsType.FULL, params=dict(sent.weights), meta={ABOUT: sent.said})


def read_sent(client: int, model: FLModel) -> Answer:
    """Read a client's answer to a task. Nothing in it is trusted."""
    said, params = model.meta.get(ABOUT), model.params
    num_bytes = weigh(params.values()) if isinstance(params, dict) else 0
    if not isinstance(said, dict) or not isinstance(params, dict):
        return Answer(bytes_up=num_bytes, fault=f"returned no weights with measures in meta[{ABOUT!r}]")
    if "outcome" in said:
        return read_failure(said)
    if model.params_type != ParamsType.FULL:
        return Answer(bytes_up=num_bytes, fault=f"returned weights of type {model.params_type}, expected FULL")
    for name, value in said.items():
        if not _is_measure(value):
            return Answer(bytes_up=num_bytes, fault=f"measure {name} is {value!r}, not a number or a list of numbers")
    return read_answer(client, params, said, num_bytes)


def _is_measure(value: object) -> bool:
    return all(type(number) in (int, float) for number in (value if isinstance(value, list) else [value]))


def weigh(values: Iterable[Any]) -> int:
    """Return the size in bytes of those values that are arrays or tensors."""
    return sum(arrays.num_bytes(value) for value in values if arrays.is_dense(value))
