"""The run as one page that opens anywhere: ``report.html``, without a single request to the outside.

The page is ``page/report.html`` with its style sheet and script put in. Charts are drawn by :mod:`.charts`; the script
only moves the chosen round through them and draws that round's alignment from the data that the page carries. A content
security policy forbids everything else, so that nothing in a configuration or a name can load or run anything.
"""

import base64
import hashlib
from collections.abc import Iterator
from html import escape
from pathlib import Path

from fedtrain.report.data import embedded_data
from fedtrain.report.html import fill, resource
from fedtrain.report.sections import headline, sections
from fedtrain.results import atomic
from fedtrain.results.record import RunRecord, read_record


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
    atomic.replace_text(page, _page(read_record(run_dir)))
    return page


def _page(record: RunRecord) -> str:
    script = resource("report.js")
    return fill(
        "report.html",
        title=escape(record.name),
        style=resource("report.css"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
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
