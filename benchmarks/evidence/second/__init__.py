"""The second protocol of the evidence (docs/protocol-2.md): its tasks, its runs, their rows, and their judgement.

``python -m benchmarks.evidence --protocol 2`` runs it in pieces. Its data sets are functions that configurations name.
Only tests and this command call it. It may import fedtrain and alignsolve.
"""
