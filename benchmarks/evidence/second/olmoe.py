"""A language model's shape: a small OLMoE, 4 layers of 8 experts, by the Hugging Face adapter, on natural text.

Clients have windows of a few languages and types of files (:mod:`.natural`), and a budget of bytes for all layers
together. The whole model is trained from scratch, or adapters (LoRA) of a base. The base was trained at one place on
the types of files alone, so that languages are new to it.

The columns of a row mean the same as for other tasks, with one difference: ``personal`` and ``worst`` are losses, the
mean and the largest over clients, of the client's part of the model on its own domains' test windows.
"""

import hashlib
import time
from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import OlmoeConfig

from alignsolve import POLICIES, Aligner, CapacityProfiler, LoadMonitor, MemoryBudget, Parts
from alignsolve.numerics import FloatArray
from alignsolve.policies import WITHOUT_LIMIT
from benchmarks.evidence.second.corpora import DOMAINS, FILES
from benchmarks.evidence.second.devices import CLASSES, MARGIN
from benchmarks.evidence.second.federations import varied
from benchmarks.evidence.second.natural import VOCABULARY, natural, symbols
from benchmarks.evidence.second.plan import Entry
from benchmarks.evidence.second.row import Row
from fedtrain.adapters.huggingface import FineTuning, Lora, Round, Training, load_model, run_rounds
from fedtrain.adapters.huggingface.local import predict
from fedtrain.config import RunConfig
from fedtrain.data import Federated
from fedtrain.randomness import Purpose, generator
from fedtrain.results.history import variation

NUM_LAYERS, NUM_EXPERTS = 4, 8
SIZES: Mapping[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": NUM_LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "num_experts": NUM_EXPERTS,
    "num_experts_per_tok": 2,
    "max_position_embeddings": 64,
    "eos_token_id": None,
}
BASE_STEPS, BASE_BATCH, BASE_RATE = 300, 32, 3e-3
"""Training of the base that adapters are added to."""
RANK = 4
"""Rank of the adapters."""


def run(entry: Entry) -> Row:
    """Run an entry of the plan whose task is of the loop ``scratch`` or ``lora``."""
    started, busy, config = time.perf_counter(), time.process_time(), entry.config
    torch.set_num_threads(config.threads)
    data = natural(config.data, config.clients.num_clients, config.seed)
    tuning = _tuning(entry.task.loop, config.seed)
    sums = _Sums(tuning, data, entry.task.personal_every, config.rounds)
    for done in _rounds(entry, tuning, data):
        sums.add(done)
    return Row(
        key=entry.key,
        task=entry.task.name,
        alignment=entry.alignment,
        setting=entry.setting,
        seed=entry.seed,
        data=_digest(data),
        outcome="finished" if np.isfinite(sums.curves["loss"]).all() else "diverged",
        wall=time.perf_counter() - started,
        cpu=time.process_time() - busy,
        verdict_5="",
        verdict="",
        probe_bytes=0,
        **sums.read(),
    )


def _rounds(entry: Entry, tuning: FineTuning, data: Federated) -> Iterator[Round]:
    """Align and train as configured, within the clients' budgets of bytes."""
    config = entry.config
    training = Training(learning_rate=config.training.learning_rate, batch_size=config.training.batch_size)
    aligner = _aligner(config, tuning, training, data)
    for path, new in entry.vary.items():
        aligner = varied(aligner, path, new)
    clients = [_tokens(part.inputs, part.labels) for part in data.clients]
    yield from run_rounds(tuning, clients, aligner, rounds=config.rounds, training=training, seed=config.seed)


def _aligner(config: RunConfig, tuning: FineTuning, training: Training, data: Federated) -> Aligner:
    chosen, footprint = config.alignment, tuning.footprint(training)
    memory = _memory(config.seed, len(data.clients), footprint.shared_bytes, int(footprint.expert_bytes.max()))
    parts = Parts(
        capacity=CapacityProfiler(client_capacity=WITHOUT_LIMIT),
        budget=MemoryBudget(memory, footprint.expert_bytes, footprint.shared_bytes),
        load=LoadMonitor(tolerance=chosen.tolerance, catch_up=chosen.catch_up),
        layers=tuning.layout.layer_sizes,
        domains=data.mixture,
    )
    make = POLICIES[chosen.policy]
    if chosen.goal != "none":
        make = partial(make, goal=chosen.goal, sees=chosen.sees)
    aligner: Aligner = make(parts)
    return aligner


def _memory(seed: int, num_clients: int, shared_bytes: int, expert_bytes: int) -> FloatArray:
    """Draw each client's bytes, which are those of a class of phones: 1, 2 or 4 experts of each layer."""
    shares = np.array([phones.share for phones in CLASSES])
    kind = generator(seed, Purpose.DEVICES).choice(len(CLASSES), size=num_clients, p=shares / shares.sum())
    held = NUM_LAYERS * np.array([phones.experts for phones in CLASSES])[kind]
    memory: FloatArray = np.ceil(MARGIN * (shared_bytes + held * expert_bytes))
    return memory


def _tuning(loop: str, seed: int) -> FineTuning:
    if loop == "scratch":
        return FineTuning.of(load_model(OlmoeConfig(**SIZES), seed=seed))
    return FineTuning.of(_base(seed), Lora(rank=RANK), seed=seed)


def _base(seed: int) -> Any:
    """Return a model that was trained on the types of files; the caller may change it."""
    model = load_model(OlmoeConfig(**SIZES), seed=seed)
    model.load_state_dict({name: value.clone() for name, value in _base_weights(seed).items()})
    return model


@lru_cache(maxsize=2)
def _base_weights(seed: int) -> Mapping[str, Tensor]:
    model, rng = load_model(OlmoeConfig(**SIZES), seed=seed), generator(seed, Purpose.MODEL)
    texts = [text for name, text in zip(DOMAINS, symbols(), strict=True) if name in FILES]
    optimizer = torch.optim.AdamW(model.parameters(), lr=BASE_RATE)
    model.train()
    for _ in range(BASE_STEPS):
        chosen = [texts[k] for k in rng.choice(len(texts), BASE_BATCH)]
        starts = [int(rng.integers(len(text) // 2)) for text in chosen]
        batch = np.stack([text[start : start + 33] for text, start in zip(chosen, starts, strict=True)])
        losses, _ = predict(model, torch.from_numpy(batch))
        optimizer.zero_grad()
        losses.mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return {name: value.detach() for name, value in model.state_dict().items()}


class _Sums:
    """Keeps the curves and the sums over the rounds."""

    def __init__(self, tuning: FineTuning, data: Federated, every: int, rounds: int) -> None:
        self.tuning, self.data, self.every, self.rounds = tuning, data, every, rounds
        self.test = _tokens(data.test.inputs, data.test.labels)
        self.curves: dict[str, list[float]] = {
            name: [] for name in ("accuracy", "loss", "personal", "worst", "seconds", "bytes")
        }
        self.assigned: list[float] = []
        self.loads = np.zeros(tuning.layout.num_experts)
        self.held: dict[int, tuple[int, ...]] = {}
        self.bytes = 0

    def add(self, done: Round) -> None:
        """Add a round."""
        loads = np.bincount([j for held in done.experts.values() for j in held], minlength=len(self.loads))
        self.assigned.append(variation(loads.astype(np.float64)))
        self.loads += loads
        self.held |= done.experts
        self.bytes += done.bytes_down + done.bytes_up
        losses, right = _measured(self.tuning.whole(done.weights), self.test)
        number = len(self.assigned)
        due = number == self.rounds or (self.every > 0 and number % self.every == 0)
        own = self._own(done.weights) if due else np.array([np.nan])
        values = (right.mean(), losses.mean(), own.mean(), own.max(), np.nan, self.bytes)
        for curve, value in zip(self.curves.values(), values, strict=True):
            curve.append(float(value))

    def _own(self, weights: Mapping[str, Tensor]) -> FloatArray:
        """Return each client's loss on its own domains by its own part of the model, (len(held),)."""
        losses = []
        for client, held in self.held.items():
            weight = self.data.test_weights(client)
            met = np.flatnonzero(weight)
            model = self.tuning.build(self.tuning.send(weights, held))
            each, _ = _measured(model, self.test[torch.from_numpy(met)])
            losses.append(float(weight[met] @ each))
        return np.array(losses)

    def read(self) -> dict[str, Any]:
        """Return the figures by their names in a row."""
        return {
            "assigned_cv": float(np.mean(self.assigned)),
            "completed_cv": variation(self.loads),
            **{name: tuple(curve) for name, curve in self.curves.items()},
        }


def _tokens(inputs: Any, labels: Any) -> Tensor:
    """Return windows with their last label, as a language model reads them: (num_windows, context + 1)."""
    return torch.from_numpy(np.concatenate([inputs, labels[:, -1:]], axis=1))


def _measured(model: Any, windows: Tensor) -> tuple[FloatArray, FloatArray]:
    """Return the mean loss and the share of right predictions of every window."""
    model.eval()
    with torch.no_grad():
        losses, right = predict(model, windows)
    shape = (len(windows), -1)
    return losses.double().view(shape).mean(dim=1).numpy(), right.double().view(shape).mean(dim=1).numpy()


def _digest(data: Federated) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for examples in (*data.clients, data.test):
        digest.update(examples.inputs.tobytes())
    return digest.hexdigest()
