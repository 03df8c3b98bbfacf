"""A client's model matches the full model with its router masked to the client's experts, in every family."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

pytest.importorskip("transformers", reason="the extra [hf] is not installed: transformers")
pytest.importorskip("peft", reason="the extra [hf] is not installed: peft")

from alignsolve import Aligner, CapacityProfiler
from fedtrain.adapters.huggingface import (
    FineTuning,
    Lora,
    Training,
    evaluate,
    fewest_experts,
    load_model,
    run_rounds,
    weights_of,
    windows,
)
from fedtrain.layouts import LayoutError, detect
from fedtrain.partial import merge, slice_weights
from tests.masked_models import compare
from tests.tiny_models import COMMON, CONFIGS, NUM_EXPERTS, NUM_LAYERS, VOCABULARY

ROOT = Path(__file__).parents[3]
EVEN = (1, 4, 5, 6, 9, 11)  # three experts in each of the two layers
UNEVEN = (0, 2, 6, 7, 8, 10)
NARROW = (3, 5, 7, 10)  # fewer than a token is routed to
SGD = Training(optimizer="sgd", learning_rate=0.5, batch_size=4)
KINDS = {"whole": None, "lora": Lora(rank=2)}
every_family = pytest.mark.parametrize("family", CONFIGS)
every_kind = pytest.mark.parametrize("kind", KINDS)


def draw_tokens(seed=0, number=4, length=12):
    rng = np.random.default_rng(seed)
    return windows([rng.integers(0, VOCABULARY, number * length)], length)


def start(family, kind="whole"):
    """Return a fine-tuning with nonzero adapters; new adapters are zero."""
    tuning = FineTuning.of(load_model(CONFIGS[family]()), KINDS[kind])
    if KINDS[kind] is None:
        return tuning, dict(tuning.initial)
    generator = torch.Generator().manual_seed(1)
    return tuning, {name: torch.randn(value.shape, generator=generator) / 4 for name, value in tuning.initial.items()}


@every_family
@every_kind
@pytest.mark.parametrize("experts", [EVEN, UNEVEN, NARROW], ids=["even", "uneven", "narrow"])
def test_slice_train_merge_equals_the_whole_model_with_its_router_masked(family, kind, experts):
    tuning, weights = start(family, kind)
    assert compare(tuning, weights, experts, draw_tokens(), SGD) > len(experts)


@every_family
def test_decay_of_weights_moves_no_expert_that_saw_no_token(family):
    tuning, weights = start(family)
    tokens, experts = draw_tokens(number=1, length=2), tuple(range(NUM_EXPERTS * NUM_LAYERS))
    training = Training(weight_decay=0.5, learning_rate=0.1)
    update, measured = tuning.train(0, tuning.send(weights, experts), tokens, training, np.random.default_rng(0))
    idle = np.flatnonzero(measured.usage == 0.0)
    assert 0 < len(idle) < len(experts)
    assert np.isnan(measured.loss[idle]).all()
    merged = merge(weights, [update], tuning.trained_layout, assigned={0: experts}, cap=1).weights
    for name, part in tuning.trained_layout.parts.items():
        for j in part.held(idle):
            place = part.place(j, part.count, part.width(weights[name].shape))
            assert torch.equal(merged[name][place], weights[name][place])
            if weights[name].dim() == 3:  # not for biases: they are 0, and decay nothing
                assert not torch.equal(update.weights[name][place], weights[name][place])


@every_family
def test_usage_and_losses_are_those_of_the_tokens_routed(family):
    tuning, weights = start(family)
    tokens, experts = draw_tokens(), tuple(range(NUM_EXPERTS * NUM_LAYERS))
    still = Training(optimizer="sgd", learning_rate=0.0, batch_size=3, epochs=2)
    _, measured = tuning.train(0, tuning.send(weights, experts), tokens, still, np.random.default_rng(0))
    loss, accuracy = evaluate(tuning.whole(weights), tokens)
    for layer in range(NUM_LAYERS):
        here = slice(layer * NUM_EXPERTS, (layer + 1) * NUM_EXPERTS)
        usage = measured.usage[here]
        assert usage.sum() == pytest.approx(COMMON["num_experts_per_tok"])
        assert np.nansum(usage * measured.loss[here]) / usage.sum() == pytest.approx(loss, abs=1e-5)
        assert np.nansum(usage * measured.accuracy[here]) / usage.sum() == pytest.approx(accuracy, abs=1e-9)


@every_kind
def test_rounds_learn_and_move_only_what_was_assigned(kind):
    tuning, _ = start("mixtral", kind)
    clients = [windows([np.arange(200) * step % 7], 16) for step in (1, 2, 3)]
    aligner = Aligner(capacity=CapacityProfiler(client_capacity=[2, 4, 6]), layers=(NUM_EXPERTS,) * NUM_LAYERS)
    weights, losses = tuning.initial, []
    for done in run_rounds(tuning, clients, aligner, rounds=4, training=Training(learning_rate=0.01), cohort_size=2):
        assert not done.faults
        assert set(done.experts) == set(done.cohort.tolist())
        assigned = set().union(*done.experts.values())
        for name, part in tuning.trained_layout.parts.items():
            for j in set(range(part.first, part.first + part.count)) - assigned:
                place = part.place(j - part.first, part.count, part.width(weights[name].shape))
                assert torch.equal(done.weights[name][place], weights[name][place])
        down = [tuning.send(weights, held) for held in done.experts.values()]
        sent = [sum(value.nbytes for value in (*part.trained.values(), *part.base.values())) for part in down]
        assert done.bytes_down == sum(sent)
        assert done.bytes_up == sum(value.nbytes for part in down for value in part.trained.values())
        weights = done.weights
        losses.append(evaluate(tuning.whole(weights), torch.cat(clients))[0])
    before = evaluate(tuning.whole(tuning.initial), torch.cat(clients))[0]
    assert losses[-1] < losses[0] < before


def test_the_same_seed_gives_the_same_weights():
    results = []
    for _ in range(2):
        tuning, _ = start("qwen3_moe")
        clients = [draw_tokens(seed) for seed in range(3)]
        aligner = Aligner(capacity=CapacityProfiler(client_capacity=4), layers=(NUM_EXPERTS,) * NUM_LAYERS)
        *_, last = run_rounds(tuning, clients, aligner, rounds=2, seed=5)
        results.append(last.weights)
    assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])


def test_a_model_comes_back_from_its_folder_and_tied_weights_travel_once(tmp_path):
    config = CONFIGS["olmoe"]()
    config.tie_word_embeddings = True
    model = load_model(config, seed=3)
    model.save_pretrained(tmp_path / "model")
    again = FineTuning.of(load_model(tmp_path / "model"))
    assert "lm_head.weight" not in again.initial
    tokens = draw_tokens()
    assert evaluate(again.whole(again.initial), tokens) == pytest.approx(evaluate(model, tokens), abs=1e-6)
    built = again.build(again.send(again.initial, EVEN))
    assert built.lm_head.weight is built.get_input_embeddings().weight


def test_the_global_generator_stays_as_it_was():
    before = torch.random.get_rng_state()
    start("mixtral", "lora")
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_model_that_is_not_here_is_not_fetched(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing is downloaded unless local_files_only=False"):
        load_model(tmp_path / "absent")


def test_a_model_without_experts_is_refused():
    from transformers import LlamaConfig  # noqa: PLC0415

    with pytest.raises(LayoutError, match=r"no experts found among .* Looked for"):
        load_model(LlamaConfig(**{name: value for name, value in COMMON.items() if name != "num_experts_per_tok"}))


def test_too_few_experts_for_a_forward_pass_are_named():
    tuning, weights = start("mixtral")
    with pytest.raises(ValueError, match=r"layer model.layers.1.mlp has 0 of the client's experts; .*layer_demand=1"):
        tuning.build(tuning.send(weights, (0, 1)))
    deepseek, weights = start("deepseek_v3")
    assert deepseek.fewest_experts == fewest_experts(load_model(CONFIGS["deepseek_v3"]()), deepseek.layout) == 2
    with pytest.raises(ValueError, match=r"layer model.layers.0.mlp has 1 .* 2 or more in every layer"):
        deepseek.build(deepseek.send(weights, (0, 6, 7)))


def test_groups_of_experts_are_joined_where_some_are_missing_and_dense_layers_stay():
    config = CONFIGS["deepseek_v3"]()
    config.num_hidden_layers, config.first_k_dense_replace = 3, 1
    config.mlp_layer_types = ["dense", "sparse", "sparse"]
    config.n_group, config.topk_group = 3, 2
    model = load_model(config)
    tuning = FineTuning.of(model)
    assert tuning.layout.layers == ("model.layers.1.mlp", "model.layers.2.mlp")
    tokens = draw_tokens()
    whole = tuning.whole(tuning.initial)
    assert evaluate(whole, tokens) == evaluate(model, tokens)
    assert whole.config.to_dict() == model.config.to_dict()
    update, _ = tuning.train(0, tuning.send(tuning.initial, EVEN), tokens, SGD, np.random.default_rng(0))
    assert tuning.build(tuning.send(tuning.initial, EVEN)).model.layers[1].mlp.gate.num_group == 1
    assert not merge(tuning.initial, [update], tuning.layout, assigned={0: EVEN}, cap=len(tokens)).faults


def test_a_slice_of_something_else_is_refused():
    tuning, weights = start("mixtral")
    download = tuning.send(weights, EVEN)
    with pytest.raises(ValueError, match=r"missing \['model.norm.weight'\], unexpected \['norm'\]"):
        tuning.build(
            download._replace(trained={k.replace("model.norm.weight", "norm"): v for k, v in download.trained.items()})
        )


def test_another_clients_slice_is_refused():
    tuning, weights = start("mixtral")
    with pytest.raises(ValueError, match=r"(?s)not the weights of this model's slice: .*size mismatch"):
        tuning.build(tuning.send(weights, EVEN)._replace(experts=NARROW))
    adapting, adapters = start("mixtral", "lora")
    download = adapting.send(adapters, EVEN)
    name = next(iter(download.trained))
    with pytest.raises(ValueError, match=rf"not the adapters of this model: missing \['{name}'\], unexpected \['x'\]"):
        adapting.build(download._replace(trained={("x" if k == name else k): v for k, v in download.trained.items()}))


@pytest.mark.parametrize(
    ("texts", "length", "message"),
    [
        ([[1, 2]], 3, "2 tokens do not fill a window of 3"),
        ([], 2, "0 tokens"),
        ([[1, 2]], 1, "a window takes 2 or more"),
        ([[0.5, 1.0]], 2, "token numbers, not float64"),
        ([[[1, 2]]], 2, r"shape \(1, 2\)"),
    ],
)
def test_texts_that_fill_no_window_are_refused(texts, length, message):
    with pytest.raises(ValueError, match=message):
        windows(texts, length)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"optimizer": "lion"}, "'adamw' or 'sgd'"), ({"epochs": 0}, "1 or more"), ({"batch_size": 0}, "1 or more")],
)
def test_training_that_cannot_be_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Training(**change)


def test_a_client_without_text_cannot_train():
    tuning, weights = start("mixtral")
    with pytest.raises(ValueError, match="without a window"):
        tuning.train(
            0, tuning.send(weights, EVEN), torch.zeros((0, 8), dtype=torch.int64), SGD, np.random.default_rng(0)
        )


@every_family
def test_a_clients_parameters_are_what_it_was_sent_and_no_more(family):
    tuning, weights = start(family)
    for experts in (EVEN, UNEVEN):
        download = tuning.send(weights, experts)
        model = tuning.build(download)
        tensors = [*model.parameters(), *(model.get_buffer(name) for name in download.trained if "score_corr" in name)]
        assert sum(value.nbytes for value in tensors) == tuning.traffic(experts)[0].total
        sent = {value.data_ptr() for value in download.trained.values()}
        assert {value.data_ptr() for value in tensors} == sent, "the model holds copies"


@every_family
def test_experts_have_the_same_numbers_on_disk_as_in_memory(family, tmp_path):
    model = load_model(CONFIGS[family]())
    model.save_pretrained(tmp_path)
    stored, held = load_file(tmp_path / "model.safetensors"), weights_of(model)
    on_disk, in_memory = detect(stored), detect(held)
    assert on_disk.name == ("fused-transposed" if family == "gpt_oss" else "on-disk")
    for experts in (EVEN, UNEVEN):
        slices = [slice_weights(stored, on_disk, experts), slice_weights(held, in_memory, experts)]
        one, other = (torch.cat([value.flatten() for value in part.values()]).sort().values for part in slices)
        assert torch.equal(one, other)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@every_kind
def test_a_gpu_trains_as_the_cpu_does(kind):
    tuning, weights = start("mixtral", kind)
    one, other = (
        tuning.train(
            0, tuning.send(weights, EVEN), draw_tokens(), replace(SGD, device=device), np.random.default_rng(0)
        )[0]
        for device in ("cpu", "cuda")
    )
    for name, value in one.weights.items():
        torch.testing.assert_close(other.weights[name], value, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_memory_of_a_client_grows_with_its_experts():
    """Measured in separate processes: the peak of resident memory minus its value before."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, ROOT / "examples" / "huggingface_memory.py", "2", "16"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    (few, few_mb, few_peak), (every, every_mb, every_peak) = (
        [float(value) for value in line.split()] for line in done.stdout.splitlines()[1:]
    )
    assert (few, every) == (2, 16)
    assert few_mb < 0.2 * every_mb
    assert few_peak < 0.3 * every_peak
    assert every_peak > 4 * every_mb, "weights, gradients and AdamW's two moments"
