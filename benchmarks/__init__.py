"""Benchmarks: races of solvers, and comparisons of alignments in federated training.

Every answer is checked again, and every measurement becomes a raw row; tables, pages and pictures are made from rows.
``make pages`` writes the HTML pages of the rows in ``benchmarks/results``. The folder is used from a checkout; nobody
imports it but tests and docs. It may import alignsolve, fedtrain and problems.
"""
