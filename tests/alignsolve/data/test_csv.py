"""Reading CSV: what spreadsheets write is read, what is wrong is told with its line, and both ways of reading agree."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alignsolve.data import csv_read
from alignsolve.data.csv_read import CsvError, read_csv

pytestmark = pytest.mark.kernels
NAMES = ("client", "expert")
PLAIN = b"client,expert,fitness\nAnn,x,0.5\nBob,y,2\n"


def contents(table):
    """The columns as lists, names as themselves."""
    found = {}
    for name, column in table.columns.items():
        found[name] = column.tolist() if isinstance(column, np.ndarray) else [column.labels[k] for k in column.codes]
    return found


EXPECTED = {"client": ["Ann", "Bob"], "expert": ["x", "y"], "fitness": [0.5, 2.0]}
SAME = {
    "plain": PLAIN,
    "without a last line feed": PLAIN[:-1],
    "byte order mark": b"\xef\xbb\xbf" + PLAIN,
    "carriage returns": PLAIN.replace(b"\n", b"\r\n"),
    "semicolons": PLAIN.replace(b",", b";"),
    "decimal commas": PLAIN.replace(b",", b";").replace(b"0.5", b"0,5"),
    "tabs": PLAIN.replace(b",", b"\t"),
    "spaces": PLAIN.replace(b"Ann", b" Ann ").replace(b"fitness", b" fitness").replace(b"2", b" 2"),
    "quotes": PLAIN.replace(b"Ann", b'"Ann"').replace(b"0.5", b'"0,5"'),
    "empty lines": PLAIN.replace(b"\nBob", b"\n\n\nBob") + b"\n\n",
    "an exponent": PLAIN.replace(b"0.5", b"5e-1"),
}


@pytest.fixture(params=[1, 1 << 20], ids=["compiled", "python"], autouse=True)
def way(request, monkeypatch):
    monkeypatch.setattr(csv_read, "LARGE", request.param)


@pytest.mark.parametrize("name", SAME)
def test_what_spreadsheets_write_is_read(name, tmp_path):
    assert contents(read_csv(SAME[name], NAMES)) == EXPECTED
    (tmp_path / "pairs.csv").write_bytes(SAME[name])
    assert contents(read_csv(tmp_path / "pairs.csv", NAMES)) == EXPECTED


def test_a_quoted_name_may_hold_separators_and_lines():
    table = read_csv(b'client,fitness\n"a, b",1\n"c\nd",2\ne,3\n', NAMES)
    assert contents(table) == {"client": ["a, b", "c\nd", "e"], "fitness": [1, 2, 3]}
    assert [table.place(row) for row in range(3)] == [f"the input, line {line}" for line in (2, 3, 5)]


WRONG = {
    "empty": (b"", "the input is empty; the first line must name the columns"),
    "blank": (b"\n \n", "the input is empty"),
    "a column without a name": (b"client,,fitness\n", "line 1: column 2 has no name"),
    "a column twice": (b"client,fitness,fitness\n", "line 1: the column fitness is there twice"),
    "no number": (PLAIN.replace(b"2", b"two"), "line 3, column fitness: 'two' is no number"),
    "not a number": (PLAIN.replace(b"2", b"nan"), "line 3, column fitness: 'nan' is no number; leave the cell empty"),
    "underscores": (PLAIN.replace(b"2", b"1_0"), "line 3, column fitness: '1_0' is no number"),
    "thousands": (PLAIN.replace(b",", b";").replace(b"2", b"1.000,5"), "'1.000,5' has a comma and a point"),
    "a cell too many": (PLAIN.replace(b"0.5", b"0,5"), "line 2: there are 4 cells, the header has 3; if numbers have"),
    "a cell too few": (PLAIN.replace(b"y,", b""), "line 3: there are 2 cells, the header has 3"),
    "latin-1": (PLAIN.replace(b"Bob", b"B\xf6b"), "line 3: byte 0xf6 is not UTF-8; save the file as 'CSV UTF-8'"),
    "latin-1 number": (PLAIN.replace(b"2", b"2\xf6"), "line 3"),
    "latin-1 header": (b"client,f\xfc\n", "line 1: byte 0xfc is not UTF-8"),
    "utf-16": ("client,fitness\n".encode("utf-16"), "is UTF-16; save it as 'CSV UTF-8'"),
    "an open quote": (PLAIN + b'"Eve,x,1\n', "line 4: this is no CSV"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_with_its_line(name):
    content, told = WRONG[name]
    with pytest.raises(CsvError, match=".*" + told.replace("(", r"\(")):
        read_csv(content, NAMES)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(CsvError, match=r"nowhere.csv: cannot be read: No such file"):
        read_csv(tmp_path / "nowhere.csv", NAMES)


def test_whole_numbers_stay_whole_and_empty_cells_are_told_apart():
    table = read_csv(b"client,a,b,c\nx,9007199254740993,1,\ny,-2,1.0,3\n", NAMES)
    assert table.numbers("a").tolist() == [9007199254740993, -2]
    assert (table.numbers("a").dtype, table.numbers("b").dtype) == (np.int64, np.float64)
    assert np.isnan(table.numbers("c")).tolist() == [True, False]


def test_names_are_told_apart_by_every_byte_and_their_length():
    stems = ["", "a", "abcdefg", "abcdefghijklmn", "abcdefghijklmnopqrstu", "abcdefghijklmnopqrstu" * 3]
    names = [stem + end for stem in stems for end in ("x", "y", "x\0", "é", "xx")]
    names += [f"client-{k:04}" for k in range(1500)] + [f"a name that is longer than a slot {k}" for k in range(1500)]
    order = np.random.default_rng(0).permutation(2 * len(names)) % len(names)
    table = read_csv("\n".join(["client", *(names[k] for k in order)]).encode(), NAMES)
    assert contents(table)["client"] == [names[k] for k in order]
    assert len(table.names("client").labels) == len(names)


texts = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters=',";'), min_size=1)
rows = st.lists(st.tuples(texts, st.floats(allow_nan=False), st.integers(-(10**17), 10**17)), min_size=1)


@given(rows=rows, separator=st.sampled_from([",", ";", "\t"]), block=st.integers(1, 40))
def test_every_number_is_read_to_the_last_bit_in_blocks_of_any_size(rows, separator, block):
    lines = [separator.join(("client", "fitness", "count"))]
    lines += [separator.join((name, repr(value), str(count))) for name, value, count in rows]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_read, "BLOCK", block)
        found = contents(read_csv("\n".join(lines).encode(), NAMES))
    assert found["client"] == [name for name, _, _ in rows]
    assert found["fitness"] == [value for _, value, _ in rows]
    assert found["count"] == [count for _, _, count in rows]


@given(st.lists(st.tuples(st.integers(-(10**15), 10**15), st.integers(1, 15)), min_size=1, max_size=40))
def test_decimals_are_the_nearest_floats(parts):
    texts = [f"{'-' * (whole < 0)}{abs(whole)}.{behind}" for whole, behind in parts]
    table = read_csv("\n".join(["fitness", *texts]).encode(), NAMES)
    assert table.numbers("fitness").tolist() == list(map(float, texts))
