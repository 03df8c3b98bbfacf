"""The pictures of docs/algorithm.md, each drawn from runs of the code."""
