"""Single clients: what they choose and tell, what masks hide, and what the server does with bad or missing answers."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alignsolve import AlignmentProblem
from alignsolve.federated import Auction, Bidder, PairMasks, Population, Start, Terms, ring
from alignsolve.federated.messages import Ask, Kind
from alignsolve.federated.reading import added, decode
from alignsolve.federated.rows import Rows, look, moves_within
from problems import FAMILIES
from tests.auctions import ask_all, bidders_of, bounds_of, finish, held_auction, judged

PROBLEM = FAMILIES["popular"](np.random.default_rng(1), num_clients=40, num_experts=4)

DUMMY = Ask(Kind.VOTE, 1, np.zeros(2))
WEIGHTED = FAMILIES["weighted"](np.random.default_rng(0), num_clients=9, num_experts=2)


def auction_of(tells, *, masked=True, problem=PROBLEM, **more):
    terms = Terms(problem.num_clients, problem.num_experts, tells)
    return Auction(terms, range(problem.num_clients), **bounds_of(problem), masked=masked, **more)


@given(st.integers(0, 2**20), st.integers(1, 5), st.booleans())
def test_choices_and_moves_are_those_of_all_sets(seed, num_experts, sparse):
    """Against all sets of experts: the best one, and for each expert the best one with it changed."""
    rng = np.random.default_rng(seed)
    terms = Terms(1, num_experts)
    open_ = rng.random((1, num_experts)) < (0.6 if sparse else 1.0)
    demand = int(rng.integers(0, open_.sum() + 1))
    capacity = int(rng.integers(demand, num_experts + 1))
    fitness, prices = rng.normal(size=(1, num_experts)), rng.normal(size=num_experts)
    seen = look(Rows.checked(terms, np.array([0]), fitness, capacity, demand, open_), prices)
    sets = [np.array(each) for each in itertools.product((False, True), repeat=num_experts)]
    sets = [each for each in sets if demand <= each.sum() <= capacity and not (each & ~open_[0]).any()]
    worth = np.array([(fitness[0] - prices)[each].sum() for each in sets])
    assert seen.best[0] == pytest.approx(worth.max())
    assert np.array_equal(seen.held[0], sets[worth.argmax()])
    for j in range(num_experts):
        other = [value for each, value in zip(sets, worth, strict=True) if each[j] != seen.held[0, j]]
        loss = seen.leave_loss[0, j] if seen.held[0, j] else seen.enter_loss[0, j]
        assert loss == pytest.approx(worth.max() - max(other) if other else np.inf)
    moves = moves_within(seen, 10.0)
    assert not set(moves.leaves) & set(np.flatnonzero(~seen.held[0]))
    assert not set(moves.enters) & set(np.flatnonzero(seen.held[0]))


@pytest.mark.parametrize("tells", ["loads", "choices", "core"])
def test_the_sum_of_masked_answers_is_the_plain_sum(tells):
    auction = auction_of(tells)
    terms = auction.terms
    plain, masked = bidders_of(terms, PROBLEM, degree=0), bidders_of(terms, PROBLEM)
    whole = Population(terms, PROBLEM).answer(auction)
    told = {}
    for name, bidders in (("plain", plain), ("masked", masked)):
        told[name] = {i: bidders[i].answer(auction.message(i)) for i in reversed(range(40))}
    for answers in told.values():
        total = added([decode(answer, auction.ask, terms, i) for i, answer in answers.items()])
        assert np.array_equal(total.counts & 2**terms.digits - 1, whole.counts)
        assert np.array_equal(total.sums, whole.sums)
        assert total.num_bytes == whole.num_bytes
    hidden = [decode(told["masked"][i], auction.ask, terms, i).sums for i in range(40)]
    assert len(np.unique(np.stack(hidden))) == 40  # uniform noise: no two alike
    assert sum(told["plain"][i] == told["masked"][i] for i in range(40)) == 0


def test_a_client_that_drops_out_costs_one_repeated_exchange():
    for tells in ("loads", "choices", "core"):
        auction = auction_of(tells, gap=0.02, overload=0.02)
        bidders = bidders_of(auction.terms, PROBLEM)
        ask_all(auction, bidders)
        auction.next()
        late = bidders[7].answer(auction.message(7))
        ask_all(auction, bidders, silent=(7,))
        assert auction.missing.tolist() == [7]
        with pytest.raises(ValueError, match="answers of 1 clients are missing, client 7 the first"):
            auction.next()
        auction.without([7])
        again = auction.next()
        assert (again.exchange, again.absent.tolist()) == (3, [7])
        auction.receive(7, late)
        assert auction.late == [7]
        x = finish(auction, bidders)
        outcome = auction.outcome
        assert outcome.faults == {7: "it did not answer in time"}
        assert outcome.reached
        assert np.array_equal(outcome.loads, x.sum(axis=0))
        if tells == "core":
            rest = np.delete(np.arange(40), 7)
            own = {"client_capacity": PROBLEM.client_capacity[rest], "client_demand": 1}
            left = AlignmentProblem(PROBLEM.fitness[rest], **own, **bounds_of(PROBLEM))
            assert judged(left, x, outcome.prices).gap <= 1e-9


class Contrary:
    """A client that chooses what has become dearer: no fitness explains that."""

    def __init__(self, terms, client):
        self.terms, self.client, self.before = terms, client, None

    def answer(self, message):
        """Take the expert whose price rose most since the last exchange."""
        prices = Ask.decode(message, self.terms).prices
        rise = np.arange(len(prices), 0, -1) if self.before is None else prices - self.before
        self.before = prices
        wanted = np.where(np.arange(len(prices)) == rise.argmax(), 900.0, 0.0)
        return Bidder(self.terms, self.client, wanted, demand=1).answer(message)


def test_liars_are_found_and_named_and_honest_clients_are_not():
    known = {"client_capacity": PROBLEM.client_capacity, "client_demand": 1}
    auction = auction_of("choices", masked=False, gap=0, most_exchanges=6, **known)
    bidders = bidders_of(auction.terms, PROBLEM, degree=0)
    liar = int(np.flatnonzero(PROBLEM.client_capacity == 1)[0])
    bidders[liar] = Contrary(auction.terms, liar)
    x = finish(auction, bidders)
    assert auction.faults.keys() == {liar}
    assert auction.faults[liar].startswith("no fitness explains its choices: a circle of exchanges would gain 0.")
    assert np.array_equal(auction.outcome.loads, x.sum(axis=0))


def test_false_numbers_and_bytes_are_faults_of_their_client():
    for tells in ("loads", "choices", "core"):
        auction = auction_of(tells, masked=False, client_capacity=PROBLEM.client_capacity, client_demand=1)
        bidders = bidders_of(auction.terms, PROBLEM, degree=0)
        fine = bidders[0].answer(auction.message(0))
        auction.receive(0, fine)
        auction.receive(0, fine)
        assert not auction.faults
        for client, answer in (
            (1, b""),
            (2, fine[:-1] if tells != "choices" else fine[:12]),
            (3, fine + b"\0" * 4),
            (4, b"\xff" * len(fine)),
        ):
            auction.receive(client, answer)
        assert sorted(auction.faults)[-4:] == [1, 2, 3, 4]
        assert all(auction.faults[client].startswith(f"client {client}: ") for client in range(1, 5))
        auction.receive(0, bidders[0].answer(auction.message(0))[:-8] + bytes(8))
        assert "two different answers" in auction.faults[0] or tells == "choices"
        with pytest.raises(ValueError, match="client 99 is not in this auction; it can take part in the next one"):
            auction.receive(99, fine)
        ask_all(auction, bidders)
        auction.next()
        assert not set(range(1, 5)) & set(auction.clients.tolist())


def test_too_many_experts_are_a_fault():
    auction = auction_of("choices", masked=False, client_capacity=1, client_demand=1)
    bidders = bidders_of(auction.terms, PROBLEM, degree=0)
    ask_all(auction, bidders)
    auction.next()
    greedy = int(np.flatnonzero(PROBLEM.client_capacity > 1)[0])
    assert auction.faults[greedy].endswith("experts; its capacity is 1")


def test_a_core_that_does_not_add_up_is_a_fault():
    auction = auction_of("core", masked=False)
    bidders = bidders_of(auction.terms, PROBLEM, degree=0)
    while auction.ask.kind is not Kind.CORE:
        ask_all(auction, bidders)
        auction.next()
    answers = {i: bidders[i].answer(auction.message(i)) for i in range(40)}
    told = next(i for i in range(40) if len(answers[i]) == max(map(len, answers.values())))
    auction.receive(told, answers[told][:-8] + np.array([np.nan]).tobytes())
    assert "worths of its core" in auction.faults[told]


def test_clients_refuse_what_cannot_be_asked():
    terms = Terms(4, 3)
    bidder = Bidder(terms, 2, [0.1, 0.2, 0.3])
    good = Ask(Kind.VOTE, 5, np.zeros(3), np.ones(1))
    bidder.answer(good.encode(terms))
    assert bidder.answer(good.encode(terms)) == bidder.answer(good.encode(terms))
    for wrong, told in (
        (replace(good, prices=np.array([0.0, np.nan, 0.0])), "exchange 5: price of expert 1 is nan"),
        (replace(good, edges=np.array([-1.0])), "exchange 5: edges are"),
        (replace(good, exchange=4), "client 2: exchange 4 was asked after exchange 5"),
        (replace(good, exchange=6, prices=np.zeros(4)), "has 34 bytes, expected 30|bytes, expected"),
        (replace(good, exchange=6, rule=np.array([[9, 1, 1]])), "expert 9 does not exist"),
    ):
        with pytest.raises(ValueError, match=told):
            bidder.answer(wrong.encode(terms))
    with pytest.raises(ValueError, match="its head alone has"):
        bidder.answer(b"\0")
    with pytest.raises(ValueError, match="client 2: the server gives it the experts"):
        bidder.answer(replace(good, kind=Kind.SETTLE, exchange=7, experts=np.array([0, 1])).encode(terms))
    with pytest.raises(ValueError, match="client 0: exchange 7 settles what was never asked"):
        Bidder(terms, 0, [0.1, 0.2, 0.3]).answer(replace(good, kind=Kind.SETTLE, exchange=7).encode(terms))


def test_masks_are_used_once():
    """A second auction of the same number would be masked by the same noise."""
    masks = PairMasks(0, {1: b"s" * 32})

    def reply(auction):
        bidder = Bidder(Terms(2, 3, auction=auction), 0, [0.1, 0.2, 0.3], masks=masks)
        return bidder.answer(Ask(Kind.VOTE, 1, np.zeros(3)).encode(bidder.terms))

    assert reply(1) != reply(2)
    with pytest.raises(ValueError, match="client 0: the masks of auction 2, exchange 1 were used before"):
        reply(2)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Bidder(Terms(4, 2), 3, [np.nan, 0]), "client 3: fitness of expert 0 is nan"),
        (lambda: Bidder(Terms(4, 2), 3, [0, 2e3]), "at most 1024.0 in size"),
        (lambda: Bidder(Terms(4, 2), 3, [0, 0, 0]), "client 3: fitness has shape"),
        (lambda: Bidder(Terms(4, 2), 3, [0, 0], demand=2), "client 3: demand 2, capacity 1"),
        (lambda: Bidder(Terms(4, 2), 3, [0, 0], masks=PairMasks(1, {})), "client 3: its masks are those of client 1"),
        (lambda: PairMasks(1, {1: b"0" * 32}), "client 1 shares a secret with itself"),
        (lambda: PairMasks(1, {2: b"0"}), "clients 1 and 2 share a secret of 1 bytes"),
        (lambda: ring([1, 2], 3, rng=np.random.default_rng(0)), "degree is 3"),
        (lambda: Terms(0, 2), "num_clients is 0"),
        (lambda: Terms(2, 2, auction=-1), "auction is -1"),
        (lambda: Terms(2, 2, "all"), "tells is 'all'"),
        (lambda: Terms(2, 2, largest=np.inf), "largest is inf"),
        (lambda: Terms(2, 2, noise=-1.0), "noise is -1.0"),
        (lambda: Terms(2, 2, "core", noise=1.0), "ties are settled exactly"),
        (lambda: auction_of("loads", gap=-1), "gap is -1"),
        (lambda: auction_of("loads", most_exchanges=0), "most_exchanges is 0"),
        (lambda: auction_of("loads", spread=0), "spread is 0"),
        (lambda: auction_of("loads", overload_price=np.nan), "overload_price is nan"),
        (lambda: auction_of("loads", start=Start(np.zeros(3), np.zeros((5, 5)))), "start has prices of shape"),
        (lambda: auction_of("loads", start=Start(np.zeros(4), np.full((5, 5), np.nan))), "not finite"),
        (lambda: Auction(Terms(2, 2), range(3)), "clients are 3 different numbers"),
        (lambda: Auction(Terms(2, 2), [1], expert_capacity=1, expert_demand=[0, 2]), "expert 1: its demand, 2"),
        (lambda: auction_of("loads").outcome, "no exchange of this auction is complete"),
        (lambda: Population(Terms(9, 2), WEIGHTED), "has load"),
        (lambda: PairMasks(1, {2: b"0" * 16}).masked(DUMMY, [2], 0), "client 1 has no neighbour left"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_name(make, told):
    with pytest.raises(ValueError, match=told):
        make()


def test_sums_of_others_are_refused():
    auction = auction_of("loads")
    answers = Population(auction.terms, PROBLEM).answer(auction)
    with pytest.raises(ValueError, match="it must be that of all 40"):
        auction.receive_sum(replace(answers, clients=answers.clients[1:]))
    with pytest.raises(ValueError, match="the sum is that of exchange 9; asked is exchange 1"):
        auction.receive_sum(replace(answers, exchange=9))
    auction.receive_sum(replace(answers, counts=answers.counts + answers.counts.dtype.type(50)))
    with pytest.raises(ValueError, match="not masked by the secrets that others used"):
        auction.next()
    again, _ = held_auction(PROBLEM, "loads", gap=0.02, overload=0.02)
    assert again.outcome.exchanges >= 2
