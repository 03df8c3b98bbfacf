"""What a problem is made of: alignments, blocks of rows, the experts' bounds, validation, and the view of a problem.

Everybody may call it. It imports :mod:`alignsolve.numerics` and nothing else of the package.
"""
