"""Glyphs: rendered quickly from bundled fonts, with as much variety as handwriting."""

import time

import numpy as np
import pytest

from fedtrain.config.data import DataConfig, GlyphsConfig
from fedtrain.data import DATASETS
from fedtrain.data.fonts import CHARACTERS, FIELD, distance_fields, font_files
from fedtrain.data.glyphs import Hand, draw_hand, write


def rng(seed=0):
    return np.random.default_rng(seed)


def plain(font, number=62, size=24):
    """Return all characters undistorted, with ink from 0 to 1, found by their labels among drawn ones."""
    examples = write(rng(), Hand(font), 40 * number, size=size, noise=0.0)
    first = [int(np.flatnonzero(examples.labels == label)[0]) for label in range(number)]
    return examples.inputs[first, 0] * 0.32 + 0.15


def test_fonts_have_the_characters_and_symbol_fonts_are_left_out():
    names = [path.stem for path in font_files()]
    assert list(font_files()) == sorted(font_files())
    assert {"DejaVuSans", "DejaVuSerif-Bold", "STIXGeneral", "cmr10"} <= set(names)
    assert not [name for name in names if name.startswith(("cmsy", "cmex", "LastResort", "STIXSiz", "STIXNonUni"))]


def test_characters_are_drawn_apart_upright_and_whole():
    ink = plain(0)
    assert len(CHARACTERS) == len(ink) == 62
    assert ink.min() == pytest.approx(0.0, abs=1e-6)
    assert ink.max() == pytest.approx(1.0, abs=1e-6)
    edges = np.concatenate([ink[:, 0], ink[:, -1], ink[:, :, 0], ink[:, :, -1]], axis=1)
    assert edges.max() == pytest.approx(0.0, abs=1e-6)
    far = [np.abs(ink[a] - ink[b]).sum() for a in range(62) for b in range(a)]
    assert min(far) > 1.0
    mirrored = ink[:, :, ::-1]
    symmetric, lopsided = CHARACTERS.index("H"), CHARACTERS.index("L")
    assert np.abs(ink - mirrored)[symmetric].sum() < 0.5 * np.abs(ink - mirrored)[lopsided].sum()
    heights = {character: np.flatnonzero(ink[CHARACTERS.index(character)].max(axis=1) > 0.5) for character in "Hxg"}
    assert heights["H"].min() < heights["x"].min()  # capitals are higher
    assert heights["H"].max() == heights["x"].max() < heights["g"].max()  # on one baseline, but for descenders
    bar = ink[CHARACTERS.index("L")]
    assert bar[: bar.shape[0] // 2].sum(axis=0).argmax() < bar.shape[1] // 2  # the stem of L stands left


def test_distances_are_negative_inside():
    fields = distance_fields(font_files()[0])
    assert fields.shape == (62, FIELD, FIELD)
    assert (fields[:, 0] > 0).all()
    assert all((field < 0).mean() > 0.01 for field in fields)


@pytest.mark.parametrize(("change", "ratio"), [({"stroke": 0.02}, 1.2), ({"scale": 1.2}, 1.2), ({"width": 1.2}, 1.05)])
def test_a_thicker_stroke_and_a_larger_hand_take_more_ink(change, ratio):
    def ink(hand):
        return (write(rng(), hand, 300, size=20, noise=0.0).inputs * 0.32 + 0.15).sum()

    assert ink(Hand(0, **change)) > ratio * ink(Hand(0))


def test_a_slant_moves_the_top_to_the_right():
    upright, slanted = (write(rng(), Hand(0, slant=slant), 300, size=20, noise=0.0).inputs for slant in (0.0, 0.3))
    columns = np.arange(20)

    def centre(images, rows):
        ink = images[:, 0, rows] * 0.32 + 0.15
        return (ink * columns).sum() / ink.sum()

    assert centre(slanted, slice(3, 8)) > centre(upright, slice(3, 8)) + 0.5
    assert centre(slanted, slice(12, 17)) < centre(upright, slice(12, 17)) - 0.5


def test_images_of_one_hand_are_more_alike_than_those_of_two():
    def letters(seed):
        hand = draw_hand(rng(seed), seed, 1.0)
        examples = write(rng(seed + 100), hand, 2000, size=16, noise=0.05)
        return np.stack([examples.inputs[examples.labels == label].mean(axis=0) for label in range(62)])

    halves = [letters(seed) for seed in range(4)]
    mean = np.mean(halves, axis=0)
    between = np.mean([(part - mean) ** 2 for part in halves])
    assert between > 0.02
    steady = write(rng(), draw_hand(rng(3), 0, 0.0), 50, size=16, noise=0.0)
    same = [steady.inputs[steady.labels == label] for label in np.unique(steady.labels)]
    assert all(np.array_equal(image, group[0]) for group in same for image in group)


def test_clients_fonts_are_spread_evenly_and_are_the_concepts():
    config = DataConfig(name="glyphs", glyphs=GlyphsConfig(examples=5, test_examples=3, size=12))
    federated = DATASETS["glyphs"](config, 25, 0)
    assert federated.test.inputs.shape[1:] == (1, 12, 12)
    assert (federated.concepts.sum(axis=1) == 5).all()
    per_font = (federated.concepts > 0).sum(axis=0)
    assert per_font.max() - per_font.min() <= 1
    assert federated.test_group.tolist() == np.repeat(np.arange(25), 3).tolist()


def test_thousands_are_rendered_in_a_second():
    write(rng(), Hand(0), 1, size=16, noise=0.1)  # reads the font
    started = time.process_time()
    write(rng(), Hand(0), 4000, size=16, noise=0.1)
    assert time.process_time() - started < 1.0
