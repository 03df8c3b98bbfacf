"""One part of the model on its way to being merged, as the rules see it that look at more than values.

Such a rule gives every holder a weight. The weighted mean of the holders' values is then the new value of the part.
"""

from collections.abc import Callable, MutableMapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from alignsolve.numerics import FloatArray
from fedtrain.config import AggregationConfig

Memory: TypeAlias = MutableMapping[str, FloatArray]
"""What rules remember from round to round, as arrays by name. Arrays in it are replaced, never changed."""


class Part(NamedTuple):
    """An expert with its rows of the router, or the shared part, and its holders.

    Attributes
    ----------
    expert
        The expert; None for the shared part.
    clients
        The holders, ascending.
    weights
        (num_holders,) the holders' weights, all above 0.
    values
        Returns the values that the holders returned, (num_holders, num_parameters).
    router
        (num_holders, n) each holder's row of the router for this expert; None for the shared part.
    score
        The score of the whole model, on the server's own examples, after a step towards this part as the holder at this
        position returned it; higher is better. An expert moves together with the holder's shared part; everything else
        is as before the round. None: there are no such examples.
    base
        The score of the whole model before the round.
    config
        The settings.
    memory
        The memory of all parts; see :meth:`key`.
    noted
        What the rule noted of this round. The shared part comes first, so that experts can make use of it.
    """

    expert: int | None
    clients: tuple[int, ...]
    weights: FloatArray
    values: Callable[[], FloatArray]
    router: FloatArray | None
    score: Callable[[int], float] | None
    base: float
    config: AggregationConfig
    memory: Memory
    noted: dict[str, Any]

    @property
    def name(self) -> str:
        """The part's name in an error message."""
        return "the shared part" if self.expert is None else f"expert {self.expert}"

    def key(self, what: str) -> str:
        """Return the name under which this rule remembers something of this part."""
        return f"{self.config.rule}.{'shared' if self.expert is None else self.expert}.{what}"

    def recall(self, what: str, default: FloatArray) -> FloatArray:
        """Return each holder's remembered row of an array, (num_holders, …); its row of ``default`` if there is none.

        The remembered rows belong to the clients that are remembered as ``clients``.
        """
        known = self.memory.get(self.key("clients"), np.zeros(0))
        rows = dict(zip(known.tolist(), self.memory.get(self.key(what), np.zeros(0)), strict=True))
        return np.array([rows.get(client, row) for client, row in zip(self.clients, default, strict=True)])

    def remember(self, **rows: FloatArray) -> None:
        """Remember the holders' rows of these arrays, beside the rows of clients that do not hold the part now."""
        before = self.memory.get(self.key("clients"), np.zeros(0))
        away = ~np.isin(before, self.clients)
        order = np.argsort(clients := np.concatenate([before[away], self.clients]), kind="stable")
        for what, new in rows.items():
            old = self.memory.get(self.key(what), new[:0])[away]
            self.memory[self.key(what)] = np.concatenate([old, new])[order]
        self.memory[self.key("clients")] = clients[order]

    def forget(self) -> None:
        """Forget everything about this part."""
        for key in [key for key in self.memory if key.startswith(self.key(""))]:
            del self.memory[key]
