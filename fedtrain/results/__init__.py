"""The run folder and its format: the kept figures of a round, the writer of the folder, and its reader.

The server, the run, the report and the comparisons call it. It imports config and models.
A file is either complete or absent (:mod:`fedtrain.results.atomic`). Nothing is pickled.
"""
