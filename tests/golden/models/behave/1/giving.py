"""Outputs that the config does not promise, and values that are hard to write down."""

import numpy as np
import triton_python_backend_utils as pb_utils


def _give(*named):
    return [pb_utils.InferenceResponse([pb_utils.Tensor(name, array) for name, array in named])]


def declared(requests):
    return _give(("OUT", np.array([1.5], np.float32)), ("TEXT", np.array([b"one"], object)))


def other_dtype(requests):
    return _give(("OUT", np.array([1, 2], np.int64)))


def other_shape(requests):
    return _give(("OUT", np.arange(4, dtype=np.float32).reshape(1, 2, 2)))


def unknown_output(requests):
    return _give(("SURPRISE", np.array([1], np.float32)), ("OUT", np.array([2], np.float32)))


def nothing(requests):
    return _give()


def zero_dim(requests):
    return _give(("OUT", np.array(7, np.float32)))


def zero_dim_text(requests):
    return _give(("TEXT", np.array(b"alone", object)))


def zero_size(requests):
    return _give(("OUT", np.zeros((0,), np.float32)))


def zero_size_matrix(requests):
    return _give(("OUT", np.zeros((3, 0, 2), np.float32)))


def zero_size_text(requests):
    return _give(("TEXT", np.zeros((0,), object)))


def twice(requests):
    return _give(("OUT", np.array([1], np.float32)), ("OUT", np.array([2], np.float32)))


def backwards(requests):
    return _give(("TEXT", np.array([b"first"], object)), ("OUT", np.array([2], np.float32)))


def strided(requests):
    return _give(("OUT", np.arange(6, dtype=np.float32)[::2]))


def column_major(requests):
    return _give(("OUT", np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3))))


def text_objects(requests):
    return _give(("TEXT", np.array(["text ✓", b"bytes", 7, 1.5, None, True], object)))


def fixed_bytes(requests):
    return _give(("TEXT", np.array([b"a", b"bcd", b""])))


def hard_text(requests):
    return _give(("TEXT", np.array([b'"\\/\b\f\n\r\t', b"\x00\x01\x1f\x7f", "é✓😀".encode(), b"</script>"], object)))


def broken_text(requests):
    return _give(("TEXT", np.array([b"\xff\xfeok"], object)))


def booleans(requests):
    return _give(("OUT", np.array([True, False])))


def hard_floats(requests):
    values = [0.1, -0.0, 1e-45, 3.4028234663852886e38, 16777216, 1e10, 1 / 3, np.nan, np.inf, -np.inf]
    return _give(("OUT", np.array(values, np.float32)))


def hard_doubles(requests):
    values = [0.1, -0.0, 5e-324, 1.7976931348623157e308, 1e15, 1e16, 1e17, 1e20, 1e21, 1e22, 1e-5, 1e-6, 1e-7, 1e-8]
    values += [
        123456789.123,
        9007199254740993,
        1 / 3,
        2 / 3,
        1e100,
        1.5e-10,
        100.0,
        12345678901234567890,
        np.nan,
        -np.inf,
    ]
    return _give(("OUT", np.array(values, np.float64)))


def limits_of_signed(requests):
    values = [np.iinfo(np.int64).min, np.iinfo(np.int64).max, 0, -1]
    return _give(("OUT", np.array(values, np.int64)))


def limits_of_unsigned(requests):
    return _give(("OUT", np.array([0, np.iinfo(np.uint64).max], np.uint64)))


def half_output(requests):
    return _give(("OUT", np.array([1.5, -2], np.float16)))


def small_integers(requests):
    return _give(("OUT", np.array([-128, 127], np.int8)))
