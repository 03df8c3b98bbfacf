"""Adapters to other frameworks: each needs its extra, and nothing else of fedtrain imports them."""
