"""Text: symbols, speakers, files and folders, and the targets of a client's examples."""

from pathlib import Path

import numpy as np
import pytest

from fedtrain.config.data import DataConfig, TextConfig
from fedtrain.data import DATASETS, DataError
from fedtrain.data.text import VOCABULARY, cut, encode, folder_texts, speakers, windows

PLAY = Path(__file__).parents[4] / "shared" / "data" / "shakespeare.txt"
SCENE = "KING:\nHear me.\nAll of you!\n\nQUEEN:\nWhy?\n\nKING:\nBecause.\n\nEnter a page: he speaks\n\nPAGE:\n"


def load(path, *, num_clients, **options):
    config = DataConfig(name="text", path=str(path), min_examples=1, text=TextConfig(**options))
    return DATASETS["text"](config, num_clients, 0)


def decode(symbols):
    return "".join("?" if s == 0 else VOCABULARY[s - 1] for s in symbols)


def test_symbols_are_printable_ascii_and_one_for_all_others():
    text = "def f(x):\n    return '~'  # ok"
    assert decode(encode(text)) == text
    assert encode("a\t€\U0001f600\ud800b").tolist()[1:-1] == [0, 0, 0, 0]
    assert encode("").tolist() == []
    assert sorted(encode(VOCABULARY).tolist()) == list(range(1, len(VOCABULARY) + 1))


def test_an_example_asks_for_the_character_after_each_of_its_own():
    examples = cut(np.arange(20), 4)
    assert examples.inputs.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15]]
    assert np.array_equal(examples.labels, examples.inputs + 1)
    assert len(cut(np.arange(4), 4)) == len(cut(np.arange(0), 4)) == 0


def test_windows_ask_for_one_character_and_show_those_before_it_as_numbers():
    symbols = encode("a quick fox")
    examples = windows(symbols, 4, 3)
    shown = [decode(window.argmax(axis=1)) for window in examples.inputs]
    assert list(zip(shown, decode(examples.labels), strict=True)) == [("a qu", "i"), ("uick", " "), ("k fo", "x")]
    assert (examples.inputs.sum(axis=2) == 1.0).all()
    assert examples.inputs.shape == (3, 4, len(VOCABULARY) + 1)
    assert [len(windows(symbols[:number], 4, 3)) for number in (0, 4, 5, 7, 8)] == [0, 0, 1, 1, 2]


def test_speakers_are_the_names_before_what_is_said():
    assert speakers(SCENE) == {"KING": "Hear me.\nAll of you!\nBecause.\n", "QUEEN": "Why?\n"}
    assert speakers(SCENE.replace("\n", "\r\n")) == speakers(SCENE)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "b" / "deep").mkdir(parents=True)
    (tmp_path / "skipped").mkdir()
    files = {"a.py": "A" * 30, "b/one.py": "B" * 50, "b/two.py": "C" * 60, "b/deep/x.py": "D" * 40}
    for name, text in {**files, "b/notes.txt": "E" * 90, "skipped/y.py": "F" * 99}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_files_and_folders_are_read_in_order(folder):
    files = folder_texts(folder, suffix=".py", whole_folders=False, left_out=("skipped",))
    assert list(files) == ["a.py", "b/deep/x.py", "b/one.py", "b/two.py"]
    folders = folder_texts(folder, suffix=".py", whole_folders=True, left_out=("skipped",))
    assert folders == {".": "A" * 30, "b/deep": "D" * 40, "b": "B" * 50 + "C" * 60}
    assert "b/notes.txt" in folder_texts(folder, suffix="", whole_folders=False)


def test_clients_are_those_with_the_most_text_and_keep_its_end_for_the_test(folder):
    federated = load(folder, num_clients=2, context=5, max_characters=56)
    assert [decode(part.inputs.ravel())[0] for part in federated.clients] == ["C", "F"]
    assert [len(part) for part in federated.clients] == [9, 9]
    assert federated.test_group.tolist() == [0, 0, 1, 1]
    assert decode(federated.test.inputs.ravel()) == "C" * 10 + "F" * 10


def test_bytes_that_are_not_text_are_unknown_characters(tmp_path):
    (tmp_path / "a.py").write_bytes(bytes(range(128, 256)) * 2)
    assert not load(tmp_path, num_clients=1, context=4).clients[0].inputs.any()


def test_the_standard_library_is_always_there():
    for clients in ("files", "folders"):
        federated = DATASETS["text"](DataConfig(name="text", text=TextConfig(clients=clients)), 20, 0)
        texts = [decode(part.inputs.ravel()) for part in federated.clients]
        assert all(len(text) + 33 * 26 > 4000 for text in texts)
        assert sum("def " in text or "import " in text for text in texts) > 10
        assert federated.test.num_classes == len(VOCABULARY) + 1


@pytest.mark.skipif(not PLAY.exists(), reason="shared/data/shakespeare.txt is not there")
def test_the_speakers_of_a_play():
    federated = load(PLAY, num_clients=40, clients="speakers", max_characters=8000)
    assert {len(part) for part in federated.clients} == {199}
    assert len(federated.test) == 40 * 50
    assert "sleep" in "".join(decode(part.inputs.ravel()) for part in federated.clients)


def test_what_cannot_be_read_is_told(folder):
    with pytest.raises(DataError, match=r"cannot read .*nowhere.txt: No such file.*data.path must be a plain text"):
        load(folder / "nowhere.txt", num_clients=1, clients="speakers")
    with pytest.raises(DataError, match=r"a.py is not a folder; .*data.text.clients=speakers"):
        load(folder / "a.py", num_clients=1)
    with pytest.raises(DataError, match="there are 5 files with text, and 6 clients"):
        load(folder, num_clients=6, context=2)
    with pytest.raises(DataError, match=r"'a.py' has 30 characters, too few for 1 training examples of 20"):
        load(folder, num_clients=5, context=20)
