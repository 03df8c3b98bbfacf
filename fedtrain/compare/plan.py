"""The plan of a comparison: tasks × alignments × settings × seeds, each a few keys in a TOML file.

Tasks, alignments and settings are changes to one base configuration. Nothing else differs between two cells of the same
task and seed. So partitions, devices, dropouts, cohorts and the initial model are the same for all alignments. The
settings are compared on tuning seeds, which are the same for every alignment. Then each alignment is judged with its
best setting, on seeds that were not used for tuning.
"""

import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fedtrain.config import ConfigError, RunConfig, functions
from fedtrain.config.checks import check, nearest
from fedtrain.config.file import build, build_config, read_toml

Changes = Mapping[str, Any]
"""Keys of a configuration, nested as in its TOML file."""


@dataclass(frozen=True)
class Cell:
    """One run of a comparison.

    Attributes
    ----------
    task, alignment, setting
        Names in the plan.
    seed
        Seed of the run.
    config
        Configuration of the run; its ``name`` is the same in all cells.
    """

    task: str
    alignment: str
    setting: str
    seed: int
    config: RunConfig

    @property
    def key(self) -> str:
        """Name of the cell's file: the cell's names and seed, and a digest of its configuration.

        The digest covers only values that differ from the defaults. So the name stays the same when a new key is added
        whose default changes nothing. If the configuration names functions of the user's own, it also covers their
        files: after a change of such a file, the cell is run anew.
        """
        changed = json.dumps(_differences(asdict(self.config), asdict(RunConfig())), sort_keys=True)
        digest = hashlib.sha256((changed + functions.source_digest(self.config)).encode()).hexdigest()[:16]
        return f"{self.task}.{self.alignment}.{self.setting}.{self.seed}.{digest}"


@dataclass(frozen=True)
class Plan:
    """A comparison: tasks, alignments, settings and seeds.

    Attributes
    ----------
    name
        Name of the folder that the comparison writes.
    seeds
        Seeds for judging; each is one run of every task and alignment. Intervals need two or more.
    tasks
        Changes to the configuration by name, applied after ``base``: data, clients, model.
    alignments
        Changes to the configuration by name, applied last: what is compared.
    reference
        The alignment whose final accuracy sets the targets. It is not compared with the others.
    ours
        The alignment that the others are compared with.
    targets
        Shares of the reference's final accuracy.
    tuning_seeds
        Seeds on which the best setting is chosen; none of them is in ``seeds``.
    base
        Changes to the default configuration for all runs.
    settings
        Changes to the configuration by name, applied after those of the task. Each alignment is judged with the setting
        that suits it best on the tuning seeds. With one setting nothing is tuned.
    """

    name: str
    seeds: tuple[int, ...]
    tasks: Mapping[str, Changes]
    alignments: Mapping[str, Changes]
    reference: str = "none"
    ours: str = "ours"
    targets: tuple[float, ...] = (0.9, 0.97)
    tuning_seeds: tuple[int, ...] = ()
    base: Changes = field(default_factory=dict)
    settings: Mapping[str, Changes] = field(default_factory=lambda: {"plain": {}})

    def __post_init__(self) -> None:
        """Check that the names and seeds fit together."""
        # Nothing is empty, and no number occurs twice.
        for key in ("name", "seeds", "targets", "tasks", "alignments", "settings"):
            if not getattr(self, key):
                raise ConfigError(f"{key} is empty; a comparison needs at least one")
        for key in ("seeds", "tuning_seeds", "targets"):
            values = list(getattr(self, key))
            if len(set(values)) < len(values):
                raise ConfigError(f"{key} is {values}; it names a number twice")
        # The names exist and can be part of a file's name.
        for key in ("reference", "ours"):
            name = getattr(self, key)
            rule = f"one of the alignments: {', '.join(self.alignments)}{nearest(name, list(self.alignments))}"
            check(key, name, name in self.alignments, rule)
        names = [f"{key}.{name}" for key in ("tasks", "alignments", "settings") for name in getattr(self, key)]
        for name in names:
            if not re.fullmatch(r"[a-z]+\.[A-Za-z0-9_-]+", name):
                raise ConfigError(f"{name}: a name may hold letters, digits, - and _ only")
        # Tuning has its own seeds, and targets are shares.
        shared = sorted(set(self.seeds) & set(self.tuning_seeds))
        if shared:
            raise ConfigError(f"seeds and tuning_seeds share {shared}: what is tuned on must not be judged on")
        if len(self.settings) > 1 and not self.tuning_seeds:
            raise ConfigError("there are several settings and no tuning_seeds to choose by")
        shares = all(0.0 < target <= 1.0 for target in self.targets)
        check("targets", list(self.targets), shares, "shares above 0 and at most 1")

    def tuning_cells(self) -> Iterator[Cell]:
        """Yield the cells for tuning; none if there is only one setting."""
        if len(self.settings) > 1:
            for task, alignment, setting, seed in itertools.product(
                self.tasks, self.alignments, self.settings, self.tuning_seeds
            ):
                yield self.cell(task, alignment, setting, seed)

    def judging_cells(self) -> Iterator[Cell]:
        """Yield the cells for judging as they are before tuning: with the first setting."""
        first = next(iter(self.settings))
        for task, alignment, seed in itertools.product(self.tasks, self.alignments, self.seeds):
            yield self.cell(task, alignment, first, seed)

    def rivals(self) -> list[str]:
        """Return the alignments that ours is compared with: all but ours and the reference."""
        return [name for name in self.alignments if name not in (self.ours, self.reference)]

    def cell(self, task: str, alignment: str, setting: str, seed: int) -> Cell:
        """Return one cell.

        Raises
        ------
        ConfigError
            If its configuration cannot be run; the message names the cell's task, alignment and setting.
        """
        given: dict[str, Any] = {}
        for changes in (self.base, self.tasks[task], self.settings[setting], self.alignments[alignment]):
            given = _changed(given, changes)
        try:
            config = build_config({**given, "name": "cell", "seed": seed})
        except ConfigError as error:
            raise ConfigError(f"task {task}, alignment {alignment}, setting {setting}: {error}") from error
        return Cell(task, alignment, setting, seed, config)


def read_plan(path: Path) -> Plan:
    """Read a plan, and check that all its cells have valid configurations.

    Functions of the user's own are looked up, so that a wrong name is known before the first run.

    Raises
    ------
    ConfigError
        If the file cannot be read, a key is unknown or missing, a cell has no valid configuration, or a function that
        it names is not there.
    """
    try:
        given = read_toml(path)
        if given and not {"tasks", "alignments", "seeds", "base"} & given.keys():
            raise ConfigError(f"without tasks and alignments it is no plan; a run is started with: fedtrain run {path}")
        plan: Plan = build(Plan, given)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    for task, alignment, setting in itertools.product(plan.tasks, plan.alignments, plan.settings):
        cell = plan.cell(task, alignment, setting, plan.seeds[0])
        for key, name in functions.own_functions(cell.config).items():
            functions.find(key, name)
    return plan


def _differences(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the nested keys whose values are not the defaults."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            inner = _differences(value, defaults[key])
            found |= {key: inner} if inner else {}
        elif value != defaults[key]:
            found[key] = value
    return found


def _changed(given: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of nested keys with the changes applied; the arguments are not modified."""
    merged = dict(given)
    for key, value in changes.items():
        nested = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _changed(merged[key], value) if nested else value
    return merged
