"""Tells benchmark rows as Markdown tables and as one HTML page with pictures: ``python -m benchmarks.report CSV``."""

import html
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import plots, rows
from benchmarks.rows import Row
from benchmarks.suites import REFERENCE, suites
from benchmarks.summary import CORRECT, Standing, slopes, standings

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; color: #1d2733; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; }
th, td { padding: .2rem .6rem; border-bottom: 1px solid #dde3ea; text-align: right; white-space: nowrap; }
th:first-child, td:first-child, table.words td { text-align: left; }
thead th { border-bottom: 2px solid #8795a6; } p { max-width: 52rem; } svg { max-width: 100%; height: auto; }
div.wide { overflow-x: auto; } tbody tr:hover { background: #f3f6fa; }
"""


@dataclass(frozen=True)
class Section:
    """A table with a sentence before it; ``words`` where its cells are text rather than numbers."""

    title: str
    note: str
    header: Sequence[str]
    cells: Sequence[Sequence[str]]
    words: bool = False


def write(table: Iterable[Row], base: Path, *, question: str, reference: str = REFERENCE) -> tuple[Path, Path]:
    """Write ``base.md`` and ``base.html``.

    Parameters
    ----------
    table
        Raw rows of one suite.
    base
        Path without suffix.
    question
        What the suite asks.
    reference
        The contender whose time the others are divided into.
    """
    raw = rows.latest(table)
    found = standings(raw)
    sections = _sections(found, reference)
    head = _provenance(raw)
    written = base.with_name(f"{base.name}.md"), base.with_name(f"{base.name}.html")
    written[0].write_text(markdown(base.name, question, head, sections), encoding="utf-8")
    pictures = [
        ("Growth", "Median seconds from raw arrays to the answer, against clients.", plots.scaling(found)),
        ("Performance profile", _PROFILE_NOTE, plots.performance(found)),
    ]
    written[1].write_text(page(base.name, question, head, sections, pictures), encoding="utf-8")
    return written


_PROFILE_NOTE = (
    f"Share of all instances solved (feasible, gap at most {CORRECT:g}) within a factor of the fastest time."
)


def markdown(name: str, question: str, head: Sequence[str], sections: Sequence[Section]) -> str:
    """The tables as Markdown."""
    lines = [f"# Solvers: {name}", "", question, "", *(f"- {line}" for line in head), ""]
    for section in sections:
        lines += [f"## {section.title}", "", section.note, ""]
        lines += [_pipes(section.header), _pipes(["---"] + ["---" if section.words else "--:"] * _others(section))]
        lines += [_pipes(cells) for cells in section.cells] + [""]
    return "\n".join(lines)


def page(
    name: str, question: str, head: Sequence[str], sections: Sequence[Section], pictures: Sequence[tuple[str, str, str]]
) -> str:
    """Tables and pictures as one HTML page that needs nothing else."""
    parts = [f"<h1>Solvers: {html.escape(name)}</h1><p>{html.escape(question)}</p><ul>"]
    parts += [f"<li>{html.escape(line)}</li>" for line in head] + ["</ul>"]
    for title, note, svg in pictures:
        if svg:
            parts.append(f"<h2>{title}</h2><p>{html.escape(note)}</p><div class='wide'>{svg}</div>")
    parts += [_html_table(section) for section in sections]
    title = f"<title>alignsolve: {html.escape(name)}</title>"
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'>{title}<style>{STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )


def _sections(found: Sequence[Standing], reference: str) -> list[Section]:
    timed = [one for one in found if one.outcome in ("answered", "wrong")]
    sections = [
        _pivot(
            found, "Seconds", "Median of build + solve, from raw arrays to the answer; else why there is none.", _time
        ),
        _pivot(
            timed, "Peak memory", "MB of resident memory above the loaded instance, median.", lambda o: f"{o.peak:.0f}"
        ),
        _pivot(timed, "Gap", "To the best bound that anybody proved for the instance, the worst of the repeats.", _gap),
    ]
    of_reference = {
        one.instance: one.total for one in found if one.contender == reference and one.outcome == "answered"
    }
    if of_reference:
        compared = [one for one in timed if one.instance in of_reference and one.contender != reference]
        note = f"How many times faster than {reference} on the same instance in the same run, by medians of the total."
        ratio = _pivot(compared, f"Against {reference}", note, lambda o: f"{of_reference[o.instance] / o.total:.2f}")
        sections.insert(1, ratio)
    sections += [_growth(found), _overhead(found, reference), _absent(found), _everything(timed)]
    return [section for section in sections if section.cells]


def _time(one: Standing) -> str:
    if one.outcome != "answered":
        return one.outcome
    return _seconds(one.total) + ("" if one.gap <= CORRECT else "*")


def _gap(one: Standing) -> str:
    return "wrong" if one.outcome == "wrong" else "?" if math.isinf(one.gap) else f"{one.gap:.1e}" if one.gap else "0"


def _seconds(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _pivot(found: Sequence[Standing], title: str, note: str, cell: Callable[[Standing], str]) -> Section:
    """Instances down, contenders across."""
    contenders = list(dict.fromkeys(one.contender for one in found))
    instances = list(dict.fromkeys(one.instance for one in found))
    told = {(one.instance, one.contender): cell(one) for one in found}
    if any("*" in text for text in told.values()):
        note += f" *: a gap above {CORRECT:g} remains."
    cells = [[instance, *(told.get((instance, name), "") for name in contenders)] for instance in instances]
    return Section(title, note, ["instance", *contenders], cells)


def _growth(found: Sequence[Standing]) -> Section:
    cells = [
        [f"{family} x {experts}", contender, f"{slope:.2f}"]
        for (family, experts, contender), slope in slopes(found).items()
    ]
    note = "Slope of log time against log clients, over the sizes that were answered."
    return Section("Growth", note, ["family", "contender", "slope"], cells)


def _overhead(found: Sequence[Standing], reference: str) -> Section:
    """What solve() adds to a hand-written script, where flow and the reference were alternated in one process."""
    script = {one.instance: one for one in found if one.contender == reference}
    cells = [
        [
            one.instance,
            _seconds(one.solve),
            _seconds(script[one.instance].total),
            f"{one.solve / script[one.instance].total:.2f}",
            str(one.repeats),
        ]
        for one in found
        if one.contender == "flow"
        and one.outcome == script.get(one.instance, one).outcome == "answered"
        and one.instance in script
    ]
    note = (
        f'solve(problem, solver="flow"), certificate included, over a hand-written {reference} script (build + solve).'
    )
    return Section("solve() over its back end", note, ["instance", "solve()", "script", "ratio", "repeats"], cells)


def _absent(found: Sequence[Standing]) -> Section:
    cells = [[o.instance, o.contender, o.outcome, o.reason] for o in found if o.outcome != "answered"]
    return Section("Who did not answer", "And why.", ["instance", "contender", "outcome", "reason"], cells, words=True)


def _everything(timed: Sequence[Standing]) -> Section:
    header = ["instance", "contender", "claims", "build", "solve", "total", "× argmax", "MB", "gap", "repeats"]
    cells = [
        [
            o.instance,
            o.contender,
            o.status,
            _seconds(o.build),
            _seconds(o.solve),
            _seconds(o.total),
            f"{o.yardstick:.0f}",
            f"{o.peak:.0f}",
            _gap(o),
            str(o.repeats),
        ]
        for o in timed
    ]
    return Section("All medians", "Seconds; memory above the loaded instance.", header, cells)


def _provenance(raw: Sequence[Row]) -> list[str]:
    """Say on what machines, versions and commits, and when, the rows were measured."""
    machines = {f"{r.cores} cores {r.cpu}, {r.memory_gb:g} GB, {r.system}" for r in raw}
    commits = sorted({r.commit for r in raw})
    dates = sorted(r.date for r in raw)
    return [
        *sorted(f"Machine: {machine}" for machine in machines),
        *sorted({f"Versions: {r.versions}" for r in raw}),
        f"Commits: {', '.join(commits)}; {dates[0]} to {dates[-1]} UTC; {len(raw)} rows",
        "Every objective, constraint and gap was recomputed by alignsolve from the instance's own data.",
    ]


def _pipes(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _others(section: Section) -> int:
    return len(section.header) - 1


def _html_table(section: Section) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in section.header)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>" for cells in section.cells
    )
    kind = " class='words'" if section.words else ""
    return (
        f"<h2>{html.escape(section.title)}</h2><p>{html.escape(section.note)}</p>"
        f"<div class='wide'><table{kind}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def main(
    path: Annotated[Path, typer.Argument(help="A CSV of rows.")],
    reference: Annotated[str, typer.Option(help="The contender that others are compared with.")] = REFERENCE,
) -> None:
    """Write the report of a file of rows beside it."""
    known = suites().get(path.stem.removesuffix("-quick"))
    written = write(
        rows.read(path), path.with_suffix(""), question=known.question if known else "", reference=reference
    )
    typer.echo(", ".join(map(str, written)))


if __name__ == "__main__":
    typer.run(main)
