"""Layouts: which tensor entries belong to which expert, and the error if this cannot be found out."""

import numpy as np
import pytest

from fedtrain.layouts import LAYOUTS, Layout, LayoutError, Part, detect
from fedtrain.partial import slice_weights
from tests.layouts import EXAMPLES, NUM_EXPERTS, adapters, fused, marked, transposed


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_layout_is_recognised_and_finds_every_entry_of_every_expert(name):
    weights, layout = marked(EXAMPLES[name]())
    assert layout.name == name
    assert layout.num_experts == 2 * NUM_EXPERTS
    np.testing.assert_array_equal(layout.expert_group, [0] * NUM_EXPERTS + [1] * NUM_EXPERTS)
    for key, value in weights.items():
        part = layout.parts.get(key)
        if part is None:
            assert (value == -1).all(), f"{key} belongs to experts, and counts as shared"
            continue
        for position in range(part.count):
            place = part.place(position, part.count, part.width(value.shape))
            assert (value[place] == part.first + position).all(), f"{key}: expert {part.first + position}"
        assert np.isin(value, range(layout.num_experts)).all()
        assert part.router == bool({"gate", "router"} & set(key.split(".")))


def test_layers_are_numbered_as_people_do():
    weights = {}
    for number in (10, 2, 9):
        weights |= {f"layers.{number}.experts.{j}.weight": np.zeros(2) for j in range(number)}
    layout = detect(weights)
    assert layout.layers == ("layers.2", "layers.9", "layers.10")
    assert layout.layer_sizes == (2, 9, 10)
    assert layout.parts["layers.9.experts.0.weight"].first == 2
    assert layout.parts["layers.10.experts.9.weight"].first == 20


def test_shared_experts_and_their_gates_are_shared():
    weights = EXAMPLES["fused"]()
    shared = [name for name in weights if "shared_expert" in name]
    assert shared
    assert not set(shared) & set(detect(weights).parts)


def test_a_model_without_experts_is_told_what_was_looked_for():
    with pytest.raises(LayoutError) as caught:
        detect({"embed.weight": np.zeros((5, 2)), "mlp.gate.weight": np.zeros((4, 2))})
    message = str(caught.value)
    assert "no experts found among 2 tensors (embed.weight, mlp.gate.weight)" in message
    assert all(name in message and kind.looks_for in message for name, kind in LAYOUTS.items())
    with pytest.raises(LayoutError, match="no tensors at all"):
        detect({})


def test_only_the_named_layout_is_tried():
    weights = EXAMPLES["on-disk"]()
    assert detect(weights, "modules").name == "modules"
    with pytest.raises(LayoutError, match="no experts found") as caught:
        detect(weights, "fused")
    assert "router.3" not in str(caught.value)
    with pytest.raises(LayoutError, match="there is no layout 'fusedd'; there are lora, fused-transposed"):
        detect(weights, "fusedd")


def test_a_clients_slice_is_no_whole_model():
    weights = {f"moe.experts.{j}.weight": np.zeros(2) for j in (0, 2)}
    with pytest.raises(LayoutError, match=r"moe.experts has experts \[0, 2\], not all from 0 on"):
        detect(weights)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model.layers.0.mlp.gate.weight": (5, 8)}, r"gate.weight has shape \(5, 8\); its axis 0 .* 4 experts"),
        ({"model.layers.0.mlp.experts.down_proj": (3, 8, 6)}, r"down_proj has shape \(3, 8, 6\); .* have 4 experts"),
        ({"model.layers.0.mlp.experts.scale": ()}, r"scale has shape \(\)"),
    ],
)
def test_tensors_that_cannot_be_divided_are_named(change, message):
    weights = fused() | {name: np.zeros(shape) for name, shape in change.items()}
    with pytest.raises(LayoutError, match=message):
        detect(weights)


def test_adapters_alone_need_the_number_of_experts():
    alone = adapters()
    with pytest.raises(LayoutError, match="pass num_experts"):
        detect(alone)
    assert detect(alone, num_experts=NUM_EXPERTS).name == "lora"
    beside = detect(alone | _wrapped(fused()))
    assert beside.layer_sizes == (NUM_EXPERTS,) * 2
    with pytest.raises(LayoutError, match="its axis 0 must be a multiple of the layer's 5 experts"):
        detect(alone, num_experts=5)


def test_a_wrong_number_of_experts_is_refused_where_the_tensors_tell():
    with pytest.raises(LayoutError, match=r"layer 'model.layers.0.mlp' has 4 experts, not num_experts = 8"):
        detect(fused(), num_experts=8)


def test_square_matrices_are_not_taken_for_transposed_ones():
    for make, name in ((fused, "fused"), (transposed, "fused-transposed")):
        assert detect(make(hidden=8, inner=8)).name == name
        assert detect(make(hidden=8, inner=4)).name == name


def _wrapped(weights):
    """Return the fused tensors under the names of PEFT's nested wrappers."""
    return {
        f"base_model.model.{name.replace('experts.', 'experts.base_layer.base_layer.')}": value
        for name, value in weights.items()
        if ".experts." in name
    }


def test_a_layout_made_by_hand_must_fit_its_tensors():
    layout = Layout("mine", layers=("",), layer_sizes=(7,), parts={"t": Part(first=0, count=7, axis=0)})
    with pytest.raises(LayoutError, match=r"shape \(48, 5\) cannot be divided among 7 experts along axis 0"):
        slice_weights({"t": np.zeros((48, 5))}, layout, [1])
    with pytest.raises(LayoutError, match="axis 0"):
        slice_weights({"t": np.zeros(())}, layout, [1])
    assert slice_weights({"t": np.zeros((49, 5))}, layout, [1])["t"].shape == (7, 5)


@pytest.mark.parametrize(
    ("layers", "sizes", "part", "told"),
    [
        (("a", "b"), (2,), Part(0), "2 layers and 1 sizes"),
        (("a",), (0,), Part(0), "layer 'a' has 0 experts"),
        (("a",), (2.5,), Part(0), "layer 'a' has 2.5 experts"),
        (("a",), (2,), Part(1, 2, 0), r"t is part of the experts 1 \.\. 2; the layout has 2"),
        (("a",), (2,), Part(-1), "t is part of the experts -1"),
    ],
)
def test_a_layout_that_contradicts_itself_is_refused(layers, sizes, part, told):
    with pytest.raises(LayoutError, match=told):
        Layout("mine", layers, sizes, {"t": part})
