"""The error that an adapter raises if the packages that it needs are not installed."""

from importlib.util import find_spec


class MissingExtraError(ImportError):
    """An adapter was used without its extra; the message says what to install."""


def require(extra: str, *packages: str) -> None:
    """Make sure that these packages can be imported, without importing them.

    Raises
    ------
    MissingExtraError
        Naming those that are missing and the extra that brings them.
    """
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise MissingExtraError(
            f"this adapter needs {', '.join(missing)}, which the extra [{extra}] brings: "
            f"pip install 'alignsolve[{extra}]'"
        )
