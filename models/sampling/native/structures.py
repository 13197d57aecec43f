"""The structures of `abi.h`, as Python fills them in.

`Image` keeps everything that a structure points to alive.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Outputs of a product are packed in blocks of so many; a wide unit has as many slots.
BLOCK = 16

_int, _long, _double, _pointer = ctypes.c_int32, ctypes.c_int64, ctypes.c_double, ctypes.c_void_p


class OperandKind(IntEnum):
    """Where the floats of an operand lie."""

    REGISTER = 0
    CELL = 1
    REGISTER_WINDOW = 2
    GRID_WINDOW = 3


class OpKind(IntEnum):
    """What an op does."""

    DENSE = 0
    CONDITION = 1
    GATE = 2
    RELU = 3
    TANH = 4
    CONCAT_ELU = 5
    ADD = 6
    WRITE = 7
    DRAW = 8
    EMBED = 9
    VALUE = 10
    COLOUR_MIXTURE = 11


class DistributionKind(IntEnum):
    """The law of a symbol."""

    CATEGORICAL = 0
    BERNOULLI = 1
    LOGISTIC_MIXTURE = 2
    GAUSSIAN = 3


class OperandStructure(ctypes.Structure):
    _fields_ = (
        *((name, _int) for name in ("kind", "index", "dz", "dy", "dx", "width")),
        ("starts", _pointer),
        ("widths", _pointer),
    )


class RegisterStructure(ctypes.Structure):
    _fields_ = (("offset", _long), ("stride", _int))


class GridStructure(ctypes.Structure):
    _fields_ = (
        *((name, _int) for name in ("frames", "rows", "columns", "width")),
        *((name, _int) for name in ("row_stride", "column_stride", "event_rows", "event_columns")),
        *((name, _int) for name in ("whole_rows", "ring")),
        ("floats", _long),
    )


class WeightsStructure(ctypes.Structure):
    _fields_ = (("packed", _pointer), ("bias", _pointer), ("outputs", _int))


class OpStructure(ctypes.Structure):
    _fields_ = (
        *((name, _int) for name in ("kind", "row_step", "row", "column_step", "column")),
        *((name, _int) for name in ("target", "source", "sources", "flag", "aligned")),
        *((name, _int) for name in ("channel", "by_column")),
        *((name, _double) for name in ("scale", "shift")),
        *((name, _pointer) for name in ("weight", "offset", "table")),
    )


class ProgramStructure(ctypes.Structure):
    _fields_ = (
        *((name, _int) for name in ("rows", "columns", "channels")),
        *((name, _int) for name in ("distribution", "levels", "components")),
        *((name, _int) for name in ("aligned_width", "hop", "cells")),
        *((name, _int) for name in ("grids", "operands")),
        *((name, _int) for name in ("frame_ops", "row_ops", "step_ops", "forced_ops")),
        *((name, _int) for name in ("forced_columns", "bfloat16", "oldest")),
        ("scratch", _long),
        ("offset", _double),
        *((name, _pointer) for name in ("register", "grid", "operand")),
        *((name, _pointer) for name in ("frame_op", "row_op", "step_op", "forced_op")),
    )


class UnitStructure(ctypes.Structure):
    _fields_ = (
        ("clock", _long),
        *((name, _pointer) for name in ("grid", "fixed", "aligned", "slot")),
        *((name, _pointer) for name in ("is_given", "given", "symbols")),
    )


class CallStructure(ctypes.Structure):
    _fields_ = (
        ("wide", _int),
        ("units", _int),
        ("positions", _long),
        ("forced", _int),
        *((name, _pointer) for name in ("scratch", "work", "unit")),
    )


#: What a slot is asked for, and how its event fares.
SLOT = np.dtype(
    [
        ("seed", np.uint64),
        ("sample", np.uint64),
        ("age", np.int64),
        ("sequence", np.uint64),
        ("temperature", np.float32),
        ("top_p", np.float32),
        ("top_k", np.int32),
        ("occupied", np.int32),
        ("begins", np.int32),
        ("log_likelihood", np.float64),
        ("bad", np.int64),
    ],
    align=True,
)


class Image:
    """Structures and arrays at fixed addresses, alive as long as this is."""

    def __init__(self) -> None:
        self._kept: list[Any] = []

    def array(self, values: NDArray[Any]) -> int:
        """The address of an array."""
        self._kept.append(values)
        return int(values.ctypes.data)

    def numbers(self, values: Sequence[int]) -> int:
        """The address of 32-bit whole numbers."""
        return self.array(np.array(values, dtype=np.int32))

    def structures(self, kind: type[ctypes.Structure], values: Sequence[Any]) -> int:
        """The address of structures side by side; 0 when there are none."""
        if not values:
            return 0
        placed = (kind * len(values))(*values)
        self._kept.append(placed)
        return ctypes.addressof(placed)
