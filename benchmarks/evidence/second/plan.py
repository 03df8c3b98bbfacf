"""The plan of the second protocol, read from second.toml: studies, tasks, alignments, and the settings to be tuned.

A *study* is a list of tasks, a list of alignments, and a number of seeds. An *entry* is one run of it: everything that
determines the run, and a key that changes when any of it changes.
"""

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from fedtrain.compare.plan import Cell, Plan
from fedtrain.config import ConfigError, RunConfig
from fedtrain.config.checks import check, one_of
from fedtrain.config.file import build, read_toml

FILE = Path(__file__).with_name("second.toml")
MEASURES = ("accuracy", "personal", "loss")
LOOPS = ("fedtrain", "scratch", "lora")


@dataclass(frozen=True)
class Task:
    """A task of the second protocol.

    Attributes
    ----------
    name
        Its name, set by the plan.
    rounds
        Rounds of a run.
    rates
        Learning rates to be tuned.
    config
        Changes to the base configuration.
    tuned_as
        The task whose tuned settings are used; empty: it is tuned itself.
    conflict
        Whether its clients contradict each other, for the claim about verdicts.
    drift_at
        Round after which clients change their domain, counted from 1; 0: never.
    personal_every
        Rounds between measurements of personalised accuracy; 0: it is measured after the last round only.
    loop
        ``fedtrain``; or ``scratch`` or ``lora``: a small OLMoE by the Hugging Face adapter, whole or by adapters.
    """

    rounds: int
    rates: tuple[float, ...]
    name: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    tuned_as: str = ""
    conflict: bool = False
    drift_at: int = 0
    personal_every: int = 0
    loop: str = one_of("fedtrain", LOOPS)


@dataclass(frozen=True)
class Alignment:
    """An alignment of the second protocol.

    Attributes
    ----------
    config
        Changes to the configuration.
    vary
        Parameters of the aligner to replace, by path (:func:`.federations.varied`).
    tuned_as
        The alignment whose tuned settings are used; empty: it is tuned itself.
    measure
        What it is judged by: ``accuracy`` of the whole model, or ``personal`` accuracy.
    """

    config: Mapping[str, Any] = field(default_factory=dict)
    vary: Mapping[str, Any] = field(default_factory=dict)
    tuned_as: str = ""
    measure: str = one_of("accuracy", MEASURES)


@dataclass(frozen=True)
class Study:
    """Tasks × alignments × seeds.

    Attributes
    ----------
    tasks, alignments
        Their names.
    seeds
        Number of seeds for judging, the first ones of the protocol's.
    tuned
        Whether settings are tuned; if not, the first one of each task is used.
    """

    tasks: tuple[str, ...]
    alignments: tuple[str, ...]
    seeds: int
    tuned: bool = True


@dataclass(frozen=True)
class Constant:
    """A frozen constant of ours, whose influence is shown by two other values.

    Attributes
    ----------
    alignment
        The alignment that it is a parameter of.
    path
        Its path (:func:`.federations.varied`).
    value
        Its frozen value.
    values
        The other values: halved and doubled, as far as its range allows.
    task
        The task on which it matters most.
    """

    alignment: str
    path: str
    value: Any
    values: tuple[Any, ...]
    task: str


@dataclass(frozen=True)
class Entry:
    """One run.

    Attributes
    ----------
    task
        The task.
    alignment, setting, seed
        Name of the alignment, name of the setting, seed.
    config
        Configuration of the run.
    vary
        Parameters of the aligner to replace.
    """

    task: Task
    alignment: str
    setting: str
    seed: int
    config: RunConfig
    vary: Mapping[str, Any]

    @cached_property
    def key(self) -> str:
        """Name of the run: the names and the seed, and digests of the configuration and of what lies outside of it."""
        cell = Cell(self.task.name, self.alignment, self.setting, self.seed, self.config)
        beside = json.dumps([dict(self.vary), self.task.drift_at, self.task.personal_every, self.task.loop])
        return f"{cell.key}-{hashlib.sha256(beside.encode()).hexdigest()[:8]}"


@dataclass(frozen=True)
class Protocol:
    """The whole plan.

    Attributes
    ----------
    targets
        Shares of the reference's final accuracy.
    first_seed
        First seed for judging.
    tuning_seeds
        Seeds for tuning, in the order in which settings are tried on them.
    auxiliary
        Weights of the auxiliary loss to be tuned.
    base
        Changes to the default configuration for all runs.
    tasks, alignments, studies
        By name. Each value of a constant is an alignment and a study, too.
    constants
        The frozen constants by name.
    variant_seeds
        Number of seeds for each value of a constant.
    reference, ours
        The alignment that sets the targets, and ours.
    """

    targets: tuple[float, ...]
    first_seed: int
    tuning_seeds: tuple[int, ...]
    auxiliary: tuple[float, ...]
    tasks: Mapping[str, Task]
    alignments: Mapping[str, Alignment]
    studies: Mapping[str, Study]
    constants: Mapping[str, Constant] = field(default_factory=dict)
    variant_seeds: int = 10
    base: Mapping[str, Any] = field(default_factory=dict)
    reference: str = "none"
    ours: str = "ours"

    def __post_init__(self) -> None:
        """Add the constants' variants, and check that all names exist and that no seed is in tuning and judging."""
        for name, constant in self.constants.items():
            self._add_variants(name, constant)
        for name, study in self.studies.items():
            for key in ("tasks", "alignments"):
                unknown = [one for one in getattr(study, key) if one not in getattr(self, key)]
                check(f"studies.{name}.{key}", unknown, not unknown, "names of the plan")
        for kind in ("tasks", "alignments"):
            known = getattr(self, kind)
            for name, one in known.items():
                final = one.tuned_as == "" or (one.tuned_as in known and known[one.tuned_as].tuned_as == "")
                check(f"{kind}.{name}.tuned_as", one.tuned_as, final, f"one of the {kind} that are tuned themselves")
        judged = range(self.first_seed, self.first_seed + max(study.seeds for study in self.studies.values()))
        shared = sorted(set(judged) & set(self.tuning_seeds))
        if shared:
            raise ConfigError(f"tuning_seeds and the seeds for judging share {shared}")

    def _add_variants(self, name: str, constant: Constant) -> None:
        """Add an alignment for each other value of a constant, and a study of them on its task."""
        like = self.alignments[constant.alignment]
        tuned_as = like.tuned_as or constant.alignment
        made = {
            f"{name}-{value}".replace(".", "_"): replace(like, vary={constant.path: value}, tuned_as=tuned_as)
            for value in constant.values
        }
        study = Study((constant.task,), tuple(made), self.variant_seeds)
        object.__setattr__(self, "alignments", {**self.alignments, **made})
        object.__setattr__(self, "studies", {**self.studies, f"constant-{name}": study})

    def settings(self, task: str) -> dict[str, dict[str, Any]]:
        """Return the settings of a task by name: every learning rate with every auxiliary loss.

        The Hugging Face adapter has no auxiliary loss, so only the first one, which must be none, is used there.
        """
        tuned = self.tasks[self.tasks[task].tuned_as or task]
        pulls = self.auxiliary if tuned.loop == "fedtrain" else self.auxiliary[:1]
        return {
            f"rate-{rate:g}-pull-{pull:g}".replace(".", "_"): {
                "training": {"learning_rate": rate, "auxiliary_loss": pull}
            }
            for rate, pull in itertools.product(tuned.rates, pulls)
        }

    def entry(self, task: str, alignment: str, setting: str, seed: int) -> Entry:
        """Return one run.

        Raises
        ------
        ConfigError
            If its configuration cannot be run.
        """
        about, aligned = self.tasks[task], self.alignments[alignment]
        plan = Plan(
            name="second",
            seeds=(seed,),
            tasks={task: {"rounds": about.rounds, **about.config}},
            alignments={alignment: aligned.config},
            reference=alignment,
            ours=alignment,
            base=self.base,
            settings={setting: self.settings(task)[setting]},
        )
        config = plan.cell(task, alignment, setting, seed).config
        return Entry(about, alignment, setting, seed, config, aligned.vary)

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Yield every task with every alignment that is tuned on it, once, in the order of the studies."""
        seen = set()
        for study in self.studies.values():
            for task, alignment in itertools.product(study.tasks, study.alignments):
                pair = self.tasks[task].tuned_as or task, self.alignments[alignment].tuned_as or alignment
                if study.tuned and pair not in seen:
                    seen.add(pair)
                    yield pair

    def seeds(self, study: Study) -> range:
        """Return a study's seeds for judging."""
        return range(self.first_seed, self.first_seed + study.seeds)


def read_protocol(path: Path = FILE) -> Protocol:
    """Read a plan.

    Raises
    ------
    ConfigError
        If the file cannot be read, a key is unknown or missing, or names do not fit together.
    """
    given = read_toml(path)
    for name, task in given.get("tasks", {}).items():
        task["name"] = name
    try:
        protocol: Protocol = build(Protocol, given)
    except ConfigError as error:
        raise ConfigError(f"{path.name}: {error}") from error
    return protocol
