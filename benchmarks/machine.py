"""Describes the machine of a measurement: processor, memory, package versions and commit."""

import datetime
import os
import platform
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

PACKAGES = ("numpy", "numba", "ortools", "highspy", "pulp", "networkx", "scipy", "POT", "lapx")
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Machine:
    """The machine and the software of a measurement.

    Attributes
    ----------
    cores, cpu, memory_gb, system
        The computer; ``cores`` counts the cores that this process may use.
    versions
        Python and the installed packages, as ``name version``, separated by semicolons.
    commit
        Short commit of the code, followed by ``+`` if files were changed since.
    """

    cores: int
    cpu: str
    memory_gb: float
    system: str
    versions: str
    commit: str


def this_machine() -> Machine:
    """Return a description of this computer and this code."""
    affinity = getattr(os, "sched_getaffinity", None)
    return Machine(
        cores=len(affinity(0)) if affinity else os.cpu_count() or 1,
        cpu=_cpu(),
        memory_gb=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        system=f"{platform.system()} {platform.machine()}",
        versions="; ".join([f"python {platform.python_version()}", *_versions()]),
        commit=_commit(),
    )


def now() -> str:
    """Return the present time in UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")


def _cpu() -> str:
    """Return the processor's model name, family and model number; virtual machines often hide more."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return platform.processor() or platform.machine()
    info = dict(_field(line) for line in path.read_text().splitlines() if ":" in line)
    return f"{info.get('model name', platform.machine())} ({info.get('cpu family', '?')}/{info.get('model', '?')})"


def _field(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip(), value.strip()


def _versions() -> list[str]:
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return found


def _commit() -> str:
    """Return the short commit of the checkout; empty outside one. Changed results do not count as changes."""
    try:
        head = _git("rev-parse", "--short", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", ":!benchmarks/results")
    except (FileNotFoundError, subprocess.CalledProcessError):
        return ""
    return head + ("+" if changed else "")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.strip()
