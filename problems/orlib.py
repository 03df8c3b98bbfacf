"""The OR-Library's format: reader and writer of :mod:`alignsolve.io.orlib`, beside the families."""

from alignsolve.io.orlib import SENSES, Sense, one_each, read, write

__all__ = ["SENSES", "Sense", "one_each", "read", "write"]
