"""The run as one page that opens anywhere: ``report.html``, without a single request to the outside.

The page is ``page/report.html`` with its style sheet and script put in. Charts are drawn here; the script only moves
the chosen round through them and draws that round's alignment from the data that the page carries. A content security
policy forbids everything else, so that nothing in a configuration or a name can load or run anything.
"""

import base64
import hashlib
import json
import math
import re
from collections.abc import Iterator
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from alignsolve.numerics import FloatArray
from fedtrain.charts import Series, expert_chart, expert_colour, line_chart, proof_strip
from fedtrain.record import WORDS, Alignments, Rounds, RunRecord, read_record

EMBEDDED_PAIRS = 300_000
"""The page carries the alignments of as many rounds, evenly chosen, as this many pairs allow."""

FULL_MODEL = "bytes_full_model"
"""Column with what a round would have moved had every client of the cohort been sent every expert, both ways."""


def write_report(run_dir: Path) -> Path:
    """Write ``report.html`` into a run folder.

    Parameters
    ----------
    run_dir
        Holds config.toml, rounds.csv and alignment.npz, as far as the run got.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    ValueError
        If a file is there but is not what a run writes.
    """
    page = run_dir / "report.html"
    page.write_text(_page(read_record(run_dir)), encoding="utf-8")
    return page


def _page(record: RunRecord) -> str:
    resources = files("fedtrain") / "page"
    script = (resources / "report.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    parts = {
        "title": escape(record.name),
        "style": (resources / "report.css").read_text(encoding="utf-8"),
        "script": script,
        "script_hash": digest,
        "notices": "".join(f'<p class="notice">{escape(text)}</p>' for text in _notices(record)),
        "headline": _headline(record),
        "sections": "".join(_sections(record)),
        "config": escape(record.config) or "This run has no config.toml.",
        "data": _embedded(record),
    }
    template = (resources / "report.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


def _notices(record: RunRecord) -> Iterator[str]:
    done = len(record.rounds)
    if not done:
        yield "No round of this run was completed, so there is nothing to show but its configuration."
    elif record.planned is not None and done < record.planned:
        yield f"Interrupted: {done} of {record.planned} rounds were completed. The page shows those."
    if record.rounds.incomplete:
        yield "The last line of rounds.csv was cut off while it was written, and is left out."
    if done and record.alignments is None:
        yield "There is no alignment.npz: who trained what, loads and prices cannot be shown."


def _headline(record: RunRecord) -> str:
    rounds = record.rounds
    if not len(rounds):
        return ""
    cards = [_accuracy_card(rounds), _proof_card(rounds), _traffic_card(rounds), _time_card(rounds), _load_card(record)]
    return "".join(
        f'<div class="card"><dt>{name}</dt><dd><strong data-headline="{name}">{value}</strong><span>{detail}</span></dd></div>'
        for name, value, detail in cards
    )


def _accuracy_card(rounds: Rounds) -> tuple[str, str, str]:
    accuracy = rounds.numbers("accuracy")
    known = np.flatnonzero(np.isfinite(accuracy))
    if not len(known):
        return "final accuracy", "–", "never evaluated"
    best = int(known[np.argmax(accuracy[known])])
    number = rounds.numbers("round")[best]
    return "final accuracy", _percent(accuracy[known[-1]]), f"best {_percent(accuracy[best])} in round {number:g}"


def _proof_card(rounds: Rounds) -> tuple[str, str, str]:
    gap = rounds.numbers("gap")
    largest = f"largest gap {np.nanmax(gap):.2g}" if np.isfinite(gap).any() else "no gap known"
    return "rounds proven optimal", f"{rounds.proven} of {len(rounds)}", largest


def _traffic_card(rounds: Rounds) -> tuple[str, str, str]:
    total = float(np.nansum(rounds.numbers("bytes_down")) + np.nansum(rounds.numbers("bytes_up")))
    full = rounds.numbers(FULL_MODEL)
    if not np.isfinite(full).all():
        return "traffic", _bytes(total), "down and up, all rounds"
    whole = float(full.sum())
    return "traffic", _bytes(total), f"{_percent(total / whole)} of the {_bytes(whole)} that whole models would take"


def _time_card(rounds: Rounds) -> tuple[str, str, str]:
    solving, total = float(np.nansum(rounds.numbers("solve_seconds"))), float(np.nansum(rounds.numbers("round_seconds")))
    share = f", {_percent(solving / total)} of it" if total > 0 else ""
    return "time in the solver", _seconds(solving), f"of {_seconds(total)} in all{share}"


def _load_card(record: RunRecord) -> tuple[str, str, str]:
    alignments = record.alignments
    per_round = _known_mean(record.rounds.numbers("load_cv"))
    detail = f"mean of rounds {per_round:.3f}" if math.isfinite(per_round) else "per round not known"
    if alignments is None or not alignments.loads.sum():
        return "load variation", "–", detail
    total = alignments.loads.sum(axis=0)
    return "load variation", f"{total.std() / total.mean():.3f}", f"of all rounds’ assignments together; {detail}"


def _known_mean(values: FloatArray) -> float:
    """Mean of what is known; NaN if nothing is."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan


def _sections(record: RunRecord) -> Iterator[str]:
    if not len(record.rounds):
        return
    rounds, numbers = record.rounds, record.rounds.numbers("round")
    yield _section("learning", "Learning", "".join(_learning_charts(rounds, numbers)))
    if record.alignments is not None and len(record.alignments.rounds):
        yield _section("alignment", "Who trained what", _matrix(record.alignments), grid=False)
        yield _section("load", "Load per expert", _load_charts(record.alignments), grid=False)
    yield _section("solver", "Solver and prices", _solver_charts(record, numbers))
    yield _section("rounds", "All rounds", _table(rounds), grid=False)


def _section(anchor: str, title: str, body: str, *, grid: bool = True) -> str:
    kind = ' class="charts"' if grid else ""
    return f'<section id="{anchor}"><h2>{title}</h2><div{kind}>{body}</div></section>'


def _learning_charts(rounds: Rounds, numbers: FloatArray) -> Iterator[str]:
    accuracy = Series("test accuracy", rounds.numbers("accuracy"), "accuracy", "var(--c0)")
    yield line_chart("Accuracy", numbers, [accuracy], form=_percent, axis=_short_percent, low=0.0, high=1.0)
    loss = Series("test loss", rounds.numbers("loss"), "loss", "var(--c1)")
    yield line_chart("Loss", numbers, [loss], form=_number, low=0.0)
    lines = [
        Series("down", np.nancumsum(rounds.numbers("bytes_down")), "bytes_down_total", "var(--c0)"),
        Series("up", np.nancumsum(rounds.numbers("bytes_up")), "bytes_up_total", "var(--c2)"),
    ]
    if FULL_MODEL in rounds.columns:
        full = np.cumsum(rounds.numbers(FULL_MODEL))
        lines.append(Series("whole models, both ways", full, "bytes_full_total", "var(--muted)", dashed=True))
    yield line_chart("Traffic so far", numbers, lines, form=_bytes, low=0.0)
    variation = Series("coefficient of variation", rounds.numbers("load_cv"), "load_cv", "var(--c3)")
    yield line_chart("Load variation between experts", numbers, [variation], form=_number, low=0.0)


def _matrix(alignments: Alignments) -> str:
    tiers = "".join(
        f'<li><span class="chip" style="--chip:var(--c{t % 6})"></span>{escape(name)} '
        f"({int((alignments.tier == t).sum())} clients)</li>"
        for t, name in enumerate(alignments.tier_names)
    )
    return (
        '<div class="panel"><p class="note">One column per client, sorted by device tier; one row per expert. A filled cell: '
        "the client trained that expert. Pale columns: not in this round’s cohort. To the right each expert’s load in this "
        "round, with its bounds; below, the classes of each client’s examples.</p>"
        f'<ul class="legend">{tiers}</ul>'
        '<div class="scroll" tabindex="0" role="group" aria-label="Alignment of the chosen round; arrow keys choose a client">'
        '<svg id="matrix" role="img"></svg></div>'
        '<p id="matrix-summary" class="note"></p><p id="matrix-client" class="note" aria-live="polite">'
        "Choose a client by pointing at its column.</p>"
        "<noscript><p>The alignment of a chosen round is drawn by a script, which this browser does not run.</p></noscript></div>"
    )


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
    return (
        '<div class="panel"><p class="note">Clients per expert and round (line) within the bounds that the load monitor '
        f'set (band). Rounds outside them are marked.</p><div class="{size}">{"".join(charts)}</div></div>'
    )


def _solver_charts(record: RunRecord, numbers: FloatArray) -> str:
    rounds = record.rounds
    proven = np.array(
        [
            status == "OPTIMAL" and proof in ("PRICES", "SOLVER")
            for status, proof in zip(rounds.columns.get("status", ()), rounds.columns.get("proof", ()), strict=True)
        ],
        dtype=np.bool_,
    )
    seconds = Series("seconds", rounds.numbers("solve_seconds"), "solve_seconds", "var(--c4)")
    gap = Series("relative gap", rounds.numbers("gap"), "gap", "var(--c3)")
    charts = [
        line_chart("Solver time", numbers, [seconds], form=_seconds, low=0.0),
        line_chart("Gap", numbers, [gap], form=_number, low=0.0, high=1e-9, note="Up to 1e-9 an alignment is proven optimal."),
    ]
    if len(proven):
        charts.insert(0, f'<figure class="wide chart"><figcaption><h3>Proof by round</h3></figcaption>{proof_strip(numbers, proven)}</figure>')
    objective = Series("objective", rounds.numbers("objective"), "objective", "var(--c2)")
    charts.append(
        line_chart("Fitness of the alignment", numbers, [objective], form=_number, low=0.0, note="Less penalties, if any.")
    )
    alignments = record.alignments
    if alignments is not None and len(alignments.rounds):
        prices = [
            Series(f"{j}", alignments.prices[:, j], f"price-{j}", expert_colour(j, alignments.num_experts))
            for j in range(alignments.num_experts)
        ]
        charts.append(
            line_chart(
                "Expert prices",
                alignments.rounds.astype(np.float64),
                prices,
                form=_number,
                low=0.0,
                note="What one more client on the expert is worth, in fitness: above 0 the expert is sought after, below 0 it "
                "would be left alone.",
            )
        )
    return "".join(charts)


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
    return f'<td data-value="{float(value)!r}">{escape(_formatted(column, float(value)))}</td>'


def _formatted(column: str, value: float) -> str:
    if not math.isfinite(value):
        return "–"
    for ending, form in (("accuracy", _percent), ("seconds", _seconds)):
        if column.endswith(ending):
            return form(value)
    if column.startswith("bytes"):
        return _bytes(value)
    return _number(value)


def _embedded(record: RunRecord) -> str:
    """Return what the script needs, as JSON that is safe inside HTML."""
    rounds = record.rounds
    readouts = {
        column: [_formatted(column, value) for value in values]
        for column, values in rounds.columns.items()
        if column not in WORDS
    }
    for column in ("bytes_down", "bytes_up"):
        readouts[f"{column}_total"] = [_bytes(value) for value in np.nancumsum(rounds.numbers(column))]
    if FULL_MODEL in rounds.columns:
        readouts["bytes_full_total"] = [_bytes(value) for value in np.cumsum(rounds.numbers(FULL_MODEL))]
    data = {
        "rounds": _plain(rounds.numbers("round")),
        "readouts": readouts,
        "status": rounds.columns.get("status", []),
        "proof": rounds.columns.get("proof", []),
        "alignment": None if record.alignments is None else _embedded_alignments(record.alignments),
    }
    return json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _embedded_alignments(alignments: Alignments) -> dict[str, Any]:
    kept = _kept_rounds(alignments)
    return {
        "clients": alignments.num_clients,
        "experts": alignments.num_experts,
        "rounds": alignments.rounds.tolist(),
        "kept": {str(alignments.rounds[k]): [alignments.cohort[k].tolist(), _pairs(alignments, k)] for k in kept},
        "loads": _plain(alignments.loads),
        "demand": _plain(alignments.demand),
        "capacity": _plain(alignments.capacity),
        "prices": _plain(alignments.prices),
        "tier": alignments.tier.tolist(),
        "tierNames": alignments.tier_names,
        "labels": alignments.label_counts.tolist(),
    }


def _kept_rounds(alignments: Alignments) -> list[int]:
    """Return the rounds whose alignments the page carries: all, or evenly chosen with the first and the last."""
    total = sum(map(len, alignments.pair_client))
    number = len(alignments.rounds)
    if total > EMBEDDED_PAIRS:
        number = max(2, number * EMBEDDED_PAIRS // total)
    return sorted({round(k) for k in np.linspace(0, len(alignments.rounds) - 1, number)}) if number else []


def _pairs(alignments: Alignments, k: int) -> list[int]:
    """Return client, expert, client, expert, …"""
    return np.stack([alignments.pair_client[k], alignments.pair_expert[k]], axis=1).ravel().tolist()


def _plain(values: FloatArray) -> list[Any]:
    """Return nested lists of numbers, None where a value is not finite."""
    return np.where(np.isfinite(values), values.astype(object), None).tolist()


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _short_percent(value: float) -> str:
    return f"{100 * value:g} %"


def _number(value: float) -> str:
    return f"{value:.4g}"


def _seconds(value: float) -> str:
    if value < 1:
        return f"{1000 * value:.3g} ms"
    return f"{value:.3g} s" if value < 100 else f"{value / 60:.3g} min"


def _bytes(value: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f} B"
