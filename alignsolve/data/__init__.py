"""What a problem is made of: alignments, blocks of rows, stored pairs, the experts' bounds, validation, a view of it.

Everybody may call it. It imports :mod:`alignsolve.numerics` and nothing else of the package.
"""
