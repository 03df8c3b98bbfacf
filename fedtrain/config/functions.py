"""Functions of the user's own that a configuration names: how they are found and called, and what is said of errors.

A name with a colon is such a function: ``module:function``, or ``path/to/file.py:function`` with a path from the
current folder. A file may import files beside it, and a module may lie in the current folder.
"""

import hashlib
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from alignsolve import SolveError
from fedtrain.config.checks import ConfigError, is_function, nearest
from fedtrain.config.run import RunConfig

SHOWN_FRAMES = 4
"""Largest number of places in the user's code that an error names."""
OURS = (f"{Path(__file__).parents[1]}{os.sep}", "<frozen ")
"""Beginnings of the names of files that an error does not name: this package's, and Python's own."""


class FunctionError(ConfigError):
    """A function of the user's own that is not there, that raised an error, or that returned something else."""


def call(key: str, name: str, built_in: Mapping[str, Callable[..., Any]], expected: type, *arguments: Any) -> Any:
    """Call what a configuration names: something built in, or a function of the user's own.

    Parameters
    ----------
    key
        The key of the configuration.
    name
        Its value.
    built_in
        Functions by name.
    expected
        The class of what a function of the user's own must return.
    *arguments
        What the function is called with.

    Raises
    ------
    FunctionError
        If a function of the user's own cannot be found, raises an error, or returns something else. The message names
        the key, and the lines of the user's code.
    """
    if not is_function(name):
        return built_in[name](*arguments)
    function = find(key, name)
    with Naming({key: name}):
        result = function(*arguments)
    if not isinstance(result, expected):
        where = f"{expected.__module__}.{expected.__qualname__}"
        raise FunctionError(f"{key} is {name!r}, which returned a {type(result).__name__}; it must return a {where}")
    return result


def find(key: str, name: str) -> Callable[..., Any]:
    """Find a function of the user's own.

    Raises
    ------
    FunctionError
        If there is no such file, module or function; or if the file or module raises an error. The message names the
        key, and the function whose name is nearest.
    """
    place, _, wanted = name.rpartition(":")
    with Naming({key: name}):
        module = _module(place)
    function = getattr(module, wanted, None)
    if callable(function):
        return function
    if function is not None:
        raise FunctionError(f"{key} is {name!r}, and {wanted} is a {type(function).__name__}, not a function")
    there = [known for known, value in vars(module).items() if callable(value) and not known.startswith("_")]
    raise FunctionError(f"{key} is {name!r}, and {place} has no function {wanted}{nearest(wanted, there)}")


def own_functions(config: RunConfig) -> dict[str, str]:
    """Return the functions of the user's own that a configuration names, by key."""
    names = {
        "data.name": config.data.name,
        "model.kind": config.model.kind,
        "alignment.policy": config.alignment.policy,
    }
    return {key: name for key, name in names.items() if is_function(name)}


def source_digest(config: RunConfig) -> str:
    """Return a digest of the files of the user's own functions; an empty text if a configuration names none.

    Files that these files import are not part of it.
    """
    own = own_functions(config)
    digest = hashlib.sha256()
    for key, name in sorted(own.items()):
        with Naming({key: name}):
            digest.update(_file(name.rpartition(":")[0]).read_bytes())
    return digest.hexdigest()[:16] if own else ""


class Naming:
    """A context in which functions of the user's own run: an error of theirs becomes a FunctionError that names them.

    A SolveError stays what it is: it says that a round has no alignment.

    Parameters
    ----------
    names
        Values of a configuration by key.
    everywhere
        Whether other code runs in this context too. Then only errors that went through a user's file are changed.
    """

    def __init__(self, names: Mapping[str, str], *, everywhere: bool = True) -> None:
        self.names = {key: name for key, name in names.items() if is_function(name)}
        self.everywhere = everywhere

    def __enter__(self) -> None:
        """Enter."""

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Raise a FunctionError in place of an error of the user's functions."""
        if not isinstance(error, Exception) or isinstance(error, FunctionError | SolveError) or not self.names:
            return
        frames = traceback.extract_tb(trace)
        files = {key: _loaded_file(name.rpartition(":")[0]) for key, name in self.names.items()}
        begins = next((k for k, frame in enumerate(frames) if frame.filename in files.values()), None)
        if begins is None and not self.everywhere:
            return
        shown = [frame for frame in frames[begins or 0 :] if not frame.filename.startswith(OURS)]
        passed = {frame.filename for frame in shown}
        keys = [key for key, file in files.items() if file in passed] or list(self.names)
        named = " and ".join(f"{key} is {self.names[key]!r}" for key in keys)
        said = f"{named}, which failed: {type(error).__name__}: {error}"
        raise FunctionError("\n".join([said, *_places(shown)])) from error


def _places(frames: Sequence[traceback.FrameSummary]) -> Iterator[str]:
    """Yield lines that say where in the user's code an error was, the innermost place last."""
    if len(frames) > SHOWN_FRAMES:
        yield f"  … {len(frames) - SHOWN_FRAMES} more"
    for frame in frames[-SHOWN_FRAMES:]:
        yield f"  {Path(frame.filename).name}, line {frame.lineno}, in {frame.name}: {frame.line}"


def _module(place: str) -> ModuleType:
    """Load a file, or import a module; the current folder counts, after all others."""
    if place.endswith(".py"):
        path = _file(place)
        _allow_imports_from(path.parent)
        return _run_file(path, path.read_bytes())
    _allow_imports_from(Path.cwd())
    return importlib.import_module(place)


@lru_cache
def _run_file(path: Path, source: bytes) -> ModuleType:
    """Run a file as a module of its own, once as long as it is not changed."""
    name = f"{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module  # dataclasses look up the module of their class
    exec(compile(source, str(path), "exec"), vars(module))
    return module


def _file(place: str) -> Path:
    """Return the path of a file, or of a module's file; raise FileNotFoundError or ImportError if there is none."""
    if place.endswith(".py"):
        path = Path(place).resolve()
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {path}")
        return path
    _allow_imports_from(Path.cwd())
    spec = importlib.util.find_spec(place)
    if spec is None or not spec.origin:
        raise ModuleNotFoundError(f"there is no module {place!r} with a file")
    return Path(spec.origin)


def _loaded_file(place: str) -> str:
    """Return the file's name as tracebacks have it; an empty text if it is not known."""
    if place.endswith(".py"):
        return str(Path(place).resolve())
    return getattr(sys.modules.get(place), "__file__", None) or ""


def _allow_imports_from(folder: Path) -> None:
    """Let Python import from a folder. It comes last, so that it hides nothing that is installed."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
