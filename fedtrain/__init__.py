"""A thin torch harness that trains a real federated Mixture-of-Experts with a solved and certified alignment per round.

The rooms, from the ground up: config, data, layouts, models, aggregate, partial, simulation, local, results, server,
report, compare and adapters; each imports only rooms below it. At the root are what a command runs, what it shows, the
generators of random numbers, and the import paths of earlier versions.
"""
