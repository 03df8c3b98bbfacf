"""Data sets from files, tested on small generated files in the true formats, intact and broken."""

import gzip
import struct

import numpy as np
import pytest

from fedtrain.config.data import DataConfig, EmnistConfig, GtsrbConfig
from fedtrain.data import DATASETS, DataError
from fedtrain.data.cifar10 import read_batch
from fedtrain.data.emnist import read_part
from fedtrain.data.gtsrb import read_folder, resize


def rng(seed=0):
    return np.random.default_rng(seed)


def load(name, folder, num_clients=3, **options):
    return DATASETS[name](DataConfig(name=name, path=str(folder), min_examples=2, **options), num_clients, 0)


def write_cifar(folder, number=20):
    pixels = rng().integers(256, size=(6, number, 3072), dtype=np.uint8)
    for k, name in enumerate([*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]):
        labels = (np.arange(number, dtype=np.uint8) % 10)[:, None]
        (folder / f"{name}.bin").write_bytes(np.hstack([labels, pixels[k]]).tobytes())
    return pixels


def test_cifar_records_are_a_label_and_three_planes(tmp_path):
    pixels = write_cifar(tmp_path)
    batch = read_batch(tmp_path / "data_batch_2.bin")
    assert batch.labels.tolist() == [*range(10), *range(10)]
    planes = pixels[1].reshape(20, 3, 32, 32)
    np.testing.assert_allclose((batch.inputs + 1.9) * 255 * 0.25, planes, atol=1e-3)
    federated = load("cifar10", tmp_path)
    assert federated.test.inputs.shape[1:] == (3, 32, 32)
    assert (sum(map(len, federated.clients)), len(federated.test)) == (100, 20)


def test_a_sample_may_be_enough(tmp_path):
    write_cifar(tmp_path)
    federated, again = (load("cifar10", tmp_path, max_examples=15) for _ in range(2))
    assert (sum(map(len, federated.clients)), len(federated.test)) == (15, 15)
    assert np.array_equal(federated.test.inputs, again.test.inputs)


def test_broken_cifar_files_are_named_with_where_to_get_them(tmp_path):
    write_cifar(tmp_path)
    path = tmp_path / "data_batch_3.bin"
    whole = path.read_bytes()
    for content, words in [
        (whole[:-1], "61459 bytes, which are not whole records of 3073"),
        (b"", "0 bytes, which are not whole records"),
        (b"\x63" + whole[1:], "record 0 has label 99"),
    ]:
        path.write_bytes(content)
        with pytest.raises(DataError, match=rf"data_batch_3.bin.*{words}.*CIFAR-10 binary version.*not read"):
            load("cifar10", tmp_path)
    path.unlink()
    (tmp_path / "data_batch_3").write_bytes(b"a pickle")
    with pytest.raises(DataError, match=r"data_batch_3.bin is missing. Get the .*binary version"):
        load("cifar10", tmp_path)


def idx(array):
    array = np.asarray(array, dtype=np.uint8)
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_emnist(folder, part="balanced", *, packed=False, first=0, number=60):
    images = rng(2).integers(256, size=(number, 28, 28), dtype=np.uint8)
    labels = np.arange(number) % 20 + first
    for half in ("train", "test"):
        for what, content in (("images-idx3", idx(images)), ("labels-idx1", idx(labels))):
            name = f"emnist-{part}-{half}-{what}-ubyte"
            if packed:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / name).write_bytes(content)
    return images, labels


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("part", "first"), [("balanced", 0), ("letters", 1)])
def test_emnist_images_are_turned_upright_and_labels_count_from_zero(tmp_path, packed, part, first):
    images, labels = write_emnist(tmp_path, part, packed=packed, first=first)
    examples = read_part(tmp_path, part, "train")
    assert examples.labels.tolist() == (labels - first).tolist()
    np.testing.assert_allclose((examples.inputs[:, 0] + 0.52) * 255 * 0.33, images.transpose(0, 2, 1), atol=1e-3)
    federated = load("emnist", tmp_path, emnist=EmnistConfig(split=part))
    assert federated.test.num_classes == {"balanced": 47, "letters": 26}[part]


def test_broken_emnist_files_are_named_with_where_to_get_them(tmp_path):
    write_emnist(tmp_path)
    images = tmp_path / "emnist-balanced-train-images-idx3-ubyte"
    labels = tmp_path / "emnist-balanced-train-labels-idx1-ubyte"
    whole = images.read_bytes()
    for path, content, words in [
        (images, whole[:-1], "47039 values, its header says 47040"),
        (images, whole[:7], "starts with 00000803, not as an idx file of bytes with 3 axes"),
        (images, b"", "not as an idx file"),
        (images, b"\x00\x00\x0d\x03" + whole[4:], "starts with 00000d03"),
        (images, labels.read_bytes(), "starts with 00000801, not as an idx file of bytes with 3 axes"),
        (images, idx(np.zeros((60, 27, 28))), "27 × 28, not 28 × 28"),
        (labels, idx(np.zeros(59)), "has 60 images, .* has 59 labels"),
        (labels, idx(np.full(60, 47)), "a label outside the 47 classes of 'balanced'"),
    ]:
        kept = path.read_bytes()
        path.write_bytes(content)
        with pytest.raises(DataError, match=rf"{path.name}.*{words}|{words}.*"):
            load("emnist", tmp_path)
        path.write_bytes(kept)
    assert len(load("emnist", tmp_path).test) == 60
    images.unlink()
    with pytest.raises(DataError, match=r"images-idx3-ubyte.gz is missing. Get .*nist.gov"):
        load("emnist", tmp_path)
    packed = gzip.compress(whole)
    for content in (packed[:-9], packed[:100] + b"\xff\xff" + packed[102:], b"not packed"):
        images.with_name(f"{images.name}.gz").write_bytes(content)
        with pytest.raises(DataError, match=r"images-idx3-ubyte.gz is not a whole gzip file"):
            load("emnist", tmp_path)


def ppm(picture, comment=b""):
    return b"P6\n" + comment + b"%d %d\n255\n" % picture.shape[1::-1] + picture.astype(np.uint8).tobytes()


@pytest.mark.parametrize(("height", "width", "size"), [(6, 9, 3), (5, 7, 4), (2, 3, 8), (4, 4, 4)])
def test_resizing_averages(height, width, size):
    picture = rng().integers(256, size=(height, width, 3))
    small = resize(picture, size)
    assert small.shape == (3, size, size)
    np.testing.assert_allclose(small.mean(axis=(1, 2)), picture.mean(axis=(0, 1)), rtol=1e-5)
    if (height, width, size) == (6, 9, 3):
        blocks = picture.reshape(3, 2, 3, 3, 3).mean(axis=(1, 3)).transpose(2, 0, 1)
        np.testing.assert_allclose(small, blocks, rtol=1e-5)
    if height == width == size:
        np.testing.assert_allclose(small, picture.transpose(2, 0, 1))


HEADER = "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId"


def write_gtsrb(folder, *, classes=(0, 14), tracks=4, pictures=3):
    for label in classes:
        own = folder / f"{label:05d}"
        own.mkdir()
        lines = [HEADER]
        for track in range(tracks):
            for number in range(pictures):
                name = f"{track:05d}_{number:05d}.ppm"
                picture = np.zeros((12, 10, 3))
                picture[2:11, 1:9] = 10 * track + 100 * (label > 0)
                (own / name).write_bytes(ppm(picture))
                lines.append(f"{name};10;12;1;2;8;10;{label}")
        (own / f"GT-{label:05d}.csv").write_text("\r\n".join(lines) + "\r\n", encoding="utf-8")
    (folder / "Readme.txt").write_text("not a class", encoding="utf-8")


def test_signs_are_cut_out_and_resized_and_tracks_stay_together(tmp_path):
    write_gtsrb(tmp_path)
    examples, tracks = read_folder(tmp_path, 6)
    assert examples.inputs.shape == (24, 3, 6, 6)
    assert examples.labels.tolist() == [0] * 12 + [14] * 12
    assert len(set(tracks.tolist())) == 8
    levels = (examples.inputs + 1.2) * 255 * 0.27
    expected = [10 * (k // 3 % 4) + 100 * (k >= 12) for k in range(24)]
    np.testing.assert_allclose(levels, np.broadcast_to(np.reshape(expected, (24, 1, 1, 1)), levels.shape), atol=1e-3)
    federated = load("gtsrb", tmp_path, gtsrb=GtsrbConfig(size=6), test_fraction=0.25)
    assert (federated.test.num_classes, len(federated.test)) == (43, 6)
    trained = {image.tobytes() for part in federated.clients for image in part.inputs}
    assert not any(image.tobytes() in trained for image in federated.test.inputs)


def test_broken_traffic_signs_are_named_with_where_to_get_them(tmp_path):
    write_gtsrb(tmp_path)
    table, picture = tmp_path / "00014" / "GT-00014.csv", tmp_path / "00014" / "00001_00002.ppm"
    good = table.read_text(encoding="utf-8")

    def refused(words):
        with pytest.raises(DataError, match=words):
            load("gtsrb", tmp_path, test_fraction=0.25)

    for text, words in [
        (good.replace(";", ","), r"GT-00014.csv has no column Filename"),
        ("", "has no column Filename"),
        (good.replace("10;14", "ten;14", 1), r"GT-00014.csv, line 2: '00000_00000.ppm' has a cell that is not a whole"),
        (good.replace("10;14", "10", 1), r"line 2: '00000_00000.ppm' has a cell"),
        (good.replace("10;14", "10;43", 1), "line 2: ClassId is 43, not 0 to 42"),
        (good.replace("1;2;8;10", "11;2;8;10", 1), "line 2: the sign is outside of its picture"),
    ]:
        table.write_text(text, encoding="utf-8")
        refused(words)
    table.write_text(good, encoding="utf-8")
    picture.write_bytes(picture.read_bytes()[:-1])
    refused(r"00001_00002.ppm cannot be read: image file is truncated.*Get GTSRB_Final_Training_Images.zip")
    picture.unlink()
    refused(r"00001_00002.ppm is missing")
    table.unlink()
    refused(r"GT-00014.csv is missing")


def test_pictures_outside_of_their_folder_are_not_read(tmp_path):
    write_gtsrb(tmp_path)
    (tmp_path / "secret.ppm").write_bytes(ppm(np.zeros((12, 10, 3))))
    table = tmp_path / "00014" / "GT-00014.csv"
    table.write_text(f"{HEADER}\n00000_/../../secret.ppm;10;12;1;2;8;10;14\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"00014/secret.ppm is missing"):
        read_folder(tmp_path, 6)


@pytest.mark.parametrize("name", ["cifar10", "emnist", "gtsrb"])
def test_a_folder_that_is_not_there_is_told_by_its_key(name, tmp_path):
    with pytest.raises(DataError, match=r"data.path is empty; it must be the folder of the files. Get "):
        DATASETS[name](DataConfig(name=name), 3, 0)
    with pytest.raises(DataError, match=r"data.path: there is no folder .*nowhere. Get "):
        load(name, tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"is missing. Get |holds no folder of a class"):
        load(name, tmp_path)
