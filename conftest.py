"""Files that pytest cannot import where an extra is missing; the tests that need it skip themselves, and say so."""

from importlib.util import find_spec

NEED = {
    "fedtrain/adapters/flower/*": ("flwr",),
    "fedtrain/adapters/huggingface/*": ("transformers", "peft"),
    "fedtrain/adapters/nvflare/*": ("nvflare", "torch"),
    "tests/flower_*.py": ("flwr",),
    "tests/nvflare_*.py": ("nvflare", "torch"),
}

collect_ignore_glob = [
    pattern for pattern, packages in NEED.items() if any(find_spec(package) is None for package in packages)
]
