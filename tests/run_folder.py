"""A run folder made by code, for the tests of the report."""

import csv
from pathlib import Path
from typing import Any

import numpy as np

COLUMNS = (
    *("round", "accuracy", "loss", "status", "proof", "gap", "objective", "load_cv", "bytes_down", "bytes_up"),
    *("solve_seconds", "round_seconds", "clients", "dropped"),
)


def write_run(
    folder: Path,
    *,
    rounds: int = 12,
    planned: int | None = None,
    num_clients: int = 15,
    num_experts: int = 4,
    **changes: Any,
) -> list[dict[str, Any]]:
    """Write config.toml, rounds.csv and alignment.npz; returns the rows of rounds.csv.

    ``changes`` override columns of every row, and ``name``, ``tier_names`` and ``model_bytes``.
    """
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    name, tier_names = changes.pop("name", "pretended"), changes.pop("tier_names", ["phone", "tablet", "server"])
    (folder / "config.toml").write_text(
        f"name = {name!r}\nrounds = {planned or max(rounds, 1)}\n\n[data]\nalpha = 0.3\n", encoding="utf-8"
    )
    model_bytes = changes.pop("model_bytes", None)
    if model_bytes is not None:
        (folder / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}" + bytes(model_bytes))
    tier = rng.integers(len(tier_names), size=num_clients)
    cohorts = [np.sort(rng.choice(num_clients, size=num_clients * 4 // 5, replace=False)) for _ in range(rounds)]
    held = [
        [np.sort(rng.choice(num_experts, size=1 + tier[i] % num_experts, replace=False)) for i in c] for c in cohorts
    ]
    loads = np.array([np.bincount(np.concatenate(row), minlength=num_experts) for row in held], dtype=float)
    loads = loads.reshape(rounds, num_experts)
    rows = [_row(k, rounds, loads[k], rng) | changes for k in range(rounds)]
    with (folder / "rounds.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys([*COLUMNS, *changes])))
        writer.writeheader()
        writer.writerows(rows)
    pairs = [np.repeat(c, [len(e) for e in h]) for c, h in zip(cohorts, held, strict=True)]
    share = loads.sum(axis=1, keepdims=True) / num_experts
    np.savez(
        folder / "alignment.npz",
        rounds=np.arange(rounds),
        num_clients=num_clients,
        num_experts=num_experts,
        cohort_ptr=_pointers(cohorts),
        cohort=_joined(cohorts),
        pair_ptr=_pointers(pairs),
        pair_client=_joined(pairs),
        pair_expert=_joined([np.concatenate(h) for h in held]),
        loads=loads,
        capacity=np.where(np.arange(num_experts) == num_experts - 1, np.inf, np.ceil(share * 1.2)),
        demand=np.floor(np.tile(share, num_experts) * 0.8),
        prices=rng.normal(size=(rounds, num_experts)) * 0.1,
        tier=tier,
        tier_names=np.array(tier_names),
        label_counts=np.array(
            [rng.multinomial(rng.integers(20, 60), rng.dirichlet(np.full(10, 0.3))) for _ in range(num_clients)]
        ),
    )
    return rows


def _row(k: int, rounds: int, load: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
    return {
        "round": k,
        "accuracy": 0.95 - 0.85 * np.exp(-4 * k / rounds) + rng.normal() * 0.005,
        "loss": 0.2 + 2 * np.exp(-4 * k / rounds),
        "status": "OPTIMAL",
        "proof": "PRICES",
        "gap": 0.0,
        "objective": float(load.sum()),
        "load_cv": float(load.std() / load.mean()),
        "bytes_down": 2_400_000 + 1000 * k,
        "bytes_up": 2_100_000 + 500 * k,
        "solve_seconds": 0.004 + rng.random() * 0.001,
        "round_seconds": 1.25,
        "clients": 12,
        "dropped": int(rng.integers(3)),
    }


def _pointers(parts: list[np.ndarray]) -> np.ndarray:
    return np.cumsum([0, *map(len, parts)])


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype=np.int64), *parts])
