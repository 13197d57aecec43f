"""A job into an Iceberg table: its rows are appended to it, in one transaction.

The table is `namespace.name` of the catalog that PyIceberg's own configuration names. Its
properties keep the names of the rows that were appended, longer than any snapshot lives, so that
they are in it once. Columns that it does not have are added to it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ancestral.jobs.errors import JobError, StoreUnavailable, UsageError
from ancestral.jobs.export_errors import not_installed, quoted
from ancestral.jobs.export_rows import FinishedJob, Outcome, Passed

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

#: Rows that are appended at a time, all of them in one transaction: each makes files of its own.
APPEND_ROWS = 250_000


def export_iceberg(
    finished: FinishedJob, name: str, outcomes: Sequence[Outcome], passed: Passed
) -> tuple[str, int]:
    """Where the table is, and how many rows were appended to it. Makes the table if there is none.

    Raises UsageError when the library is not installed or finds no catalog, or when a column of the
    table has another type, and StoreError.
    """
    try:
        from pyiceberg.catalog import load_catalog
    except ImportError as error:
        raise not_installed("pyiceberg") from error

    namespace = tuple(name.split(".")[:-1])
    if not namespace or not all(name.split(".")):
        raise UsageError(f"an Iceberg table is called NAMESPACE.NAME, not {name!r}")
    with _foreign_errors(name), _opened(load_catalog) as catalog:
        # Each try to create what is there would leave a file behind.
        if not catalog.table_exists(name):
            catalog.create_namespace_if_not_exists(namespace)
            catalog.create_table_if_not_exists(name, finished.columns("doc"))
        table = catalog.load_table(name)
        names = {outcome: finished.name(outcome) for outcome in outcomes}
        missing = [each for each in outcomes if names[each] not in table.properties]
        rows = sum(map(finished.rows, missing))
        passed(sum(map(finished.rows, outcomes)) - rows)
        if rows:
            _append(table, finished, {outcome: names[outcome] for outcome in missing}, passed)
        return table.location(), rows


def _opened(load_catalog: Callable[[], Catalog]) -> Catalog:
    from pyiceberg.exceptions import NotInstalledError

    try:
        return load_catalog()
    except (ValueError, NotInstalledError) as error:
        raise UsageError(f"PyIceberg's configuration: {quoted(error)}") from error


def _append(
    table: Table, finished: FinishedJob, names: Mapping[Outcome, str], passed: Passed
) -> None:
    # Of our copy alone: a commit that was tried again would append to what somebody else, who
    # exported the same job, has appended meanwhile.
    table.metadata.properties["commit.retry.num-retries"] = "0"
    columns = finished.columns("doc", {field.name for field in table.schema().fields})
    with table.transaction() as transaction:
        with transaction.update_schema() as update:
            update.union_by_name(columns)
        for outcome in names:
            for part in finished.tables(outcome, APPEND_ROWS):
                transaction.append(part.cast(columns))
                passed(part.num_rows)
        transaction.set_properties(dict.fromkeys(names.values(), finished.manifest.finished_at))


@contextlib.contextmanager
def _foreign_errors(name: str) -> Iterator[None]:
    from pyiceberg.exceptions import CommitFailedException, ValidationError

    try:
        yield
    except JobError:
        raise
    except CommitFailedException as error:
        raise StoreUnavailable(
            f"{name}: somebody else wrote to the table at the same time; export again"
        ) from error
    except (ValidationError, ValueError) as error:
        raise UsageError(
            f"{name}: {quoted(error)}: export the job to a table of its own"
        ) from error
    # A catalog raises what its own library does: of SQL, Hive, Glue, ...
    except Exception as error:
        raise StoreUnavailable(
            f"cannot write to the Iceberg table {name}: {quoted(error)}"
        ) from error
