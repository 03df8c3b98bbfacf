"""Compiled reading of single rows: the losses of a client's moves, and the experts between which it wavers."""

from typing import Any

import numpy as np
import numpy.typing as npt

from alignsolve.runtime.jit import inner, kernel, part, present
from alignsolve.subproblem.reduced_compiled import subtract_price

Array = npt.NDArray[Any]

SHUT, OPEN, HELD, REQUIRED = 0, 1, 2, 3
"""States of a pair in a row."""


@part
def read_row(
    value: Array, allowed: Array, required: Array, prices: Array, grain: float, i: int, reduced: Array, state: Array
) -> None:
    """Compute reduced fitness and state of a client's pairs; one short loop for each, so that each is vectorised."""
    for j in range(len(prices)):
        reduced[j] = subtract_price(value[i, j], prices[j], 1)
        state[j] = OPEN
    if grain > 0:
        for j in range(len(prices)):
            reduced[j] = np.rint(reduced[j] / grain) * grain
    if present(required):
        for j in range(len(prices)):
            state[j] = REQUIRED if required[i, j] else OPEN
    if present(allowed):
        for j in range(len(prices)):
            state[j] = state[j] if allowed[i, j] else SHUT
            reduced[j] = reduced[j] if allowed[i, j] else 0


@inner
def grouped_losses(
    reduced: Array,
    state: Array,
    number: Array,
    group: Array,
    group_capacity: Array,
    group_demand: Array,
    room: int,
    spare: int,
    swap: Array,
    fall: Array,
    far: Any,
) -> None:
    """Compute the loss of the cheapest swap, and of the drop or addition, that each expert of a row takes part in."""
    num_groups = len(number)
    # The worst expert held and the best one open, of each group.
    worst = np.full(num_groups, far, dtype=reduced.dtype)
    best = np.full(num_groups, -far, dtype=reduced.dtype)
    for j in range(len(reduced)):
        if state[j] == HELD:
            worst[group[j]] = min(worst[group[j]], reduced[j])
        elif state[j] == OPEN:
            best[group[j]] = max(best[group[j]], reduced[j])
    # The worst that may leave its group, and the best that may enter its group.
    victim, rival = far, -far
    for g in range(num_groups):
        if number[g] > group_demand[g]:
            victim = min(victim, worst[g])
        if number[g] < group_capacity[g]:
            rival = max(rival, best[g])
    # Each expert's best partner, within its group or across groups.
    for j in range(len(reduced)):
        g = group[j]
        swap[j], fall[j] = far, far
        if state[j] == HELD:
            leaves = number[g] > group_demand[g]
            other = max(best[g], rival) if leaves else best[g]
            if other > -far:
                swap[j] = reduced[j] - other
            if leaves and spare > 0:
                fall[j] = reduced[j]
        elif state[j] == OPEN:
            enters = number[g] < group_capacity[g]
            other = min(worst[g], victim) if enters else worst[g]
            if other < far:
                swap[j] = other - reduced[j]
            if enters and room > 0:
                fall[j] = -reduced[j]


@kernel
def list_grouped_rows(
    value: Array,
    allowed: Array,
    required: Array,
    capacity: Array,
    demand: Array,
    group: Array,
    group_capacity: Array,
    group_demand: Array,
    prices: Array,
    grain: float,
    far: Any,
    client: Array,
    first: Array,
    chosen: Array,
    window: Any,
    ground_window: Any,
    everything: bool,
    size: Array,
    expert: Array,
    held: Array,
    worth: Array,
    ground: Array,
    capacity_left: Array,
    spare: Array,
    group_room: Array,
    group_spare: Array,
) -> int:
    """Read the near clients' rows again and list the experts between which they waver; −1 if they are too many."""
    num_experts, num_groups = value.shape[1], group_capacity.shape[1]
    reduced = np.empty(num_experts, dtype=prices.dtype)
    swap, fall = np.empty(num_experts, dtype=prices.dtype), np.empty(num_experts, dtype=prices.dtype)
    state, near = np.empty(num_experts, np.int8), np.empty(num_experts, np.bool_)
    number = np.empty(num_groups, np.int64)
    used = 0
    for t in range(len(client)):
        i = client[t]
        if used + num_experts > len(expert):
            return -1
        read_row(value, allowed, required, prices, grain, i, reduced, state)
        # The client's choice, and the room that it leaves.
        number[:] = 0
        for c in range(first[i], first[i + 1]):
            j = chosen[c]
            number[group[j]] += 1
            if state[j] != REQUIRED:
                state[j] = HELD
        total = first[i + 1] - first[i]
        capacity_left[t], spare[t] = capacity[i] - total, total - demand[i]
        row = i if len(group_capacity) == len(value) else 0
        for g in range(num_groups):
            group_room[t, g] = group_capacity[row, g] - number[g]
            group_spare[t, g] = number[g] - group_demand[row, g]
        # The experts in a move that loses no more than its window.
        if everything:
            _mark_possible(state, near)
        else:
            grouped_losses(
                reduced, state, number, group, group_capacity[row], group_demand[row], capacity_left[t], spare[t],
                swap, fall, far,
            )  # fmt: skip
            for j in range(num_experts):
                near[j] = (swap[j] <= window) | (fall[j] <= ground_window)
        begin = used
        used = _list_row(reduced, state, near, expert, held, worth, used)
        ground[t] = -reduced[expert[begin]]
        size[t] = used - begin
    return used


@kernel
def list_flat_rows(
    value: Array,
    allowed: Array,
    required: Array,
    capacity: Array,
    demand: Array,
    prices: Array,
    grain: float,
    far: Any,
    client: Array,
    first: Array,
    chosen: Array,
    window: Any,
    ground_window: Any,
    everything: bool,
    size: Array,
    expert: Array,
    held: Array,
    worth: Array,
    ground: Array,
    capacity_left: Array,
    spare: Array,
) -> int:
    """As :func:`list_grouped_rows`, for clients without groups; faster."""
    num_experts = value.shape[1]
    reduced = np.empty(num_experts, dtype=prices.dtype)
    state, near = np.empty(num_experts, np.int8), np.empty(num_experts, np.bool_)
    used = 0
    for t in range(len(client)):
        i = client[t]
        if used + num_experts > len(expert):
            return -1
        read_row(value, allowed, required, prices, grain, i, reduced, state)
        # The client's choice, and its worst expert.
        victim = far
        for c in range(first[i], first[i + 1]):
            j = chosen[c]
            if state[j] != REQUIRED:
                state[j] = HELD
                victim = min(victim, reduced[j])
        total = first[i + 1] - first[i]
        capacity_left[t], spare[t] = capacity[i] - total, total - demand[i]
        # The experts in a move that loses no more than its window.
        if everything:
            _mark_possible(state, near)
        else:
            swap_window = window if victim < far else -far
            entering = ground_window if capacity_left[t] > 0 else -far
            leaving = ground_window if spare[t] > 0 else -far
            _mark_near(reduced, state, victim, far, swap_window, entering, leaving, near)
        begin = used
        used = _list_row(reduced, state, near, expert, held, worth, used)
        ground[t] = -reduced[expert[begin]]
        size[t] = used - begin
    return used


@part
def _mark_near(
    reduced: Array, state: Array, victim: Any, far: Any, window: Any, entering: Any, leaving: Any, near: Array
) -> None:
    """Mark the experts of a row without groups whose cheapest move loses no more than its window.

    The victim is the reduced fitness of the cheapest expert held. A window of −far holds no move.
    """
    rival = -far
    for j in range(len(reduced)):
        candidate = reduced[j] if state[j] == OPEN else -far
        rival = candidate if candidate > rival else rival
    if not rival > -far:
        window = -far
    for j in range(len(reduced)):
        enters = (victim - reduced[j] <= window) | (-reduced[j] <= entering)
        leaves = (reduced[j] - rival <= window) | (reduced[j] <= leaving)
        near[j] = ((state[j] == OPEN) & enters) | ((state[j] == HELD) & leaves)


@part
def _mark_possible(state: Array, near: Array) -> None:
    """Mark every expert of a row that is a candidate."""
    for j in range(len(state)):
        near[j] = (state[j] == OPEN) | (state[j] == HELD)


@part
def _list_row(reduced: Array, state: Array, near: Array, expert: Array, held: Array, worth: Array, used: int) -> int:
    """List the experts of one row that are marked, with their worth minus that of the first one."""
    reference = 0
    while reference < len(near) - 1 and not near[reference]:
        reference += 1
    base = reduced[reference]
    for j in range(len(reduced)):
        # Written in any case, and overwritten by the next one: faster than a branch.
        expert[used] = j
        held[used] = state[j] == HELD
        worth[used] = reduced[j] - base
        used += near[j]
    return used
