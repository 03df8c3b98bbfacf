"""Checks that the packages of an adapter are installed."""

from importlib.util import find_spec


class MissingExtraError(ImportError):
    """An adapter was imported without its extra; the message names the extra to install."""


def require(extra: str, *packages: str) -> None:
    """Check that these packages are installed, without importing them.

    Raises
    ------
    MissingExtraError
        If packages are missing. The message names them and the extra that installs them.
    """
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise MissingExtraError(
            f"this adapter needs {', '.join(missing)}, which the extra [{extra}] brings: "
            f"pip install 'alignsolve[{extra}]'"
        )
