"""The rows of a recipe's table, read by whoever wants something of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from ancestral.jobs.datasets import read_table
from ancestral.jobs.documents import shown
from ancestral.jobs.recipe import TrainingData
from ancestral.models.errors import DataError
from ancestral.orchestration.tables import table_uri

Row = Mapping[str, Any]
T = TypeVar("T")


def read_rows(
    data: TrainingData,
    columns: Sequence[str],
    read: Callable[[Row], T],
    *,
    held_out: bool = False,
) -> list[T]:
    """What `read` makes of each row to learn from, or of each that is held out.

    A row holds `columns` and those of the fields. Raises SpecError when there is no such file,
    column or row, and DataError, which names the row, when a column holds nothing in it or when
    `read` raises one.
    """
    uri = table_uri(data.path)
    split = data.held_out if held_out else "train"
    wanted = list(dict.fromkeys([*columns, *data.fields.values()]))
    found = []
    for number, row in enumerate(read_table(uri, wanted, split=split)):
        try:
            for column in wanted:
                if row[column] is None:
                    raise DataError(f"the column {column!r} holds nothing")
            found.append(read(row))
        except DataError as error:
            raise DataError(f"{uri}: row {number} of split {split!r}: {error}") from error
    return found


def fields_of(row: Row, data: TrainingData) -> dict[str, Any]:
    """What a row shows or says, by the model's fields."""
    return {name: row[column] for name, column in data.fields.items()}


def bytes_of(row: Row, column: str) -> bytes:
    """The bytes in a column. Raises DataError when it holds something else."""
    if not isinstance(row[column], bytes):
        raise DataError(f"the column {column!r} holds {shown(row[column])}, which is no bytes")
    return bytes(row[column])
