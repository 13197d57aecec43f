"""The page of the index names every column, as it is in the schema, and every path, and no more."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from ancestral.jobs import layout
from ancestral.jobs.index import ATTEMPT_FIELDS, CONDITION_PREFIX, schema
from ancestral.jobs.records import STATUS_LETTERS
from ancestral.jobs.units import Unit
from ancestral.workers.here import run_here
from tests.workers.toys import Toys

PAGE = Path(__file__).parents[1] / "docs" / "index.md"
TEXT = PAGE.read_text(encoding="utf-8")

UNIT = Unit(0, 256)

#: The one line for columns that each model has of its own.
CONDITIONS = f"{CONDITION_PREFIX}<field>"


def rows() -> list[list[str]]:
    """The cells of the table of columns."""
    (table,) = re.findall(r"^\| column .*\n\|[-|]+\n((?:\|.*\n)+)", TEXT, re.M)
    return [re.split(r"\s*\|\s*", line)[1:-1] for line in table.splitlines()]


def drawing() -> str:
    (block,) = re.findall(r"```text\n(.*?)```", TEXT, flags=re.S)
    return str(block)


def drawn_paths() -> list[str]:
    """The paths of the drawing as patterns; a line goes on where it begins in the one above."""
    paths, above = [], ""
    for line in drawing().splitlines():
        if line.startswith("    "):
            path = re.split(r"\s{2,}", line.strip())[0]
            above = above[: len(line) - len(line.lstrip())].ljust(4) + path
            paths.append(re.sub(r"\{[^}]*\}|(?<==)(?=/)|0{5}", "[^/]+", above.strip()))
    return paths


def test_every_column_is_named_in_its_order_with_its_type() -> None:
    # Given the columns of a model that can be asked for one thing
    fields = {"label": {"type": "category", "values": [0, 1]}}
    columns = schema({"medium": "image", "levels": 2, "shape": [1, 1], "fields": fields})

    # Then each has its line, and whether it can be null
    said = [(name.strip("`"), kind.strip("`"), null) for name, kind, _, null in rows()]
    named = [name for name, _, _ in said]
    assert named == [name.replace("condition_label", CONDITIONS) for name in columns.names]
    for name, kind, null in said:
        if name != CONDITIONS:
            assert kind == str(columns.field(name).type), name
            assert (null == "never") == (not columns.field(name).nullable), name


def test_the_columns_that_may_differ_begin_where_the_page_says() -> None:
    (first,) = re.findall(r"From `(\w+)` on,\s+columns\s+may\s+differ", TEXT)

    assert first == ATTEMPT_FIELDS[0].name


def test_every_status_is_named() -> None:
    what = {name.strip("`"): what for name, _, what, _ in rows()}["status"]

    assert re.findall("`(.*?)`", what) == [*STATUS_LETTERS, "cancelled"]


def test_the_drawing_is_that_of_the_code() -> None:
    head = inspect.cleandoc(layout.__doc__ or "")
    ours = "\n".join(line.removeprefix("    ") for line in head.splitlines())

    assert drawing() in ours + "\n"


def test_a_row_is_drawn_again_as_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a job, and the page's example, which draws its first row
    toys = Toys(tmp_path)
    monkeypatch.setenv("ANCESTRAL_HOME", str(toys.settings.home))
    monkeypatch.setenv("ANCESTRAL_STATE", toys.settings.state_uri)
    toys.sampling = {"seed": 7, "samples": 2, "temperature": 0.9, "top_k": 3}
    rows = run_here(toys.spec("sounds"), settings=toys.settings).table().to_pylist()
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, flags=re.S)

    # When each row is drawn so, and compared with its digest
    drawn = []
    for number, row in enumerate(rows):
        values: dict[str, Any] = {"job_id": row["job_id"]}
        exec(example.replace("to_pylist()[0]", f"to_pylist()[{number}]"), values)
        drawn.append((values["drawn"], values["row"]))

    # Then its likelihood is the row's, too, and there are rows to tell apart
    assert len({row["symbols_sha256"] for row in rows}) == len(drawn) == 12
    for again, row in drawn:
        assert again.log_likelihood_nats == row["log_likelihood_nats"]


@pytest.mark.parametrize(
    "path",
    [
        layout.spec_path("job"),
        layout.shard_path("job", "5f", 0),
        layout.record_path("job", UNIT),
        layout.split_path("job", UNIT),
        layout.attempt_path("job", UNIT, "0123456789abcdef"),
        layout.epoch_path("job", 1),
        layout.intent_path("job", 1),
        layout.cancelled_path("job"),
        layout.manifest_path("job"),
        layout.success_path("job"),
        layout.pack_path("job", UNIT, "0123456789abcdef"),
        layout.packs_list_path("job"),
        layout.report_path("job"),
        layout.part_path(layout.artifacts_folder("digits", "2026-11-22", "job"), "ok", 0),
        layout.state_job_path("job"),
        layout.state_key_path("key"),
    ],
)
def test_every_path_is_drawn(path: str) -> None:
    assert [pattern for pattern in drawn_paths() if re.fullmatch(pattern, path)]
