"""Files for the people around the code hold together: workflows, templates, citation, documentation host, version."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import alignsolve

ROOT = Path(__file__).parents[1]
SCHEMAS = {
    ".github/workflows/*.yml": ["vendor.github-workflows", "custom.github-workflows-require-timeout"],
    ".github/ISSUE_TEMPLATE/[!c]*.yml": ["vendor.github-issue-forms"],
    ".github/ISSUE_TEMPLATE/config.yml": ["vendor.github-issue-config"],
    ".github/dependabot.yml": ["vendor.dependabot"],
    ".readthedocs.yaml": ["vendor.readthedocs"],
    "CITATION.cff": ["vendor.citation-file-format"],
}
"""Files, and the schemas of theirs that check-jsonschema brings along."""
CASES = [(pattern, schema) for pattern, schemas in SCHEMAS.items() for schema in schemas]


def text_of(name):
    return (ROOT / name).read_text(encoding="utf-8")


def check(schema, *files):
    pytest.importorskip("check_jsonschema", reason="the schemas need the extra: pip install 'alignsolve[test]'")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, "--default-filetype", "yaml"]
    return subprocess.run([*command, *map(str, files)], capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(("pattern", "schema"), CASES, ids=[schema for _, schema in CASES])
def test_files_follow_their_schema(pattern, schema):
    files = sorted(ROOT.glob(pattern))
    assert files
    done = check(schema, *files)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_workflow_that_no_host_would_take_is_refused(tmp_path):
    wrong = tmp_path / "wrong.yml"
    wrong.write_text("on: push\njobs:\n  test:\n    runs-on: 3\n", encoding="utf-8")
    assert check("vendor.github-workflows", wrong).returncode == 1


def test_every_file_of_github_has_a_schema():
    known = {path for pattern in SCHEMAS for path in ROOT.glob(pattern)}
    files = {path for path in (ROOT / ".github").rglob("*") if path.suffix in {".yml", ".yaml"}}
    assert files
    assert not files - known


def test_continuous_integration_runs_on_three_systems_and_three_pythons():
    workflow = text_of(".github/workflows/ci.yml")
    for system in ("ubuntu", "macos", "windows"):
        assert f"{system}-latest" in workflow
    for python in ("3.11", "3.12", "3.13"):
        assert f'"{python}"' in workflow


@pytest.mark.parametrize("name", [path.name for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))])
def test_workflows_install_torch_at_its_pin_and_call_targets_that_there_are(name):
    workflow = text_of(f".github/workflows/{name}")
    installs = re.findall(r"pip install (.*\.\[.*)", workflow)
    assert all(arguments.startswith("-c constraints.txt ") for arguments in installs)
    targets = re.findall(r"^([a-z]+):", text_of("Makefile"), flags=re.MULTILINE)
    assert set(re.findall(r"run: make (\w+)", workflow)) <= set(targets)


def test_workflows_install_extras_that_there_are():
    extras = tomllib.loads(text_of("pyproject.toml"))["project"]["optional-dependencies"]
    asked = re.findall(r"extras: (.*)", text_of(".github/workflows/ci.yml"))
    assert asked
    assert {extra for line in asked for extra in line.split(",")} <= set(extras)
    host = re.search(r"extra_requirements: \[(.*)\]", text_of(".readthedocs.yaml"))
    assert set(host[1].split(", ")) <= set(extras)


def test_the_version_stands_in_one_place():
    project = tomllib.loads(text_of("pyproject.toml"))
    assert "version" not in project["project"]
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "alignsolve.__version__"}
    assert "alignsolve.__version__" in text_of("docs/conf.py")


def test_the_version_can_be_read_without_importing_the_package():
    """A literal, as setuptools reads it: the package's dependencies are not there when it is built."""
    literal = re.search(r'^__version__ = "(\d+\.\d+\.\d+\S*)"$', text_of("alignsolve/__init__.py"), flags=re.MULTILINE)
    assert literal[1] == alignsolve.__version__


def test_the_citation_has_the_version_and_the_licence_of_the_package():
    citation = text_of("CITATION.cff")
    assert f"\nversion: {alignsolve.__version__}\n" in citation
    assert f"\nlicense: {tomllib.loads(text_of('pyproject.toml'))['project']['license']}\n" in citation


def test_the_changelog_is_one():
    """Keep a Changelog: newest first, a section for what is not released, known kinds of change only."""
    page = text_of("CHANGELOG.md")
    versions = re.findall(r"^## \[(.+?)\](?: - (\d{4}-\d{2}-\d{2}))?$", page, flags=re.MULTILINE)
    assert versions[0] == ("Unreleased", "")
    assert all(day for _, day in versions[1:])
    assert [day for _, day in versions[1:]] == sorted((day for _, day in versions[1:]), reverse=True)
    kinds = re.findall(r"^### (.+)$", page, flags=re.MULTILINE)
    assert kinds
    assert set(kinds) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
