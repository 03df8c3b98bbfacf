"""Rows of a dataclass, kept as a file of the results: read, and written with machine, commit and date."""

import csv
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from benchmarks.machine import now, this_machine

RESULTS = Path(__file__).parent / "results"


def kept(name: str, kind: type[Any]) -> list[Any]:
    """Read rows of a kind from a file of the results."""
    read: dict[str, Any] = {own.name: own.type for own in fields(kind)}
    with (RESULTS / name).open(newline="", encoding="utf-8") as file:
        return [kind(**{key: cast(row[key]) for key, cast in read.items()}) for row in csv.DictReader(file)]


def write(name: str, rows: Sequence[Any]) -> None:
    """Write rows to a file of the results, with machine, commit and date."""
    about = asdict(this_machine()) | {"date": now()}
    with (RESULTS / name).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=[*asdict(rows[0]), *about], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) | about for row in rows)
