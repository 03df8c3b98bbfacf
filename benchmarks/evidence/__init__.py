"""Whether alignment pays: what docs/protocol.md says, run and judged (``python -m benchmarks.evidence``)."""
