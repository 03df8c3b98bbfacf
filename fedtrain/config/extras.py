"""Checks that the packages of an extra are installed, so that what needs them can say so in one line."""

from importlib.util import find_spec

TRAIN = ("torch", "sklearn", "safetensors", "matplotlib", "PIL", "tomli_w")
"""The packages of the extra ``[train]``, by the names that Python imports."""


class MissingExtraError(ImportError):
    """Something was asked for without its extra; the message names the extra to install."""


def require(extra: str, *packages: str, what: str = "this adapter") -> None:
    """Check that these packages are installed, without importing them.

    Parameters
    ----------
    extra
        Name of the extra that brings them.
    packages
        The packages, by the names that Python imports.
    what
        What needs them, as the message calls it.

    Raises
    ------
    MissingExtraError
        If packages are missing. The message names them and the extra that installs them.
    """
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise MissingExtraError(
            f"{what} needs {', '.join(missing)}, which the extra [{extra}] brings: pip install 'alignsolve[{extra}]'"
        )
