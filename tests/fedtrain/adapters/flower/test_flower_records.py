"""Weights as records and back: every type and shape, only their bytes, and every arriving record is checked."""

import io

import numpy as np
import pytest

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'alignsolve[flower]'")
pytest.importorskip("torch")

import torch
from flwr.app import Array, ArrayRecord
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fedtrain.adapters.flower.records import PLAIN, RecordError, is_plain, pack, unpack

SHAPES = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
TORCH = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int8, torch.bool)


@given(st.sampled_from(["float16", "float32", "float64", "int8", "int64", "bool"]).flatmap(
    lambda kind: arrays.arrays(kind, SHAPES)
))  # fmt: skip
def test_numpy_arrays_come_back_bit_for_bit(value):
    for plain in (True, False):
        record = pack({"value": value}, plain=plain)
        back = unpack(record)["value"]
        assert (back.dtype, back.shape, back.tobytes()) == (value.dtype, value.shape, value.tobytes())
        assert back.flags.writeable
        assert is_plain(record) is plain


@given(SHAPES, st.sampled_from(TORCH))
def test_tensors_come_back_bit_for_bit(shape, kind):
    value = (torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 100).to(kind)
    back = unpack(pack({"value": value}))["value"]
    assert (back.dtype, back.shape) == (value.dtype, value.shape)
    assert torch.equal(back, value)


def test_a_record_holds_the_bytes_and_the_names():
    value = torch.zeros(7, 3, dtype=torch.bfloat16, requires_grad=True)
    record = pack({"value": value})
    assert record["value"].data == bytes(7 * 3 * 2)
    assert record.count_bytes() <= 7 * 3 * 2 + len("value")


def test_views_are_packed_as_they_look():
    value = np.arange(12.0).reshape(3, 4)
    for view in (value.T, value[:, ::2]):
        np.testing.assert_array_equal(unpack(pack({"v": view}))["v"], view)
        np.testing.assert_array_equal(unpack(ArrayRecord({"v": Array(view)}))["v"], view)
        np.testing.assert_array_equal(unpack(pack({"v": torch.from_numpy(value).T}))["v"], value.T)


def test_flowers_own_record_of_a_state_dict_is_read():
    state = torch.nn.Linear(3, 2).state_dict()
    back = unpack(ArrayRecord(state))
    assert {name: value.tolist() for name, value in back.items()} == {
        name: value.numpy().tolist() for name, value in state.items()
    }


def test_flowers_format_can_be_asked_for():
    state = torch.nn.Linear(3, 2).state_dict()
    assert all(torch.equal(pack(state, plain=False).to_torch_state_dict()[name], state[name]) for name in state)


def test_what_does_not_travel_is_named():
    with pytest.raises(RecordError, match=r"tensor phase is numpy.complex128, which does not travel"):
        pack({"phase": np.zeros(2, dtype=complex)})


def file_of(value, version=(1, 0)):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, value, version=version, allow_pickle=True)
    return buffer.getvalue()


HOSTILE = {
    "a longer shape": (Array("numpy.float32", (10**12,), PLAIN, b"0000"), "has 4 bytes instead of"),
    "bytes too many": (Array("torch.float32", (1,), PLAIN, b"0" * 8), "has 8 bytes instead of 4"),
    "objects": (Array("numpy.object", (1,), PLAIN, b"0" * 8), "unknown type"),
    "a function of torch": (Array("torch.save", (1,), PLAIN, b"0" * 8), "unknown type"),
    "no library": (Array("float32", (1,), PLAIN, b"0000"), "unknown type"),
    "bfloat16 of numpy": (Array("numpy.bfloat16", (1,), PLAIN, b"00"), "unknown type"),
    "negative": (Array("numpy.float32", (-1,), PLAIN, b""), r"has shape \(-1,\)"),
    "an unknown format": (Array("float32", (1,), "pickle", b"0000"), "stored as 'pickle'"),
    "no file": (Array("float32", (1,), "numpy.ndarray", b"PK\x03\x04" + bytes(100)), "not in numpy's format"),
    "a file of version 2": (Array("float64", (1,), "numpy.ndarray", file_of(np.ones(1), (2, 0))), "version"),
    "pickled": (Array("object", (1,), "numpy.ndarray", file_of(np.array([{}], dtype=object))), "holds object"),
    "another shape": (Array("float64", (2,), "numpy.ndarray", file_of(np.ones(1))), "holds float64"),
    "a file cut short": (Array("float64", (4,), "numpy.ndarray", file_of(np.ones(4))[:-8]), "has 24 bytes"),
    "structured": (
        Array("V8", (1,), "numpy.ndarray", file_of(np.zeros(1, dtype=[("a", "f4"), ("b", "f4")]))),
        "holds void64",
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_nothing_that_arrives_is_believed(kind):
    array, words = HOSTILE[kind]
    with pytest.raises(RecordError, match=f"tensor evil .*{words}"):
        unpack(ArrayRecord({"evil": array}))
