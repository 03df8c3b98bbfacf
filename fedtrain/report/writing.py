"""Writes ``report.html``: a run's report as one page that works offline and makes no requests.

The page is ``page/report.html`` with the head of all pages and the script added. :mod:`.charts` draws the charts. The
script only moves the chosen round through the charts, and draws that round's alignment from the data in the page. A
content security policy forbids all other scripts and requests. So a configuration or a name cannot load or run code.
"""

from collections.abc import Iterator
from html import escape
from pathlib import Path

from fedtrain.report.data import embedded_data
from fedtrain.report.html import resource, whole_page
from fedtrain.report.sections import headline, sections
from fedtrain.results import atomic
from fedtrain.results.record import RunRecord, read_record


def write_report(run_dir: Path) -> Path:
    """Write ``report.html`` into a run folder.

    Parameters
    ----------
    run_dir
        Folder with config.toml, rounds.csv and alignment.npz; files that the run has not written may be missing.

    Returns
    -------
    Path
        The path of the page.

    Raises
    ------
    ValueError
        If a file exists but does not have the format of a run's file.
    """
    page = run_dir / "report.html"
    atomic.replace_text(page, _page(read_record(run_dir)))
    return page


def _page(record: RunRecord) -> str:
    return whole_page(
        "report.html",
        title=escape(record.name),
        kind="federated run",
        script=resource("report.js"),
        notices="".join(f'<p class="notice">{escape(text)}</p>' for text in _notices(record)),
        headline=headline(record),
        sections="".join(sections(record)),
        config=escape(record.config) or "This run has no config.toml.",
        data=embedded_data(record),
    )


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
