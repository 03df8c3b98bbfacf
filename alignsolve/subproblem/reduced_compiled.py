"""Reduced fitness in compiled code: one function, compiled into every loop that reads a row under prices."""

from typing import Any

from alignsolve.runtime.jit import within


@within
def subtract_price(value: Any, price: Any, load: Any) -> Any:
    """Value − price·load of one pair; a load of 1 costs nothing, the compiler leaves the product out."""
    return value - price * load
