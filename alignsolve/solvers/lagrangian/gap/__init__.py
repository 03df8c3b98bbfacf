"""Generalised assignment with few experts, each client on one at most. solver.py tells the story."""
