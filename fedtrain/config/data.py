"""The ``data`` section of a configuration: the data set, its parameters, and its division among the clients."""

from dataclasses import dataclass, field

from fedtrain.config.checks import at_least, check, check_fields, checked, one_of, one_of_or_function, positive, share

DATA_NAMES = ("digits", "concepts", "glyphs", "text", "cifar10", "emnist", "gtsrb")
"""Values of ``data.name``; :data:`fedtrain.data.DATASETS` loads the data sets."""
EMNIST_SPLITS = ("byclass", "bymerge", "balanced", "letters", "digits", "mnist")
"""The parts in which EMNIST is published."""


MOST_STYLES = 16
"""Number of styles for visible domains."""


@dataclass(frozen=True)
class ConceptsConfig:
    """Images by concept: each domain has its own labels for the same images (:mod:`fedtrain.data.concepts`).

    Attributes
    ----------
    images
        ``digits``: handwritten digits. ``glyphs``: letters and digits, rendered as ``data.glyphs`` says, with one
        handwriting per client.
    num_domains
        Number of domains, each with its own permutation of the labels.
    visible
        Whether each domain has its own style. If not, an image does not show which domain it comes from.
    alpha
        Concentration of the Dirichlet distribution from which each client's mixture of domains is drawn.
    copies
        Number of copies of each image that a client owns. A domain is drawn for each copy.
    """

    images: str = one_of("digits", ("digits", "glyphs"))
    num_domains: int = at_least(1, 8, unit="domains")
    visible: bool = True
    alpha: float = positive(0.1, unit="concentration")
    copies: int = at_least(1, 2, unit="copies")

    def __post_init__(self) -> None:
        check_fields(self, "data.concepts.")
        most = f"at most {MOST_STYLES} where domains are visible: there are no more styles"
        check("data.concepts.num_domains", self.num_domains, not self.visible or self.num_domains <= MOST_STYLES, most)


@dataclass(frozen=True)
class GlyphsConfig:
    """Rendered letters and digits: a client is a font and a handwriting (:mod:`fedtrain.data.glyphs`).

    Attributes
    ----------
    examples, test_examples
        Number of images per client for training and for evaluation.
    size
        Height and width of an image in pixels.
    hand
        Strength of the differences between handwritings in slant, stroke, scale and rotation. 0: no differences, all
        images show the plain font. 1: differences as between people.
    noise
        Standard deviation of the noise in each pixel; pixels range from 0 to 1.
    """

    examples: int = at_least(1, 128, unit="examples")
    test_examples: int = at_least(1, 32, unit="examples")
    size: int = checked(16, lambda size: 8 <= size <= 128, "between 8 and 128", unit="pixels")
    hand: float = checked(1.0, lambda hand: 0.0 <= hand <= 2.0, "between 0 and 2", unit="factor")
    noise: float = share(0.1, unit="standard deviation")

    def __post_init__(self) -> None:
        check_fields(self, "data.glyphs.")


@dataclass(frozen=True)
class TextConfig:
    """Next-character prediction (:mod:`fedtrain.data.text`) on the texts at ``data.path``.

    Attributes
    ----------
    clients
        ``speakers``: each client is a speaker in one plain text, in which a block is a line ``NAME:`` and the words of
        that speaker. ``files`` or ``folders``: each client is a file or a folder of texts. If there are more of them
        than clients, those with the most text are taken.
    suffix
        Only files of the folder whose names end with this are read; empty: all files.
    context
        Number of characters in an example. The model makes one prediction after each of them.
    one_hot
        Whether an example asks for one prediction only and its characters are one-hot vectors. This is for models that
        read numbers, not symbols.
    step
        With ``one_hot``, the number of characters from one prediction to the next.
    max_characters
        Largest number of characters per client.
    """

    clients: str = one_of("files", ("speakers", "files", "folders"))
    suffix: str = field(default=".py", metadata={"unit": "ending of a name"})
    context: int = at_least(1, 32, unit="characters")
    one_hot: bool = False
    step: int = at_least(1, 4, unit="characters")
    max_characters: int = at_least(1, 4_000, unit="characters")

    def __post_init__(self) -> None:
        check_fields(self, "data.text.")


@dataclass(frozen=True)
class EmnistConfig:
    """The letters and digits of EMNIST.

    Attributes
    ----------
    split
        The part of EMNIST that is read from ``data.path``.
    """

    split: str = one_of("balanced", EMNIST_SPLITS)

    def __post_init__(self) -> None:
        check_fields(self, "data.emnist.")


@dataclass(frozen=True)
class GtsrbConfig:
    """The German traffic signs.

    Attributes
    ----------
    size
        Height and width to which the traffic signs in ``data.path`` are resized.
    """

    size: int = checked(32, lambda size: 4 <= size <= 256, "between 4 and 256", unit="pixels")

    def __post_init__(self) -> None:
        check_fields(self, "data.gtsrb.")


@dataclass(frozen=True)
class DataConfig:
    """The data set, and its division among the clients.

    Attributes
    ----------
    name
        ``digits``: scikit-learn's bundled digits. ``concepts``: digits or letters in domains with different labels.
        ``glyphs``: characters rendered from matplotlib's fonts. ``text``: next-character prediction, by default on the
        Python standard library. ``cifar10``, ``emnist``, ``gtsrb``: read from files in ``path``. Or a function of your
        own, ``file.py:function``: of this section, the number of clients and the seed, which returns a
        :class:`fedtrain.data.Federated`.
    path
        Folder with the files of ``cifar10``, ``emnist`` or ``gtsrb``. File or folder of ``text``; empty: the source
        files of the standard library.
    partition
        ``dirichlet``: clients differ in their classes. ``quantity``: clients differ in their number of examples. It
        applies to ``digits``, ``cifar10``, ``emnist`` and ``gtsrb``. In the other data sets each client has its own
        examples.
    alpha
        Concentration of the partition's Dirichlet distribution; a small value makes clients very different.
    test_fraction
        Share of the examples that is kept for evaluation, if the data set has no test set of its own.
    held_back
        Share of the examples for evaluation that the server keeps for itself, to learn the weights of clients by
        (``aggregation.rule``). The model is not evaluated on them.
    min_examples
        Smallest number of training examples per client.
    max_examples
        Largest number of training examples of ``cifar10``, ``emnist`` and ``gtsrb``, and largest number of test
        examples. They are sampled at random. 0: all examples.
    """

    name: str = one_of_or_function("digits", DATA_NAMES)
    path: str = field(default="", metadata={"unit": "path"})
    partition: str = one_of("dirichlet", ("dirichlet", "quantity"))
    alpha: float = positive(0.3, unit="concentration")
    test_fraction: float = checked(0.2, lambda fraction: 0.0 < fraction < 1.0, "between 0 and 1", unit="share")
    held_back: float = checked(0.0, lambda part: 0.0 <= part < 1.0, "at least 0 and below 1", unit="share")
    min_examples: int = at_least(1, 4, unit="examples")
    max_examples: int = at_least(0, 0, unit="examples")
    concepts: ConceptsConfig = ConceptsConfig()
    glyphs: GlyphsConfig = GlyphsConfig()
    text: TextConfig = TextConfig()
    emnist: EmnistConfig = EmnistConfig()
    gtsrb: GtsrbConfig = GtsrbConfig()

    def __post_init__(self) -> None:
        check_fields(self, "data.")
