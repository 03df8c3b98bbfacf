"""The evidence: the comparison of docs/protocol.md, run and judged by ``python -m benchmarks.evidence``.

It keeps the raw rows and writes docs/evidence.md. Only tests and its own command call it. It may import fedtrain and
alignsolve.
"""
