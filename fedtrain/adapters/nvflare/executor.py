"""The client's side: turns a method that trains experts into NVFlare's Executor."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nvflare.apis.executor import Executor
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal
from nvflare.app_common.utils.fl_model_utils import FLModelUtils

from fedtrain.adapters.exchange import Measures, train_and_measure
from fedtrain.adapters.nvflare import wire
from fedtrain.aggregate.arrays import Array


@dataclass(frozen=True)
class Task:
    """What a client is asked to do, beside the weights and the experts.

    Attributes
    ----------
    client
        Index of the client: its site's place among the controller's ``clients``.
    round
        Rounds done before this one.
    config
        The controller's ``config``.
    context
        NVFlare's: name of the site, workspace, components.
    abort
        NVFlare's signal; once ``triggered``, nobody waits for the result.
    """

    client: int
    round: int
    config: Mapping[str, Any]
    context: FLContext
    abort: Signal


class AlignedExecutor(Executor, ABC):  # type: ignore[misc]
    """Trains what the server's :class:`AlignedController` sends; subclasses say how.

    An error that :meth:`train` raises makes the client a dropout of the round, and is in the client's log; a
    ``MemoryError``, torch's too, tells the server that the experts did not fit.
    """

    def __init__(self) -> None:
        super().__init__()
        wire.prepare()

    @abstractmethod
    def train(
        self, weights: dict[str, Array], experts: tuple[int, ...], task: Task
    ) -> tuple[Mapping[str, Array], Measures]:
        """Train these experts.

        Parameters
        ----------
        weights
            Of the shared part and of the experts: numpy arrays or torch tensors, as the server has them; they may be
            changed in place.
        experts
            The client's, ascending.
        task
            The rest.

        Returns
        -------
        tuple
            The trained weights, of the router those rows that the controller wants, in the same types; and the measures
            by name: ``num_examples`` that it trained on; ``usage``, ``loss`` and ``accuracy``, one number per expert
            (:class:`alignsolve.Report`); if it has them, ``router_mass``, one number per expert of the whole model, and
            ``seconds``.
        """

    def execute(self, task_name: str, shareable: Shareable, fl_ctx: FLContext, abort_signal: Signal) -> Shareable:
        """Do what NVFlare asks for: read the task, train, write the result."""
        model = FLModelUtils.from_shareable(shareable)
        asked = wire.read_task(model)
        experts = tuple(asked["experts"])
        task = Task(asked["client"], model.current_round, asked["config"], fl_ctx, abort_signal)
        sent = train_and_measure(lambda: self.train(dict(model.params), experts, task), experts)
        return FLModelUtils.to_shareable(wire.write_sent(sent))
