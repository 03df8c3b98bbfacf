"""Tells benchmark rows as Markdown tables and as one HTML page with pictures: ``python -m benchmarks.report CSV``."""

import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import plots, rows
from benchmarks.rows import Row
from benchmarks.sections import Section, sections
from benchmarks.suites import REFERENCE, suites
from benchmarks.summary import CORRECT, standings

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; color: #1d2733; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; }
th, td { padding: .2rem .6rem; border-bottom: 1px solid #dde3ea; text-align: right; white-space: nowrap; }
th:first-child, td:first-child, table.words td { text-align: left; }
thead th { border-bottom: 2px solid #8795a6; } p { max-width: 52rem; } svg { max-width: 100%; height: auto; }
div.wide { overflow-x: auto; } tbody tr:hover { background: #f3f6fa; }
"""


def write(
    table: Iterable[Row], base: Path, *, question: str, reference: str = REFERENCE, first: Sequence[Section] = ()
) -> tuple[Path, Path]:
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
    first
        Tables of the suite's own, before all others.
    """
    raw = rows.latest(table)
    found = standings(raw)
    in_process = all(row.suite.startswith("overhead") for row in raw)
    tables = [*first, *sections(found, reference=reference, in_process=in_process)]
    head = _provenance(raw)
    written = base.with_name(f"{base.name}.md"), base.with_name(f"{base.name}.html")
    written[0].write_text(markdown(base.name, question, head, tables), encoding="utf-8")
    pictures = [
        ("Growth", "Median seconds from raw arrays to the answer, against clients.", plots.scaling(found)),
        ("Performance profile", _PROFILE_NOTE, plots.performance(found)),
    ]
    written[1].write_text(page(base.name, question, head, tables, pictures), encoding="utf-8")
    return written


_PROFILE_NOTE = (
    f"Share of all instances solved (feasible, gap at most {CORRECT:g}) within a factor of the fastest time; "
    "who refuses an instance has not solved it."
)


def markdown(name: str, question: str, head: Sequence[str], tables: Sequence[Section]) -> str:
    """The tables as Markdown."""
    lines = [f"# Solvers: {name}", "", question, "", *(f"- {line}" for line in head), ""]
    for section in tables:
        lines += [f"## {section.title}", "", section.note, ""]
        lines += [
            _pipes(section.header),
            _pipes(["---"] + ["---" if section.words else "--:"] * (len(section.header) - 1)),
        ]
        lines += [_pipes(cells) for cells in section.cells] + [""]
    return "\n".join(lines)


def page(
    name: str, question: str, head: Sequence[str], tables: Sequence[Section], pictures: Sequence[tuple[str, str, str]]
) -> str:
    """Tables and pictures as one HTML page that needs nothing else."""
    parts = [f"<h1>Solvers: {html.escape(name)}</h1><p>{html.escape(question)}</p><ul>"]
    parts += [f"<li>{html.escape(line)}</li>" for line in head] + ["</ul>"]
    for title, note, svg in pictures:
        if svg:
            parts.append(f"<h2>{title}</h2><p>{html.escape(note)}</p><div class='wide'>{svg}</div>")
    parts += [_html_table(section) for section in tables]
    title = f"<title>alignsolve: {html.escape(name)}</title>"
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'>{title}<style>{STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )


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
