"""A dense model becomes one with experts that computes what the dense one does with the features of one mask."""

import copy
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("transformers", reason="the extra [hf] is not installed: transformers")
pytest.importorskip("peft", reason="the extra [hf] is not installed: peft")

from transformers import AutoModelForCausalLM, LlamaConfig, MixtralConfig, Qwen2Config

from fedtrain.adapters.huggingface import FineTuning, experts_from_dense
from fedtrain.layouts import LayoutError
from tests.tiny_models import COMMON

EXAMPLE = Path(__file__).parents[3] / "examples" / "systems" / "dense_to_experts.py"
SIZES = COMMON | {"intermediate_size": 64, "num_key_value_heads": 2}
CONFIGS = {
    "llama": lambda **more: LlamaConfig(**SIZES, **{"head_dim": 8, "rope_parameters": {"rope_theta": 500.0}} | more),
    "qwen2": lambda **more: Qwen2Config(**SIZES, **{"tie_word_embeddings": True} | more),
}
DOMAINS = [torch.from_numpy(np.random.default_rng(d).integers(16 * d, 16 * d + 16, (6, 20))) for d in range(3)]


def dense_model(kind="llama", **more):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(CONFIGS[kind](**more)).eval()


def masks_by_hand(model, share=0.5):
    """Return the features of each layer's masks, from a whole pass over each domain."""
    found = {}
    for number, layer in enumerate(model.model.layers):
        means = []
        for tokens in DOMAINS:
            seen = []
            hook = layer.mlp.down_proj.register_forward_pre_hook(lambda _, given, seen=seen: seen.append(given[0]))
            with torch.no_grad():
                model(input_ids=tokens)
            hook.remove()
            means.append(seen[0].abs().mean(dim=(0, 1)).numpy())
        found[number] = [np.sort(np.argsort(-mean)[: int(share * len(mean))]) for mean in means]
    return found


def without_others(model, masks, domain):
    """Return a dense model that has the features of one mask only."""
    left = copy.deepcopy(model)
    for number, layer in enumerate(left.model.layers):
        gone = np.setdiff1d(np.arange(layer.mlp.down_proj.in_features), masks[number][domain])
        layer.mlp.down_proj.weight.data[:, gone] = 0.0
    return left


def all_to(model, expert):
    routed = copy.deepcopy(model)
    for layer in routed.model.layers:
        layer.mlp.gate.register_forward_hook(
            lambda _, __, out: (out[0], torch.ones_like(out[1]), torch.full_like(out[2], expert))
        )
    return routed


@pytest.mark.parametrize("kind", CONFIGS)
def test_an_expert_computes_what_the_dense_model_does_with_its_domain_s_features(kind):
    dense = dense_model(kind)
    before = {name: value.clone() for name, value in dense.state_dict().items()}
    model, masks = experts_from_dense(dense, DOMAINS), masks_by_hand(dense)
    assert all(torch.equal(value, before[name]) for name, value in dense.state_dict().items())
    config = model.config
    assert config.moe_intermediate_size + config.shared_expert_intermediate_size == 32
    tokens = torch.cat(DOMAINS)
    with torch.no_grad():
        for domain in range(3):
            wanted = without_others(dense, masks, domain)(input_ids=tokens).logits
            torch.testing.assert_close(all_to(model, domain)(input_ids=tokens).logits, wanted, atol=1e-4, rtol=1e-4)
    # Federated fine-tuning takes it: three experts in each of the two layers.
    assert FineTuning.of(model).layout.layer_sizes == (3, 3)


def test_the_router_sends_tokens_to_the_mask_of_their_largest_features():
    dense = dense_model()
    model, masks = experts_from_dense(dense, DOMAINS), masks_by_hand(dense)
    right = []
    for number, layer in enumerate(dense.model.layers):
        seen = []
        hooks = [
            layer.mlp.register_forward_pre_hook(lambda _, given, seen=seen: seen.append(given[0])),
            layer.mlp.down_proj.register_forward_pre_hook(lambda _, given, seen=seen: seen.append(given[0])),
        ]
        with torch.no_grad():
            dense(input_ids=torch.cat(DOMAINS))
            chosen = model.model.layers[number].mlp.gate(seen[0])[0].argmax(dim=1).numpy()
        for hook in hooks:
            hook.remove()
        top = np.argsort(-seen[1].abs().flatten(0, -2).numpy(), axis=1)[:, :32]
        overlap = np.array([[len(np.intersect1d(row, mask)) for mask in masks[number]] for row in top])
        right.append((overlap[np.arange(len(top)), chosen] == overlap.max(axis=1)).mean())
    assert min(right) > 0.6  # by chance 1/3, and a little more for ties


def test_what_cannot_be_divided_is_refused_by_name():
    dense = dense_model()
    diverged = copy.deepcopy(dense)
    diverged.model.layers[1].mlp.up_proj.weight.data[:] = np.nan
    experts = AutoModelForCausalLM.from_config(MixtralConfig(**COMMON, num_local_experts=2))
    for wrong, model, given, parameters in (
        ("mixtral: only dense models can be divided, of the kinds llama, qwen2", experts, DOMAINS, {}),
        ("llama: a model with mlp_bias cannot be", dense_model(mlp_bias=True), DOMAINS, {}),
        ("share is 1; it must be above 0 and below 1", dense, DOMAINS, {"share": 1}),
        ("there are 1 domains; two or more are needed", dense, DOMAINS[:1], {}),
        ("experts_per_token is 4; there are 3 domains", dense, DOMAINS, {"experts_per_token": 4}),
        (r"domain 1 has tokens of shape \(0, 20\)", dense, [DOMAINS[0], DOMAINS[1][:0]], {}),
        (r"layer . ?: . of the 8 features of a mask are in all masks, too few", dense, DOMAINS, {"share": 0.125}),
        ("the domains have the same mask in every layer", dense, [DOMAINS[0], DOMAINS[0]], {}),
        ("layer 1: the activations are not finite", diverged, DOMAINS, {}),
    ):
        with pytest.raises(LayoutError if wrong.startswith(("mix", "llama")) else ValueError, match=wrong):
            experts_from_dense(model, given, **parameters)


@pytest.mark.slow  # the first optimiser of a process loads modules for seconds
def test_the_example_measures_every_model(capsys, monkeypatch):
    spec = importlib.util.spec_from_file_location("dense_to_experts", EXAMPLE)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    monkeypatch.setattr(example, "LONGEST", 2000)
    losses = example.main(["--steps", "2", "--more", "1"])
    assert all(np.isfinite(of).all() and len(of) == 4 for of in losses.values())
    assert losses["1 of 4 experts"] != losses["1 of 4 experts, random routers"]
    assert capsys.readouterr().out.count("\n") == 1 + len(losses) == 9
