"""``alignsolve placement``: experts of a served model on its GPUs, from a table of loads to index arrays."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from alignsolve.commands.options import AsJson, ExitCode, check, fail
from alignsolve.io.record_file import json_text

if TYPE_CHECKING:
    from alignsolve.placement import Placement

JSON = (".json",)
EPILOG = "Exit codes: 0 every layer is within --gap of its bound, 10 some are not, 2 bad input."


def placement(
    loads: Annotated[Path, typer.Argument(metavar="LOADS")],
    gpus: Annotated[int, typer.Option(min=1, help="Number of GPUs.")],
    slots: Annotated[str, typer.Option(metavar="N[,N…]", help="Experts that fit on a GPU; or one number for each.")],
    speed: Annotated[
        str, typer.Option(metavar="V[,V…]", help="Load that a GPU serves per unit of time; or one number for each.")
    ] = "1",
    nodes: Annotated[int | None, typer.Option(min=1, help="Nodes of as many GPUs each, with --groups.")] = None,
    groups: Annotated[
        int | None, typer.Option(min=1, help="Groups of as many experts each; a group stays within a node.")
    ] = None,
    current: Annotated[
        Path | None, typer.Option(metavar="JSON", help="The current placement: a file with physical_to_logical.")
    ] = None,
    moved_cost: Annotated[float, typer.Option(min=0.0, help="Time that a layer must win for each moved copy.")] = 0.0,
    gap: Annotated[float, typer.Option(min=0.0, help="Relative gap at which the search of a layer stops.")] = 1e-4,
    time_limit: Annotated[
        float | None, typer.Option(min=0.0, metavar="SECONDS", help="Time limit; default: none.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random choices.")] = 0,
    threads: Annotated[int | None, typer.Option(min=1, help="Layers searched at once; default: all cores.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="OUT", help="Write the placement to OUT, a .json.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it exists.")] = False,
    json: AsJson = False,
) -> None:
    """Place the experts of a served model on GPUs, with copies, so that the slowest GPU is as fast as can be.

    LOADS is a CSV file with the columns expert and load, and layer if there are several layers; all numbered from 0.
    """
    # Loads numba: other commands must not wait for it.
    from alignsolve.placement import place  # noqa: PLC0415
    from alignsolve.placement.files import read_copies, read_loads_csv, save_placement  # noqa: PLC0415

    check(output, overwrite=overwrite, suffixes=JSON)
    try:
        table = read_loads_csv(loads)
        room = np.broadcast_to(_numbers("--slots", slots, gpus, int), (gpus,))
        before = None if current is None else read_copies(current, table.shape[-1], room)
        placed = place(
            table, gpus, room, speed=_numbers("--speed", speed, gpus, float), gpu_node=nodes, expert_group=groups,
            current=before, moved_cost=moved_cost, gap=gap, time_limit=time_limit, seed=seed, threads=threads,
        )  # fmt: skip
        if output is not None:
            save_placement(placed, output, overwrite=overwrite)
    except ValueError as error:
        fail(error)
    facts = _facts(placed, moved=before is not None)
    typer.echo(json_text(facts) if json else "\n".join(f"{name}: {_text(value)}" for name, value in facts.items()))
    raise typer.Exit(ExitCode.OPTIMAL if facts["gap"] <= gap else ExitCode.FEASIBLE)


def _numbers(option: str, text: str, gpus: int, kind: type[int] | type[float]) -> Any:
    """Read one number, or one for each GPU."""
    try:
        values = [kind(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"{option} {text}: it must be one number, or {gpus} with commas between them") from None
    if len(values) not in {1, gpus}:
        raise ValueError(f"{option} has {len(values)} numbers; it must have 1 or {gpus}, one for each GPU")
    return values[0] if len(values) == 1 else np.array(values)


def _facts(placed: "Placement", *, moved: bool) -> dict[str, Any]:
    """Return what is printed: the layer with the largest gap decides."""
    largest, mean = placed.all_times.max(axis=1), placed.all_loads.sum(axis=1) / placed.fleet.speed.sum()
    with np.errstate(invalid="ignore"):
        excess = np.nanmax(np.append(largest / mean - 1, 0.0))
    facts: dict[str, Any] = {
        "layers": len(largest),
        "experts": placed.all_loads.shape[1],
        "gpus": placed.fleet.num_gpus,
        "copies": int(placed.all_copies.sum()),
        "largest": float(largest.max()),
        "largest over mean": float(excess + 1),
        "gap": float(np.max(placed.gap)),
    }
    return facts | ({"moved": int(np.sum(placed.moved))} if moved else {})


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) and math.isfinite(value) else str(value)
