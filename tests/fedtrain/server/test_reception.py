"""Reception at the server: the limit on norms, and the matching of replies to clients."""

import dataclasses
import math

import torch

from fedtrain.config import ValidationConfig
from fedtrain.models import expert_of
from fedtrain.server.simulated_clients import seal
from tests.updates import draw, inspect, make_update


def moved(client, experts, *, shared=0.1, expert=0.1, number=0):
    """Return a reply with the model's tensors, each parameter changed by these amounts."""
    update = make_update(client, experts)
    current = draw(0)
    tensors = {name: current[name] + (shared if expert_of(name) is None else expert) for name in sorted(update.tensors)}
    return seal(client, number, dataclasses.replace(update, weights=tensors))


def let_in(replies, validation=None, number=0):
    asked = {client: (client % 4,) for client in range(8)}
    return inspect(replies, asked, validation or ValidationConfig(), number)


def reasons(received):
    return received.faults


def test_who_is_far_beyond_the_median_is_put_aside():
    replies = [moved(client, (client % 4,)) for client in range(6)]
    replies += [moved(6, (2,), shared=1.5), moved(7, (3,), expert=1.5)]
    received = let_in(replies, ValidationConfig(norm_limit=10.0))
    assert [update.client for update in received.updates] == list(range(6))
    assert reasons(received)[6].startswith("moves the shared part by ")
    assert reasons(received)[7].startswith("moves expert 3 by ")
    assert let_in(replies).faults == {}
    assert let_in(replies, ValidationConfig(norm_limit=16.0)).faults == {}


def test_the_limit_may_be_absolute():
    replies = [moved(0, (0,), shared=0.0, expert=0.0), moved(1, (1,), shared=0.5)]
    shared = sum(value.nelement() for name, value in draw(0).items() if expert_of(name) is None)
    limit = 0.5 * math.sqrt(shared)
    for factor, refused in ((0.999, [1]), (1.001, [])):
        validation = ValidationConfig(norm_limit=limit * factor, norm_reference="absolute")
        assert list(reasons(let_in(replies, validation))) == refused


def test_what_is_refused_does_not_move_the_median():
    """Otherwise three infinite updates of five would make every norm acceptable."""
    replies = [moved(0, (0,)), moved(1, (1,)), *(moved(client, (client % 4,), shared=math.inf) for client in (2, 3, 4))]
    received = let_in([*replies, moved(5, (1,), shared=3.0)], ValidationConfig(norm_limit=5.0))
    assert [update.client for update in received.updates] == [0, 1]
    assert set(reasons(received)) == {2, 3, 4, 5}


def test_whose_reply_is_told_by_its_connection():
    received = let_in([dataclasses.replace(moved(1, (1,)), sender=2), moved(9, (1,))])
    assert reasons(received) == {2: "claims to be client 1, not 2", 9: "was not asked in this round"}


def test_replies_of_other_rounds_are_stale():
    received = let_in([moved(1, (1,), number=3), moved(2, (2,), number=4), moved(3, (3,), number=5)], number=4)
    assert [update.client for update in received.updates] == [2]
    assert reasons(received)[1] == "stale: belongs to round 4, this is round 5"
    assert reasons(received)[3].startswith("stale: belongs to round 6")


def test_of_two_different_replies_neither_counts_whatever_their_order():
    good, other = moved(1, (1,)), moved(1, (1,), shared=0.2)
    bad = moved(1, (1,), shared=math.nan)
    for replies in ([good, other], [other, good], [good, bad], [bad, good]):
        received = let_in(replies)
        assert received.updates == []
        assert reasons(received) == {1: "sent 2 updates"}


def test_damage_is_seen_and_reasons_are_printable():
    reply = moved(1, (1,))
    reply.update.tensors["classifier.bias"][0] += 1.0
    assert reasons(let_in([reply])) == {1: "damaged on the way: the checksum does not match"}
    update = make_update(1, (1,))
    hostile = dataclasses.replace(update, weights={**update.tensors, "\n<b>\x1b[31m" + "x" * 999: torch.zeros(1)})
    [reason] = reasons(let_in([seal(1, 0, hostile)])).values()
    assert reason.isprintable()
    assert len(reason) == 200
    assert reason.startswith("tensor \\n<b>\\x1b")


def test_a_reply_that_is_delivered_several_times_is_one():
    reply = moved(1, (1,))
    received = let_in([reply, dataclasses.replace(reply), reply])
    assert len(received.updates) == 1
    assert reasons(received) == {}


def test_experts_that_no_example_went_through_do_not_lower_the_limit():
    """Two of three experts of each client are untrained; counting them would make the median, and the limit, 0."""
    held, current = (0, 1, 2), draw(0)

    def reply(client):
        update = make_update(client, held, usage=[1.0, 0.0, 0.0])
        trained = {name: current[name] + 0.1 * (expert_of(name) in (None, 0)) for name in update.tensors}
        return seal(client, 0, dataclasses.replace(update, weights=trained))

    asked = dict.fromkeys(range(4), held)
    received = inspect([reply(client) for client in asked], asked, ValidationConfig(norm_limit=10.0))
    assert reasons(received) == {}
    assert len(received.updates) == 4


def test_what_is_no_mapping_of_tensors_is_refused_with_its_reason():
    update = dataclasses.replace(make_update(1, (1,)), weights=1.5)
    received = let_in([moved(0, (0,)), seal(1, 0, update)])
    assert [update.client for update in received.updates] == [0]
    assert reasons(received) == {1: "returns a float, not tensors by name"}
