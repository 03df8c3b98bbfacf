"""What a comparison runs: tasks × alignments × settings × seeds, read from a TOML file in which each is a few keys.

A task and an alignment are changes to one base configuration; nothing else differs between two cells of a task and
seed, so that partitions, devices, dropouts, cohorts and the initial model are the same for all alignments. Settings
are tried on development seeds, the same for every alignment; each alignment is then judged with its best one on seeds
that none was tuned on.
"""

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fedtrain.config import ConfigError, RunConfig
from fedtrain.config.file import build_config, read_toml

Changes = Mapping[str, Any]
"""Keys of a configuration, nested as in its TOML file."""
TABLES = ("base", "tasks", "alignments", "settings")


@dataclass(frozen=True)
class Cell:
    """One run of a comparison.

    Attributes
    ----------
    task, alignment, setting
        Names in the plan.
    seed
        Of the run.
    config
        What is run; its name is empty of meaning.
    """

    task: str
    alignment: str
    setting: str
    seed: int
    config: RunConfig

    @property
    def key(self) -> str:
        """Name of the cell's file: what it is, and a digest of all that its configuration changes.

        Of what it changes only, so that the name stays when keys are added whose defaults change nothing.
        """
        changed = json.dumps(_differences(asdict(self.config), asdict(RunConfig())), sort_keys=True)
        digest = hashlib.sha256(changed.encode()).hexdigest()[:16]
        return f"{self.task}.{self.alignment}.{self.setting}.{self.seed}.{digest}"


@dataclass(frozen=True)
class Plan:
    """A comparison.

    Attributes
    ----------
    name
        Of the folder that it writes.
    reference
        The alignment whose final accuracy sets the targets, and which the others are not compared with.
    ours
        The alignment that the others are compared with.
    targets
        Shares of the reference's final accuracy that are to be reached.
    seeds, tuning_seeds
        To judge and to tune on; none is in both.
    base
        Changes to the default configuration for all cells.
    tasks, alignments, settings
        Further changes by name. With one setting nothing is tuned.
    """

    name: str
    reference: str
    ours: str
    targets: tuple[float, ...]
    seeds: tuple[int, ...]
    tuning_seeds: tuple[int, ...]
    base: Changes
    tasks: Mapping[str, Changes]
    alignments: Mapping[str, Changes]
    settings: Mapping[str, Changes]

    def __post_init__(self) -> None:
        """Check that the names and seeds fit together."""
        for key, name in (("reference", self.reference), ("ours", self.ours)):
            if name not in self.alignments:
                raise ConfigError(f"{key} is {name!r}; it must be one of the alignments: {', '.join(self.alignments)}")
        for key, table in (("tasks", self.tasks), ("alignments", self.alignments), ("settings", self.settings)):
            if not table:
                raise ConfigError(f"{key} is empty; a comparison needs at least one")
            for name in table:
                if not name or not set(name) <= NAME_LETTERS:
                    raise ConfigError(f"{key}.{name}: a name may hold letters, digits, - and _ only")
        if not self.seeds:
            raise ConfigError("seeds is empty; at least one is needed")
        shared = sorted(set(self.seeds) & set(self.tuning_seeds))
        if shared:
            raise ConfigError(f"seeds and tuning_seeds share {shared}: what is tuned on must not be judged on")
        if len(self.settings) > 1 and not self.tuning_seeds:
            raise ConfigError("there are several settings and no tuning_seeds to choose by")
        if not self.targets or not all(0.0 < target <= 1.0 for target in self.targets):
            raise ConfigError(f"targets is {list(self.targets)}; it must be shares above 0 and at most 1")

    def tuning_cells(self) -> Iterator[Cell]:
        """All that is run to choose settings; nothing where there is no choice."""
        if len(self.settings) > 1:
            for task, alignment, setting, seed in itertools.product(
                self.tasks, self.alignments, self.settings, self.tuning_seeds
            ):
                yield self.cell(task, alignment, setting, seed)

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


NAME_LETTERS = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


def read_plan(path: Path) -> Plan:
    """Read a plan, and check that every cell of it can be run.

    Raises
    ------
    ConfigError
        If the file cannot be read, a key is unknown or missing, or a cell has no valid configuration.
    """
    given = read_toml(path)
    known = {"name", "reference", "ours", "targets", "seeds", "tuning_seeds", *TABLES}
    unknown = sorted(set(given) - known)
    if unknown:
        raise ConfigError(f"{path}: unknown key {unknown[0]!r}; a plan has {', '.join(sorted(known))}")
    missing = sorted({"name", "seeds", "tasks", "alignments"} - set(given))
    if missing:
        raise ConfigError(f"{path}: {missing[0]} is missing")
    plan = Plan(
        name=_text(given, "name", path.stem),
        reference=_text(given, "reference", "none"),
        ours=_text(given, "ours", "ours"),
        targets=tuple(_numbers(given, "targets", [0.9, 0.97])),
        seeds=tuple(map(int, _numbers(given, "seeds", []))),
        tuning_seeds=tuple(map(int, _numbers(given, "tuning_seeds", []))),
        base=_table(given, "base"),
        tasks=_tables(given, "tasks"),
        alignments=_tables(given, "alignments"),
        settings=_tables(given, "settings") or {"plain": {}},
    )
    for task, alignment, setting in itertools.product(plan.tasks, plan.alignments, plan.settings):
        plan.cell(task, alignment, setting, plan.seeds[0])
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
    """Return nested keys with changes made to them; neither is modified."""
    merged = dict(given)
    for key, value in changes.items():
        nested = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _changed(merged[key], value) if nested else value
    return merged


def _text(given: Mapping[str, Any], key: str, default: str) -> str:
    value = given.get(key, default)
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{key} is {value!r}; it must be a name")
    return value


def _numbers(given: Mapping[str, Any], key: str, default: list[float]) -> list[float]:
    values = given.get(key, default)
    kind = int if "seeds" in key else (int, float)
    if not isinstance(values, list) or not all(isinstance(v, kind) and not isinstance(v, bool) for v in values):
        raise ConfigError(f"{key} is {values!r}; it must be a list of {'whole ' if 'seeds' in key else ''}numbers")
    if len(set(values)) < len(values):
        raise ConfigError(f"{key} is {values!r}; it names a number twice")
    return values


def _table(given: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = given.get(key, {})
    if not isinstance(value, dict):
        raise ConfigError(f"{key} is {value!r}; it must be a table of keys")
    return value


def _tables(given: Mapping[str, Any], key: str) -> dict[str, dict[str, Any]]:
    return {name: _table(_table(given, key), name) for name in _table(given, key)}
