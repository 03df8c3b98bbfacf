"""Adapters to frameworks that people train federated models with already; each needs its extra."""
