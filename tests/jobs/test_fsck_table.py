"""What the public table tells otherwise than the records is found."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ancestral.jobs.fsck import fsck
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store
from tests.jobs.damaged import Damage, cancelled, check_found


def rewrite_part(change: Callable[[pa.Table], pa.Table]) -> Damage:
    """Changes the file of ok rows in the public table."""

    def damage(store: Store, job: Job) -> None:
        [path] = [path for path in store.list("artifacts") if "outcome=ok" in path]
        sink = pa.BufferOutputStream()
        pq.write_table(change(pq.read_table(pa.BufferReader(store.read(path)))), sink)
        store.put(path, memoryview(sink.getvalue()))

    return damage


def change_cell(table: pa.Table) -> pa.Table:
    values = table["log_likelihood_nats"].to_pylist()
    column = pa.array([*values[:5], -0.5, *values[6:]], pa.float64())
    place = table.schema.get_field_index("log_likelihood_nats")
    return table.set_column(place, table.schema.field(place), column)


def delete_part(store: Store, job: Job) -> None:
    store.delete(next(path for path in store.list("artifacts") if "outcome=failed" in path))


def add_part(store: Store, job: Job) -> None:
    path = next(path for path in store.list("artifacts") if "outcome=ok" in path)
    store.put(path.replace("part-00000", "part-00001"), store.read(path))


def garble_part(store: Store, job: Job) -> None:
    store.put(next(path for path in store.list("artifacts") if "outcome=ok" in path), b"PAR1!")


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (
            rewrite_part(lambda table: table.slice(1)),
            r"another sample, ordinal, .* of row 0 \('r0'\)",
        ),
        (rewrite_part(lambda table: table.slice(0, 20)), r"lacks row 22 \('r11'\), which is ok"),
        (rewrite_part(lambda table: table.slice(0, 20)), r"has 20 rows in place of 21"),
        (
            rewrite_part(lambda table: pa.concat_tables([table, table.slice(20)])),
            r"a row 22 that no record stands for",
        ),
        (
            rewrite_part(change_cell),
            r"another log_likelihood_nats of row 6 \('r3'\) than its index",
        ),
        (rewrite_part(lambda table: table.drop(["seed"])), r"other columns than the index"),
        (delete_part, r"outcome=failed/part-00000.parquet is not there"),
        (add_part, r"outcome=ok/part-00001.parquet is in the table, but not in the manifest"),
        (garble_part, r"outcome=ok/part-00000.parquet cannot be read"),
    ],
)
def test_damage_is_found(damage: Damage, found: str, local_store: Store) -> None:
    check_found(local_store, damage, found)


def test_a_cancelled_row_that_the_table_tells_otherwise_is_found(local_store: Store) -> None:
    job = cancelled(local_store)
    [path] = [path for path in local_store.list("artifacts") if "outcome=cancelled" in path]
    table = pq.read_table(pa.BufferReader(local_store.read(path)))
    place = table.schema.get_field_index("seed")
    column = pa.array([0] * table.num_rows, pa.int64())
    table = table.set_column(place, table.schema.field(place), column)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    local_store.put(path, memoryview(sink.getvalue()))

    report = fsck(local_store, job.job_id)

    [problem] = report.problems
    assert "another seed of row 2 ('r1')" in problem
