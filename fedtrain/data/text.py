"""Next-character prediction: clients are speakers of a play, or files or folders of texts.

The vocabulary is fixed: printable ASCII, and one more symbol for all other characters. So the vocabulary reveals
nothing about any client's text. A client's text is cut into examples of ``context`` characters. The model predicts the
next character after each of them. The last part of the text is kept for the test. A client's personalised accuracy is
measured on its own test text. Without a path, the texts are the source files of the Python standard library, which is
always installed. Results then depend on the version of Python.
"""

import string
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from alignsolve.numerics import IntArray
from fedtrain.config.data import DataConfig, TextConfig
from fedtrain.data.examples import DataError, Examples, joined
from fedtrain.data.federated import Federated, by_client

VOCABULARY = "\n" + "".join(sorted(set(string.printable) - set(string.whitespace) | {" "}))
"""Characters with their own symbol: symbol s is ``VOCABULARY[s - 1]``, and symbol 0 is any other character."""
LEFT_OUT = ("site-packages", "dist-packages", "test", "tests", "__pycache__")
"""Folders of the standard library that are not read: installed packages, tests and caches."""

_SYMBOLS = np.zeros(128, dtype=np.int64)
_SYMBOLS[[ord(character) for character in VOCABULARY]] = np.arange(1, len(VOCABULARY) + 1)


def text(config: DataConfig, num_clients: int, seed: int) -> Federated:
    """Give every client a speaker, a file or a folder, those with the most text first; nothing is random.

    Raises
    ------
    DataError
        If there are fewer texts than clients, or a text is too short.
    """
    texts = _longest(_read(config), num_clients, config.text)
    halves = {name: _halves(name, text, config) for name, text in texts.items()}
    clients, tests = zip(*halves.values(), strict=True)
    return by_client(clients, tests, joined(tests))


def encode(text: str) -> IntArray:
    """Return a text as symbols, (len(text),)."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    return np.where(codes < 128, _SYMBOLS[np.minimum(codes, 127)], 0)


def speakers(text: str) -> dict[str, str]:
    """Collect the text of every speaker, by name, in order.

    A speaker's block starts with a line ``NAME:`` at the start of the text or after an empty line. The block ends at
    the next empty line.
    """
    said: dict[str, list[str]] = {}
    for block in text.replace("\r\n", "\n").split("\n\n"):
        name, _, lines = block.lstrip("\n").partition("\n")
        if name.endswith(":") and lines:
            said.setdefault(name[:-1], []).append(lines)
    return {name: "\n".join(blocks) + "\n" for name, blocks in said.items()}


def folder_texts(folder: Path, *, suffix: str, whole_folders: bool, left_out: tuple[str, ...] = ()) -> dict[str, str]:
    """Read all files in a folder and below it, in the order of their names.

    Parameters
    ----------
    folder
        The folder; symbolic links in it are not followed.
    suffix
        Only files whose names end with this are read.
    whole_folders
        True: the files of one folder are one text. False: every file is a text.
    left_out
        Names of folders that are not read.

    Returns
    -------
    dict
        Texts by the path of the file or folder, relative to ``folder``.
    """
    texts: dict[str, str] = {}
    for path in _files(folder, left_out):
        if path.name.endswith(suffix):
            name = (path.parent if whole_folders else path).relative_to(folder).as_posix()
            texts[name] = texts.get(name, "") + path.read_text(encoding="utf-8", errors="replace")
    return texts


def _read(config: DataConfig) -> Mapping[str, str]:
    """Return all texts by name."""
    by_speaker = config.text.clients == "speakers"
    path = Path(config.path) if config.path else Path(sysconfig.get_paths()["stdlib"])
    try:
        if by_speaker:
            return speakers(path.read_text(encoding="utf-8", errors="replace"))
        if not path.is_dir():
            raise DataError(f"{path} is not a folder; for the speakers of a file set data.text.clients=speakers")
        whole_folders, left_out = config.text.clients == "folders", () if config.path else LEFT_OUT
        return folder_texts(path, suffix=config.text.suffix, whole_folders=whole_folders, left_out=left_out)
    except OSError as error:
        wanted = "a plain text file" if by_speaker else "a folder of text files"
        raise DataError(
            f"cannot read {error.filename or path}: {error.strerror}; data.path must be {wanted}"
        ) from error


def _files(folder: Path, left_out: tuple[str, ...]) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_symlink():
            continue
        if path.is_file():
            yield path
        elif path.is_dir() and path.name not in left_out:
            yield from _files(path, left_out)


def _longest(texts: Mapping[str, str], num_clients: int, options: TextConfig) -> dict[str, str]:
    """Choose the longest texts, each cut to ``max_characters``; in the order of their names."""
    if len(texts) < num_clients:
        raise DataError(f"there are {len(texts)} {options.clients} with text, and {num_clients} clients")
    chosen = sorted(texts, key=lambda name: (-len(texts[name]), name))[:num_clients]
    return {name: texts[name][: options.max_characters] for name in sorted(chosen)}


def _halves(name: str, text: str, config: DataConfig) -> tuple[Examples, Examples]:
    """Cut one client's text into training and test examples; the test gets the last ones, at least one."""
    options = config.text
    symbols = encode(text)
    examples = windows(symbols, options.context, options.step) if options.one_hot else cut(symbols, options.context)
    kept = max(1, round(config.test_fraction * len(examples)))
    if len(examples) - kept < config.min_examples:
        raise DataError(
            f"{name!r} has {len(text)} characters, too few for {config.min_examples} training examples of "
            f"{options.context} and a test: ask for fewer clients, or lower data.min_examples or data.text.context"
        )
    order = np.arange(len(examples))
    return examples.select(order[:-kept]), examples.select(order[-kept:])


def cut(symbols: IntArray, context: int) -> Examples:
    """Cut symbols into consecutive examples; inputs and labels are (num_examples, context)."""
    number = max(len(symbols) - 1, 0) // context
    inputs = symbols[: number * context].reshape(number, context)
    labels = symbols[1 : number * context + 1].reshape(number, context) if number else inputs
    return Examples(inputs, labels, len(VOCABULARY) + 1)


def windows(symbols: IntArray, context: int, step: int) -> Examples:
    """Make one example every ``step`` symbols: a one-hot window of ``context`` symbols, labelled with the next symbol.

    Inputs are (num_examples, context, vocabulary). The first test windows overlap the last training windows, but their
    labels are different positions of the text.
    """
    size = len(VOCABULARY) + 1
    if len(symbols) <= context:
        return Examples(np.zeros((0, context, size), dtype=np.float32), symbols[:0], size)
    seen = np.lib.stride_tricks.sliding_window_view(symbols[:-1], context)[::step]
    return Examples(np.eye(size, dtype=np.float32)[seen], symbols[context::step], size)
