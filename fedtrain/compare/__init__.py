"""``fedtrain compare``: runs the same federations under different alignments, over tasks and seeds, and compares them.

The command line calls it, and so do the benchmarks. It imports config, models, results, server and report.
A plan consists of cells. Each cell is one run in a separate process, and its result is one file.
"""
