"""A run's configuration: frozen dataclasses with a default for everything, each value checked when it is made.

Reading and writing them as TOML, and overriding single keys, is :mod:`fedtrain.config.file`.
"""

import math
from dataclasses import dataclass, field, replace

from fedtrain.config.alignment import AlignmentConfig
from fedtrain.config.checks import at_least, check, check_fields, checked, one_of, positive
from fedtrain.config.clients import ClientsConfig
from fedtrain.config.data import DataConfig
from fedtrain.config.model import ModelConfig
from fedtrain.config.server import AggregationConfig, AttackConfig, ValidationConfig


@dataclass(frozen=True)
class TrainingConfig:
    """Local training.

    Attributes
    ----------
    optimizer
        ``sgd`` or ``adam``; its state does not outlive the round.
    learning_rate
        In the first round.
    learning_rate_decay
        What the learning rate is multiplied by after every round.
    momentum
        Of ``sgd``.
    epochs
        Passes over the client's examples per round.
    batch_size
        Examples per step.
    together
        Whether a cohort's clients are trained in one batched computation (:mod:`fedtrain.local.batched`): several times
        as fast, and the same but for rounding. Of models of kind ``mlp``.
    auxiliary_loss
        Weight of the loss that draws a client's router towards the experts it holds; 0 is off.
    """

    optimizer: str = one_of("sgd", ("sgd", "adam"))
    learning_rate: float = positive(0.1)
    learning_rate_decay: float = checked(0.97, lambda decay: 0.0 < decay <= 1.0, "above 0 and at most 1")
    momentum: float = checked(0.9, lambda momentum: 0.0 <= momentum < 1.0, "at least 0 and below 1")
    epochs: int = at_least(1, 3)
    batch_size: int = at_least(1, 16)
    auxiliary_loss: float = checked(0.1, lambda weight: 0.0 <= weight < math.inf, "0 or more, and finite")
    together: bool = False

    def __post_init__(self) -> None:
        check_fields(self, "training.")

    def in_round(self, number: int) -> "TrainingConfig":
        """Return the same training with the learning rate of a round, counted from 0."""
        return replace(self, learning_rate=self.learning_rate * self.learning_rate_decay**number)


def is_plain_name(name: str) -> bool:
    """Whether a name is that of one folder, wherever it lies."""
    return name not in ("", ".", "..") and not set(name) & set("/\\\0")


@dataclass(frozen=True)
class RunConfig:
    """A whole run.

    Attributes
    ----------
    name
        Of the folder that the run writes.
    seed
        Of everything random.
    rounds
        How many.
    threads
        That torch may use. Rounding, and so the exact figures, may depend on it.
    """

    name: str = checked("run", is_plain_name, "the name of a folder, without separators")
    seed: int = at_least(0, 0)
    rounds: int = at_least(1, 40)
    threads: int = at_least(1, 1)
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    clients: ClientsConfig = field(default_factory=ClientsConfig)
    training: TrainingConfig = TrainingConfig()
    alignment: AlignmentConfig = field(default_factory=AlignmentConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    aggregation: AggregationConfig = field(default_factory=AggregationConfig)
    attack: AttackConfig = field(default_factory=AttackConfig)

    def __post_init__(self) -> None:
        check_fields(self, "")
        timed = not self.alignment.time_budget or math.isfinite(self.clients.deadline)
        check("alignment.time_budget", self.alignment.time_budget, timed, "false where clients.deadline is inf")
        together, kind = self.training.together, self.model.kind
        check("training.together", together, not together or kind == "mlp", f"false where model.kind is {kind!r}")
