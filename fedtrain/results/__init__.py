"""The run folder, its format in one place: what is kept of a round, writing the folder, and reading it again.

The server, the run, the report and the comparisons call it. It imports config and models.
Files are there whole or not at all (:mod:`fedtrain.results.atomic`); nothing is pickled.
"""
