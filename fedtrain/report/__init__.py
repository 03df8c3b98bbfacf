"""A run's report: one HTML page that works offline, with charts, tables and a script.

The run, the comparisons and the command line call it. It imports :mod:`fedtrain.results`.
Templates, style sheet and script are files in ``page/``. The modules here compute the figures and draw the charts.
"""

from fedtrain.report.writing import write_report

__all__ = ["write_report"]
