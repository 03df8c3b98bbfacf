"""What a simulated federation is made of: devices and traces, who is available, how long work takes, who attacks.

The server's own loop calls it. It imports config, models, partial and :mod:`fedtrain.randomness`.
Everything is drawn from the run's seed; no clock on the wall decides.
"""
