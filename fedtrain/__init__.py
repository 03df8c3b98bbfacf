"""Trains a real federated Mixture-of-Experts model; every round's alignment is solved and certified.

The rooms, from the ground up: config, data, layouts, models, aggregate, partial, simulation, local, results, server,
report, compare and adapters. Each room imports only rooms below it. The root holds the commands, their display, the
generators of random numbers, and the import paths of earlier versions.
"""
