"""Every architecture with experts: a client's model is equal to the masked whole model, or it is refused at once."""

import re

import pytest

pytest.importorskip("transformers", reason="the extra [hf] is not installed: transformers")
pytest.importorskip("peft", reason="the extra [hf] is not installed: peft")

import transformers

from fedtrain.adapters.huggingface import FineTuning, Lora, load_model
from fedtrain.layouts import LayoutError
from tests.architecture_table import PAGE, row, rows
from tests.tiny_architectures import NUM_EXPERTS, tiny


@pytest.mark.slow
def test_the_table_tells_what_becomes_of_every_architecture():
    """What is neither equal nor refused by a LayoutError raises here. Another version may have other architectures."""
    page = PAGE.read_text(encoding="utf-8")
    (version,) = re.findall(r"in transformers (\S+)\.", page)
    told = [line for line in page.splitlines() if re.match(r"\| [\w-]+ \| (equal|refused) ", line)]
    found = list(map(str, rows()))
    assert len(told) > 40
    assert version != transformers.__version__ or found == told


@pytest.mark.parametrize(("kind", "fewest"), [("glm4_moe", 2), ("minimax_m2", 1), ("jamba", 2), ("afmoe", 1)])
def test_the_fewest_experts_are_found_by_trying(kind, fewest):
    found = row(kind)
    assert (found.fewest, found.reason) == (fewest, "")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("jetmoe", r"^jetmoe: .*attention"),
        ("llama4_text", r"^llama4_text: .*is not told which experts a token goes through"),
        (
            "zaya",
            r"^zaya: .* of layer .* has shape \(7,\) with 6 experts, and \(6,\) with 5: it cannot be divided",
        ),
        (
            "deepseek_v4",
            r"^deepseek_v4: model.layers.0.mlp.gate.tid2eid of layer .* holds whole numbers",
        ),
        ("qwen3_vl_moe", "^qwen3_vl_moe: transformers has no causal language model of this architecture"),
    ],
)
def test_a_model_that_cannot_be_divided_is_refused_before_anything_is_sent(kind, reason):
    with pytest.raises(LayoutError, match=reason):
        FineTuning.of(load_model(tiny(kind)))


def test_a_tensor_that_depends_on_the_number_of_experts_is_part_of_the_router():
    layout = FineTuning.of(load_model(tiny("afmoe"))).layout
    router = {name for name, part in layout.parts.items() if part.router}
    assert {"model.layers.1.mlp.expert_bias", "model.layers.1.mlp.router.gate.weight"} <= router
    assert all(part.count == NUM_EXPERTS for part in layout.parts.values())


def test_modules_that_peft_cannot_adapt_are_told_with_the_way_out():
    with pytest.raises(
        LayoutError, match=r"^afmoe: PEFT cannot adapt these modules; name others by Lora\(attention=…\)"
    ):
        FineTuning.of(load_model(tiny("afmoe")), Lora(rank=2))
    tuning = FineTuning.of(load_model(tiny("afmoe")), Lora(rank=2, attention=None))
    assert tuning.fewest_experts == 1
    assert all("experts" in name for name in tuning.initial)
