"""The sections of the report as HTML: headline, learning, alignment, load, solver, clients, all rounds."""

import math
from collections import Counter
from collections.abc import Iterator
from html import escape
from typing import Any

import numpy as np

from alignsolve.numerics import OPTIMALITY, FloatArray
from fedtrain.report.axis import NOT_NEGATIVE, SHARE
from fedtrain.report.charts import Series, colour_of, expert_chart, line_chart, proof_strip, said
from fedtrain.report.html import fill, table
from fedtrain.report.units import (
    amount_of_bytes,
    formatted,
    number,
    percent,
    seconds,
    ticks_of_bytes,
    ticks_of_seconds,
    ticks_of_shares,
)
from fedtrain.results.history import PutAside, variation
from fedtrain.results.record import WORDS, Alignments, Rounds, RunRecord

DURATION: Any = {"form": seconds, "axis": ticks_of_seconds, "limits": NOT_NEGATIVE}
"""How charts of durations are written."""
SHOWN = 500
"""Largest number of quarantine lines on the page; the file has all lines."""

SHOWN_CLASSES = 20
"""Largest number of classes in a legend."""
ENDS = {
    "dropped": "lost on the way",
    "late": "late",
    "out_of_memory": "out of memory",
    "rejected": "refused",
}
"""The ways in which a client's round ends without a merged update, by column of rounds.csv."""


def headline(record: RunRecord) -> str:
    """Return the run's main figures as cards; an empty text if no round was completed."""
    rounds = record.rounds
    if not len(rounds):
        return ""
    cards = [
        *(_accuracy_card(rounds), _proof_card(rounds), _traffic_card(record), _time_card(rounds), _load_card(record)),
        _merged_card(rounds),
    ]
    return "".join(
        f'<div class="card"><dt>{name}</dt>'
        f'<dd><strong data-headline="{name}">{value}</strong><span>{detail}</span></dd></div>'
        for name, value, detail in cards
    )


def _accuracy_card(rounds: Rounds) -> tuple[str, str, str]:
    accuracy = rounds.numbers("accuracy")
    known = np.flatnonzero(np.isfinite(accuracy))
    if not len(known):
        return "final accuracy", "–", "never evaluated"
    best = int(known[np.argmax(accuracy[known])])
    number = rounds.numbers("round")[best]
    return "final accuracy", percent(accuracy[known[-1]]), f"best {percent(accuracy[best])} in round {number:g}"


def _proof_card(rounds: Rounds) -> tuple[str, str, str]:
    gap = rounds.numbers("gap")
    largest = f"largest gap {np.nanmax(gap):.2g}" if np.isfinite(gap).any() else "no gap known"
    if _all_proven(rounds):
        largest = "no gap beyond rounding"
    return "rounds proven optimal", f"{rounds.proven.sum()} of {len(rounds)}", largest


def _all_proven(rounds: Rounds) -> bool:
    """Return whether every round is proven optimal, and its gap is nothing but rounding."""
    gap = rounds.numbers("gap")
    return bool(len(rounds) and len(rounds.proven) and rounds.proven.all() and np.all(gap <= OPTIMALITY))


def _traffic_card(record: RunRecord) -> tuple[str, str, str]:
    rounds = record.rounds
    total = rounds.total("bytes_down") + rounds.total("bytes_up")
    if record.whole_model_traffic is None:
        return "traffic", amount_of_bytes(total), "down and up, all rounds"
    whole = float(record.whole_model_traffic.sum())
    share = f"{percent(total / whole)} of the {amount_of_bytes(whole)} that whole models would take" if whole else ""
    return "traffic", amount_of_bytes(total), share


def _time_card(rounds: Rounds) -> tuple[str, str, str]:
    solving, total = rounds.total("solve_seconds"), rounds.total("round_seconds")
    share = f", {percent(solving / total)} of it" if total > 0 else ""
    return "time in the solver", seconds(solving), f"of {seconds(total)} in all{share}"


def _load_card(record: RunRecord) -> tuple[str, str, str]:
    alignments = record.alignments
    per_round = _known_mean(record.rounds.numbers("load_cv"))
    detail = f"mean of rounds {per_round:.3f}" if math.isfinite(per_round) else "per round not known"
    if alignments is None or not alignments.loads.sum():
        return "load variation", "–", detail
    total = alignments.loads.sum(axis=0)
    return "load variation", f"{variation(total):.3f}", f"of all rounds’ assignments together; {detail}"


def _merged_card(rounds: Rounds) -> tuple[str, str, str]:
    """Return the headline's card about merged updates: their number, and the reasons why others were not merged."""
    asked = int(rounds.total("clients"))
    lost = {name: int(rounds.total(column)) for column, name in ENDS.items()}
    detail = ", ".join(f"{count} {name}" for name, count in lost.items() if count) or "none lost, late or refused"
    return "updates merged", f"{asked - sum(lost.values())} of {asked}", detail


def _known_mean(values: FloatArray) -> float:
    """Return the mean of the known values; NaN if no value is known."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan


def sections(record: RunRecord) -> Iterator[str]:
    """Yield the sections for which this run has data."""
    if not len(record.rounds):
        return
    rounds, numbers = record.rounds, record.rounds.numbers("round")
    yield _section("learning", "Learning", "".join(_learning_charts(record, numbers)))
    if record.alignments is not None and len(record.alignments.rounds):
        yield _section("alignment", "Who trained what", _matrix(record.alignments), grid=False)
        yield _section("load", "Load per expert", _load_charts(record.alignments), grid=False)
    yield _section("solver", "Solver and prices", _solver_charts(record, numbers))
    yield _section("clients", "What came back", "".join(_client_charts(record, numbers)))
    yield _section("rounds", "All rounds", _table(rounds), grid=False)


def _section(anchor: str, title: str, body: str, *, grid: bool = True) -> str:
    kind = ' class="charts"' if grid else ""
    return f'<section id="{anchor}"><h2>{title}</h2><div{kind}>{body}</div></section>'


def _learning_charts(record: RunRecord, numbers: FloatArray) -> Iterator[str]:
    rounds = record.rounds
    accuracy = _series(rounds, "test accuracy", "accuracy", 0)
    share = "correct predictions on the test set"
    yield line_chart("Accuracy", numbers, accuracy, name=share, form=percent, axis=ticks_of_shares, limits=SHARE)
    loss = _series(rounds, "test loss", "loss", 1)
    yield line_chart("Loss", numbers, loss, name="cross-entropy on the test set", form=number, low=0.0)
    lines = [
        Series("down", np.nancumsum(rounds.numbers("bytes_down")), "bytes_down_total", "var(--c0)"),
        Series("up", np.nancumsum(rounds.numbers("bytes_up")), "bytes_up_total", "var(--c1)"),
    ]
    if record.whole_model_traffic is not None:
        whole = np.cumsum(record.whole_model_traffic)
        lines.append(Series("whole models, both ways", whole, "bytes_whole_total", "var(--muted)", dashed=True))
    size: Any = {"form": amount_of_bytes, "axis": ticks_of_bytes}
    yield line_chart("Traffic so far", numbers, lines, name="bytes since the beginning", **size, low=0.0)
    variation = _series(rounds, "coefficient of variation", "load_cv", 3)
    name = "standard deviation / mean"
    yield line_chart("Load variation between experts", numbers, variation, name=name, form=number, low=0.0)


def _series(rounds: Rounds, label: str, column: str, colour: int) -> list[Series]:
    """Return a column as the only line of a chart."""
    return [Series(label, rounds.numbers(column), column, f"var(--c{colour})")]


def _matrix(alignments: Alignments) -> str:
    tiers = "".join(
        f'<li><span class="chip" style="--chip:var(--c{t % 6})"></span>{escape(name)} '
        f"({int((alignments.tier == t).sum())} clients)</li>"
        for t, name in enumerate(alignments.tier_names)
    )
    return fill("matrix.html", tiers=tiers, classes=_classes(alignments.label_counts.shape[1])).rstrip()


def _classes(number: int) -> str:
    """Return a legend of the classes' colours; of many classes, evenly chosen ones."""
    shown = sorted({round(k) for k in np.linspace(0, number - 1, min(number, SHOWN_CLASSES))})
    chips = [f'<span class="chip" style="--chip:{colour_of(k, number)}"></span>' for k in shown]
    return "".join(f"<li>{chip}class {k}</li>" for k, chip in zip(shown, chips, strict=True))


def _load_charts(alignments: Alignments) -> str:
    rounds = alignments.rounds.astype(np.float64)
    bounded = np.where(np.isfinite(alignments.capacity), alignments.capacity, 0.0)
    high = float(max(alignments.loads.max(), bounded.max(), alignments.demand.max(), 1.0))
    by_expert = enumerate(zip(alignments.loads.T, alignments.demand.T, alignments.capacity.T, strict=True))
    colours = [colour_of(j, alignments.num_experts) for j in range(alignments.num_experts)]
    charts = [expert_chart(j, rounds, *known, high=math.ceil(high), colour=colours[j]) for j, known in by_expert]
    size = "multiples many" if alignments.num_experts > 16 else "multiples"
    return fill("loads.html", size=size, charts="".join(charts)).rstrip()


def _solver_charts(record: RunRecord, numbers: FloatArray) -> str:
    rounds = record.rounds
    time_ = _series(rounds, "seconds", "solve_seconds", 4)
    objective = _series(rounds, "objective", "objective", 2)
    charts = [
        line_chart("Solver time", numbers, time_, name="wall-clock time", **DURATION, low=0.0),
        _gap(rounds, numbers),
        line_chart(
            "Fitness of the alignment",
            numbers,
            objective,
            name="sum of fitness",
            form=number,
            note="Less penalties, if any.",
        ),
    ]
    if len(rounds.proven):
        strip = proof_strip(numbers, rounds.proven)
        title = "<figcaption><h3>Proof by round</h3></figcaption>"
        charts.insert(0, f'<figure class="wide chart">{title}{strip}</figure>')
    if record.alignments is not None and len(record.alignments.rounds):
        charts.append(_price_chart(record.alignments))
    return "".join(charts)


def _gap(rounds: Rounds, numbers: FloatArray) -> str:
    """Return the chart of the gap; if it is nothing but rounding, say so instead."""
    tight = f"Up to {number(OPTIMALITY)} an alignment is proven optimal."
    if _all_proven(rounds):
        most = np.max(rounds.numbers("gap"))
        note = f"The largest relative gap between bound and objective is {number(most)}, which is rounding. {tight}"
        return said("Gap", f"proven in all {len(rounds)} rounds", note)
    gap = _series(rounds, "relative gap", "gap", 3)
    return line_chart("Gap", numbers, gap, name="(bound − objective) / bound", form=number, low=0.0, note=tight)


def _price_chart(alignments: Alignments) -> str:
    prices = [
        Series(f"{j}", alignments.prices[:, j], f"price-{j}", colour_of(j, alignments.num_experts))
        for j in range(alignments.num_experts)
    ]
    note = (
        "What room for one more client on the expert is worth, in fitness: above 0 the expert is sought after, below 0 "
        "it is given clients that would rather train another."
    )
    numbers = alignments.rounds.astype(np.float64)
    return line_chart("Expert prices", numbers, prices, name="price, in fitness", form=number, low=0.0, note=note)


def _client_charts(record: RunRecord, numbers: FloatArray) -> Iterator[str]:
    """Yield the charts and tables of the section about clients."""
    rounds = record.rounds
    ends = [
        Series(name, rounds.numbers(column), column, f"var(--c{k})")
        for k, (column, name) in enumerate(ENDS.items())
        if column in rounds.columns
    ]
    note = "Clients of the round whose update was not merged."
    if ends:
        lost: Any = {"form": number, "low": 0.0, "step": 1.0, "note": note}
        yield line_chart("What did not come back", numbers, ends, name="clients", **lost)
    if "simulated_seconds" in rounds.columns:
        lasted = _series(rounds, "round", "simulated_seconds", 4)
        note = "On the clients’ devices: until the last one ended, or the deadline."
        yield line_chart("Simulated time of a round", numbers, lasted, name="duration", **DURATION, low=0.0, note=note)
    if record.put_aside:
        yield _quarantine(record.put_aside)


def _quarantine(lines: tuple[PutAside, ...]) -> str:
    clients = Counter(line.client for line in lines)
    most = ", ".join(f"client {client} ({count})" for client, count in clients.most_common(5))
    shown = "" if len(lines) <= SHOWN else f" The first {SHOWN} are shown; quarantine.csv has all."
    rows = (
        f'<tr class="quarantined"><td>{line.round}</td><td>{line.client}</td>'
        f'<td class="word">{escape(line.reason)}</td></tr>'
        for line in lines[:SHOWN]
    )
    lines_shown = table("Replies that were put aside", PutAside._fields, rows, words=(2,))
    return fill("put_aside.html", number=str(len(lines)), most=most, shown=shown, table=lines_shown).rstrip()


def _table(rounds: Rounds) -> str:
    rows = (
        f'<tr data-round="{k}">' + "".join(_cell(name, values[k]) for name, values in rounds.columns.items()) + "</tr>"
        for k in range(len(rounds))
    )
    words = [k for k, name in enumerate(rounds.columns) if name in WORDS]
    return table("All rounds", (name.replace("_", " ") for name in rounds.columns), rows, words=words)


def _cell(column: str, value: Any) -> str:
    if column in WORDS:
        return f'<td class="word {"good" if value in ("OPTIMAL", "PRICES", "TREE") else ""}">{escape(str(value))}</td>'
    return f'<td data-value="{float(value)!r}">{escape(formatted(column, float(value)))}</td>'
