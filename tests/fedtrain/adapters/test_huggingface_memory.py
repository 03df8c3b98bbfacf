"""One alignment for all layers within each client's bytes, and these bytes are what training takes."""

import numpy as np
import pytest
from torch.profiler import ProfilerActivity, profile

pytest.importorskip("transformers", reason="the extra [hf] is not installed: transformers")
pytest.importorskip("peft", reason="the extra [hf] is not installed: peft")

from alignsolve import Aligner, CapacityProfiler, Proof, Status, TimeBudget
from fedtrain.adapters.huggingface import FineTuning, Lora, Training, load_model, run_rounds, windows
from fedtrain.adapters.huggingface.local import train
from tests.tiny_models import CONFIGS, NUM_EXPERTS, NUM_LAYERS, VOCABULARY

KINDS = {"whole": None, "lora": Lora(rank=2)}
LAYERS = (NUM_EXPERTS,) * NUM_LAYERS
every_family = pytest.mark.parametrize("family", CONFIGS)
every_kind = pytest.mark.parametrize("kind", KINDS)


def texts(number, length=8):
    rng = np.random.default_rng(0)
    return [windows([rng.integers(0, VOCABULARY, 2 * length)], length) for _ in range(number)]


def bytes_of(tensors):
    return sum(value.nbytes for value in tensors.values())


def needed(tuning, footprint, per_layer):
    """Return the bytes of training with this number of the experts of each layer."""
    held = [first + j for first in tuning.layout.first_experts for j in range(per_layer)]
    return footprint.shared_bytes + int(footprint.expert_bytes[held].sum())


@every_family
@every_kind
def test_one_alignment_a_round_keeps_every_client_within_its_bytes(family, kind):
    tuning = FineTuning.of(load_model(CONFIGS[family]()), KINDS[kind])
    training = Training(optimizer="sgd", learning_rate=0.1)
    footprint, fewest = tuning.footprint(training), tuning.fewest_experts
    one = int(footprint.expert_bytes[0])
    # From just enough for a forward pass, over an odd number of experts, to the whole model.
    counts = [fewest * NUM_LAYERS, fewest * NUM_LAYERS + 1, 7, NUM_EXPERTS * NUM_LAYERS]
    memory = [footprint.shared_bytes + count * one + one // 2 for count in counts]
    rounds = list(run_rounds(tuning, texts(4), Aligner(), rounds=2, memory=memory, training=training))
    for done in rounds:
        assert (done.solution.status, done.solution.proof) == (Status.OPTIMAL, Proof.PRICES)
        assert done.solution.problem.num_experts == NUM_EXPERTS * NUM_LAYERS, "all layers at once"
        assert not done.faults
        for client, held in done.experts.items():
            assert len(held) <= counts[client]
            assert np.bincount(tuning.layout.expert_group[list(held)], minlength=NUM_LAYERS).min() >= fewest
            # The weights that are sent, as often as training holds them.
            download = tuning.send(tuning.initial, held)
            assert bytes_of(download.base) + training.copies * bytes_of(download.trained) <= memory[client]
    assert [len(held) for held in rounds[0].experts.values()] == counts, "no byte is left unused"


@pytest.mark.slow
@every_family
@every_kind
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_what_is_counted_is_within_15_percent_of_the_peak_in_training(family, kind, optimizer):
    """The peak is measured by torch's own records of every allocation."""
    config = CONFIGS[family]()
    config.hidden_size, config.intermediate_size = 128, 256  # weights that outweigh the activations of a few tokens
    if getattr(config, "moe_intermediate_size", None):
        config.moe_intermediate_size = 256
    tuning = FineTuning.of(load_model(config), KINDS[kind])
    training = Training(optimizer=optimizer, epochs=2)
    footprint = tuning.footprint(training)
    for per_layer in (2, 5):
        held = [first + j for first in tuning.layout.first_experts for j in range(per_layer)]
        download = tuning.send(tuning.initial, held)
        model = tuning.build(download)
        tokens = windows([np.arange(6)], 6)
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as watched:
            train(model, tuning.layout, held, tokens, training, np.random.default_rng(0))
        peak = bytes_of(download.trained) + bytes_of(download.base) + grown(watched)
        assert needed(tuning, footprint, per_layer) == pytest.approx(peak, rel=0.15), per_layer


def grown(watched):
    """Return the most bytes that were allocated at once since the profiler started."""
    events = watched.profiler.kineto_results.events()
    changes = sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]")
    return int(np.cumsum([change for _, change in changes]).max())


def test_a_client_that_cannot_pay_for_an_expert_of_every_layer_is_named():
    tuning = FineTuning.of(load_model(CONFIGS["mixtral"]()))
    least = needed(tuning, tuning.footprint(Training()), 1)
    memory = [least, least - 100, 2 * least, 10]
    with pytest.raises(ValueError, match=r"client 1 has .* 100 are missing; client 3 has 10: ") as caught:
        next(run_rounds(tuning, texts(4), Aligner(), rounds=1, memory=memory))
    told = str(caught.value)
    assert f"training takes {least:,.0f} bytes" in told
    assert f"diagnose() proposes: raise the memory of client 1 from {least - 100:,} to {least:,}" in told
    next(run_rounds(tuning, texts(1), Aligner(), rounds=1, memory=least))


def test_an_aligner_of_one_layer_is_refused():
    tuning = FineTuning.of(load_model(CONFIGS["olmoe"]()))
    capacity = CapacityProfiler(client_capacity=4)
    with pytest.raises(ValueError, match=r"layers of \(6, 6\) experts, and the aligner's layers are None"):
        next(run_rounds(tuning, texts(1), Aligner(capacity=capacity), rounds=1))
    done = next(run_rounds(tuning, texts(1), Aligner(capacity=capacity, layers=LAYERS), rounds=1))
    assert len(done.experts[0]) == 4


def test_two_budgets_are_refused():
    tuning = FineTuning.of(load_model(CONFIGS["olmoe"]()))
    aligner = Aligner(budget=TimeBudget(deadline=1.0, expert_seconds=1.0))
    with pytest.raises(ValueError, match="has a budget of its own, a TimeBudget"):
        next(run_rounds(tuning, texts(1), aligner, rounds=1, memory=1e9))
