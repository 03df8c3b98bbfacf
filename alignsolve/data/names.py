"""Names of clients, experts and sets of experts: checked once, and the words for them in every message.

Without names a client is its number: ``client 3``. With names it is ``client Ann``. A name is a text or a whole number.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

Name = str | int
Names = tuple[Name, ...]
LISTED = 8
"""Members of a set that a text names."""
SHOWN = 4
"""Labels that an error shows."""


def read_names(field: str, given: Any, count: int) -> Names | None:
    """Check names: one for each, none empty, none twice.

    Parameters
    ----------
    field
        ``client_names``, ``expert_names`` or ``set_names``, for errors.
    given
        The names; None: there are none. Other labels than texts and whole numbers, such as dates, become their texts.
    count
        How many there must be.

    Raises
    ------
    ValueError
        If there are more or fewer, a name is empty or no text of Unicode, or two have one name.
    """
    if given is None:
        return None
    if isinstance(given, str) or not np.iterable(given):
        raise ValueError(f"{field} must be a list of names, not {given!r:.40}")
    names = tuple(as_names(given))
    whose = field.removesuffix("_names")
    if len(names) != count:
        raise ValueError(f"{field} has {len(names)} names, there are {count} {whose}s: give one for each")
    if "" in names:
        raise ValueError(f"{field}: the name of {whose} {names.index('')} is empty; give every {whose} a name")
    texts: Sequence[str] = list(map(str, names))
    try:
        "".join(texts).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{field}: {error.object[error.start]!r} in a name is no character of Unicode") from None
    if len(set(texts)) < count:
        first: dict[str, int] = {}
        for k, text in enumerate(texts):
            if (before := first.setdefault(text, k)) != k:
                raise ValueError(f"{field}: {whose}s {before} and {k} have one name, {text!r}; give each its own")
    return names


def as_names(labels: Iterable[Any]) -> list[Name]:
    """Return labels as names, as :func:`as_name` does; fast where all are texts."""
    given = list(labels)
    return list(map(str.strip, given)) if set(map(type, given)) == {str} else list(map(as_name, given))


def as_name(label: Any) -> Name:
    """Return a label as a name: texts without spaces around them, whole numbers as they are, all else by its text.

    What is missing, None or NaN, is the empty name.
    """
    if isinstance(label, str):
        return label.strip()
    if label is None or type(label).__name__ in {"NAType", "NaTType"} or label != label:  # noqa: PLR0124  (NaN)
        return ""
    if isinstance(label, int | np.integer) and not isinstance(label, bool):
        return int(label)
    return str(label).strip()


def shown(name: Name) -> str:
    """Return a name for a text; in quotes where commas or unprintable characters would mislead."""
    text = str(name)
    return text if text.isprintable() and not set(text) & set(",;'\"") else repr(text)


def some(labels: Sequence[Any]) -> str:
    """Return the first few labels, for an error."""
    return ", ".join(map(repr, labels[:SHOWN])) + (", …" if len(labels) > SHOWN else "")


def label(names: Names | None, k: int) -> str:
    """Return the name of one member, or its number where there are no names."""
    return str(int(k)) if names is None else shown(names[k])


def called(names: Names | None, what: str, k: int) -> str:
    """Return the words for one member: ``client Ann``, or ``client 3`` where there are no names."""
    return f"{what} {label(names, k)}"


def named(mask: npt.NDArray[np.bool_], what: str, names: Names | None = None) -> str:
    """Name the members of a set: the first few, and how many there are."""
    members = np.flatnonzero(mask)
    if not len(members):
        return f"no {what}"
    if len(members) == 1:
        return called(names, what, members[0])
    listed = ", ".join(label(names, k) for k in members[:LISTED].tolist())
    more = f", … ({len(members)} in all)" if len(members) > LISTED else ""
    return f"{what}s {listed}{more}"


def picked(names: Names | None, members: npt.NDArray[Any]) -> Names | None:
    """Return the names of some members, given by their numbers."""
    return None if names is None else tuple(names[k] for k in members.tolist())


class PlaceError(ValueError):
    """A wrong entry of a field. It is told by numbers, until somebody knows the names.

    Parameters
    ----------
    before, after
        The text around the place.
    place
        What and which one, such as ``(("client", 3), ("expert", 2))``.
    """

    def __init__(self, before: str, place: Sequence[tuple[str, int]], after: str) -> None:
        self.before, self.place, self.after = before, tuple(place), after
        self.known: dict[str, Names] = {}
        super().__init__(self.told())

    def told(self) -> str:
        """Return the message with the names that are known."""
        return self.before + ", ".join(called(self.known.get(what), what, k) for what, k in self.place) + self.after


@contextmanager
def naming(clients: Names | None, experts: Names | None, sets: Names | None = None) -> Iterator[None]:
    """Say names, where there are any, in the errors on single entries that are raised inside."""
    try:
        yield
    except PlaceError as error:
        given = {"client": clients, "expert": experts, "set": sets}
        error.known |= {what: names for what, names in given.items() if names is not None}
        error.args = (error.told(),)
        raise
