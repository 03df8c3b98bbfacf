"""The client's side: turns a method that trains experts into an Executor of NVFlare."""

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
    """The task of a client, without the weights and the experts.

    Attributes
    ----------
    client
        Index of the client: its site's position in the controller's ``clients``.
    round
        Number of rounds done before this one.
    config
        The ``config`` of the controller.
    context
        NVFlare's context: the name of the site, its workspace and components.
    abort
        NVFlare's abort signal. Once it is ``triggered``, the result is no longer needed.
    pull
        Whether the aligner advises an auxiliary loss that pulls the router to the experts held. A training without such
        a loss need not look at it.
    """

    client: int
    round: int
    config: Mapping[str, Any]
    context: FLContext
    abort: Signal
    pull: bool = True


class AlignedExecutor(Executor, ABC):  # type: ignore[misc]
    """Trains the experts that the server's :class:`AlignedController` sends. A subclass implements :meth:`train`.

    If :meth:`train` raises an error, the client drops out of the round, and the error is in the client's log. A
    ``MemoryError``, or torch's ``OutOfMemoryError``, tells the server that the experts did not fit.
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
            The weights of the shared part and of the experts, as numpy arrays or torch tensors, like the server's. They
            may be changed in place.
        experts
            The client's experts, ascending.
        task
            The rest of the task: the client, the round and the settings.

        Returns
        -------
        tuple
            The trained weights, in the same types, and the measures by name. The weights hold the rows of the router
            that the controller's ``router_up`` asks for. The measures are ``num_examples``, the number of examples
            trained on, and ``usage``, ``loss`` and ``accuracy``, each with one number per expert
            (:class:`alignsolve.Report`). Two measures are optional: ``router_mass``, with one number per expert of the
            whole model, and ``seconds``.
        """

    def execute(self, task_name: str, shareable: Shareable, fl_ctx: FLContext, abort_signal: Signal) -> Shareable:
        """Read the task, train, and write the result; NVFlare calls this."""
        model = FLModelUtils.from_shareable(shareable)
        asked = wire.read_task(model)
        experts = tuple(asked["experts"])
        task = Task(asked["client"], model.current_round, asked["config"], fl_ctx, abort_signal, asked["pull"])
        sent = train_and_measure(lambda: self.train(dict(model.params), experts, task), experts)
        return FLModelUtils.to_shareable(wire.write_sent(sent))
