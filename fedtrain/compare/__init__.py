"""``fedtrain compare``: runs the same federations under different alignments, over tasks and seeds, and compares them.

The command line calls it, and so do the benchmarks. It imports config, models, results, server and report.
A plan is tuned and judged cell by cell; each cell is a run in a process of its own, and a file.
"""
