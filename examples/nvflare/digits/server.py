"""The server's controller: the initial model, the aligner, and the evaluation."""

from collections.abc import Mapping
from typing import Any

from digits.task import federation
from fedtrain.adapters.nvflare import AlignedController
from fedtrain.server import Federation, evaluate, initial_state


class DigitsController(AlignedController):
    """Aligns, merges, and evaluates on the test set after every round."""

    def make_aligner(self) -> Any:
        """Return the aligner of fedtrain's configuration."""
        return self._federation().aligner

    def initial_weights(self) -> Any:
        """Return fedtrain's initial model."""
        return initial_state(self._federation()).tensors

    def after_round(self, number: int, weights: Any, figures: Mapping[str, float]) -> None:
        """Log the accuracy of the model."""
        accuracy, loss = evaluate(self._federation(), weights)
        self.info(f"round {number}: accuracy {accuracy:.4f}, loss {loss:.4f}")

    def _federation(self) -> Federation:
        return federation(tuple(self.config["overrides"]))
