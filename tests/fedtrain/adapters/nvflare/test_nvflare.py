"""AlignedController with NVFlare's own task handling: messages, merge, taking part, and saved state."""

import json

import numpy as np
import pytest

pytest.importorskip("nvflare", reason="NVFlare is not installed: pip install 'alignsolve[nvflare]'")
pytest.importorskip("torch")

import torch
from nvflare.apis.signal import Signal

from alignsolve import Aligner, Outcome
from fedtrain.adapters.nvflare import AlignedExecutor, SavedStateError, TooFewClientsError, load_weights
from fedtrain.config.file import read_config
from fedtrain.layouts import LayoutError
from fedtrain.local import client as local
from fedtrain.models import num_bytes, part_to_download
from fedtrain.randomness import Purpose, generator
from fedtrain.server import initial_state, prepare
from fedtrain.server.rounds import run_rounds
from tests.adding import NUM_CLIENTS, NUM_EXPERTS, add, assert_close, expected, listen
from tests.nvflare_sites import NAMES, Adding, Server, Sites, assigned_in

CONFIG = ("rounds=3", "clients.num_clients=5", "clients.dropout=0", "training.epochs=1", "training.batch_size=64")


@pytest.fixture
def reports(monkeypatch):
    return listen(monkeypatch)


class Digits(AlignedExecutor):
    """fedtrain's local training."""

    def __init__(self, federation):
        super().__init__()
        self.federation = federation

    def train(self, given, experts, task):
        """Train as fedtrain's clients do."""
        ours, config = self.federation, self.federation.config
        rng = generator(config.seed, Purpose.TRAINING, task.round, task.client)
        data, training = ours.clients[task.client], config.training.in_round(task.round)
        update = local.train(task.client, ours.spec, given, experts, data, training, rng)
        return update.tensors, {"num_examples": update.num_examples, **update.measured._asdict()}


def test_the_model_is_that_of_fedtrains_own_loop_and_bytes_are_those_of_each_clients_part():
    federation = prepare(read_config(overrides=CONFIG))
    *_, (last, own) = run_rounds(federation, initial_state(federation))
    tensors = initial_state(federation).tensors

    class Run(Server):
        def make_aligner(self):
            return federation.aligner

    sites = Sites(Digits(federation))
    server = sites.run(Run(tensors, num_rounds=3))
    _, final, figures = server.seen[-1]
    assert final.keys() == own.tensors.keys()
    assert max(float((final[name] - own.tensors[name]).abs().max()) for name in final) == 0.0
    assert (figures["bytes-down"], figures["bytes-up"]) == (last.row.bytes_down, last.row.bytes_up)
    assert len(sites.sent) == 3 * 5
    for (_, _, size), (_, experts, params) in zip(sites.sent, sites.held(), strict=True):
        asked = part_to_download(tensors, experts)
        assert params.keys() == asked.keys()
        assert num_bytes(params) == num_bytes(asked)
        assert size < 1.06 * num_bytes(asked)  # names, types, shapes: much, where tensors are as small as here


@pytest.mark.parametrize("as_tensors", [False, True])
def test_messages_are_as_long_as_what_is_in_them(as_tensors):
    """For tensors of realistic size, everything that NVFlare serialises is within one percent of the values' size."""
    wide = {f"experts.{j}.weight": np.full((200, 100), j, dtype=np.float32) for j in range(NUM_EXPERTS)}
    wide |= {"router.weight": np.ones((NUM_EXPERTS, 100), dtype=np.float32), "head": np.ones((100, 100))}
    given = {name: torch.from_numpy(value) for name, value in wide.items()} if as_tensors else wide
    sites = Sites()
    server = sites.run(Server(given, num_rounds=1))
    head, router, expert = 8 * 100 * 100, 4 * NUM_EXPERTS * 100, 4 * 200 * 100
    for (_, _, size), (_, experts, _) in zip(sites.sent, sites.held(), strict=True):
        assert size == pytest.approx(head + router + len(experts) * expert, rel=0.01)
    assert server.seen[0][2]["bytes-down"] == 5 * (head + router) + 7 * expert
    assert all(isinstance(value, torch.Tensor) == as_tensors for value in server.seen[0][1].values())


def test_updates_are_merged_per_expert_by_their_examples(reports):
    class Told(Adding):
        def train(self, given, experts, task):
            assert task.config == {"lr": 0.5}
            return super().train(given, experts, task)

    sites = Sites(Told())
    server = sites.run(Server(num_rounds=2, config={"lr": 0.5}))
    first, second = server.seen
    assigned = assigned_in(sites, last=NUM_CLIENTS)
    assert sorted(len(experts) for experts in assigned.values()) == [1, 1, 1, 2, 2]
    assert_close(second[1], expected(first[1], assigned, list(range(NUM_CLIENTS))))
    assert {i: (report.outcome, report.experts.tolist()) for i, report in reports[1].items()} == {
        i: (Outcome.COMPLETED, experts) for i, experts in assigned.items()
    }
    for i, report in reports[1].items():
        assert (report.seconds, report.num_examples) == (2.0 + i, 10 * (i + 1))
        assert report.loss.tolist() == (np.arange(len(assigned[i])) + 0.5).tolist()


def test_a_run_goes_on_from_its_saved_state(tmp_path, caplog):
    whole = Sites().run(Server(num_rounds=5, cohort_fraction=0.6)).seen[-1][1]
    options = {"cohort_fraction": 0.6, "state_dir": str(tmp_path)}
    Sites().run(Server(num_rounds=2, **options))
    second = Sites().run(Server(num_rounds=5, **options))
    assert [number for number, _, _ in second.seen] == [3, 4, 5]
    for name, value in whole.items():
        assert np.array_equal(value, second.seen[-1][1][name])
        assert np.array_equal(value, load_weights(tmp_path)[name])
    about = json.loads((tmp_path / "round-00005" / "state.json").read_text())
    assert [figures["round"] for figures in about["history"]] == [1, 2, 3, 4, 5]
    assert "nothing is trained" not in caplog.text
    third = Sites()
    third.run(Server(num_rounds=4, **options))
    assert not third.sent  # no round was left
    assert f"nothing is trained: {tmp_path} holds the state after round 5, and num_rounds is 4" in caplog.text
    with pytest.raises(SavedStateError, match="clients = "):
        Sites().run(Server(num_rounds=6, clients=NAMES[::-1], **options))


def test_only_connected_sites_of_the_list_are_asked(reports):
    sites = Sites(names=[*NAMES[:4], "stranger"])
    sites.lost.add(NAMES[1])
    sites.run(Server(num_rounds=1))
    assert {name for name, *_ in sites.sent} == {NAMES[0], NAMES[2], NAMES[3]}
    assert sorted(reports[0]) == [0, 2, 3]


def test_cohorts_may_be_chosen():
    class Choosing(Server):
        def sample(self, rounds_done, here):
            return here[[rounds_done, rounds_done + 2]]

    sites = Sites()
    sites.run(Choosing(num_rounds=2))
    assert sorted(name for name, *_ in sites.sent[:2]) == [NAMES[0], NAMES[2]]
    assert sorted(name for name, *_ in sites.sent[2:]) == [NAMES[1], NAMES[3]]


def test_nobody_there_is_an_error_that_says_so():
    with pytest.raises(TooFewClientsError, match=r"round 1 needs 1 clients, and 0 are there after 0\.1 s"):
        Sites(names=[]).run(Server())


def test_a_model_without_experts_is_refused_before_anything_is_sent():
    sites = Sites()
    with pytest.raises(LayoutError, match="no experts found"):
        sites.run(Server({"head": np.ones(3)}))
    assert not sites.sent


def test_a_job_that_is_aborted_merges_nothing_more(tmp_path):
    abort = Signal()

    class Aborting(Adding):
        def train(self, given, experts, task):
            if task.round == 1:
                abort.trigger(True)
            return add(given, experts, task)

    server = Sites(Aborting()).run(Server(num_rounds=3, state_dir=str(tmp_path)), abort)
    assert [number for number, _, _ in server.seen] == [1]
    assert [path.name for path in tmp_path.iterdir()] == ["round-00001"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"clients": ["a", "a"]}, "each once"),
        ({"clients": "site-1"}, "names of the sites"),
        ({"clients": []}, "names of the sites"),
        ({"timeout": 0}, "timeout is 0"),
        ({"max_examples": [1, 2]}, "one for every client"),
        ({"max_examples": 0}, "max_examples is 0"),
        ({"state_dir": "state"}, "must be absolute"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        Server(**options)


def test_sites_get_what_fits_into_their_bytes():
    expert, rest = 4 * 3 * 2 * 4, 4 * (NUM_EXPERTS * 3 * 4 + 3 * 8)

    class Weighed(Server):
        def make_aligner(self):
            return Aligner()

    memory = [rest + (1 + k % 3) * expert for k in range(NUM_CLIENTS)]
    server = Sites(Adding()).run(Weighed(num_rounds=1, memory=memory))
    state = server.session.aligner
    pending, _ = state.align(state.init(NUM_CLIENTS, NUM_EXPERTS), np.arange(NUM_CLIENTS))
    assert pending.x.sum(axis=1).tolist() == [1, 2, 3, 1, 2]
