"""The data for the report's script, as JSON in the page."""

import json
from typing import Any

import numpy as np

from alignsolve.numerics import FloatArray
from fedtrain.report.units import amount_of_bytes, formatted
from fedtrain.results.record import WORDS, Alignments, RunRecord

EMBEDDED_PAIRS = 300_000
"""Largest number of pairs in the page; a longer run has the alignments of evenly chosen rounds only."""


def embedded_data(record: RunRecord) -> str:
    """Return the data for the script, as JSON that is safe inside HTML."""
    rounds = record.rounds
    # ``readouts`` are the texts of the legends: one text per column and round.
    readouts = {
        column: [formatted(column, value) for value in values]
        for column, values in rounds.columns.items()
        if column not in WORDS
    }
    for column in ("bytes_down", "bytes_up"):
        readouts[f"{column}_total"] = [amount_of_bytes(value) for value in np.nancumsum(rounds.numbers(column))]
    if record.whole_model_traffic is not None:
        readouts["bytes_whole_total"] = [amount_of_bytes(value) for value in np.cumsum(record.whole_model_traffic)]
    data = {
        "rounds": _plain(rounds.numbers("round")),
        "readouts": readouts,
        "status": rounds.columns.get("status", []),
        "proof": rounds.columns.get("proof", []),
        "alignment": None if record.alignments is None else _embedded_alignments(record.alignments),
    }
    return json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _embedded_alignments(alignments: Alignments) -> dict[str, Any]:
    kept = _kept_rounds(alignments)
    return {
        "clients": alignments.num_clients,
        "experts": alignments.num_experts,
        "rounds": alignments.rounds.tolist(),
        "kept": {str(alignments.rounds[k]): [alignments.cohort[k].tolist(), _pairs(alignments, k)] for k in kept},
        **{name: _plain(getattr(alignments, name)) for name in ("loads", "demand", "capacity", "prices")},
        "tier": alignments.tier.tolist(),
        "tierNames": alignments.tier_names,
        "labels": alignments.label_counts.tolist(),
    }


def _kept_rounds(alignments: Alignments) -> list[int]:
    """Return the rounds whose alignments are in the page: all, or evenly chosen ones with the first and the last."""
    total = sum(map(len, alignments.pair_client))
    number = len(alignments.rounds)
    if total > EMBEDDED_PAIRS:
        number = max(2, number * EMBEDDED_PAIRS // total)
    return sorted({round(k) for k in np.linspace(0, len(alignments.rounds) - 1, number)}) if number else []


def _pairs(alignments: Alignments, k: int) -> list[int]:
    """Return the pairs of a round as one list: client, expert, client, expert, and so on."""
    return np.stack([alignments.pair_client[k], alignments.pair_expert[k]], axis=1).ravel().tolist()


def _plain(values: FloatArray) -> list[Any]:
    """Return nested lists of numbers, with None for values that are not finite."""
    plain = values.astype(object)
    plain[~np.isfinite(values)] = None
    return plain.tolist()
