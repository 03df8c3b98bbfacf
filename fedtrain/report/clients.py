"""The report's section on what came back from the clients: who was lost, late or refused, and why."""

from collections import Counter
from collections.abc import Iterator
from html import escape

import numpy as np

from alignsolve.numerics import FloatArray
from fedtrain.report.charts import Series, line_chart
from fedtrain.report.units import number, seconds
from fedtrain.results.record import Rounds, RunRecord
from fedtrain.results.row import PutAside

SHOWN = 500
"""Most lines of the quarantine that the page shows; the file has all."""

ENDS = {
    "dropped": "lost on the way",
    "late": "late",
    "out_of_memory": "out of memory",
    "rejected": "refused",
}
"""How a client's round ends without a merged update, by column of rounds.csv."""


def merged_card(rounds: Rounds) -> tuple[str, str, str]:
    """Return the headline's card: whose updates were merged, of all that were asked."""
    asked = int(np.nansum(rounds.numbers("clients")))
    lost = {name: int(np.nansum(rounds.numbers(column))) for column, name in ENDS.items()}
    detail = ", ".join(f"{count} {name}" for name, count in lost.items() if count) or "none lost, late or refused"
    return "updates merged", f"{asked - sum(lost.values())} of {asked}", detail


def client_charts(record: RunRecord, numbers: FloatArray) -> Iterator[str]:
    """Yield the section's charts and tables."""
    rounds = record.rounds
    ends = [
        Series(name, rounds.numbers(column), column, f"var(--c{k})")
        for k, (column, name) in enumerate(ENDS.items())
        if column in rounds.columns
    ]
    note = "Clients of the round whose update was not merged."
    if ends:
        yield line_chart("What did not come back", numbers, ends, form=number, low=0.0, note=note)
    if "simulated_seconds" in rounds.columns:
        lasted = Series("round", rounds.numbers("simulated_seconds"), "simulated_seconds", "var(--c4)")
        note = "On the clients’ devices: until the last one ended, or the deadline."
        yield line_chart("Simulated time of a round", numbers, [lasted], form=seconds, low=0.0, note=note)
    if record.put_aside:
        yield _quarantine(record.put_aside)


def _quarantine(lines: tuple[PutAside, ...]) -> str:
    clients = Counter(line.client for line in lines)
    most = ", ".join(f"client {client} ({count})" for client, count in clients.most_common(5))
    shown = "" if len(lines) <= SHOWN else f" The first {SHOWN} are shown; quarantine.csv has all."
    rows = "".join(
        f'<tr class="quarantined"><td>{line.round}</td><td>{line.client}</td>'
        f'<td class="word">{escape(line.reason)}</td></tr>'
        for line in lines[:SHOWN]
    )
    return (
        '<figure class="wide chart"><figcaption><h3>Put aside</h3>'
        f'<p class="note">{len(lines)} replies were not merged, most often of {most}.{shown}</p></figcaption>'
        '<div class="scroll table" tabindex="0" role="region" aria-label="Replies that were put aside">'
        '<table><thead><tr><th scope="col">round</th><th scope="col">client</th><th scope="col">reason</th></tr>'
        f"</thead><tbody>{rows}</tbody></table></div></figure>"
    )
