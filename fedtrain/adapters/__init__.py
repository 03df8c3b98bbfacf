"""Adapters to other frameworks: Flower, NVFlare and Hugging Face.

Users import them; no other room of fedtrain does. Each adapter needs its extra. Adapters import the rooms below, above
all :mod:`fedtrain.server`, whose rounds they run. :mod:`.exchange` defines the content of their messages, and
:mod:`.conformance` checks the adapter of any framework.
"""
