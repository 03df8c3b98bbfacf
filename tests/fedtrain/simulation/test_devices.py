"""Devices, traces, simulated time and availability: random draws, refused values, and the effect on a round."""

import dataclasses

import numpy as np
import pytest

from alignsolve import Outcome
from fedtrain.config import ClientsConfig, ConfigError, RunConfig, TierConfig
from fedtrain.config.file import read_config
from fedtrain.server import initial_state, prepare
from fedtrain.server.rounds import run_rounds, sample_cohort
from fedtrain.simulation.availability import opening, present, time_left
from fedtrain.simulation.devices import Devices, Fleet, make_fleet
from fedtrain.simulation.timing import Work, foresee, simulated_seconds, undisturbed_seconds
from fedtrain.simulation.trace import read_trace

HEADER = "client,ms_per_example,memory_kib,down_mbps,up_mbps"
LINES = [f"c{k},{1 + k},{500 + k},{10 + k},{5 + k}" for k in range(6)]
WORK = Work(num_examples=100, num_active=2, memory_bytes=1000, bytes_down=1_000_000, bytes_up=500_000)
TINY = (
    "rounds=3",
    "model.num_features=4",
    "model.num_hidden=4",
    "model.num_experts=3",
    "training.epochs=1",
    "training.batch_size=128",
    "clients.num_clients=6",
    "clients.dropout=0",
)


def fleet_of(clients: ClientsConfig, seed=0) -> Fleet:
    return make_fleet(RunConfig(clients=clients, seed=seed), least_bytes=2000)


def devices(**changes) -> Devices:
    """Return three devices that need 1.2 s of computing, 0.8 s of download and 0.4 s of upload for WORK."""
    ones = np.ones(3)
    given = {"memory_bytes": np.full(3, 10_000), "ms_per_example": 2 * ones, "down_mbps": 10 * ones} | changes
    return Devices(**({"up_mbps": 10 * ones} | given))


def fleet_with(windows=None, **changes) -> Fleet:
    made = devices(**changes)
    return Fleet(
        actual=made,
        declared=made,
        tier=np.zeros(3, dtype=np.int64),
        tier_names=("a",),
        availability=np.ones(3),
        joins=np.zeros(3, dtype=np.int64),
        windows=windows or (None, None, None),
        period=100.0,
    )


def course(clients=None, fleet=None, *, seed=0, client=0, clock=0.0, work=WORK):
    clients = clients or ClientsConfig(dropout=0.0)
    return foresee(clients, fleet or fleet_with(), work, seed=seed, number=3, client=client, clock=clock)


# ---- tiers


def test_a_tier_without_spread_has_equal_devices():
    fleet = fleet_of(ClientsConfig())
    for t, tier in enumerate(ClientsConfig().tiers):
        assert set(fleet.actual.memory_bytes[fleet.tier == t]) == {int(tier.memory_kib * 1024)}
        assert set(fleet.actual.up_mbps[fleet.tier == t]) == {tier.up_mbps}
    assert np.bincount(fleet.tier).tolist() == [16, 16, 8]


def test_spread_is_lognormal_around_the_tiers_figures():
    tier = TierConfig("a", 1.0, 400.0, 2.0, 20.0, 5.0, spread=0.5)
    fleet = fleet_of(ClientsConfig(num_clients=4000, tiers=(tier,)))
    for field in ("ms_per_example", "down_mbps", "up_mbps", "memory_kib"):
        values = fleet.actual.memory_bytes / 1024 if field == "memory_kib" else getattr(fleet.actual, field)
        logs = np.log(values / getattr(tier, field))
        assert abs(logs.mean()) < 0.04
        assert abs(logs.std() - 0.5) < 0.03
    assert abs(np.corrcoef(np.log(fleet.actual.down_mbps), np.log(fleet.actual.up_mbps))[0, 1]) < 0.1
    again = fleet_of(ClientsConfig(num_clients=4000, tiers=(tier,)))
    assert np.array_equal(fleet.actual.ms_per_example, again.actual.ms_per_example)


def test_some_declare_more_than_they_have_and_run_out_of_memory():
    fleet = fleet_of(ClientsConfig(misreporting=0.25, exaggeration=3.0))
    lies = fleet.declared.memory_bytes != fleet.actual.memory_bytes
    assert lies.sum() == 10
    assert (fleet.declared.memory_bytes[lies] == 3 * fleet.actual.memory_bytes[lies]).all()
    assert (fleet.declared.ms_per_example[lies] < fleet.actual.ms_per_example[lies]).all()
    told = course(work=dataclasses.replace(WORK, memory_bytes=10_001))
    assert (told.outcome, told.bytes_down, told.bytes_up) == (Outcome.OUT_OF_MEMORY, 1_000_000, 0)
    assert told.seconds == pytest.approx(0.8)


def test_a_run_counts_those_who_ran_out_of_memory_and_goes_on():
    config = read_config(overrides=[*TINY, "clients.misreporting=0.5", "clients.exaggeration=3"])
    footprint = prepare(config).footprint
    one_expert = (footprint.holding(1) + footprint.holding(2)) / 2 / 1024  # is held; the liars claim room for more
    tier = dataclasses.replace(ClientsConfig().tiers[0], memory_kib=one_expert)
    federation = prepare(dataclasses.replace(config, clients=dataclasses.replace(config.clients, tiers=(tier,))))
    rows = [done.row for done, _ in run_rounds(federation, initial_state(federation))]
    assert [(row.out_of_memory, row.merged) for row in rows] == [(3, 3)] * 3


def test_late_joiners_have_the_last_indices():
    fleet = fleet_of(ClientsConfig(late_joiners=0.5, joined_by=7))
    assert (np.diff(fleet.joins) >= 0).all()
    assert fleet.num_joined(0) == 20
    assert fleet.num_joined(7) == 40
    assert set(fleet.joins[20:]) <= set(range(1, 8))
    assert len(set(fleet.joins)) > 4
    assert fleet_of(ClientsConfig(num_clients=1, late_joiners=0.9)).num_joined(0) == 1


def test_a_run_with_late_joiners_grows():
    config = read_config(overrides=[*TINY, "clients.late_joiners=0.5", "clients.joined_by=2"])
    federation = prepare(config)
    played = list(run_rounds(federation, initial_state(federation)))
    sizes = [len(done.cohort) for done, _ in played]
    states = [state.aligner.num_clients for _, state in played]
    assert sizes == states == [federation.fleet.num_joined(number) for number in range(3)]
    assert sizes[0] == 3
    assert sizes[2] == 6


# ---- simulated time


def test_time_is_fedscales():
    assert undisturbed_seconds(devices(), 0, WORK) == pytest.approx(3 * 100 * 2 * 2 / 1000 + 0.8 + 0.4)
    full = course()
    assert (full.outcome, full.bytes_down, full.bytes_up) == (Outcome.COMPLETED, 1_000_000, 500_000)
    assert full.seconds == pytest.approx(2.4)


def test_what_comes_after_the_deadline_is_late_but_was_sent():
    assert course(ClientsConfig(dropout=0.0, deadline=2.5)).outcome is Outcome.COMPLETED
    late = course(ClientsConfig(dropout=0.0, deadline=2.3))
    assert (late.outcome, late.bytes_up) == (Outcome.LATE, 500_000)
    assert simulated_seconds([late.seconds, 1.0], 2.3) == 2.3
    assert simulated_seconds([1.0, 2.0], 2.3) == 2.0
    assert simulated_seconds([], np.inf) == 0.0


def test_stragglers_are_slow_by_a_factor_of_their_own_each_round():
    clients = ClientsConfig(dropout=0.0, stragglers=0.5, slowdown=5.0)
    factors = np.array([course(clients, seed=seed).seconds / 2.4 for seed in range(400)])
    slow = factors > 1.0 + 1e-9
    assert 0.4 < slow.mean() < 0.6
    assert factors.max() <= 5.0
    assert 2.7 < factors[slow].mean() < 3.3


def test_dropouts_have_downloaded_and_no_more():
    clients = ClientsConfig(dropout=0.5)
    courses = [course(clients, seed=seed) for seed in range(200)]
    gone = [one for one in courses if one.outcome is Outcome.DROPPED]
    assert 70 < len(gone) < 130
    assert {(one.bytes_down, one.bytes_up) for one in gone} == {(1_000_000, 0)}


def test_dropouts_at_any_moment_leave_what_was_sent_until_then():
    clients = ClientsConfig(dropout=0.99, dropout_moment="any")
    gone = [one for seed in range(400) if (one := course(clients, seed=seed)).outcome is Outcome.DROPPED]
    for one in gone:
        assert one.bytes_down == pytest.approx(1_000_000 * min(1.0, one.seconds / 0.8), abs=1)
        assert one.bytes_up == pytest.approx(500_000 * max(0.0, (one.seconds - 2.0) / 0.4), abs=1)
    assert 0.25 < np.mean([one.bytes_down < 1_000_000 for one in gone]) < 0.42
    assert 0.1 < np.mean([one.bytes_up > 0 for one in gone]) < 0.24


def test_who_leaves_its_window_is_gone_at_that_moment():
    fleet = fleet_with(windows=(((0.0, 10.0),), None, None))
    gone = course(fleet=fleet, clock=9.0)
    assert (gone.outcome, gone.bytes_down, gone.bytes_up) == (Outcome.DROPPED, 1_000_000, 0)
    assert gone.seconds == pytest.approx(1.0)
    assert course(fleet=fleet, clock=7.5).outcome is Outcome.COMPLETED


# ---- who is there


def test_windows_repeat_and_are_waited_for():
    fleet = fleet_with(windows=(((10.0, 20.0), (50.0, 60.0)), ((90.0, 100.0),), ((0.0, 5.0), (95.0, 100.0))))
    for clock, expected in ((0.0, 0.0), (5.0, 10.0), (25.0, 50.0), (60.0, 90.0), (105.0, 110.0), (161.0, 190.0)):
        assert opening(fleet, 0, clock) == pytest.approx(expected, abs=1e-5)
    assert time_left(fleet, 0, 12.0) == pytest.approx(8.0, abs=1e-5)
    assert time_left(fleet, 2, 96.0) == pytest.approx(9.0, abs=1e-5)  # it goes on in the next period
    assert time_left(fleet, 2, 401.0) == pytest.approx(4.0, abs=1e-5)
    assert time_left(fleet_with(), 2, 401.0) == np.inf


@pytest.mark.parametrize("seed", range(20))
def test_after_waiting_somebody_is_there(seed):
    """The law holds for every rounding of sums of simulated times."""
    rng = np.random.default_rng(seed)
    federation = prepare(read_config(overrides=[*TINY, "clients.num_clients=3"]))
    clock = 0.0
    for number in range(20):
        starts = np.sort(rng.random(3)) * 99.0
        fleet = fleet_with(windows=tuple(((start, start + 0.7),) for start in starts))
        waiting = dataclasses.replace(federation, fleet=fleet)
        opened = opening(fleet, number, clock)
        assert opened >= clock
        cohort = sample_cohort(waiting, number, opened)
        assert len(cohort) >= 1
        assert all(0.0 < time_left(fleet, client, opened) <= 0.7 + 1e-5 for client in cohort.tolist())
        clock = opened + rng.random() * 50.0


def test_availability_is_a_share_of_rounds_and_somebody_is_always_waited_for():
    federation = prepare(read_config(overrides=TINY))
    rare = dataclasses.replace(federation.fleet, availability=np.array([0.9, 0.5, 0.5, 0.1, 0.1, 0.01]))
    federation = dataclasses.replace(federation, fleet=rare)
    there = np.array([present(federation.fleet, 0, number, 0.0) for number in range(2000)])
    np.testing.assert_allclose(there.mean(axis=0)[:5], [0.9, 0.5, 0.5, 0.1, 0.1], atol=0.05)
    never = dataclasses.replace(federation, fleet=dataclasses.replace(rare, availability=np.full(6, 1e-9)))
    assert {present(never.fleet, 0, number, 0.0).sum() for number in range(50)} == {1}


# ---- traces


def write(tmp_path, *lines, header=HEADER):
    path = tmp_path / "trace.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def test_a_trace_is_read_as_it_is_written(tmp_path):
    path = write(
        tmp_path,
        "a,1.5,800,20,5,phone,,0-3600;7200-9000",
        "b,0.5,1600,100,50,,4,",
        header=f"{HEADER},tier,joins,available",
    )
    first, second = read_trace(path, period=86400.0)
    assert (first.client, first.ms_per_example, first.memory_kib, first.tier, first.joins) == (
        "a",
        1.5,
        800,
        "phone",
        None,
    )
    assert first.windows == ((0.0, 3600.0), (7200.0, 9000.0))
    assert (second.tier, second.joins, second.windows) == ("trace", 4, None)


def test_windows_that_touch_are_one(tmp_path):
    path = write(tmp_path, "a,1.5,800,20,5,0-100;100-200;300-400", header=f"{HEADER},available")
    assert read_trace(path, period=400.0)[0].windows == ((0.0, 200.0), (300.0, 400.0))


def test_a_run_takes_its_devices_from_a_trace(tmp_path):
    lines = [f"{line},{'ab'[k % 2]},{k // 2},{'' if k else '0-5;6-9'}" for k, line in enumerate(LINES)]
    path = write(tmp_path, *lines, header=f"{HEADER},tier,joins,available")
    overrides = [*TINY, f"clients.trace={path}", "clients.trace_period=10", "rounds=4"]
    federation = prepare(read_config(overrides=overrides))
    assert federation.fleet.joins.tolist() == [0, 0, 1, 1, 2, 2]
    assert federation.fleet.tier_names == ("a", "b")
    assert federation.fleet.actual.ms_per_example.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    rounds = [done for done, _ in run_rounds(federation, initial_state(federation))]
    for done in rounds:
        began = (done.row.clock - done.row.simulated_seconds) % 10
        assert (0 in done.cohort) == (began < 5 or 6 <= began < 9)
    assert {0 in done.cohort for done in rounds} == {True, False}
    fewer = prepare(read_config(overrides=[*overrides, "clients.num_clients=2", "seed=3"]))
    assert set(fewer.fleet.actual.ms_per_example) <= {1.0, 2.0, 3.0, 4.0, 5.0, 6.0}


WRONG = {
    "cannot read": None,
    r"trace\.csv, line 1: column up_mbps is missing": ("client,ms_per_example,memory_kib,down_mbps", ["a,1,1,1"]),
    r"line 1: column 'speed' is none of client": (f"{HEADER},speed", ["a,1,1,1,1,1"]),
    r"line 1: a column is there twice": (f"{HEADER},client", ["a,1,1,1,1,a"]),
    r"line 3: 4 fields, the header has 5": (HEADER, ["a,1,1,1,1", "b,1,1,1"]),
    r"line 2, column memory_kib: 'lots' is not a finite number above 0": (HEADER, ["a,1,lots,1,1"]),
    r"line 2, column down_mbps: '-1' is not": (HEADER, ["a,1,1,-1,1"]),
    r"line 2, column up_mbps: 'inf' is not": (HEADER, ["a,1,1,1,inf"]),
    r"line 2, column client: '' is not a name": (HEADER, [",1,1,1,1"]),
    r"names client 'a' twice": (HEADER, ["a,1,1,1,1", "a,1,1,1,1"]),
    r"line 2, column joins: '-1' is not a round": (f"{HEADER},joins", ["a,1,1,1,1,-1"]),
    r"line 2, column available: '5-3' is not start-end": (f"{HEADER},available", ["a,1,1,1,1,5-3"]),
    r"line 2, column available: 'noon' is not": (f"{HEADER},available", ["a,1,1,1,1,noon"]),
    r"column available: '0-200' is not .* clients\.trace_period = 100": (f"{HEADER},available", ["a,1,1,1,1,0-200"]),
    r"column available: '5-9;7-10' is not ascending without overlap": (f"{HEADER},available", ["a,1,1,1,1,5-9;7-10"]),
    r"has 1 clients, clients\.num_clients is 6": (HEADER, LINES[:1]),
    r"nobody in .* joins at round 0": (f"{HEADER},joins", [f"{line},1" for line in LINES]),
    r"no device has memory for one expert of every layer": (
        HEADER,
        [f"{k},1,0.5,1,1" for k in range(6)],
    ),
}


@pytest.mark.parametrize("told", WRONG)
def test_what_is_wrong_with_a_trace_is_told_by_its_place(tmp_path, told):
    path = tmp_path / "trace.csv" if WRONG[told] is None else write(tmp_path, *WRONG[told][1], header=WRONG[told][0])
    with pytest.raises(ConfigError, match=told):
        prepare(read_config(overrides=[*TINY, f"clients.trace={path}", "clients.trace_period=100"]))
