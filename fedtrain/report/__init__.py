"""The run as one page that opens anywhere: charts, sections and the page's own style sheet and script.

The run and the command line call it. It imports :mod:`fedtrain.results`.
"""

from fedtrain.report.writing import write_report

__all__ = ["write_report"]
