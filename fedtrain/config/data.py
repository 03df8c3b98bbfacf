"""The ``data`` section of a configuration: which data set, its own parameters, and how clients come to own it."""

from dataclasses import dataclass

from fedtrain.config.checks import at_least, check, check_fields, checked, one_of, positive, share

DATA_NAMES = ("digits", "concepts", "glyphs", "text", "cifar10", "emnist", "gtsrb")
"""What ``data.name`` may be; :data:`fedtrain.data.DATASETS` loads them."""
EMNIST_SPLITS = ("byclass", "bymerge", "balanced", "letters", "digits", "mnist")
"""The parts in which EMNIST is published."""


MOST_STYLES = 12
"""Styles that there are for visible domains."""


@dataclass(frozen=True)
class ConceptsConfig:
    """Images by concept: domains that disagree on what an image is called (:mod:`fedtrain.data.concepts`).

    Attributes
    ----------
    images
        ``digits``, or ``glyphs``: letters and digits written by as many hands as there are clients, as
        ``data.glyphs`` says.
    num_domains
        How many domains, each with its own permutation of the labels.
    visible
        Whether each domain has a style of its own, so that its images can be told apart; if not, nothing in an image
        says which domain it comes from.
    alpha
        Concentration of the Dirichlet distribution that each client's mixture of domains is drawn from.
    copies
        How often a client owns each of its images, each time in a domain drawn anew.
    """

    images: str = one_of("digits", ("digits", "glyphs"))
    num_domains: int = at_least(1, 8)
    visible: bool = True
    alpha: float = positive(0.1)
    copies: int = at_least(1, 2)

    def __post_init__(self) -> None:
        check_fields(self, "data.concepts.")
        most = f"at most {MOST_STYLES} where domains are visible: there are no more styles"
        check("data.concepts.num_domains", self.num_domains, not self.visible or self.num_domains <= MOST_STYLES, most)


@dataclass(frozen=True)
class GlyphsConfig:
    """Rendered letters and digits: a client is a font and a hand (:mod:`fedtrain.data.glyphs`).

    Attributes
    ----------
    examples, test_examples
        Images for training and for evaluation per client.
    size
        Height and width in pixels.
    hand
        How much hands differ in slant, stroke, scale and rotation: 0, all write as the font is; 1, as people do.
    noise
        Standard deviation of the pixels' noise; an image goes from 0 to 1.
    """

    examples: int = at_least(1, 128)
    test_examples: int = at_least(1, 32)
    size: int = checked(16, lambda size: 8 <= size <= 128, "between 8 and 128")
    hand: float = checked(1.0, lambda hand: 0.0 <= hand <= 2.0, "between 0 and 2")
    noise: float = share(0.1)

    def __post_init__(self) -> None:
        check_fields(self, "data.glyphs.")


@dataclass(frozen=True)
class TextConfig:
    """Next-character prediction (:mod:`fedtrain.data.text`); ``data.path`` says what to read.

    Attributes
    ----------
    clients
        ``speakers``: of a plain text, where a block is a line ``NAME:`` and what is said; ``files`` or ``folders``:
        of a folder of texts. Where there are more than clients, those with the most text are taken.
    suffix
        Of a folder's files that are read; empty, all of them.
    context
        Characters that an example holds, and predictions that it asks for: one after each of them.
    one_hot
        Whether an example asks for one prediction only, and its characters are given as numbers, a 1 in the place of
        each one's symbol, for models that read no symbols.
    step
        With ``one_hot``, how many characters lie between predictions.
    max_characters
        Most characters that a client has.
    """

    clients: str = one_of("files", ("speakers", "files", "folders"))
    suffix: str = ".py"
    context: int = at_least(1, 32)
    one_hot: bool = False
    step: int = at_least(1, 4)
    max_characters: int = at_least(1, 4_000)

    def __post_init__(self) -> None:
        check_fields(self, "data.text.")


@dataclass(frozen=True)
class EmnistConfig:
    """Which part of EMNIST is read from ``data.path``."""

    split: str = one_of("balanced", EMNIST_SPLITS)

    def __post_init__(self) -> None:
        check_fields(self, "data.emnist.")


@dataclass(frozen=True)
class GtsrbConfig:
    """To what height and width, in pixels, the traffic signs in ``data.path`` are resized."""

    size: int = checked(32, lambda size: 4 <= size <= 256, "between 4 and 256")

    def __post_init__(self) -> None:
        check_fields(self, "data.gtsrb.")


@dataclass(frozen=True)
class DataConfig:
    """Which data, and how the clients come to own it.

    Attributes
    ----------
    name
        ``digits``: scikit-learn's, bundled; ``concepts``: digits or letters whose domains disagree on the
        labels; ``glyphs``: characters rendered from matplotlib's fonts; ``text``: next-character prediction, by
        default of the Python standard library; ``cifar10``, ``emnist``, ``gtsrb``: from files in ``path``.
    path
        Folder of the files of ``cifar10``, ``emnist`` or ``gtsrb``; file or folder of ``text``, empty for the
        standard library's sources.
    partition
        ``dirichlet``: clients differ in their classes; ``quantity``: in how much they have. Of ``digits``,
        ``cifar10``, ``emnist`` and ``gtsrb``; the others' clients differ by themselves.
    alpha
        Concentration of the partition's Dirichlet distribution; small is extreme.
    test_fraction
        Share kept back for evaluation, where the data come without a test set of their own.
    min_examples
        Fewest training examples per client.
    max_examples
        Most training examples of ``cifar10``, ``emnist`` and ``gtsrb``, and most test examples, drawn at random;
        0: all of them.
    """

    name: str = one_of("digits", DATA_NAMES)
    path: str = ""
    partition: str = one_of("dirichlet", ("dirichlet", "quantity"))
    alpha: float = positive(0.3)
    test_fraction: float = checked(0.2, lambda fraction: 0.0 < fraction < 1.0, "between 0 and 1")
    min_examples: int = at_least(1, 4)
    max_examples: int = at_least(0, 0)
    concepts: ConceptsConfig = ConceptsConfig()
    glyphs: GlyphsConfig = GlyphsConfig()
    text: TextConfig = TextConfig()
    emnist: EmnistConfig = EmnistConfig()
    gtsrb: GtsrbConfig = GtsrbConfig()

    def __post_init__(self) -> None:
        check_fields(self, "data.")
