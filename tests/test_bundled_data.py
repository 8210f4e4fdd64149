import hashlib

import numpy as np
import pytest

from tests.source_tree import REPOSITORY

DATA = REPOSITORY / "demos" / "data"
PIECE = DATA / "fashion_mnist_subset.npz"
SPEECH = DATA / "speech_commands_subset.npz"


@pytest.mark.parametrize("piece", [PIECE, SPEECH])
def test_the_piece_is_small_and_is_the_one_its_description_names(piece):
    content = piece.read_bytes()
    assert len(content) <= 6_000_000
    readme = (DATA / "README.md").read_text()
    assert hashlib.sha256(content).hexdigest() in readme
    assert f"{len(content):,} bytes" in readme


def test_its_licence_stands_beside_it():
    speech = (DATA / "LICENSE-speech-commands.txt").read_text()
    assert "Pete Warden" in speech and "Changes:" in speech
    assert "https://creativecommons.org/licenses/by/4.0/" in speech
    notice = (DATA / "LICENSE-fashion-mnist.txt").read_text()
    assert "Copyright (c) 2017 Zalando SE" in notice
    assert "Permission is hereby granted, free of charge" in notice


def test_it_has_all_classes_in_about_equal_numbers():
    with np.load(PIECE) as arrays:
        shapes = {key: arrays[key].shape for key in arrays}
        assert all(arrays[key].dtype == np.uint8 for key in arrays)
        counts = {part: np.bincount(arrays[f"y_{part}"]) for part in ("train", "test")}
    assert shapes == {
        "x_train": (11000, 28, 28),
        "y_train": (11000,),
        "x_test": (2000, 28, 28),
        "y_test": (2000,),
    }
    for number in counts.values():
        assert len(number) == 10
        assert number.min() > 0.9 * number.mean()


def test_speech_has_all_words_in_about_equal_numbers():
    with np.load(SPEECH) as arrays:
        mfcc, labels, speakers = arrays["mfcc"], arrays["y"], arrays["speaker"]
        classes = arrays["classes"]
    assert mfcc.shape == (4890, 49, 10) and mfcc.dtype == np.float16
    assert np.array_equal(np.round(mfcc * 4), mfcc * 4)
    number = np.bincount(labels)
    assert len(number) == len(classes) == 12
    assert number.min() > 0.9 * number.mean()
    assert len(set(speakers[labels != list(classes).index("silence")])) == 239
