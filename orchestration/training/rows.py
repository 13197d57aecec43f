"""The rows of a recipe's table, read by whoever wants something of them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import accumulate
from typing import Any, TypeVar

from ancestral.jobs.datasets import read_group, row_groups
from ancestral.jobs.numbers import plain_number, whole
from ancestral.jobs.recipe import TrainingData
from ancestral.jobs.wording import shown
from ancestral.models.errors import DataError
from ancestral.orchestration.training.deal import Size, Span
from ancestral.orchestration.training.tables import table_uri

Row = Mapping[str, Any]
T = TypeVar("T")


class Rows:
    """The rows to learn from, or those that are held out, by their numbers in that split: any of
    them, whenever they are wanted.

    A row holds `columns` and those of the fields. Raises SpecError when there is no such file,
    column or row.
    """

    def __init__(
        self, data: TrainingData, columns: Sequence[str], *, held_out: bool = False
    ) -> None:
        self._uri = table_uri(data.path)
        self._split = data.held_out if held_out else "train"
        self._columns = list(dict.fromkeys([*columns, *data.fields.values()]))
        self._groups = row_groups(self._uri, self._columns, split=self._split)
        self._firsts = list(accumulate(map(len, self._groups), initial=0))

    def __len__(self) -> int:
        return self._firsts[-1]

    @property
    def sizes(self) -> list[Size]:
        """Of each row group."""
        return [Size(len(group), group.bytes) for group in self._groups]

    def read(self, spans: Iterable[Span], read: Callable[[Row], T]) -> Iterator[tuple[int, T]]:
        """The numbers of the rows in these spans, each with what `read` makes of the row.

        Raises DataError, which names the row, when a column holds nothing in it or when `read`
        raises one.
        """
        for span in spans:
            rows = read_group(self._groups[span.group], self._columns, span.start, span.stop)
            for number, row in enumerate(rows, self._firsts[span.group] + span.start):
                try:
                    for column in self._columns:
                        if row[column] is None:
                            raise DataError(f"the column {column!r} holds nothing")
                    made = read(row)
                except DataError as error:
                    raise DataError(f"{self.place(number)}: {error}") from error
                yield number, made

    def place(self, number: int) -> str:
        """How a row is called in a message: by its file, and by its number there."""
        index = bisect_right(self._firsts, number) - 1
        group = self._groups[index]
        row = group.before + int(group.places[number - self._firsts[index]])
        return f"{group.uri}, row {row} counted from 0"


def read_rows(
    data: TrainingData,
    columns: Sequence[str],
    read: Callable[[Row], T],
    *,
    held_out: bool = False,
) -> list[T]:
    """What `read` makes of each row to learn from, or of each that is held out.

    Raises what `Rows` and its `read` do.
    """
    rows = Rows(data, columns, held_out=held_out)
    return [made for _, made in rows.read(all_spans(rows.sizes), read)]


def all_spans(sizes: Sequence[Size]) -> list[Span]:
    """Every row, in order."""
    return [Span(group, 0, size.rows) for group, size in enumerate(sizes)]


def fields_of(row: Row, data: TrainingData) -> dict[str, Any]:
    """What a row shows or says, by the model's fields; 7.0 is 7 and a Decimal a number, as in
    requests."""
    return {name: _value(row[column]) for name, column in data.fields.items()}


def _value(value: object) -> Any:
    if isinstance(value, list) and value and isinstance(value[0], Decimal):
        return [plain_number(part) for part in value]
    if isinstance(value, Decimal):
        return plain_number(value)
    number = whole(value)
    return value if number is None else number


def bytes_of(row: Row, column: str) -> bytes:
    """The bytes in a column. Raises DataError when it holds something else."""
    if not isinstance(row[column], bytes):
        raise DataError(f"the column {column!r} holds {shown(row[column])}, which is no bytes")
    return bytes(row[column])
