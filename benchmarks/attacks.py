"""The effect of attacking clients on a federated run, by aggregation rule: ``python -m benchmarks.attacks``.

The runs are fedtrain's own, on digits, with 40 clients whose labels are hardly skewed (Dirichlet 10). The less honest
clients differ, the better a rule can tell them from attackers. A share of 0.3 of the clients attacks. The robust rules
are set to a share of 0.4, because some experts have a larger share of attackers among their holders. With
``--held-back``, the server keeps a share of the test examples for itself, which the rule ``learned`` needs. Every row
is written at once, and no run is repeated.
"""

import argparse
import csv
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fedtrain.config import RunConfig
from fedtrain.config.file import read_config
from fedtrain.config.server import ATTACKS, RULES
from fedtrain.server import initial_state, prepare
from fedtrain.server.rounds import run_rounds

SETTING = (
    "training.batch_size=32",
    "training.together=true",
    "data.alpha=10.0",
    "aggregation.bad_share=0.4",
    "attack.share=0.3",
)


class AttackRow(NamedTuple):
    """One run: the accuracy of the whole model after the last round, and the number of quarantined updates."""

    seed: int
    rounds: int
    attack: str
    scale: float
    rule: str
    held_back: float
    accuracy: float
    quarantined: int


def attack_run(
    seed: int, rounds: int, attack: str, scale: float, rule: str, held_back: float = 0.0, more: Sequence[str] = ()
) -> AttackRow:
    """Train once, and return the row; ``more`` overrides further keys of the configuration."""
    overrides = [f"seed={seed}", f"rounds={rounds}", f"attack.kind={attack}", f"attack.scale={scale}"]
    overrides.append(f"data.held_back={held_back}")
    config: RunConfig = read_config(overrides=[*SETTING, *overrides, f"aggregation.rule={rule}", *more])
    federation = prepare(config)
    rows = [done.row for done, _ in run_rounds(federation, initial_state(federation))]
    quarantined = sum(row.quarantined for row in rows)
    return AttackRow(seed, rounds, attack, scale, rule, held_back, rows[-1].accuracy, quarantined)


def table(rows: Iterable[AttackRow]) -> str:
    """Return a Markdown table: mean accuracy by attack and rule, and the loss in points.

    The loss is measured against the rule ``mean`` without an attack, with the same seed and the same examples.
    """
    rows = list(rows)
    free = {(row.seed, row.held_back): row.accuracy for row in rows if row.attack == "none" and row.rule == "mean"}
    lines = [
        "| attack | rule | held back | runs | accuracy | points lost: mean | worst |",
        "| --- | --- | --: | --: | --: | --: | --: |",
    ]
    for attack, scale, rule, held_back in sorted({(row.attack, row.scale, row.rule, row.held_back) for row in rows}):
        same = (attack, scale, rule, held_back)
        own = [row for row in rows if (row.attack, row.scale, row.rule, row.held_back) == same]
        lost = [100 * (free[row.seed, held_back] - row.accuracy) for row in own if (row.seed, held_back) in free]
        accuracy = np.mean([row.accuracy for row in own])
        name = attack if attack == "none" else f"{attack} × {scale:g}"
        points = f"{np.mean(lost):.1f} | {np.max(lost):.1f}" if lost else "– | –"
        lines.append(f"| {name} | {rule} | {held_back:g} | {len(own)} | {accuracy:.4f} | {points} |")
    return "\n".join(lines)


def main() -> None:
    """Run the runs that are not in the file yet, and print the table of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--attacks", nargs="+", choices=ATTACKS[1:], default=["sign-flip"])
    parser.add_argument("--scales", type=float, nargs="+", default=[1.0])
    parser.add_argument("--rules", nargs="+", choices=RULES, default=[rule for rule in RULES if rule != "learned"])
    parser.add_argument("--held-back", type=float, default=0.0, help="share of the test examples, for the rule learned")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/attacks.csv"))
    arguments = parser.parse_args()
    rows = read_rows(arguments.out)
    known = {row[:6] for row in rows}
    attacks = [("none", 1.0), *itertools.product(arguments.attacks, arguments.scales)]
    for seed, (attack, scale), rule in itertools.product(arguments.seeds, attacks, arguments.rules):
        setting = (seed, arguments.rounds, attack, scale, rule, arguments.held_back)
        if setting not in known:
            rows.append(attack_run(*setting))
            write_rows(arguments.out, rows)
            print(*rows[-1], flush=True)
    print(table(row for row in rows if row.rounds == arguments.rounds))


def read_rows(path: Path) -> list[AttackRow]:
    """Read the rows of earlier runs; none if there is no file."""
    if not path.exists():
        return []
    kinds = AttackRow.__annotations__.values()
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file))[1:]
    return [AttackRow(*(kind(field) for kind, field in zip(kinds, line, strict=True))) for line in lines]


def write_rows(path: Path, rows: Iterable[AttackRow]) -> None:
    """Write all rows to the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([AttackRow._fields, *rows])


if __name__ == "__main__":
    main()
