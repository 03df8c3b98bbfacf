"""What the report shows, section by section, as HTML: headline, learning, alignment, load, solver, all rounds."""

import math
from collections.abc import Iterator
from html import escape
from typing import Any

import numpy as np

from alignsolve.numerics import FloatArray
from fedtrain.report.charts import Series, expert_chart, expert_colour, line_chart, proof_strip
from fedtrain.report.clients import client_charts, merged_card
from fedtrain.report.units import amount_of_bytes, formatted, number, percent, seconds, short_percent
from fedtrain.results.record import WORDS, Alignments, Rounds, RunRecord
from fedtrain.results.row import variation


def headline(record: RunRecord) -> str:
    """Return the run's main figures as cards; nothing if there was no round."""
    rounds = record.rounds
    if not len(rounds):
        return ""
    cards = [
        *(_accuracy_card(rounds), _proof_card(rounds), _traffic_card(record), _time_card(rounds), _load_card(record)),
        merged_card(rounds),
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
    return "rounds proven optimal", f"{rounds.proven.sum()} of {len(rounds)}", largest


def _traffic_card(record: RunRecord) -> tuple[str, str, str]:
    rounds = record.rounds
    total = float(np.nansum(rounds.numbers("bytes_down")) + np.nansum(rounds.numbers("bytes_up")))
    if record.whole_model_traffic is None:
        return "traffic", amount_of_bytes(total), "down and up, all rounds"
    whole = float(record.whole_model_traffic.sum())
    share = f"{percent(total / whole)} of the {amount_of_bytes(whole)} that whole models would take" if whole else ""
    return "traffic", amount_of_bytes(total), share


def _time_card(rounds: Rounds) -> tuple[str, str, str]:
    solving, total = (
        float(np.nansum(rounds.numbers("solve_seconds"))),
        float(np.nansum(rounds.numbers("round_seconds"))),
    )
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


def _known_mean(values: FloatArray) -> float:
    """Mean of what is known; NaN if nothing is."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan


def sections(record: RunRecord) -> Iterator[str]:
    """Return the sections that this run has something to show for."""
    if not len(record.rounds):
        return
    rounds, numbers = record.rounds, record.rounds.numbers("round")
    yield _section("learning", "Learning", "".join(_learning_charts(record, numbers)))
    if record.alignments is not None and len(record.alignments.rounds):
        yield _section("alignment", "Who trained what", _matrix(record.alignments), grid=False)
        yield _section("load", "Load per expert", _load_charts(record.alignments), grid=False)
    yield _section("solver", "Solver and prices", _solver_charts(record, numbers))
    yield _section("clients", "What came back", "".join(client_charts(record, numbers)))
    yield _section("rounds", "All rounds", _table(rounds), grid=False)


def _section(anchor: str, title: str, body: str, *, grid: bool = True) -> str:
    kind = ' class="charts"' if grid else ""
    return f'<section id="{anchor}"><h2>{title}</h2><div{kind}>{body}</div></section>'


def _learning_charts(record: RunRecord, numbers: FloatArray) -> Iterator[str]:
    rounds = record.rounds
    accuracy = Series("test accuracy", rounds.numbers("accuracy"), "accuracy", "var(--c0)")
    yield line_chart("Accuracy", numbers, [accuracy], form=percent, axis=short_percent, low=0.0, high=1.0)
    loss = Series("test loss", rounds.numbers("loss"), "loss", "var(--c1)")
    yield line_chart("Loss", numbers, [loss], form=number, low=0.0)
    lines = [
        Series("down", np.nancumsum(rounds.numbers("bytes_down")), "bytes_down_total", "var(--c0)"),
        Series("up", np.nancumsum(rounds.numbers("bytes_up")), "bytes_up_total", "var(--c2)"),
    ]
    if record.whole_model_traffic is not None:
        whole = np.cumsum(record.whole_model_traffic)
        lines.append(Series("whole models, both ways", whole, "bytes_whole_total", "var(--muted)", dashed=True))
    yield line_chart("Traffic so far", numbers, lines, form=amount_of_bytes, low=0.0)
    variation = Series("coefficient of variation", rounds.numbers("load_cv"), "load_cv", "var(--c3)")
    yield line_chart("Load variation between experts", numbers, [variation], form=number, low=0.0)


MATRIX = """<div class="panel">
<p class="note">One column per client, sorted by device tier; one row per expert. A filled cell: the client trained that
expert. Pale columns: not in this round’s cohort. To the right each expert’s load in this round, with its bounds; below,
the classes of each client’s examples.</p>
<ul class="legend">{tiers}</ul>
<div class="scroll" tabindex="0" role="group" aria-label="Alignment of the chosen round; arrow keys choose a client">
<svg id="matrix" role="img"></svg></div>
<p id="matrix-summary" class="note"></p>
<p id="matrix-client" class="note" aria-live="polite">Choose a client by pointing at its column.</p>
<noscript><p>The alignment of a chosen round is drawn by a script, which this browser does not run.</p></noscript>
</div>"""


def _matrix(alignments: Alignments) -> str:
    tiers = "".join(
        f'<li><span class="chip" style="--chip:var(--c{t % 6})"></span>{escape(name)} '
        f"({int((alignments.tier == t).sum())} clients)</li>"
        for t, name in enumerate(alignments.tier_names)
    )
    return MATRIX.replace("{tiers}", tiers)


def _load_charts(alignments: Alignments) -> str:
    rounds = alignments.rounds.astype(np.float64)
    bounded = np.where(np.isfinite(alignments.capacity), alignments.capacity, 0.0)
    high = float(max(alignments.loads.max(), bounded.max(), alignments.demand.max(), 1.0))
    charts = [
        expert_chart(
            j,
            rounds,
            alignments.loads[:, j],
            alignments.demand[:, j],
            alignments.capacity[:, j],
            high=math.ceil(high),
            colour=expert_colour(j, alignments.num_experts),
        )
        for j in range(alignments.num_experts)
    ]
    size = "multiples many" if alignments.num_experts > 16 else "multiples"
    note = (
        "Clients per expert and round (line) within the bounds that the load monitor set (band). "
        "Rounds outside them are marked."
    )
    return f'<div class="panel"><p class="note">{note}</p><div class="{size}">{"".join(charts)}</div></div>'


def _solver_charts(record: RunRecord, numbers: FloatArray) -> str:
    rounds = record.rounds
    time_ = Series("seconds", rounds.numbers("solve_seconds"), "solve_seconds", "var(--c4)")
    gap = Series("relative gap", rounds.numbers("gap"), "gap", "var(--c3)")
    objective = Series("objective", rounds.numbers("objective"), "objective", "var(--c2)")
    tight = "Up to 1e-9 an alignment is proven optimal."
    charts = [
        line_chart("Solver time", numbers, [time_], form=seconds, low=0.0),
        line_chart("Gap", numbers, [gap], form=number, low=0.0, high=1e-9, note=tight),
        line_chart(
            "Fitness of the alignment", numbers, [objective], form=number, low=0.0, note="Less penalties, if any."
        ),
    ]
    if len(rounds.proven):
        strip = proof_strip(numbers, rounds.proven)
        title = "<figcaption><h3>Proof by round</h3></figcaption>"
        charts.insert(0, f'<figure class="wide chart">{title}{strip}</figure>')
    if record.alignments is not None and len(record.alignments.rounds):
        charts.append(_price_chart(record.alignments))
    return "".join(charts)


def _price_chart(alignments: Alignments) -> str:
    prices = [
        Series(f"{j}", alignments.prices[:, j], f"price-{j}", expert_colour(j, alignments.num_experts))
        for j in range(alignments.num_experts)
    ]
    note = (
        "What room for one more client on the expert is worth, in fitness: above 0 the expert is sought after, below 0 "
        "it is given clients that would rather train another."
    )
    return line_chart("Expert prices", alignments.rounds.astype(np.float64), prices, form=number, low=0.0, note=note)


def _table(rounds: Rounds) -> str:
    head = "".join(f'<th scope="col">{escape(name.replace("_", " "))}</th>' for name in rounds.columns)
    rows = "".join(
        f'<tr data-round="{k}">' + "".join(_cell(name, values[k]) for name, values in rounds.columns.items()) + "</tr>"
        for k in range(len(rounds))
    )
    return (
        '<div class="scroll table" tabindex="0" role="region" aria-label="All rounds">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _cell(column: str, value: Any) -> str:
    if column in WORDS:
        return f'<td class="word {"good" if value in ("OPTIMAL", "PRICES") else ""}">{escape(str(value))}</td>'
    return f'<td data-value="{float(value)!r}">{escape(formatted(column, float(value)))}</td>'
