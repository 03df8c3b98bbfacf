"""The simulated federation: devices, trace files, availability, the duration of work, and attackers.

The server's own loop calls it. It imports config, models, partial and :mod:`fedtrain.randomness`.
Everything is drawn from the run's seed. No wall clock has an influence.
"""
