"""A client at work: local training alone or of a cohort in one batch, and what a client returns.

The server's rounds call it, and clients of other frameworks. It imports config and models.
"""
