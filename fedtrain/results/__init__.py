"""The run folder: a round's row, the history, writing the folder and reading it as it was left.

The server, the run, the report and the comparisons call it. It imports config and models.
"""
