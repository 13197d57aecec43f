"""Series: every number comes back, and nothing that is no number is read."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from ancestral.workers.errors import EncodeError
from ancestral.workers.series import decode_series, encode_series, read_series
from tests.workers.media import SERIES


def npy(array: Any, **options: Any) -> bytes:
    """An npy as anybody writes it."""
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


@given(SERIES)
def test_a_series_comes_back_as_it_was(array: np.ndarray) -> None:
    data = encode_series(array)

    for decoded in (decode_series(data), read_series(data), np.load(io.BytesIO(data))):
        np.testing.assert_array_equal(decoded.view(np.int64), array.view(np.int64))
        assert decoded.dtype == np.float64
    assert encode_series(np.stack([array, array], axis=1)[:, 0]) == data


@pytest.mark.parametrize(
    "array",
    [np.zeros(4, np.float32), np.zeros((4, 1)), np.zeros(0)],
    ids=["float32", "columns", "empty"],
)
def test_what_is_no_series_is_refused(array: np.ndarray) -> None:
    with pytest.raises(EncodeError, match=r"expected float64 \(T,\) with at least one value"):
        encode_series(array)


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<i2", "|u1", "<f2"])
def test_anybody_s_numbers_are_read(dtype: str) -> None:
    data = npy(np.arange(5).astype(dtype))

    assert read_series(data).tolist() == [0, 1, 2, 3, 4]
    assert read_series(data).dtype == np.float64
    with pytest.raises(EncodeError, match="none of ours"):
        decode_series(data)


@pytest.mark.parametrize(
    "array",
    [np.zeros((2, 2)), np.zeros(2, complex), np.array(["a"]), np.float64(1)],
    ids=["a table", "complex", "texts", "one number"],
)
def test_arrays_of_anything_else_are_refused(array: Any) -> None:
    with pytest.raises(EncodeError, match=r"expected real numbers \(T,\)"):
        read_series(npy(array))


def test_pickles_are_not_read() -> None:
    with pytest.raises(EncodeError, match=r"expected real numbers \(T,\), not object"):
        read_series(npy(np.array([print, "owned"], object), allow_pickle=True))


@pytest.mark.parametrize("keep", [0, 5, 40, 130])
def test_broken_bytes_are_told(keep: int) -> None:
    with pytest.raises(EncodeError, match=r"not an npy|this npy has"):
        read_series(encode_series(np.arange(9.0))[:keep])


def test_a_header_that_claims_too_much_makes_no_room_for_it() -> None:
    claims = encode_series(np.arange(9.0)).replace(b"(9,), }         ", b"(900000000000,)}")

    with pytest.raises(EncodeError, match=r"72 bytes, and its shape is \(900000000000,\)"):
        read_series(claims)
