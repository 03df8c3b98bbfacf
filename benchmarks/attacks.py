"""The effect of sign-flipping clients on a federated run, by aggregation rule: ``python -m benchmarks.attacks``.

The runs are fedtrain's own, on digits, with 40 clients whose labels are hardly skewed (Dirichlet 10). The less honest
clients differ, the better a rule can tell them from attackers. A share of 0.3 of the clients attacks. The robust rules
are set to a share of 0.4, because some experts have a larger share of attackers among their holders. Every row is
written at once, and no run is repeated.
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
from fedtrain.config.server import RULES
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
    accuracy: float
    quarantined: int


def attack_run(seed: int, rounds: int, attack: str, scale: float, rule: str, more: Sequence[str] = ()) -> AttackRow:
    """Train once, and return the row; ``more`` overrides further keys of the configuration."""
    overrides = (f"seed={seed}", f"rounds={rounds}", f"attack.kind={attack}", f"attack.scale={scale}")
    config: RunConfig = read_config(overrides=[*SETTING, *overrides, f"aggregation.rule={rule}", *more])
    federation = prepare(config)
    rows = [done.row for done, _ in run_rounds(federation, initial_state(federation))]
    quarantined = sum(row.quarantined for row in rows)
    return AttackRow(seed, rounds, attack, scale, rule, rows[-1].accuracy, quarantined)


def table(rows: Iterable[AttackRow]) -> str:
    """Return a Markdown table: mean accuracy by attack and rule, and the loss in points.

    The loss is measured against the rule ``mean`` without an attack and with the same seed.
    """
    rows = list(rows)
    free = {row.seed: row.accuracy for row in rows if row.attack == "none" and row.rule == "mean"}
    lines = [
        "| attack | rule | runs | accuracy | points lost: mean | worst |",
        "| --- | --- | --: | --: | --: | --: |",
    ]
    for attack, scale, rule in sorted({(row.attack, row.scale, row.rule) for row in rows}):
        own = [row for row in rows if (row.attack, row.scale, row.rule) == (attack, scale, rule)]
        lost = [100 * (free[row.seed] - row.accuracy) for row in own if row.seed in free]
        accuracy = np.mean([row.accuracy for row in own])
        name = attack if attack == "none" else f"{attack} × {scale:g}"
        points = f"{np.mean(lost):.1f} | {np.max(lost):.1f}" if lost else "– | –"
        lines.append(f"| {name} | {rule} | {len(own)} | {accuracy:.4f} | {points} |")
    return "\n".join(lines)


def main() -> None:
    """Run the runs that are not in the file yet, and print the table of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--scales", type=float, nargs="+", default=[1.0])
    parser.add_argument("--rules", nargs="+", choices=RULES, default=list(RULES))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/attacks.csv"))
    arguments = parser.parse_args()
    rows = read_rows(arguments.out)
    known = {row[:5] for row in rows}
    attacks = [("none", 1.0), *(("sign-flip", scale) for scale in arguments.scales)]
    for seed, (attack, scale), rule in itertools.product(arguments.seeds, attacks, arguments.rules):
        if (seed, arguments.rounds, attack, scale, rule) not in known:
            rows.append(attack_run(seed, arguments.rounds, attack, scale, rule))
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
