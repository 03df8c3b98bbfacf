"""A bound: no placement has a smaller largest time. Four reasons, each a count that anybody can repeat.

1. *Work.* All GPUs together serve the sum of the loads: the largest time is at least the sum over the sum of speeds.
2. *Room.* A set of GPUs with n slots together holds at most the n largest loads whole. The other GPUs serve the rest.
   The sets tried are the GPUs with the fewest slots for their speed.
3. *Company.* With c copies of an expert, the slowest of the c GPUs is at best the c-th fastest. Each further copy uses
   a slot that the other experts do not need, and so does an empty slot. If few such slots are left, whole experts
   fill the others of this GPU.
4. *Large copies.* Let T be the largest time, and call a copy large if it exceeds a size s. A GPU of speed v holds fewer
   than T·v/s large copies. So an expert either has few copies, all large, or so many that each is at most s. If all
   experts together then need more slots than there are, no placement reaches T. (How many must be split so fine is a
   knapsack; its relaxation decides.) The sizes tried are T·v/k for k = 1, 2, …; T is bisected.

Rounding is on the safe side: counts have a tolerance for the last digits, and the bound is lowered by more than the
error of its sums.
"""

import math

import numpy as np

from alignsolve.numerics import FloatArray, IntArray, total

SAFE = 1e-12
"""A share of a number above the rounding of all sums here."""
BISECTIONS = 40


def quick_bound(loads: FloatArray, slots: IntArray, speed: FloatArray) -> float:
    """Return the bound by reasons 1 to 3 of one layer on GPUs of one node."""
    return max(_work(loads, slots, speed), _company(loads, slots, speed)) * (1 - SAFE)


def bound(loads: FloatArray, slots: IntArray, speed: FloatArray, gap: float = 0.0) -> float:
    """Return a lower bound on the largest time of any placement of one layer on GPUs of one node.

    Parameters
    ----------
    loads
        (num_experts,).
    slots, speed
        (num_gpus,); together at least as many slots as experts.
    gap
        Reason 4 is tried only where it raises the bound by more than this share.
    """
    lowest = quick_bound(loads, slots, speed)
    if not lowest or not _refuted(lowest * (1 + gap), loads, slots, speed):
        return lowest
    low, high = lowest * (1 + gap), lowest * (1 + gap)
    while _refuted(high, loads, slots, speed):
        low, high = high, 2 * high
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if _refuted(middle, loads, slots, speed):
            low = middle
        else:
            high = middle
    return max(lowest, low * (1 - SAFE))


def _work(loads: FloatArray, slots: IntArray, speed: FloatArray) -> float:
    """Reasons 1 and 2: the best over sets of GPUs that are full, the empty one first."""
    falling = np.sort(loads)[::-1]
    order = np.argsort(slots / speed, kind="stable")
    full = np.minimum(np.concatenate([[0], np.cumsum(slots[order])[:-1]]), len(loads))
    rest = total(loads) - np.concatenate([[0.0], np.cumsum(falling)])[full] * (1 + SAFE)
    serving = np.cumsum(speed[order][::-1])[::-1]
    return float(np.max(rest / serving, initial=total(loads) / total(speed)))


def _company(loads: FloatArray, slots: IntArray, speed: FloatArray) -> float:
    """Reason 3, for the expert with the largest load."""
    useful = slots > 0
    slots, speed = slots[useful], speed[useful]
    copies = np.arange(1, len(slots) + 1)[:, np.newaxis]
    left = slots.sum() - len(loads) - (copies - 1)  # further copies and empty slots that may still be
    rising = np.sort(loads)
    lightest = np.concatenate([[0.0], np.cumsum(rising[:-1])]) * (1 - SAFE)
    others = np.clip(slots - 1 - left, 0, len(loads) - 1)
    time = (rising[-1] / copies + lightest[others]) / speed  # of the GPU that holds a copy; the slowest counts
    slowest = np.sort(time, axis=1)[np.arange(len(slots)), copies[:, 0] - 1]
    return float(np.where(left[:, 0] >= 0, slowest, np.inf).min())


def _refuted(time: float, loads: FloatArray, slots: IntArray, speed: FloatArray) -> bool:
    """Reason 4: whether no placement has a largest time of at most ``time``."""
    useful = slots > 0
    slots, speed = slots[useful], speed[useful]
    fastest = np.sort(speed)[::-1]
    copies = np.arange(1, len(fastest) + 1)
    reach = np.maximum.accumulate(time * copies * fastest)  # the largest load that c copies or fewer can serve
    coarse = np.searchsorted(reach, loads * (1 - SAFE)) + 1
    spare = int(slots.sum() - coarse.sum())
    if spare < 0 or (coarse > len(fastest)).any():
        return True
    for size in _sizes(time, slots, speed):
        large = loads * (1 - 2 * SAFE) > size * coarse
        fits = np.minimum(slots, np.ceil(time * speed / size * (1 - SAFE)) - 1).sum()
        excess = coarse[large].sum() - fits
        if excess <= 0:
            continue
        fine = np.ceil(loads[large] / size * (1 - SAFE))
        if _least_more(fine, coarse[large], float(excess), len(fastest)) > spare:
            return True
    return False


def _sizes(time: float, slots: IntArray, speed: FloatArray) -> FloatArray:
    """Return the sizes of copies to look at: those of which a GPU of some speed holds at most k − 1 larger ones."""
    return np.unique(time * np.unique(speed)[:, np.newaxis] / np.arange(1, slots.max() + 2))


def _least_more(fine: FloatArray, coarse: IntArray, excess: float, num_gpus: int) -> float:
    """Return the fewest slots more for which experts with ``excess`` large copies together are split fine, relaxed."""
    able = fine <= num_gpus
    more, fewer = fine[able] - coarse[able], coarse[able].astype(float)
    order = np.argsort(more / fewer, kind="stable")
    more, fewer = more[order], np.cumsum(fewer[order])
    whole = int(np.searchsorted(fewer, excess))
    if whole == len(fewer):
        return math.inf
    before = fewer[whole - 1] if whole else 0.0
    part = (excess - before) / (fewer[whole] - before)
    return math.ceil((more[:whole].sum() + part * more[whole]) * (1 - SAFE))
