"""Files that pytest leaves alone where an extra is not installed; their tests are skipped, and say so."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("flwr") else ["fedtrain/adapters/flower/*", "tests/flower_*.py"]
