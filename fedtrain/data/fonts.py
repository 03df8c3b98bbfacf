"""Letters and digits of the fonts that matplotlib bundles, each as a field of distances to its outline.

A distance field can be sampled at any point. So one field, computed once, gives the character slanted, rotated, scaled,
and with a thicker or thinner stroke. A point is ink if its distance is below a threshold, and the threshold sets the
stroke (C. Green, "Improved alpha-tested magnification for vector textures and special effects", SIGGRAPH 2007).
"""

import string
from functools import cache
from pathlib import Path

import numpy as np

from alignsolve.numerics import BoolArray
from fedtrain.data.examples import Images

CHARACTERS = string.digits + string.ascii_uppercase + string.ascii_lowercase
"""The 62 classes, in the order of their labels."""
FIELD = 48
"""Height and width of a distance field, in points."""
SHOWN = 1.2
"""Height and width of the area that a field covers, as a multiple of the font size."""

_OVERSAMPLING = 2
_BASELINE = 0.72
"""Position of the baseline from the top, as a share of the height."""
_SYMBOLS = ("cmex10", "cmmi10", "cmsy10", "LastResort")
"""Fonts that have a picture for every character code, but not a picture of the character."""


@cache
def font_files() -> tuple[Path, ...]:
    """Find the bundled fonts that have all characters, sorted by name; symbol fonts are left out."""
    import matplotlib  # noqa: PLC0415  (only glyphs need it)
    from matplotlib.ft2font import FT2Font  # noqa: PLC0415

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    files = sorted(path for path in folder.glob("*.ttf") if not path.stem.startswith(_SYMBOLS))
    return tuple(path for path in files if {ord(c) for c in CHARACTERS} <= FT2Font(str(path)).get_charmap().keys())


@cache
def distance_fields(font: Path) -> Images:
    """Return the distance of every point to every character's outline, negative inside.

    Returns
    -------
    array
        (62, FIELD, FIELD), in shares of the font size; all characters stand on the same baseline.
    """
    return np.stack([_distances(_drawn(font, character)) for character in CHARACTERS])


def _drawn(font: Path, character: str) -> BoolArray:
    """Draw a character in black and white, horizontally centred, on the baseline."""
    from matplotlib.ft2font import FT2Font  # noqa: PLC0415

    side = FIELD * _OVERSAMPLING
    canvas = np.zeros((side, side), dtype=np.bool_)
    face = FT2Font(str(font))
    face.set_size(side / SHOWN, 72.0)
    face.set_text(character)
    face.draw_glyphs_to_bitmap(antialiased=True)
    # Place the drawn character on the canvas, and cut off the parts that do not fit.
    ink = np.asarray(face.get_image()) > 127
    left = (side - ink.shape[1]) // 2
    top = round(_BASELINE * side) - ink.shape[0] + round(face.get_descent() / 64)
    here = ink[max(-top, 0) : side - top, max(-left, 0) : side - left]
    canvas[max(top, 0) :, max(left, 0) :][: here.shape[0], : here.shape[1]] = here
    return canvas


def _distances(ink: BoolArray) -> Images:
    from scipy.ndimage import distance_transform_edt  # noqa: PLC0415  (comes with scikit-learn)

    distance = distance_transform_edt(~ink) - distance_transform_edt(ink)
    cells = distance.reshape(FIELD, _OVERSAMPLING, FIELD, _OVERSAMPLING).mean(axis=(1, 3))
    return (cells * SHOWN / len(ink)).astype(np.float32)
