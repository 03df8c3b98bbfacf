"""Environments as users have them: every Python that is here, with the wheel and nothing that its extras bring."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SMOKE = Path(__file__).with_name("smoke.py")
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
NOWHERE = os.devnull + "/nowhere"
"""Below a file: nobody can make a folder there, not even root."""
FORGOTTEN = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "NUMBA_CACHE_DIR", "NUMBA_DISABLE_JIT")
"""Settings of the tests that an installed package would not see."""


def pythons():
    """Return the Pythons of this machine by version; the one that runs the tests is always there."""
    found = {}
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for version in VERSIONS:
        places = [shutil.which(f"python{version}"), *sorted(kept.glob(f"{version}.*/bin/python"))]
        working = [str(place) for place in places if place and _is(place, version)]
        if working:
            found[version] = working[0]
    return found


def _is(python, version):
    """Whether this starts a Python of that version; pyenv's shims of other versions start nothing."""
    code = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip() == version


@dataclass(frozen=True)
class Built:
    """The source distribution, and the wheel that was built from it."""

    sdist: Path
    wheel: Path

    def files(self):
        """Return the names of the files in the source distribution, as in a checkout."""
        with tarfile.open(self.sdist) as packed:
            return {name.partition("/")[2] for name in packed.getnames()}


def build(folder):
    """Build the source distribution from the tracked files, and the wheel from the source distribution."""
    source, dist = folder / "source", folder / "dist"
    for name in tracked():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, source / name)
    tools = Environment(folder / "tools", sys.executable)
    tools.install("setuptools>=77")
    code = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    tools.run("-c", code, str(dist), cwd=source)
    (sdist,) = dist.glob("*.tar.gz")
    tools.pip("wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(dist), str(sdist))
    (wheel,) = dist.glob("*.whl")
    return Built(sdist, wheel)


def tracked():
    """Return the names of the files under version control."""
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, check=True, cwd=ROOT)
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()]


class Environment:
    """A virtual environment of its own, made from one Python."""

    def __init__(self, folder, python):
        self.folder = folder
        subprocess.run([python, "-m", "venv", "--without-pip", str(folder)], check=True, env=clean())
        self.bin = folder / ("Scripts" if os.name == "nt" else "bin")

    def install(self, *what):
        """Install packages by pip; what is pinned for all has its version. Their Python is compiled when it is used."""
        self.pip("install", "--quiet", "--no-compile", "-c", str(ROOT / "constraints.txt"), *what)

    def pip(self, *arguments):
        """Ask pip about this environment, and return what it prints: the tests' own pip, as older ones take longer."""
        command = [sys.executable, "-m", "pip", "--python", str(self.bin / "python"), "--disable-pip-version-check"]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, env=clean())
        assert done.returncode == 0, f"pip {arguments} of {self.folder.name}: {done.stderr[-4000:]}"
        return done.stdout

    def run(self, *arguments, cwd=None, **settings):
        """Run Python, and return what it prints; its errors are those of the test."""
        done = self.ask("python", *arguments, cwd=cwd, **settings)
        assert done.returncode == 0, f"{arguments} of {self.folder.name}: {done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    def ask(self, program, *arguments, cwd=None, prefix=(), **settings):
        """Run a program of the environment, and return what came of it."""
        command = [*prefix, str(self.bin / program), *map(str, arguments)]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=cwd or self.folder, env=clean() | settings
        )


def clean():
    """Return this process's settings without those that tests make."""
    return {name: value for name, value in os.environ.items() if name not in FORGOTTEN and not _of_tests(name)}


def _of_tests(name):
    return re.match(r"(PYTEST|COV|COVERAGE)_", name) is not None


def without_rights():
    """Return what to put before a command, so that file permissions count for root too; None if there is no way."""
    if not hasattr(os, "geteuid"):
        return None
    if os.geteuid():
        return ()
    return ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if shutil.which("setpriv") else None


def write_protect(folder):
    """Take the right to write from every file and folder in a folder."""
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o222)
