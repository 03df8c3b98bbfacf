"""Writes the table of the instances of MoE-Align into ``docs/moe-align.md``, from the kept references.

``python -m benchmarks.reference_table`` writes it; a test checks that the page has the table of the kept references.
"""

import math
from collections.abc import Iterable
from pathlib import Path

from benchmarks.references import Reference, read_references
from problems.real_inputs import DRAWN, REAL

PAGE = Path(__file__).parents[1] / "docs" / "moe-align.md"
BEGIN, END = "<!-- Written by benchmarks/reference_table.py. -->\n", "<!-- End of what was written. -->\n"
HEADER = "| instance | clients | layers × experts | class | drawn: reference | gap | real: reference | gap |\n"
RULE = "|---|--:|--:|---|--:|--:|--:|--:|\n"


def table(known: Iterable[Reference]) -> str:
    """Return the lines of the table: one for each instance, with its references for both sources of inputs."""
    by_source: dict[str, dict[str, Reference]] = {DRAWN: {}, REAL: {}}
    for one in known:
        source, _, name = one.instance.partition("-")
        by_source[source][name] = one
    lines = []
    for name, one in (by_source[DRAWN] | by_source[REAL]).items():
        both = [by_source[source].get(name) for source in (DRAWN, REAL)]
        cells = [
            f"`{name}`",
            f"{one.num_clients:,}",
            f"{one.num_layers} × {one.num_experts // one.num_layers}",
            one.class_,
        ]
        for each in both:
            cells += ["not run", ""] if each is None else [_objective(each), _gap(each)]
        lines.append(f"| {' | '.join(cells)} |\n")
    return "".join([BEGIN, "\n", HEADER, RULE, *lines, "\n", END])


def _objective(one: Reference) -> str:
    return f"{one.objective:,.6f}" if math.isfinite(one.objective) else "none found"


def _gap(one: Reference) -> str:
    if one.gap == 0.0:
        return f"0 ({one.proof})"
    return f"{one.gap:.1e} ({one.proof})" if math.isfinite(one.gap) else ""


def with_table(page: str, known: Iterable[Reference]) -> str:
    """Return the page with the table in place of the one that it has."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks the lines {BEGIN!r} and {END!r}")
    return f"{before}{table(known)}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), read_references().values()), encoding="utf-8")
