"""Races of solvers and of alignments, with raw rows kept and every answer re-checked."""
