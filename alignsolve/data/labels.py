"""Labels and masks of arguments: a labelled array is matched by them, and a mask that would be lost is refused.

pandas is not imported: whatever has an ``index`` and a ``to_numpy`` is labelled.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

SHOWN = 4
"""Labels that an error shows."""


def refuse_mask(field: str, given: Any) -> None:
    """Raise for a masked array of NumPy that masks anything: the mask would be lost.

    Raises
    ------
    ValueError
        With the number of masked entries, and what to pass in its place.
    """
    if not isinstance(given, np.ma.MaskedArray):
        return
    masked = int(np.ma.getmaskarray(given).sum())
    if masked:
        instead = "eligible=~mask and fitness.filled(0)" if field == "fitness" else f"{field}.filled(...)"
        raise ValueError(f"{field} is a masked array with {masked} masked entries, and a mask is not read; "
                         f"pass {instead}")  # fmt: skip


def matched(fields: dict[str, Any]) -> dict[str, Any]:
    """Put labelled arguments, such as a Series, into the order of the fitness.

    Parameters
    ----------
    fields
        The arguments of a problem by name. Labels 0, 1, 2, … count as none.

    Returns
    -------
    dict
        The arguments that were labelled, as plain arrays. Unlabelled ones are not in it.

    Raises
    ------
    ValueError
        If the labels are not those of the fitness; with some of both, and what to do.
    """
    known = _labels(fields["fitness"]) if _is_labelled(fields["fitness"]) else []
    return {
        field: _in_order(field, given, known)
        for field, given in fields.items()
        if field != "fitness" and _is_labelled(given)
    }


def _in_order(field: str, given: Any, known: list[list[Any]]) -> npt.NDArray[Any]:
    """An argument as an array; each of its labelled axes in the order of the fitness's axis with the same labels."""
    values: npt.NDArray[Any] = given.to_numpy()
    for axis, labels in enumerate(_labels(given)):
        if not labels:
            continue
        order = next((place for wanted in known if (place := _places(labels, wanted)) is not None), None)
        if order is None:
            raise ValueError(
                f"{field} has the labels {_shown(labels)}; those of the fitness are "
                f"{' and '.join(_shown(wanted) for wanted in known if wanted) or 'none'}; "
                f"give it the same labels, or no labels and the order of the fitness: {field}.to_numpy()"
            )
        values = values.take(order, axis=axis)
    return values


def _places(labels: list[Any], wanted: list[Any]) -> list[int] | None:
    """Where each wanted label stands among the labels; None if they are not the same ones, each once."""
    place = {label: k for k, label in enumerate(labels)}
    if len(labels) != len(wanted) or len(place) < len(labels) or any(label not in place for label in wanted):
        return None
    return [place[label] for label in wanted]


def _is_labelled(given: Any) -> bool:
    """Whether an argument is an array with an index, as pandas has it; lists have a method of that name."""
    index = getattr(given, "index", None)
    return index is not None and not callable(index) and hasattr(given, "to_numpy")


def _labels(given: Any) -> list[list[Any]]:
    """The labels of the rows, and of the columns if there are any; an empty list where they are the positions."""
    axes = [getattr(given, name) for name in ("index", "columns") if hasattr(given, name)]
    return [[] if _are_positions(axis) else list(axis) for axis in axes]


def _are_positions(axis: Any) -> bool:
    labels = np.asarray(axis)
    return labels.dtype.kind in "iu" and np.array_equal(labels, np.arange(len(labels)))


def _shown(labels: list[Any]) -> str:
    return ", ".join(map(repr, labels[:SHOWN])) + (", …" if len(labels) > SHOWN else "")
