"""Adapters to other frameworks: Flower, NVFlare and Hugging Face.

Users import them; nothing else of fedtrain does. Each needs its extra. They import the rooms below, most of all
:mod:`fedtrain.server`, whose round they carry; :mod:`.exchange` is what the messages of all of them say.
"""
