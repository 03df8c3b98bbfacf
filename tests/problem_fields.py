"""The fields of a problem as plain arrays, to compare them: a sparse field is its rows and its values."""

from typing import Any

import numpy as np

from alignsolve.data.stored import StoredPairs


def arrays(field: Any) -> list[Any]:
    """Return the arrays that make up a field; a field that the problem does not have is [None]."""
    if isinstance(field, StoredPairs):
        return [np.array(field.shape), field.indptr, field.experts, field.values]
    return [field]
