"""Placement's benchmark: the kept rows hold what is claimed, the page shows them, and the rule is EPLB's."""

from pathlib import Path

import numpy as np
import pytest
import typer

from benchmarks import placement
from benchmarks.kept_rows import kept
from benchmarks.peers.eplb import eplb
from benchmarks.placement import Layer, Layers, Moves, drawn_layer, layer_row, moves_row, real_loads

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
ROUNDING = 1 + 1e-12


def test_the_kept_rows_hold_what_is_claimed():
    single, large = kept("placement.csv", Layer), kept("placement-layers.csv", Layers)
    moves = kept("placement-moves.csv", Moves)
    assert len([row for row in single if row.source == "real"]) == 18 * 5
    assert len([row for row in single if row.source == "drawn"]) == 100
    assert all(row.ours <= row.rule * ROUNDING for row in single)
    assert placement.excess(single) <= 0.5
    assert np.median([row.gap for row in single]) <= 0.005
    assert [row.setting for row in large] == ["flat", "nodes", "two speeds"]
    assert all(row.seconds <= 2 and row.worse == 0 for row in large)
    assert all(row.ours <= row.nothing / 3 and row.largest <= 1.01 for row in moves)


def test_the_page_shows_the_kept_rows():
    tables = (
        placement.layer_table(kept("placement.csv", Layer)),
        placement.layers_table(kept("placement-layers.csv", Layers)),
        placement.moves_table(kept("placement-moves.csv", Moves)),
    )
    page = PAGE.read_text(encoding="utf-8")
    assert [table for table in tables if table not in page] == []


def test_a_row_is_made_again_as_it_was_kept():
    rows = {row.instance: row for row in kept("placement.csv", Layer)}
    again = layer_row("drawn", *drawn_layer(3))
    assert again.rule == pytest.approx(rows[again.instance].rule)
    assert again.ours <= again.rule * ROUNDING
    changed = moves_row("drawn", "a", "b", np.arange(1.0, 17.0), np.arange(16.0, 0.0, -1.0), (4, 5))
    assert changed.ours <= changed.nothing
    assert changed.largest <= 1.01 <= changed.staying


def test_the_rule_by_hand():
    """Two copies of the heaviest; then heaviest first to the lightest GPU with room."""
    placed = eplb(np.array([8.0, 5.0, 3.0]), 2, 2)
    assert placed.copies.tolist() == [[0, 1, 1], [2, 0, 0]]
    assert placed.times.tolist() == [8.0, 8.0]
    assert placed.wasted == 1
    nodes = eplb(np.array([9.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0]), 4, 2, num_nodes=2, num_groups=4)
    assert np.nonzero(nodes.copies[:2].sum(axis=0))[0].tolist() == [0, 1, 2, 3]
    assert nodes.times[:2].tolist() == [10.0, 4.0]


def test_real_loads_need_their_file(tmp_path):
    with pytest.raises(typer.BadParameter, match=r"has no expert_counts\.csv"):
        real_loads(tmp_path)
    (tmp_path / "expert_counts.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(typer.BadParameter, match="other columns"):
        real_loads(tmp_path)
    rows = [f"m,d,0,{expert},{expert + 1}" for expert in reversed(range(64))] + ["small,d,0,0,5"]
    (tmp_path / "expert_counts.csv").write_text("\n".join(["model,domain,layer,expert,tokens", *rows]))
    loads = real_loads(tmp_path)
    assert list(loads) == ["m d 0"]
    assert loads["m d 0"].tolist() == list(range(1, 65))
