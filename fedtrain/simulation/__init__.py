"""What a simulated federation is made of: devices and traces, who is there, how long work takes, who attacks.

The server's rounds call it. It imports config, models and :mod:`fedtrain.randomness`.
"""
