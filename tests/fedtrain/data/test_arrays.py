"""A federation from plain arrays: what fits is taken as it is, what does not is refused with the client's name."""

import numpy as np
import pytest

from fedtrain.data import DataError, from_arrays

INPUTS, LABELS = np.arange(12.0).reshape(6, 2), np.array([0, 1, 2, 0, 1, 2])
TEST = (INPUTS, LABELS)


def test_arrays_become_examples_of_torchs_types():
    data = from_arrays([(INPUTS[:4], LABELS[:4]), (INPUTS[4:], LABELS[4:])], test=TEST)
    assert [part.inputs.dtype for part in (*data.clients, data.test)] == [np.float32] * 3
    assert [part.num_classes for part in (*data.clients, data.test)] == [3] * 3
    assert data.mixture.tolist() == [[0.5, 0.25, 0.25], [0.0, 0.5, 0.5]]
    assert np.array_equal(data.clients[1].inputs, INPUTS[4:])


def test_owners_decide_what_a_client_is_measured_on():
    data = from_arrays([TEST, TEST], test=TEST, owner=[0, 0, 0, 0, 1, 1])
    assert data.test_weights(1).tolist() == [0.0] * 4 + [0.5] * 2


def test_several_labels_per_example_are_symbols_of_a_text():
    symbols = np.array([[1, 2, 3], [3, 2, 1]])
    data = from_arrays([(symbols, symbols)], test=(symbols, symbols), num_classes=9)
    assert data.clients[0].inputs.dtype == np.int64
    assert data.test.num_classes == 9
    assert data.test_weights(0).tolist() == [0.5, 0.5]


REFUSED = {
    "clients is empty": ([], {}),
    "client 1 has inputs (6, 2) and labels (5,)": ([TEST, (INPUTS, LABELS[:5])], {}),
    "client 0 has inputs of <U1": ([(np.array(list("abcdef")), LABELS)], {}),
    "client 0 has inputs of float64 and labels of float64": ([(INPUTS, LABELS / 2)], {}),
    "client 0 has a label below 0": ([(INPUTS, LABELS - 1)], {}),
    "or an input that is not finite": ([(INPUTS + np.inf, LABELS)], {}),
    "an input of client 1 is float32 (3,)": ([TEST, (np.ones((6, 3)), LABELS)], {}),
    "an input of client 1 is int64 (2,)": ([TEST, (np.ones((6, 2), dtype=int), LABELS)], {}),
    "classes are 2": ([TEST], {"num_classes": 2}),
    "client 0 has inputs (0,) and labels (0,)": ([(np.zeros(0), np.zeros(0, dtype=int))], {}),
    "owner must hold a client from 0 to 0": ([TEST], {"owner": [0, 0, 0, 0, 0, 1]}),
    "client 1 owns no test example": ([TEST, TEST], {"owner": [0] * 6}),
    "no test example is of a kind that client 0 has": ([(INPUTS, LABELS + 7)], {}),
}


@pytest.mark.parametrize(("message", "given"), REFUSED.items())
def test_what_does_not_fit_is_refused(message, given):
    clients, options = given
    with pytest.raises(DataError) as refused:
        from_arrays(clients, test=TEST, **options)
    assert message in str(refused.value)
