"""Solvers that claim what a test tells them to."""

from alignsolve import Answer, solve


def claim(problem, answer=None, **claimed):
    """What the front door makes of a solver that claims this."""
    return solve(problem, lambda problem, **_: answer or Answer(**claimed), throw=False)
