"""Series of real numbers to NumPy's npy, and back; anybody's arrays of numbers to series.

    format   array           metadata lies in
    npy      float64 (T,)    nowhere: the format has no room, and the index alone tells it

Nothing that could hold pickled objects is ever read.
"""

from __future__ import annotations

import io
import math
from tokenize import TokenError

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from ancestral.workers.arrays import check_array
from ancestral.workers.errors import EncodeError

#: Little-endian doubles, whatever machine writes them.
STORED = np.dtype("<f8")


def encode_series(array: np.ndarray) -> bytes:
    """An npy of `array` float64 (T,). Raises EncodeError for any other array, and an empty one."""
    check_array(array, np.float64, "T")
    file = io.BytesIO()
    npy.write_array(file, np.ascontiguousarray(array, STORED), version=(1, 0), allow_pickle=False)
    return file.getvalue()


def decode_series(data: bytes) -> NDArray[np.float64]:
    """The array float64 (T,) of an npy that `encode_series` wrote.

    Raises EncodeError when `data` is not one of those.
    """
    array = _read(data)
    if array.dtype != STORED:
        raise EncodeError(f"this npy is none of ours: it holds {array.dtype}")
    return array.astype(np.float64)


def read_series(data: bytes) -> NDArray[np.float64]:
    """The values float64 (T,) of anybody's npy of real numbers along one axis.

    Raises EncodeError when it cannot be read or holds anything else.
    """
    return _read(data).astype(np.float64)


def _read(data: bytes) -> np.ndarray:
    """The array in an npy. Nothing is made before the bytes are known to be there."""
    file = io.BytesIO(data)
    try:
        version = npy.read_magic(file)
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read_header(file)
    except (ValueError, TokenError) as error:
        raise EncodeError(f"these {len(data)} bytes are not an npy: {error}") from error
    if len(shape) != 1 or dtype.kind not in "fiu":
        raise EncodeError(f"expected real numbers (T,), not {dtype} of shape {shape}")
    body = data[file.tell() :]
    if len(body) != math.prod(shape) * dtype.itemsize:
        raise EncodeError(f"this npy has {len(body)} bytes, and its shape is {shape} of {dtype}")
    return np.frombuffer(body, dtype)
