"""Local training: of one client alone, or of a cohort in one batched computation.

The server's own loop calls it, and so do the clients of other frameworks. It imports config, models and partial.
"""
