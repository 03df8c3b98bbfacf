"""Placement against EPLB's rule, on real and on drawn loads: ``python -m benchmarks.placement``.

Three questions, each with its rows in ``benchmarks/results``:

- ``placement.csv``: one layer at a time. How far is the largest GPU load above the mean, ours and the rule's?
- ``placement-layers.csv``: all layers of a large model at once, flat, with nodes, with two speeds. How long is it?
- ``placement-moves.csv``: after a tenth of the load has changed. How much is moved, from here and from nothing?

Real loads come from a folder with ``expert_counts.csv`` (model, domain, layer, expert, tokens), named by ``--real``.
Without it only drawn loads are used, and the output says so.
"""

import csv
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from alignsolve.numerics import FloatArray
from alignsolve.placement import place, trade_off
from alignsolve.placement.matching import renamed
from benchmarks.kept_rows import write
from benchmarks.peers.eplb import eplb

FILE, COLUMNS = "expert_counts.csv", ("model", "domain", "layer", "expert", "tokens")
SHAPES = ((8, 8), (8, 9), (8, 10), (16, 6), (32, 4))
"""GPUs and slots of each, for the 64 experts of the real loads."""
DRAWN = 100
LARGE = (58, 256, 32, 9)
"""Layers, experts, GPUs and slots of a large model."""
NEAR = 0.01
"""How much more largest load a rebalancing may leave."""


@dataclass(frozen=True)
class Layer:
    """One layer by the rule and by ours; loads are over the mean load of a GPU, so 1 is perfect balance."""

    source: str
    instance: str
    experts: int
    gpus: int
    slots: int
    rule: float
    rule_wasted: int
    ours: float
    bound: float
    gap: float


@dataclass(frozen=True)
class Layers:
    """All layers of a large model: seconds, medians of the repeats, and layers on which ours is worse than the rule."""

    setting: str
    layers: int
    experts: int
    gpus: int
    slots: int
    seconds: float
    rule_seconds: float
    rule: float
    ours: float
    worst_gap: float
    worse: int


@dataclass(frozen=True)
class Moves:
    """Copies that are moved when the loads change, and the largest load over that of a placement from nothing.

    ``rule`` is what the rule moves, ``nothing`` what ours from nothing moves, and ``renamed`` the same after equal
    GPUs have been renamed so that most copies stay.
    """

    source: str
    instance: str
    change: str
    gpus: int
    slots: int
    copies: int
    rule: int
    nothing: int
    renamed: int
    ours: int
    largest: float
    staying: float


def real_loads(folder: Path) -> dict[str, FloatArray]:
    """Read the loads of the experts by model, domain and layer; of models with 64 experts or more."""
    if not (folder / FILE).is_file():
        raise typer.BadParameter(f"the folder {folder} has no {FILE}")
    tokens: dict[str, dict[int, float]] = defaultdict(dict)
    with (folder / FILE).open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if not set(COLUMNS) <= set(reader.fieldnames or ()):
            raise typer.BadParameter(f"{folder / FILE} has other columns than {', '.join(COLUMNS)}")
        for row in reader:
            tokens[f"{row['model']} {row['domain']} {row['layer']}"][int(row["expert"])] = float(row["tokens"])
    loads = {name: np.array([own[expert] for expert in sorted(own)]) for name, own in tokens.items()}
    return {name: own for name, own in loads.items() if len(own) >= 64}


def drawn_layer(seed: int) -> tuple[str, FloatArray, int, int]:
    """Draw loads of 64 experts, in the shapes of the real ones: log-normal, by a power of the rank, or almost even."""
    rng = np.random.default_rng(seed)
    experts, (gpus, slots) = 64, SHAPES[seed % len(SHAPES)]
    kind = str(rng.choice(["log-normal", "power", "even"]))
    if kind == "log-normal":
        loads = rng.lognormal(0, rng.uniform(0.3, 1.2), experts)
    elif kind == "power":
        loads = np.asarray(np.arange(1, experts + 1) ** -rng.uniform(0.2, 0.7), dtype=np.float64)
    else:
        loads = rng.normal(1, 0.1, experts)
    return f"{kind} {seed}", loads, gpus, slots


def layer_row(source: str, name: str, loads: FloatArray, gpus: int, slots: int) -> Layer:
    """Place one layer by both."""
    mean = loads.sum() / gpus
    rule, ours = eplb(loads, gpus, slots), place(loads, gpus, slots)
    return Layer(source, name, len(loads), gpus, slots, rule.largest / mean, rule.wasted, ours.largest / mean,
                 ours.bound / mean, ours.gap)  # fmt: skip


def layers_row(setting: str, repeats: int) -> Layers:
    """Place a large model by both."""
    number, experts, gpus, slots = LARGE
    loads = np.random.default_rng(0).lognormal(0, 1, (number, experts))
    speed = np.where(np.arange(gpus) < gpus // 2, 1.0, 1.5) if setting == "two speeds" else np.ones(gpus)
    nodes, groups = (4, 8) if setting == "nodes" else (1, 1)
    parts: dict[str, Any] = {"gpu_node": nodes, "expert_group": groups} if nodes > 1 else {}
    place(loads[:2], gpus, slots, **parts)  # compiles
    seconds, theirs = [], []
    for _ in range(repeats):
        begun = time.perf_counter()
        placed = place(loads, gpus, slots, speed=speed, **parts)
        seconds.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        rule = [eplb(row, gpus, slots, speed=speed, num_nodes=nodes, num_groups=groups).largest for row in loads]
        theirs.append(time.perf_counter() - begun)
    mean = loads.sum(axis=1) / speed.sum()
    return Layers(
        setting, number, experts, gpus, slots, float(np.median(seconds)), float(np.median(theirs)),
        float(np.mean(rule / mean)), float(np.mean(placed.largest / mean)), float(placed.gap.max()),
        int((placed.largest > np.array(rule) * (1 + 1e-12)).sum()),
    )  # fmt: skip


def another_tenth(loads: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Move a tenth of the load at random from some experts to others."""
    change = loads * rng.standard_normal(len(loads))
    gain, loss = change.clip(min=0), (-change).clip(min=0)
    tenth = loads.sum() / 10
    return (loads + gain * tenth / gain.sum() - loss * min(1.0, tenth / loss.sum())).clip(min=0)


def moves_row(
    source: str, name: str, change: str, before: FloatArray, after: FloatArray, shape: tuple[int, int]
) -> Moves:
    """Place for the loads before, then for those after."""
    gpus, slots = shape
    current, fresh = place(before, gpus, slots), place(after, gpus, slots)
    curve = trade_off(after, gpus, slots, current)
    near = curve.at(int(np.argmax(curve.largest <= fresh.largest * (1 + NEAR))))
    moved = (fresh.copies & ~current.copies).sum()
    rule = (eplb(after, gpus, slots).copies - eplb(before, gpus, slots).copies).clip(min=0).sum()
    named = renamed(fresh.copies, current.copies, np.ones(len(after)), fresh.fleet)
    return Moves(
        source, name, change, gpus, slots, int(fresh.copies.sum()), int(rule), int(moved),
        int((named & ~current.copies).sum()),
        int(near.moved), near.largest / fresh.largest, curve.largest[0] / fresh.largest,
    )  # fmt: skip


def layer_rows(real: dict[str, FloatArray]) -> Iterable[Layer]:
    """Yield the rows of single layers: every shape of the real ones, then the drawn ones."""
    for (gpus, slots), (name, loads) in ((shape, item) for shape in SHAPES for item in real.items()):
        yield layer_row("real", name, loads, gpus, slots)
    for seed in range(DRAWN):
        yield layer_row("drawn", *drawn_layer(seed))


def moves_rows(real: dict[str, FloatArray]) -> Iterable[Moves]:
    """Yield the rows of changed loads: a tenth from the next domain of the same layer, or a tenth at random."""
    rng = np.random.default_rng(0)
    for name, loads in real.items():
        alike = [other for other in real if other.split()[0::2] == name.split()[0::2]]
        other = real[alike[(alike.index(name) + 1) % len(alike)]]
        mixed = 0.9 * loads + 0.1 * other * loads.sum() / other.sum()
        random = another_tenth(loads, rng)
        for shape in SHAPES:
            yield moves_row("real", name, "a tenth from another domain", loads, mixed, shape)
            yield moves_row("real", name, "a tenth at random", loads, random, shape)
    for seed in range(10):
        loads = np.random.default_rng(seed).lognormal(0, 1, 256)
        yield moves_row("drawn", f"log-normal {seed}", "a tenth at random", loads, another_tenth(loads, rng), (32, 9))


def layer_table(rows: Sequence[Layer]) -> str:
    """Return the means over the instances of each source and shape, and over all of them, as Markdown."""
    lines = [
        "| loads | GPUs × slots | layers | rule | `place` | worst: rule | `place` | gap: median | worst "
        "| `place` worse | rule: two copies on a GPU |",
        "| --- | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |",
    ]
    cells: dict[tuple[str, str], list[Layer]] = defaultdict(list)
    for row in rows:
        cells[row.source, f"{row.gpus} × {row.slots}" if row.source == "real" else "these five"].append(row)
        cells["all", "these five"].append(row)
    for (source, shape), own in sorted(cells.items(), key=lambda cell: cell[0][0] == "all"):
        rule, ours, gap = (np.array([getattr(row, name) for row in own]) for name in ("rule", "ours", "gap"))
        worse, wasted = (ours > rule * (1 + 1e-12)).sum(), sum(row.rule_wasted > 0 for row in own)
        lines.append(
            f"| {source} | {shape} | {len(own)} | {rule.mean():.4f} | {ours.mean():.4f} | {rule.max():.4f} "
            f"| {ours.max():.4f} | {np.median(gap):.2%} | {gap.max():.2%} | {worse} | {wasted} |"
        )
    return "\n".join(lines)


def excess(rows: Sequence[Layer]) -> float:
    """Return the mean excess of the largest over the mean load, ours over the rule's."""
    return sum(row.ours - 1 for row in rows) / sum(row.rule - 1 for row in rows)


def layers_table(rows: Sequence[Layers]) -> str:
    """Return the rows of the large model as Markdown."""
    lines = [
        "| setting | `place`: seconds | rule: seconds | rule | `place` | gap: worst | `place` worse |",
        "| --- | --: | --: | --: | --: | --: | --: |",
    ]
    lines += [
        f"| {row.setting} | {row.seconds:.2f} | {row.rule_seconds:.2f} | {row.rule:.4f} | {row.ours:.4f} "
        f"| {row.worst_gap:.2%} | {row.worse} |"
        for row in rows
    ]
    return "\n".join(lines)


def moves_table(rows: Sequence[Moves]) -> str:
    """Return the mean shares of the copies that are moved, by change and shape, as Markdown."""
    lines = [
        "| loads | change | GPUs × slots | rule | from nothing | renamed | from here | over nothing: worst "
        "| over renamed | largest: worst | if nothing moves |",
        "| --- | --- | --- | --: | --: | --: | --: | --: | --: | --: | --: |",
    ]
    cells: dict[tuple[str, str, str], list[Moves]] = defaultdict(list)
    for row in rows:
        cells[row.source, row.change, f"{row.gpus} × {row.slots}"].append(row)
    for key, own in cells.items():
        shares = " | ".join(
            f"{sum(getattr(row, name) for row in own) / sum(row.copies for row in own):.1%}"
            for name in ("rule", "nothing", "renamed", "ours")
        )
        worst = max(row.ours / row.nothing for row in own)
        ratio = sum(row.ours for row in own) / sum(row.renamed for row in own)
        lines.append(
            f"| {' | '.join(key)} | {shares} | {worst:.2f} | {ratio:.2f} | {max(row.largest for row in own):.4f} "
            f"| {np.mean([row.staying for row in own]):.3f} |"
        )
    return "\n".join(lines)


def main(
    real: Annotated[Path | None, typer.Option(metavar="FOLDER", help=f"Folder with {FILE}, the real loads.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Repeats of the timed runs.")] = 5,
    keep: Annotated[bool, typer.Option(help="Write the rows to benchmarks/results.")] = True,
) -> None:
    """Compare placements with EPLB's rule, and print the tables."""
    loads = {} if real is None else real_loads(real)
    print(f"real loads: {real / FILE if real else 'none, drawn ones only (give --real FOLDER)'}\n")
    single, moves = list(layer_rows(loads)), list(moves_rows(loads))
    large = [layers_row(setting, repeats) for setting in ("flat", "nodes", "two speeds")]
    print("\n\n".join([layer_table(single), layers_table(large), moves_table(moves)]))
    print(f"\nexcess of the largest over the mean load, ours over the rule's: {excess(single):.3f}")
    if keep:
        for name, rows in (("placement", single), ("placement-layers", large), ("placement-moves", moves)):
            write(f"{name}.csv", rows)


if __name__ == "__main__":
    typer.run(main)
