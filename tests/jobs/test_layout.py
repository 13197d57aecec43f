"""Every path is a pure function that stays in its folder."""

import posixpath
import re
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ancestral.jobs import layout
from ancestral.jobs.errors import PathRefused
from ancestral.jobs.index import schema
from ancestral.jobs.units import Unit

UNIT = Unit(256, 512)
ATTEMPT = "0123456789abcdef0123456789abcdef"

units = st.tuples(st.integers(0, 10**15), st.integers(1, 10**6)).map(
    lambda pair: Unit(pair[0], pair[0] + pair[1])
)
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,40}", fullmatch=True)

#: Every function that takes a text from outside, with that text as its argument.
BY_TEXT: dict[str, Callable[[str], str]] = {
    "spec_path": layout.spec_path,
    "shard_path job": lambda text: layout.shard_path(text, "s", 0),
    "shard_path submit": lambda text: layout.shard_path("job", text, 0),
    "records_folder": layout.records_folder,
    "record_path": lambda text: layout.record_path(text, UNIT),
    "splits_folder": layout.splits_folder,
    "split_path": lambda text: layout.split_path(text, UNIT),
    "epochs_folder": layout.epochs_folder,
    "epoch_path": lambda text: layout.epoch_path(text, 1),
    "intents_folder": layout.intents_folder,
    "intent_path": lambda text: layout.intent_path(text, 1),
    "cancelled_path": layout.cancelled_path,
    "submits_folder": layout.submits_folder,
    "attempts_folder": layout.attempts_folder,
    "attempt_path job": lambda text: layout.attempt_path(text, UNIT, ATTEMPT),
    "attempt_path attempt": lambda text: layout.attempt_path("job", UNIT, text),
    "manifest_path": layout.manifest_path,
    "success_path": layout.success_path,
    "pack_path job": lambda text: layout.pack_path(text, UNIT, ATTEMPT),
    "pack_path attempt": lambda text: layout.pack_path("job", UNIT, text),
    "packs_list_path": layout.packs_list_path,
    "report_path": layout.report_path,
    "artifacts_folder model": lambda text: layout.artifacts_folder(text, "2026-11-22", "job"),
    "artifacts_folder day": lambda text: layout.artifacts_folder("digits", text, "job"),
    "artifacts_folder job": lambda text: layout.artifacts_folder("digits", "2026-11-22", text),
    "part_path": lambda text: layout.part_path("artifacts", text, 0),
    "state_job_path": layout.state_job_path,
    "state_key_path": layout.state_key_path,
}


def test_a_job_lies_where_the_head_of_the_file_says() -> None:
    job = "digits-1"
    assert layout.spec_path(job) == "_jobs/digits-1/spec.json"
    assert layout.shard_path(job, "5f", 3) == "_jobs/digits-1/submits/5f/requests-00003"
    assert layout.record_path(job, UNIT) == "_jobs/digits-1/ranges/000000000256-000000000512.json"
    assert layout.split_path(job, UNIT) == "_jobs/digits-1/splits/000000000256-000000000512"
    assert layout.epoch_path(job, 12) == "_jobs/digits-1/epochs/00000012"
    assert layout.intent_path(job, 3) == "_jobs/digits-1/intents/00000003"
    assert layout.cancelled_path(job) == "_jobs/digits-1/cancelled.json"
    assert (
        layout.attempt_path(job, UNIT, ATTEMPT)
        == "_jobs/digits-1/attempts/000000000256-000000000512-01234567"
    )
    assert (
        layout.pack_path(job, UNIT, ATTEMPT)
        == "packs/digits-1/000000000256-000000000512-01234567.tar"
    )
    assert layout.packs_list_path(job) == "packs/digits-1/packs.txt"
    assert layout.report_path(job) == "reports/digits-1.html"
    assert layout.manifest_path(job) == "_jobs/digits-1/manifest.json"
    assert layout.success_path(job) == "_jobs/digits-1/_SUCCESS"
    assert (
        layout.part_path(layout.artifacts_folder("digits", "2026-11-22", job), "ok", 1)
        == "artifacts/model_name=digits/day=2026-11-22/job=digits-1/outcome=ok/part-00001.parquet"
    )


@given(names, units)
def test_records_and_markers_tell_their_unit(job_id: str, unit: Unit) -> None:
    assert layout.unit_of_name(layout.record_path(job_id, unit)) == unit
    assert layout.unit_of_name(layout.split_path(job_id, unit)) == unit


@pytest.mark.parametrize(
    "path",
    [
        "_jobs/j/ranges/notes.txt",
        "_jobs/j/ranges/000000000000-000000000004",
        "_jobs/j/splits/000000000000-000000000004.json",
        "_jobs/j/attempts/000000000000-000000000004",
        "_jobs/j/spec.json",
        "x/0-1.json",
    ],
)
def test_other_paths_tell_none(path: str) -> None:
    assert layout.unit_of_name(path) is None


@pytest.mark.parametrize("output", ["/lake", "s3://lake", "/packs/job", "file:///packs/job/packs"])
def test_a_pack_is_found_by_its_uri_wherever_it_was_written(output: str) -> None:
    path = layout.pack_path("job", UNIT, ATTEMPT)
    assert layout.pack_of("job", f"{output}/{path}") == path
    assert layout.pack_of("another", f"{output}/{path}") is None


@given(st.sets(st.integers(1, 10**9)), names)
def test_the_last_number_is_the_highest(numbers: set[int], job_id: str) -> None:
    paths = [layout.epoch_path(job_id, number) for number in numbers]
    note = f"{layout.epochs_folder(job_id)}/README"
    assert layout.last_number([note, *sorted(paths)]) == max(numbers, default=0)


@given(units, units)
def test_different_units_have_different_paths(one: Unit, other: Unit) -> None:
    paths = {layout.record_path("job", one), layout.record_path("job", other)}
    assert len(paths) == len({one, other})


@pytest.mark.parametrize("path_of", BY_TEXT.values(), ids=BY_TEXT)
@given(st.one_of(st.text(), st.text(alphabet="./%*?=[a0-9"), names))
@example("../../etc/passwd")
@example("..")
@example("a/../../b")
@example("")
@example("a\0b")
@example("a\n")
def test_no_text_leaves_its_folder(path_of: Callable[[str], str], text: str) -> None:
    # Given how deep the path is with a plain text
    plain = path_of("2026-11-22")
    # When it is made of any other, then it is refused or has the same folders and plain characters
    try:
        path = path_of(text)
    except PathRefused:
        return
    assert path.count("/") == plain.count("/")
    assert path.split("/")[0] == plain.split("/")[0]
    assert posixpath.normpath(path) == path
    assert re.fullmatch(r"[A-Za-z0-9._=/-]+", path)


@given(names, names, units)
def test_no_glob_for_parquet_files_meets_a_file_of_a_job(
    job_id: str, attempt: str, unit: Unit
) -> None:
    paths = [
        layout.spec_path(job_id),
        layout.shard_path(job_id, attempt, 0),
        layout.record_path(job_id, unit),
        layout.attempt_path(job_id, unit, attempt),
        layout.manifest_path(job_id),
        layout.success_path(job_id),
    ]
    assert not any(path.endswith(".parquet") for path in paths)


def test_hive_keys_do_not_repeat_a_column() -> None:
    path = layout.part_path(layout.artifacts_folder("digits", "2026-11-22", "job"), "ok", 0)
    keys = [segment.partition("=")[0] for segment in path.split("/") if "=" in segment]
    assert keys == ["model_name", "day", "job", "outcome"]
    assert not set(keys) & set(schema({"fields": {}}).names)


def test_an_idempotency_key_is_not_seen_in_its_path() -> None:
    path = layout.state_key_path("2026-11-22/voices")
    assert re.fullmatch(r"keys/[0-9a-f]{64}", path)
    assert path != layout.state_key_path("2026-11-22/digits")
