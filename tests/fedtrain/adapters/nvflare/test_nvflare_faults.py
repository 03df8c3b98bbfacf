"""Sites that lie, fail or are silent: bad updates are refused, the others are merged, and rounds continue."""

import time

import numpy as np
import pytest

pytest.importorskip("nvflare", reason="NVFlare is not installed: pip install 'alignsolve[nvflare]'")
pytest.importorskip("torch")

from nvflare.apis.dxo import DXO, DataKind
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.shareable import make_reply

from alignsolve import Outcome
from tests.adding import NUM_CLIENTS, NUM_EXPERTS, add, assert_close, expected, listen, weights
from tests.nvflare_sites import NAMES, Adding, Server, Sites, assigned_in, changed


@pytest.fixture
def reports(monkeypatch):
    return listen(monkeypatch)


def with_foreign_expert(params, _):
    held = {int(name.split(".")[1]) for name in params if name.startswith("experts.")}
    foreign = next(j for j in range(NUM_EXPERTS) if j not in held)
    params[f"experts.{foreign}.weight"] = np.zeros((3, 2), dtype=np.float32)


def instead_of_own_expert(params, said):
    own = next(name for name in params if name.startswith("experts."))
    value = params.pop(own)
    with_foreign_expert(params | {own: value}, said)
    params[f"experts.{(int(own.split('.')[1]) + 1) % NUM_EXPERTS}.weight"] = value


def spoil(start, value):
    def change(params, _):
        key = next(key for key in params if key.startswith(start))
        params[key] = value(params[key])

    return change


def says(**measures):
    return lambda _, said: said.update({name.replace("_", "-"): value for name, value in measures.items()})


def experts_in(told):
    return {client: report.experts.tolist() for client, report in told.items()}


FAULTS = {
    "an expert it was not given": (with_foreign_expert, "is not part of its assignment"),
    "another expert instead": (instead_of_own_expert, "experts"),
    "a tensor is missing": (lambda params, _: params.pop("head"), "tensor head is missing"),
    "wrong type": (spoil("experts.", lambda value: value.astype(np.float64)), "expected numpy.float32"),
    "wrong shape that broadcasts": (spoil("head", lambda value: value[:1]), "(1,)"),
    "no array": (spoil("head", lambda value: value.tolist()), "tensor head is a list"),
    "NaN": (spoil("experts.", lambda value: value * np.nan), "not finite"),
    "infinite": (spoil("router", lambda value: value + np.inf), "not finite"),
    "claims other experts": (says(experts=[NUM_EXPERTS - 1, 0, 1]), "claims experts"),
    "negative count": (says(num_examples=-10), "claims -10 examples"),
    "absurd count": (says(num_examples=10**15), "at most 1000"),
    "count is a float": (says(num_examples=1e6), "claims 1000000.0 examples"),
    "usage above all": (says(usage=[1e9]), "not shares"),
    "loss is NaN": (says(loss=[float("nan")]), "loss of expert"),
    "loss is text": (says(loss="low"), "measure loss is 'low', not a number"),
    "usage is a dictionary": (says(usage={"0": 1.0}), "measure usage is {'0': 1.0}"),
    "usage is nested": (says(usage=[[1.0]]), "measure usage is [[1.0]]"),
    "duration is missing": (lambda _, said: said.pop("seconds"), "claims None seconds"),
    "experts are missing": (lambda _, said: said.pop("experts"), "claims experts None"),
    "control characters": (lambda params, _: params.update({"a\nb": np.ones(2)}), r"tensor a\nb is not part"),
    "negative duration": (says(seconds=-1.0), "seconds is -1.0"),
    "no measures": (lambda _, said: said.clear(), "claims None seconds"),
    "no weights": (lambda params, _: params.clear(), "is missing"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_faulty_update_is_refused_and_the_others_are_merged(kind, reports, caplog):
    change, words = FAULTS[kind]
    sites = Sites()
    sites.tamper[NAMES[2]] = changed(change)  # a client with one expert
    _, merged, figures = sites.run(Server(num_rounds=1, max_examples=1000)).seen[0]
    others = [0, 1, 3, 4]
    assert_close(merged, expected(weights(), assigned_in(sites), others))
    assert [i for i, report in reports[0].items() if report.outcome is Outcome.COMPLETED] == others
    assert reports[0][2].outcome is Outcome.REJECTED
    assert figures["rejected"] == 1
    assert words in next(record.message for record in caplog.records if f"client 2, {NAMES[2]}: " in record.message)


@pytest.mark.parametrize("kind", [DataKind.WEIGHT_DIFF, DataKind.METRICS])
def test_what_is_not_the_whole_weights_is_refused(kind, reports):
    sites = Sites()
    sites.tamper[NAMES[2]] = lambda reply: DXO(kind, data={"head": np.ones(3)}, meta={"alignsolve": {}}).to_shareable()
    sites.run(Server(num_rounds=1))
    assert reports[0][2].outcome is Outcome.REJECTED


def test_a_reason_is_as_long_as_a_line_at_most(caplog):
    sites = Sites()
    sites.tamper[NAMES[2]] = changed(lambda _, said: said.update(outcome="full", reason="x" * 10_000))
    assert sites.run(Server(num_rounds=1)).seen[0][2]["dropped"] == 1
    (line,) = [record.message for record in caplog.records if f"client 2, {NAMES[2]}: " in record.message]
    assert len(line) < 300


def test_every_client_may_have_a_cap_of_its_own(reports):
    Sites().run(Server(num_rounds=1, max_examples=[10, 20, 29, 40, 50]))
    outcomes = [report.outcome for report in reports[0].values()]
    assert outcomes == [Outcome.REJECTED if i == 2 else Outcome.COMPLETED for i in range(NUM_CLIENTS)]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ValueError("no such file"), Outcome.DROPPED),
        (RuntimeError("shapes"), Outcome.DROPPED),
        (MemoryError("32 GiB"), Outcome.OUT_OF_MEMORY),
    ],
)
def test_a_client_that_raises_is_a_dropout_of_the_round(error, outcome, reports, caplog):
    class Failing(Adding):
        def train(self, given, experts, task):
            if task.client == 3 and task.round == 0:
                raise error
            return add(given, experts, task)

    started = time.monotonic()
    server = Sites(Failing()).run(Server(num_rounds=2))
    assert time.monotonic() - started < 5.0  # nobody waited for it
    assert [told[3].outcome for told in reports] == [outcome, Outcome.COMPLETED]
    assert reports[0][3].bytes_down > 0
    assert [figures["dropped"] for _, _, figures in server.seen] == [1, 0]
    assert f"client 3, {NAMES[3]}: failed" in caplog.text


def test_results_that_nvflare_cannot_read_make_their_clients_dropouts(reports):
    sites = Sites()
    sites.tamper[NAMES[0]] = lambda reply: make_reply(ReturnCode.OK)
    sites.run(Server(num_rounds=1))
    assert reports[0][0].outcome is Outcome.DROPPED


def test_a_silent_site_is_dropped_once_its_time_is_over_and_left_out_until_it_asks_again(reports, caplog):
    sites = Sites()
    sites.silent.add(NAMES[4])

    class Waking(Server):
        def after_round(self, number, weights, figures):
            super().after_round(number, weights, figures)
            if number == 2:
                sites.silent.clear()

    started = time.monotonic()
    first, *_, last = sites.run(Waking(num_rounds=4, timeout=1)).seen
    assert 1.0 <= time.monotonic() - started < 10.0
    outcomes = [told[4].outcome if 4 in told else None for told in reports]
    assert outcomes == [Outcome.DROPPED, None, None, Outcome.COMPLETED]
    assert "site-4: nothing came back in time" in caplog.text
    assert_close(first[1], expected(weights(), experts_in(reports[0]), [0, 1, 2, 3]))
    assert last[2]["merged"] == NUM_CLIENTS


def test_an_update_that_comes_after_its_round_is_not_merged(reports, caplog):
    sites, late = Sites(), []

    def hold(client, name, number, result, context):
        if client.name == NAMES[4] and not late:
            late.append((client, name, number, result, context))
            sites.silent.add(client.name)  # NVFlare gives a task again to who asks again
        else:
            deliver(client, name, number, result, context)

    deliver, sites.process_submission = sites.process_submission, hold

    class Delivering(Server):
        def after_round(self, number, weights, figures):
            super().after_round(number, weights, figures)
            if number == 1:
                deliver(*late[0])
                sites.silent.clear()

    first, second, third = sites.run(Delivering(num_rounds=3, timeout=1)).seen
    assert [told[4].outcome if 4 in told else None for told in reports] == [Outcome.DROPPED, None, Outcome.COMPLETED]
    assert f"{NAMES[4]}: its update came too late" in caplog.text
    assert_close(second[1], expected(first[1], experts_in(reports[1]), range(4)))
    assert third[2]["merged"] == NUM_CLIENTS


@pytest.mark.parametrize(
    ("measures", "words"),
    [({"usage": None}, "usage has shape"), ({"loss": [1.0, 2.0, 3.0]}, "loss has shape"), ({"speed": 1.0}, "speed")],
)
def test_a_training_function_that_measures_wrongly_is_told_so(measures, words):
    class Wrong(Adding):
        def train(self, given, experts, task):
            trained, said = add(given, experts, task)
            return trained, said | measures

    sites = Sites()
    sites.run(Server(num_rounds=1))
    with pytest.raises(ValueError, match=words):
        Wrong().execute("train", sites.sent[0][1], None, None)
    server = Sites(Wrong()).run(Server(num_rounds=1))
    assert server.seen[0][2]["dropped"] == NUM_CLIENTS
    assert_close(server.seen[0][1], weights())


def test_a_task_of_another_controller_is_refused():
    task = DXO(DataKind.WEIGHTS, data={"head": np.ones(3)}).to_shareable()
    with pytest.raises(ValueError, match="the server must run an AlignedController"):
        Adding().execute("train", task, None, None)
