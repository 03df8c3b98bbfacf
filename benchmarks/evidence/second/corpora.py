"""Natural text that is installed anyway: message catalogues in many languages, and files of several types.

Languages come from the catalogues (``.po``) of Sphinx and Django. Only translations are read. A catalogue is small, so
languages are merged into families of one script; families below :data:`LEAST` bytes are left out, and so are scripts
without an alphabet. Types of files come from named packages. Nothing is downloaded. The texts depend on the versions of
these packages, so each run's row keeps a digest of its data.
"""

import importlib.util
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from fedtrain.data import DataError

LEAST, MOST = 200_000, 300_000
"""Least size of a domain in bytes, and the number of its characters that are used."""
CATALOGUES = ("sphinx", "sphinxcontrib", "django")
"""Packages with message catalogues."""
FAMILIES: Mapping[str, tuple[str, ...]] = {
    "iberian": ("es", "pt", "ca", "gl"),
    "germanic": ("de", "nl", "sv", "da", "nb", "nn", "lb", "fy", "af"),
    "west-slavic": ("pl", "cs", "sk", "hsb", "dsb"),
    "cyrillic": ("ru", "uk", "be", "bg", "mk"),
    "arabic": ("ar", "fa", "ug", "ckb", "ur"),
    "indic": ("hi", "ne", "mr", "bn", "ml"),
}
"""Languages by family; regional variants (``pt_BR``) belong to their language."""
FILES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "python": (("sklearn",), ".py"),
    "c++": (("torch/include/ATen",), ".h"),
    "javascript": (("django", "sphinx"), ".js"),
    "json": (("check_jsonschema",), ".json"),
    "csv": (("sklearn", "numpy"), ".csv"),
    "html": (("django", "sphinx", "furo", "sphinx_basic_ng", "nvflare", "coverage"), ".html"),
}
"""Types of files: the packages or their folders whose files are read, and the ending of their names."""
DOMAINS = (*FAMILIES, *FILES)
"""Names of all domains, in order."""
LONGEST_LINE = 1000
"""Longest line of a file that is read; longer ones are generated or compressed."""


@cache
def corpora() -> Mapping[str, str]:
    """Return the text of every domain, in the order of :data:`DOMAINS`.

    Raises
    ------
    DataError
        If a package is not installed, or a domain has too little text.
    """
    languages = _catalogues()
    texts = {name: "\n".join(_translations(codes, languages)) for name, codes in FAMILIES.items()}
    texts |= {name: _enough(_files(folders, ending)) for name, (folders, ending) in FILES.items()}
    for name, text in texts.items():
        if len(text.encode()) < LEAST:
            raise DataError(f"domain {name!r} has {len(text.encode())} bytes of text; it needs {LEAST}")
    return {name: text[:MOST] for name, text in texts.items()}


def translations(catalogue: str) -> list[str]:
    r"""Return the translations of a message catalogue, in order; empty ones and the header are left out.

    Examples
    --------
    >>> translations('msgid ""\nmsgstr ""\n"Language: de\\n"\n\nmsgid "tree"\nmsgstr "Baum"\n')
    ['Baum']
    """
    found: list[list[str]] = []
    reading = False
    for line in catalogue.splitlines():
        if line.startswith("msgstr"):
            found.append([_unquoted(line.partition(" ")[2])])
            reading = True
        elif reading and line.startswith('"'):
            found[-1].append(_unquoted(line))
        else:
            reading = False
    joined = ["".join(parts) for parts in found]
    return [text for text in joined[1:] if text]


def _unquoted(quoted: str) -> str:
    return re.sub(r"\\(.)", lambda escaped: {"n": "\n", "t": "\t"}.get(escaped[1], escaped[1]), quoted.strip()[1:-1])


def _catalogues() -> dict[str, list[Path]]:
    """Return the catalogues of every language, in the order of packages and of names."""
    found: dict[str, list[Path]] = {}
    for package in CATALOGUES:
        for path in sorted(_folder(package).rglob("*.po")):
            language = path.parts[-3]
            if "latin" not in language.lower():  # Serbian is written in two scripts
                found.setdefault(re.split("[_@]", language)[0], []).append(path)
    return found


def _translations(codes: tuple[str, ...], languages: Mapping[str, list[Path]]) -> Iterator[str]:
    for code in codes:
        for path in languages.get(code, ()):
            yield from translations(path.read_text(encoding="utf-8"))


def _enough(texts: Iterator[str]) -> str:
    """Join texts until they are long enough."""
    joined = ""
    while len(joined) < MOST and (text := next(texts, None)) is not None:
        joined += text + "\n"
    return joined


def _files(folders: tuple[str, ...], ending: str) -> Iterator[str]:
    """Yield files, the small ones first, so that no single file makes a domain."""
    for name in folders:
        package, _, below = name.partition("/")
        folder = _folder(package) / below
        paths = [path for path in folder.rglob(f"*{ending}") if not path.name.endswith(f".min{ending}")]
        for path in sorted(paths, key=lambda path: (path.stat().st_size, path.relative_to(folder).as_posix())):
            text = path.read_text(encoding="utf-8", errors="replace")
            if max(map(len, text.splitlines()), default=0) <= LONGEST_LINE:
                yield text


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise DataError(f"natural text needs the package {package}: pip install 'alignsolve[dev]'")
    return Path(next(iter(spec.submodule_search_locations)))
