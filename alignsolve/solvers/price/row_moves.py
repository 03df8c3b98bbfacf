"""Compiled reading of single rows: what a client's moves would lose, and between which experts it wavers."""

from typing import Any

import numpy as np
import numpy.typing as npt

from alignsolve.solvers.price.compiled import inner, kernel, part

Array = npt.NDArray[Any]

SHUT, OPEN, HELD, REQUIRED = 0, 1, 2, 3


@part
def read_row(
    value: Array, allowed: Array, required: Array, prices: Array, grain: float, i: int, reduced: Array, state: Array
) -> None:
    """Reduced fitness and state of a client's pairs; one short loop for each question, so that each is vectorised."""
    for j in range(len(prices)):
        reduced[j] = value[i, j] - prices[j]
        state[j] = OPEN
    if grain > 0:
        for j in range(len(prices)):
            reduced[j] = np.rint(reduced[j] / grain) * grain
    if len(required) > 0:
        for j in range(len(prices)):
            state[j] = REQUIRED if required[i, j] else OPEN
    if len(allowed) > 0:
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
    """Loss of the cheapest swap, and of the drop or addition, that each expert of a row takes part in."""
    num_groups = len(number)
    worst = np.full(num_groups, far, dtype=reduced.dtype)
    best = np.full(num_groups, -far, dtype=reduced.dtype)
    for j in range(len(reduced)):
        if state[j] == HELD:
            worst[group[j]] = min(worst[group[j]], reduced[j])
        elif state[j] == OPEN:
            best[group[j]] = max(best[group[j]], reduced[j])
    victim, rival = far, -far
    for g in range(num_groups):
        if number[g] > group_demand[g]:
            victim = min(victim, worst[g])
        if number[g] < group_capacity[g]:
            rival = max(rival, best[g])
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
    state, number = np.empty(num_experts, np.int8), np.empty(num_groups, np.int64)
    used = 0
    for t in range(len(client)):
        i = client[t]
        if used + num_experts > len(expert):
            return -1
        read_row(value, allowed, required, prices, grain, i, reduced, state)
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
        if not everything:
            grouped_losses(
                reduced, state, number, group, group_capacity[row], group_demand[row], capacity_left[t], spare[t],
                swap, fall, far,
            )  # fmt: skip
        begin = used
        used = _list_row(reduced, state, swap, fall, window, ground_window, everything, expert, held, worth, used)
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
    """List the same of clients without groups, faster."""
    num_experts = value.shape[1]
    reduced = np.empty(num_experts, dtype=prices.dtype)
    swap, fall = np.empty(num_experts, dtype=prices.dtype), np.empty(num_experts, dtype=prices.dtype)
    state = np.empty(num_experts, np.int8)
    used = 0
    for t in range(len(client)):
        i = client[t]
        if used + num_experts > len(expert):
            return -1
        read_row(value, allowed, required, prices, grain, i, reduced, state)
        for c in range(first[i], first[i + 1]):
            state[chosen[c]] = max(HELD, state[chosen[c]])
        total = first[i + 1] - first[i]
        capacity_left[t], spare[t] = capacity[i] - total, total - demand[i]
        if not everything:
            _flat_losses(reduced, state, capacity_left[t], spare[t], swap, fall, far)
        begin = used
        used = _list_row(reduced, state, swap, fall, window, ground_window, everything, expert, held, worth, used)
        ground[t] = -reduced[expert[begin]]
        size[t] = used - begin
    return used


@part
def _flat_losses(reduced: Array, state: Array, room: int, spare: int, swap: Array, fall: Array, far: Any) -> None:
    """Loss of the cheapest swap, and drop or addition, of each expert of a row without groups."""
    victim, rival = far, -far
    for j in range(len(reduced)):
        leaving, entering = reduced[j] if state[j] == HELD else far, reduced[j] if state[j] == OPEN else -far
        victim = leaving if leaving < victim else victim
        rival = entering if entering > rival else rival
    swaps = victim < far and rival > -far
    for j in range(len(reduced)):
        loss = reduced[j] - rival if state[j] == HELD else victim - reduced[j]
        swap[j] = loss if swaps and (state[j] == HELD or state[j] == OPEN) else far
        gain = -reduced[j] if state[j] == OPEN and room > 0 else far
        fall[j] = reduced[j] if state[j] == HELD and spare > 0 else gain


@part
def _list_row(
    reduced: Array,
    state: Array,
    swap: Array,
    fall: Array,
    window: Any,
    ground_window: Any,
    everything: bool,
    expert: Array,
    held: Array,
    worth: Array,
    used: int,
) -> int:
    """List the experts of one row that take part in a move within the windows, their worths relative to the first's."""
    begin = used
    for j in range(len(reduced)):
        near = not everything and (swap[j] <= window or fall[j] <= ground_window)
        if near or (everything and (state[j] == OPEN or state[j] == HELD)):
            expert[used] = j
            held[used] = state[j] == HELD
            worth[used] = reduced[j] - reduced[expert[begin]]
            used += 1
    return used
