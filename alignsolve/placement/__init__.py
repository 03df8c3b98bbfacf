"""Placement: which GPU of a served model holds which experts, and how many copies of each, with a bound on the best.

``place`` is the front door; ``trade_off`` shows what less moving costs. The room may import numerics,
runtime, data and io.
"""

from alignsolve.placement.curve import TradeOff, trade_off
from alignsolve.placement.front import place
from alignsolve.placement.placement import Placement, copies_of

__all__ = ["Placement", "TradeOff", "copies_of", "place", "trade_off"]
