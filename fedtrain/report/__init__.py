"""The run as one page that opens anywhere: charts, sections, and the page's own style sheet and script in ``page/``.

The run, the comparisons and the command line call it. It imports :mod:`fedtrain.results`.
Templates and static parts of pages are files in ``page/``; figures and charts are drawn here.
"""

from fedtrain.report.writing import write_report

__all__ = ["write_report"]
