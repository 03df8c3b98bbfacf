"""Writes the report of a race from its raw rows: tables as Markdown, and one HTML page with tables and pictures.

``python -m benchmarks.report`` makes the HTML pages of all rows kept in ``benchmarks/results``; they are not committed.
``python -m benchmarks.report CSV`` writes both reports of one file of rows beside it.
"""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import gap, plots, rows
from benchmarks.rows import Row
from benchmarks.sections import Section, sections
from benchmarks.suites import REFERENCE, suites
from benchmarks.summary import CORRECT, Standing, standings
from fedtrain.report.html import table, text_rows, whole_page

RESULTS = Path(__file__).parent / "results"


def write(
    raw: Iterable[Row], base: Path, *, question: str, reference: str = REFERENCE, first: Sequence[Section] = ()
) -> tuple[Path, Path]:
    """Write ``base.md`` and ``base.html``.

    Parameters
    ----------
    raw
        Raw rows of one suite.
    base
        Path without suffix.
    question
        The question of the suite.
    reference
        The contender that the times of the others are compared with.
    first
        Further tables of the suite, placed before all others.
    """
    report = _report(raw, base.name, question, reference=reference, first=first)
    written = base.with_name(f"{base.name}.md"), base.with_name(f"{base.name}.html")
    written[0].write_text(report.markdown(), encoding="utf-8")
    written[1].write_text(report.page(), encoding="utf-8")
    return written


def _report(
    given: Iterable[Row], name: str, question: str, *, reference: str = REFERENCE, first: Sequence[Section] = ()
) -> "Report":
    """Summarise rows into the parts of a report."""
    raw = rows.latest(given)
    found = standings(raw)
    in_process = all(row.suite.startswith("overhead") for row in raw)
    tables = [*first, *sections(found, reference=reference, in_process=in_process)]
    return Report(name, question, _provenance(raw), tables, found)


_GROWTH_NOTE = "Median seconds from raw arrays to the answer, against clients. Lines of outside systems are dashed."
_PROFILE_NOTE = (
    f"Share of all instances solved (feasible, gap at most {CORRECT:g}) within a factor of the fastest time; "
    "an instance that a contender refused counts as not solved."
)


@dataclass(frozen=True)
class Report:
    """The parts of a report, and the two forms that it is written in.

    Attributes
    ----------
    name, question
        The suite's name and question.
    head
        Lines that say where and when the rows were measured.
    tables
        All tables, in their order.
    found
        The standings that the pictures are drawn from.
    """

    name: str
    question: str
    head: Sequence[str]
    tables: Sequence[Section]
    found: Sequence[Standing]

    def markdown(self) -> str:
        """Return the tables as Markdown."""
        lines = [f"# Solvers: {self.name}", "", self.question, "", *(f"- {line}" for line in self.head), ""]
        for section in self.tables:
            lines += [f"## {section.title}", "", section.note, ""]
            lines += [
                _pipes(section.header),
                _pipes(["---"] + ["---" if section.words else "--:"] * (len(section.header) - 1)),
            ]
            lines += [_pipes(cells) for cells in section.cells] + [""]
        return "\n".join(lines)

    def page(self) -> str:
        """Return tables and pictures as one HTML page that loads no other file."""
        pictures = []
        if growth := plots.growth(self.found):
            charts = "".join(_chart(title, svg) for title, svg in growth.items())
            pictures.append(_section("Growth", _GROWTH_NOTE, self._legend() + f'<div class="charts">{charts}</div>'))
        if svg := plots.performance(self.found):
            chart = f'<div class="charts beside">{self._legend()}{_chart("All instances", svg)}</div>'
            pictures.append(_section("Performance profile", _PROFILE_NOTE, chart))
        tables = [_section(one.title, one.note, _html_table(one)) for one in self.tables]
        return whole_page(
            "benchmark.html",
            title=html.escape(self.name),
            kind="race of solvers",
            question=html.escape(self.question),
            head="".join(f"<li>{html.escape(line)}</li>" for line in self.head),
            sections="".join([*pictures, *tables]),
        )

    def _legend(self) -> str:
        """Return the colours of the contenders."""
        chips = [
            f'<li><span class="chip{" dashed" * dashed}" style="--chip:{colour}"></span>{html.escape(name)}</li>'
            for name, colour, dashed in plots.legend(self.found)
        ]
        return f'<ul class="legend">{"".join(chips)}</ul>'


def _chart(title: str, svg: str) -> str:
    return f'<figure class="chart"><figcaption><h3>{html.escape(title)}</h3></figcaption>{svg}</figure>'


def _section(title: str, note: str, body: str) -> str:
    return f'<section><h2>{html.escape(title)}</h2><p class="note">{html.escape(note)}</p>{body}</section>'


def _provenance(raw: Sequence[Row]) -> list[str]:
    """Return lines on the machines, versions, commits and dates of the rows."""
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
    words = range(len(section.header) if section.words else 1)
    return table(section.title, section.header, text_rows(section.cells, words), words=words)


def write_pages(folder: Path) -> list[Path]:
    """Write the HTML page of every file of rows in a folder that has tables (``.md``) beside it."""
    pages = []
    for path in sorted(folder.glob("*.csv")):
        if path.with_suffix(".md").exists():
            written = path.with_suffix(".html")
            written.write_text(_report(rows.read(path), path.stem, question_of(path.stem)).page(), encoding="utf-8")
            pages.append(written)
    return pages


def question_of(name: str) -> str:
    """Return the question of the suite whose rows are in a file of that name; empty for other files."""
    suite = name.removesuffix("-quick")
    questions = {known: each.question for known, each in suites().items()} | {"gap": gap.QUESTION}
    return questions.get(suite, "")


def main(
    path: Annotated[Path | None, typer.Argument(help="A CSV of rows; default: all that are kept, pages only.")] = None,
    reference: Annotated[str, typer.Option(help="The contender that others are compared with.")] = REFERENCE,
) -> None:
    """Write the report of a file of rows beside it, or the HTML pages of all kept rows."""
    if path is None:
        written = write_pages(RESULTS)
    else:
        question = question_of(path.stem)
        written = [*write(rows.read(path), path.with_suffix(""), question=question, reference=reference)]
    typer.echo(", ".join(map(str, written)))


if __name__ == "__main__":
    typer.run(main)
