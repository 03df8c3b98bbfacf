"""Measures a client's memory: one training step with k of the E experts, each in a process of its own.

Prints one line per k: the parameters in MB, and the peak resident memory above that before the client's part was
loaded. Run: python examples/huggingface_memory.py [number of experts, …]
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import MixtralConfig, logging

from fedtrain.adapters.huggingface import Download, FineTuning, Training, load_model, windows
from fedtrain.layouts import detect

CONFIG = MixtralConfig(
    vocab_size=256,
    hidden_size=256,
    intermediate_size=1024,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=4,
    num_local_experts=16,
    num_experts_per_tok=2,
)


def experts_of_client(k: int) -> tuple[int, ...]:
    """Return the first k experts of each layer."""
    return tuple(j + layer * CONFIG.num_local_experts for layer in range(CONFIG.num_hidden_layers) for j in range(k))


def serve(counts: list[int]) -> None:
    """Write each client's part to a file, as a server would send it, and start the client."""
    tuning = FineTuning.of(load_model(CONFIG))
    print(f"{'experts per layer':>18} {'parameters MB':>14} {'peak MB':>8}")
    for k in counts:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "part.safetensors"
            save_file(tuning.send(tuning.initial, experts_of_client(k)).trained, path)
            subprocess.run([sys.executable, __file__, "--client", str(k), str(path)], check=True)


def be_client(k: int, path: str) -> None:
    """Load the part, train one step with AdamW, and print the memory."""
    with torch.device("meta"):  # the client needs the whole model's names and shapes, not its values
        shapes = load_model(CONFIG).state_dict()
    layout = detect(shapes)
    tuning = FineTuning(CONFIG, layout, layout, base={}, initial=shapes)
    tokens = windows([np.arange(256) % 251], 64)
    forget_peak()
    before = resident_mb("VmRSS")
    part = load_file(path)
    size = sum(value.nbytes for value in part.values()) / 1e6
    tuning.train(0, Download(experts_of_client(k), part, {}), tokens, Training(), np.random.default_rng(0))
    print(f"{k:>18} {size:>14.1f} {resident_mb('VmHWM') - before:>8.1f}", flush=True)


def resident_mb(line: str) -> float:
    """Return resident memory as Linux reports it: ``VmRSS`` now, ``VmHWM`` at the peak since the last reset."""
    status = Path("/proc/self/status").read_text()
    return next(int(row.split()[1]) for row in status.splitlines() if row.startswith(line)) * 1024 / 1e6


def forget_peak() -> None:
    """Reset the peak: imports use more memory than they keep."""
    Path("/proc/self/clear_refs").write_text("5")


if __name__ == "__main__":
    logging.set_verbosity_error()
    if sys.argv[1:2] == ["--client"]:
        be_client(int(sys.argv[2]), sys.argv[3])
    else:
        serve([int(k) for k in sys.argv[1:]] or [1, 2, 4, 8, 16])
