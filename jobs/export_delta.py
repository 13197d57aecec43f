"""A job into a Delta table: its rows are appended to it, in one transaction.

    _delta_log/00000000000000000042.json    add part-...parquet; txn "ancestral/{job}/.../ok"

The table remembers the transaction by the name of the rows, so that they are in it once, whoever
exports them, how often, and how many at once. Columns that it does not have are added to it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa

from ancestral.jobs.errors import JobError, StoreDenied, StoreUnavailable, UsageError
from ancestral.jobs.export_errors import not_installed, quoted
from ancestral.jobs.export_rows import FinishedJob, Outcome, Passed
from ancestral.jobs.store import open_output

#: Rows that are handed over at a time.
BATCH_ROWS = 50_000

#: Each transaction has a number; ours happen once.
VERSION = 0


def export_delta(
    finished: FinishedJob, uri: str, outcomes: Sequence[Outcome], passed: Passed
) -> tuple[str, int]:
    """Where the table is, and how many rows were appended to it. Makes the table if there is none.

    Raises UsageError when the library is not installed, or a column of the table has another type,
    and StoreError.
    """
    try:
        import deltalake
    except ImportError as error:
        raise not_installed("deltalake") from error

    place = open_output(uri)
    # A store that cannot be read says so in our words.
    place.exists("_delta_log/_last_checkpoint")
    options = {"allow_http": "true"} if place.uri.startswith("s3") else None
    with _foreign_errors(place.uri):
        if not deltalake.DeltaTable.is_deltatable(place.uri, options):
            deltalake.DeltaTable.create(
                place.uri, finished.columns("comment"), mode="ignore", storage_options=options
            )
        table = deltalake.DeltaTable(place.uri, storage_options=options)
        names = {outcome: finished.name(outcome) for outcome in outcomes}
        missing = [each for each in outcomes if table.transaction_version(names[each]) is None]
        rows = sum(map(finished.rows, missing))
        passed(sum(map(finished.rows, outcomes)) - rows)
        if rows:
            known = {field.name: field.type for field in table.schema().fields}
            columns = finished.columns("comment", known)
            _check_types(place.uri, deltalake.Schema.from_arrow(columns), known)
            transactions = [deltalake.Transaction(names[each], VERSION) for each in missing]
            _append(table, _Stream(finished, missing, columns, passed), transactions)
    return place.uri, rows


class _Stream:
    """The rows in batches, as the library takes them; it can be stopped from another thread."""

    def __init__(
        self,
        finished: FinishedJob,
        outcomes: Sequence[Outcome],
        columns: pa.Schema,
        passed: Passed,
    ) -> None:
        self._finished = finished
        self._outcomes = outcomes
        self._columns = columns
        self._passed = passed
        self.stopped = threading.Event()
        #: Why it broke off: the library tells it in words of its own.
        self.problem: JobError | None = None

    def reader(self) -> pa.RecordBatchReader:
        return pa.RecordBatchReader.from_batches(self._columns, self._batches())

    def _batches(self) -> Iterator[pa.RecordBatch]:
        try:
            for outcome in self._outcomes:
                for table in self._finished.tables(outcome, BATCH_ROWS):
                    if self.stopped.is_set():
                        raise InterruptedError
                    yield from table.cast(self._columns).to_batches()
                    self._passed(table.num_rows)
        except JobError as error:
            self.problem = error
            raise


def _append(table: Any, stream: _Stream, transactions: Sequence[Any]) -> None:
    """To the version of the table that was looked at: of two who append the same at once, one
    fails."""
    import deltalake

    def write() -> None:
        deltalake.write_deltalake(
            table,
            stream.reader(),
            mode="append",
            schema_mode="merge",
            commit_properties=deltalake.CommitProperties(app_transactions=list(transactions)),
        )

    # The library hears of no Ctrl-C before it is done, but this thread does.
    with ThreadPoolExecutor(1) as pool:
        try:
            pool.submit(write).result()
        except BaseException:
            stream.stopped.set()
            if stream.problem is not None:
                raise stream.problem from None
            raise


def _check_types(uri: str, ours: Any, known: dict[str, Any]) -> None:
    """Raises UsageError where the library would turn our values into those of the table."""
    for field in ours.fields:
        standing = known.get(field.name, field.type)
        if standing != field.type:
            raise UsageError(
                f"{uri} has the column {field.name!r} as {_said(standing)}, and the job as "
                f"{_said(field.type)}: export the job to a table of its own"
            )


def _said(kind: Any) -> str:
    return str(getattr(kind, "type", kind))


@contextlib.contextmanager
def _foreign_errors(uri: str) -> Iterator[None]:
    from deltalake.exceptions import CommitFailedError, DeltaError

    try:
        yield
    except CommitFailedError as error:
        raise StoreUnavailable(
            f"{uri}: somebody else wrote to the table at the same time; export again"
        ) from error
    except (DeltaError, OSError) as error:
        words = quoted(error)
        # What is wrong with a folder, with rights or with a table stays so.
        passing = isinstance(error, OSError) and "://" in uri and "privileges" not in words
        kind = StoreUnavailable if passing else StoreDenied
        raise kind(f"cannot write to the Delta table {uri}: {words}") from error
