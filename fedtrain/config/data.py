"""The ``data`` section of a configuration: which data set, its own parameters, and how clients come to own it."""

from dataclasses import dataclass

from fedtrain.config.checks import at_least, check, one_of, positive

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

    images: str = "digits"
    num_domains: int = 8
    visible: bool = True
    alpha: float = 0.1
    copies: int = 2

    def __post_init__(self) -> None:
        one_of("data.concepts.images", self.images, ("digits", "glyphs"))
        at_least("data.concepts.num_domains", self.num_domains, 1)
        most = f"at most {MOST_STYLES} where domains are visible: there are no more styles"
        check("data.concepts.num_domains", self.num_domains, not self.visible or self.num_domains <= MOST_STYLES, most)
        positive("data.concepts.alpha", self.alpha)
        at_least("data.concepts.copies", self.copies, 1)


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

    examples: int = 128
    test_examples: int = 32
    size: int = 16
    hand: float = 1.0
    noise: float = 0.1

    def __post_init__(self) -> None:
        at_least("data.glyphs.examples", self.examples, 1)
        at_least("data.glyphs.test_examples", self.test_examples, 1)
        check("data.glyphs.size", self.size, 8 <= self.size <= 128, "between 8 and 128")
        check("data.glyphs.hand", self.hand, 0.0 <= self.hand <= 2.0, "between 0 and 2")
        check("data.glyphs.noise", self.noise, 0.0 <= self.noise <= 1.0, "between 0 and 1")


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

    clients: str = "files"
    suffix: str = ".py"
    context: int = 32
    one_hot: bool = False
    step: int = 4
    max_characters: int = 4_000

    def __post_init__(self) -> None:
        one_of("data.text.clients", self.clients, ("speakers", "files", "folders"))
        at_least("data.text.context", self.context, 1)
        at_least("data.text.step", self.step, 1)
        at_least("data.text.max_characters", self.max_characters, 1)


@dataclass(frozen=True)
class EmnistConfig:
    """Which part of EMNIST is read from ``data.path``."""

    split: str = "balanced"

    def __post_init__(self) -> None:
        one_of("data.emnist.split", self.split, EMNIST_SPLITS)


@dataclass(frozen=True)
class GtsrbConfig:
    """To what height and width, in pixels, the traffic signs in ``data.path`` are resized."""

    size: int = 32

    def __post_init__(self) -> None:
        check("data.gtsrb.size", self.size, 4 <= self.size <= 256, "between 4 and 256")


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

    name: str = "digits"
    path: str = ""
    partition: str = "dirichlet"
    alpha: float = 0.3
    test_fraction: float = 0.2
    min_examples: int = 4
    max_examples: int = 0
    concepts: ConceptsConfig = ConceptsConfig()
    glyphs: GlyphsConfig = GlyphsConfig()
    text: TextConfig = TextConfig()
    emnist: EmnistConfig = EmnistConfig()
    gtsrb: GtsrbConfig = GtsrbConfig()

    def __post_init__(self) -> None:
        one_of("data.name", self.name, DATA_NAMES)
        one_of("data.partition", self.partition, ("dirichlet", "quantity"))
        positive("data.alpha", self.alpha)
        check("data.test_fraction", self.test_fraction, 0.0 < self.test_fraction < 1.0, "between 0 and 1")
        at_least("data.min_examples", self.min_examples, 1)
        at_least("data.max_examples", self.max_examples, 0)
