"""The reference of the keys: it has every key of the dataclasses; the commented configuration is the default one."""

import dataclasses
from typing import get_args, get_origin, get_type_hints

import pytest
from typer.testing import CliRunner

from fedtrain.cli import app
from fedtrain.compare.plan import Plan
from fedtrain.config import RunConfig
from fedtrain.config.file import read_config
from fedtrain.config.keys import REQUIRED, as_toml, tables
from tests.keys_page import PAGE, page

KINDS = (RunConfig, Plan)


def fedtrain(*arguments, **environment):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env=environment)


def fields_of(kind, prefix=""):
    """Yield every key of a dataclass by its dotted name, with its field, read without the code under test."""
    for field in dataclasses.fields(kind):
        hint = get_type_hints(kind)[field.name]
        inner = get_args(hint)[0] if get_origin(hint) is tuple else hint
        if not dataclasses.is_dataclass(hint):
            yield f"{prefix}{field.name}", field
        if dataclasses.is_dataclass(inner):
            yield from fields_of(inner, f"{prefix}{field.name}.")


def keys_of(kind):
    return {f"{table.name}.{key.name}".lstrip("."): key for table in tables(kind) for key in table.keys}


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_has_its_default_a_unit_and_a_meaning(kind):
    found, fields = keys_of(kind), dict(fields_of(kind))
    assert sorted(found) == sorted(fields)
    for name, field in fields.items():
        key = found[name]
        default = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
        assert key.default == (REQUIRED if default is dataclasses.MISSING else as_toml(default)), name
        assert key.unit, name
        assert len(key.meaning) > 15, name
        assert "``" not in key.meaning, name
        assert key.rule == field.metadata.get("rule", (None, ""))[1], name


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_has_a_unit(kind):
    """A bool or a text has a kind in place of a unit; a number says what it counts or measures."""
    missing = [
        name
        for name, field in fields_of(kind)
        if field.type in (int, float, "int", "float") and "unit" not in field.metadata
    ]
    assert missing == []


def test_the_page_is_what_the_dataclasses_say():
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tests.keys_page"


def test_the_commented_configuration_is_the_default_one(tmp_path):
    path = tmp_path / "mine.toml"
    assert fedtrain("init", path).exit_code == 0
    assert read_config(path) == RunConfig()
    lines = path.read_text(encoding="utf-8").splitlines()
    assert max(len(line) for line in lines if line.startswith("#")) <= 120
    for name in keys_of(RunConfig):
        last = name.rpartition(".")[2]
        assert any(line.startswith((f"{last} = ", f"# - {last} (")) for line in lines), name


def test_init_replaces_nothing_unasked(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("rounds = 3\n", encoding="utf-8")
    refused = fedtrain("init", path)
    assert refused.exit_code == 2
    assert "pass --overwrite" in refused.stderr
    assert read_config(path).rounds == 3
    assert fedtrain("init", path, "--overwrite").exit_code == 0
    assert read_config(path) == RunConfig()
    assert "cannot write" in fedtrain("init", tmp_path / "nowhere" / "mine.toml").stderr


def test_the_help_of_the_keys_fits_the_terminal():
    shown = fedtrain("config", "--help-keys", COLUMNS="60")
    assert shown.exit_code == 0
    lines = shown.output.splitlines()
    assert max(map(len, lines)) <= 60
    for key in (
        "epochs  (passes; default 3)",
        "deadline  (s; default inf)",
        "seeds  (list of whole numbers; required)",
    ):
        assert key in lines


def test_a_configuration_is_shown_with_its_defaults(tmp_path):
    shown = fedtrain("config", "--set", "rounds=7")
    path = tmp_path / "shown.toml"
    path.write_text(shown.output, encoding="utf-8")
    assert read_config(path) == read_config(overrides=["rounds=7"])
    wrong = fedtrain("config", "--set", "round=7")
    assert wrong.exit_code == 2
    assert "did you mean 'rounds'?" in wrong.stderr
