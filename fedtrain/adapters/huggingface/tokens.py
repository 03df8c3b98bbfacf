"""From a client's texts, as arrays of tokens, to what a model is trained on: windows of equal length."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


def windows(texts: Iterable[npt.ArrayLike], length: int) -> Tensor:
    """Join a client's texts, one after the other, and cut them into windows; what is left at the end is dropped.

    Parameters
    ----------
    texts
        Token numbers of each of the client's texts: of what a speaker says, of the files in a folder.
    length
        Tokens per window, 2 or more.

    Returns
    -------
    Tensor
        (num_windows, length) int64.

    Raises
    ------
    ValueError
        If the tokens do not fill one window, or are no whole numbers.

    Examples
    --------
    >>> windows([[1, 2, 3], [4, 5], [6, 7]], 3)
    tensor([[1, 2, 3],
            [4, 5, 6]])
    """
    arrays = [np.asarray(text) for text in texts]
    for array in arrays:
        if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
            raise ValueError(f"a text must be a list of token numbers, not {array.dtype} of shape {array.shape}")
    tokens = np.concatenate([np.zeros(0, dtype=np.int64), *arrays]).astype(np.int64)
    if length < 2 or len(tokens) < length:
        raise ValueError(f"{len(tokens)} tokens do not fill a window of {length}; a window takes 2 or more")
    number = len(tokens) // length
    return torch.from_numpy(tokens[: number * length].reshape(number, length))
