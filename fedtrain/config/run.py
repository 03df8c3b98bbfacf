"""A run's whole configuration and its section ``training``; every value has a default and is checked at creation.

:mod:`fedtrain.config.file` reads and writes configurations as TOML, and overrides single keys.
"""

import math
from dataclasses import dataclass, field, replace

from fedtrain.config.alignment import AlignmentConfig
from fedtrain.config.checks import at_least, check, check_fields, checked, one_of, positive
from fedtrain.config.clients import ClientsConfig
from fedtrain.config.data import DataConfig
from fedtrain.config.model import ModelConfig
from fedtrain.config.server import AggregationConfig, AttackConfig, ChannelConfig, ValidationConfig


@dataclass(frozen=True)
class TrainingConfig:
    """Local training.

    Attributes
    ----------
    optimizer
        ``sgd`` or ``adam``; its state is discarded at the end of the round.
    learning_rate
        Learning rate in the first round.
    learning_rate_decay
        Factor that the learning rate is multiplied by after every round.
    momentum
        Momentum of ``sgd``.
    epochs
        Number of passes over the client's examples per round.
    batch_size
        Number of examples per step.
    together
        Whether a cohort's clients are trained in one batched computation (:mod:`fedtrain.local.batched`). It is several
        times as fast, and the result differs by rounding only. Only for models of kind ``mlp``.
    auxiliary_loss
        Weight of the loss that teaches a client's router to prefer the experts that the client holds; 0: off.
    """

    optimizer: str = one_of("sgd", ("sgd", "adam"))
    learning_rate: float = positive(0.1, unit="step size")
    learning_rate_decay: float = checked(
        0.97, lambda decay: 0.0 < decay <= 1.0, "above 0 and at most 1", unit="factor per round"
    )
    momentum: float = checked(0.9, lambda momentum: 0.0 <= momentum < 1.0, "at least 0 and below 1", unit="share")
    epochs: int = at_least(1, 3, unit="passes")
    batch_size: int = at_least(1, 16, unit="examples")
    auxiliary_loss: float = checked(
        0.1, lambda weight: 0.0 <= weight < math.inf, "0 or more, and finite", unit="weight"
    )
    together: bool = False

    def __post_init__(self) -> None:
        check_fields(self, "training.")

    def in_round(self, number: int) -> "TrainingConfig":
        """Return the same training with the learning rate of a round, counted from 0."""
        return replace(self, learning_rate=self.learning_rate * self.learning_rate_decay**number)


def is_plain_name(name: str) -> bool:
    """Return whether a name is a plain folder name, without separators."""
    return name not in ("", ".", "..") and not set(name) & set("/\\\0")


@dataclass(frozen=True)
class RunConfig:
    """A whole run.

    Attributes
    ----------
    name
        Name of the folder that the run writes.
    seed
        Seed of all random draws.
    rounds
        Number of rounds.
    threads
        Number of threads that torch may use. Rounding, and so the exact results, may depend on it.
    """

    name: str = checked("run", is_plain_name, "the name of a folder, without separators", unit="folder name")
    seed: int = at_least(0, 0, unit="seed")
    rounds: int = at_least(1, 40, unit="rounds")
    threads: int = at_least(1, 1, unit="threads")
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    clients: ClientsConfig = field(default_factory=ClientsConfig)
    training: TrainingConfig = TrainingConfig()
    alignment: AlignmentConfig = field(default_factory=AlignmentConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    aggregation: AggregationConfig = field(default_factory=AggregationConfig)
    attack: AttackConfig = field(default_factory=AttackConfig)
    channel: ChannelConfig = field(default_factory=ChannelConfig)

    def __post_init__(self) -> None:
        check_fields(self, "")
        timed = not self.alignment.time_budget or math.isfinite(self.clients.deadline)
        check("alignment.time_budget", self.alignment.time_budget, timed, "false where clients.deadline is inf")
        together, kind = self.training.together, self.model.kind
        rule, own = self.aggregation.rule, self.data.held_back
        check("data.held_back", own, rule != "learned" or own > 0.0, "above 0 where aggregation.rule is 'learned'")
        check("training.together", together, not together or kind == "mlp", f"false where model.kind is {kind!r}")
