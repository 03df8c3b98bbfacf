"""What a problem is made of: alignments, blocks of rows, the experts' bounds, and the validation of what users pass.

Everybody may call it. It imports :mod:`alignsolve.numerics` and nothing else of the package.
"""
