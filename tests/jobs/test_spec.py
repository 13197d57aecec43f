"""The spec that people write, and the job that it becomes."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ancestral.jobs.errors import CorruptObject, SpecError
from ancestral.jobs.spec import Job, JobSpec, ModelReference, Shard, load_spec
from ancestral.jobs.units import Unit

LEAST: dict[str, Any] = {
    "name": "digits",
    "model": "digits@latest",
    "input": "requests.jsonl",
    "output": "out",
}


def job_of(rows: int, unit_rows: int) -> Job:
    return Job(
        job_id="j",
        spec=load_spec(LEAST),
        model=ModelReference(name="digits", uri="/m", digest="d" * 64, family="f"),
        signature={"medium": "image", "levels": 2, "shape": [4, 4], "fields": {}},
        requests=rows,
        rows=rows,
        unit_rows=unit_rows,
        shards=(Shard(path="p", first_request=0, requests=rows, sha256="s" * 64),),
        inputs=(),
        submitted_at="2026-11-22T15:30:12Z",
    )


def test_what_is_left_out_has_a_default() -> None:
    spec = load_spec(LEAST)
    assert spec.sampling.model_dump() == {
        "seed": 0,
        "samples": 1,
        "temperature": 1.0,
        "top_k": None,
        "top_p": None,
        "precision": "float32",
        "tiles": "many",
    }
    assert spec.media.model_dump() == {
        "image": "png",
        "audio": "flac",
        "video": "webp",
        "series": "npy",
        "layout": "packed",
    }
    assert (spec.on_invalid, spec.priority, spec.max_attempts) == ("reject", 0, 2)
    assert spec.deadline is None


def test_a_file_a_dict_and_a_spec_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(
        "name: digits\nmodel: digits\ngrid: {label: [0, 1]}\noutput: out\n"
        "sampling: {seed: 7, samples: 4, temperature: 0.9}\n"
    )
    spec = load_spec(path)
    assert spec.sampling.samples == 4
    assert load_spec(str(path)) == spec
    assert load_spec(spec.model_dump()) == spec
    assert load_spec(spec) is spec


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"sampling": {"sed": 1}}, "unknown key 'sampling.sed'; did you mean 'seed'?"),
        ({"inputs": "x"}, "unknown key 'inputs'; did you mean 'input'?"),
        ({"kind": "finish"}, "'kind' should be 'generate', 'complete', 'reconstruct' or 'score'"),
        ({"input": None}, "give exactly one of 'input' and 'grid'"),
        ({"grid": {"label": [1]}}, "give exactly one of 'input' and 'grid'"),
        ({"input": None, "grid": {"label": []}}, "'grid.label' should hold at least one value"),
        ({"input": None, "grid": {"request_id": ["a"]}}, "a grid numbers its requests"),
        (
            {"input": None, "grid": {"label": [1, float("nan")]}},
            "'grid.label.1' should be a text or a finite number, not nan",
        ),
        ({"input": None, "grid": {"label": [None]}}, "'grid.label.0' should be a text"),
        ({"input": None, "grid": {"z": [[0.5, float("inf")]]}}, "'grid.z.0' should be a text"),
        ({"input": None, "grid": {"prefix": [{"uri": None}]}}, "'grid.prefix.0' should be a text"),
        ({"sampling": {"seed": -1}}, "'sampling.seed' should be greater than or equal to 0"),
        ({"sampling": {"seed": 2**63}}, "'sampling.seed' should be less than"),
        ({"sampling": {"temperature": 0}}, "'sampling.temperature' should be greater"),
        ({"sampling": {"temperature": float("inf")}}, "'sampling.temperature' should be"),
        (
            {"sampling": {"precision": "float16"}},
            "'sampling.precision' should be 'float32' or 'bfloat16', not 'float16'",
        ),
        ({"sampling": {"tiles": "few"}}, "'sampling' asks for tiles of few rows in float32"),
        ({"sampling": {"samples": 0}}, "'sampling.samples' should be greater"),
        ({"sampling": {"top_k": True}}, "'sampling.top_k' should be a valid integer, not True"),
        ({"sampling": {"temperature": True}}, "'sampling.temperature' should be a valid number"),
        ({"sampling": {"temperature": "0.9"}}, "'sampling.temperature' should be a valid number"),
        ({"sampling": {"top_p": "0.9"}}, "'sampling.top_p' should be a valid number, not '0.9'"),
        ({"gates": {"silence_dbfs": False}}, "'gates.silence_dbfs' should be a valid number"),
        ({"gates": {"clipped_share": 1}}, "'gates.clipped_share' should be less than 1"),
        ({"gates": {"clipped_share": -0.1}}, "'gates.clipped_share' should be greater"),
        ({"gates": {"shortest_seconds": 0}}, "'gates.shortest_seconds' should be greater than 0"),
        ({"gates": {"longest_seconds": True}}, "'gates.longest_seconds' should be a valid number"),
        (
            {"gates": {"shortest_seconds": 3, "longest_seconds": 2.5}},
            "'gates' lets no sound pass: 'shortest_seconds', 3, should be at most "
            "'longest_seconds', 2.5",
        ),
        ({"gates": {"constant_image": 1}}, "'gates.constant_image' should be a valid boolean"),
        ({"unit": {"rows": True}}, "'unit.rows' should be a valid integer, not True"),
        ({"sampling": {"top_p": 1.5}}, "'sampling.top_p' should be less than or equal to 1"),
        ({"media": {"image": "gif"}}, "'media.image' should be 'png' or 'webp', not 'gif'"),
        ({"media": {"video": "avi"}}, "'media.video' should be 'webp' or 'mp4', not 'avi'"),
        ({"unit": {"rows": 0}}, "'unit.rows' should be greater"),
        *(
            (
                {"deadline": wrong},
                "'deadline' should be a time such as 90s, 30m, 2h or 1d, of up to 1000 days, not "
                f"{wrong!r}",
            )
            for wrong in ("soon", "", "0s", "-1h", "1001d", "9" * 20 + "d", 90, 1.5, True)
        ),
        ({"unit": {"rows": 65_537}}, "'unit.rows' should be less than or equal to 65536"),
        ({"name": ""}, "'name'"),
        ({"name": " "}, "'name' should be a text that can be read in one line, not ' '"),
        ({"name": "red\x1b[31m"}, "can be read in one line, not 'red\\x1b[31m'"),
        ({"name": "two\nlines"}, "can be read in one line, not 'two\\nlines'"),
        ({"name": "two\u2028lines"}, "can be read in one line, not 'two\\u2028lines'"),
        ({"name": "digits\u202egnp"}, "can be read in one line, not 'digits\\u202egnp'"),
        ({"name": "\u00a0\u200d"}, "can be read in one line, not '\\xa0\\u200d'"),
    ],
)
def test_a_wrong_spec_is_refused_in_one_sentence(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_spec({**LEAST, **change})
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["می\u200cخواهم", "👩\u200d🔬", "digits\u00a01", "Zahlen ä"])
def test_a_name_is_written_as_people_write(name: str) -> None:
    assert load_spec({**LEAST, "name": name}).name == name


def test_the_sentence_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text("name: digits\nmodell: digits\n")
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    assert str(caught.value).startswith(f"{path}: unknown key 'modell'; did you mean 'model'?")


@pytest.mark.parametrize("key", ["model", "input", "output"])
def test_a_password_in_a_uri_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_spec({**LEAST, key: "s3://me:open-sesame@lake/voices"})
    assert "environment" in str(caught.value)
    assert "open-sesame" not in str(caught.value)
    assert "open-sesame" not in str(caught.value.__cause__)


@pytest.mark.parametrize(
    "uri",
    [
        "zip://a.csv::https://me:open-sesame@host/a.zip",
        "simplecache::s3://me:open-sesame@lake/a.csv",
        "https://open-sesame@host/a.csv",
        "HTTP://open-sesame@host",
    ],
)
def test_no_link_of_a_chain_carries_a_password_and_none_over_http_a_token(uri: str) -> None:
    with pytest.raises(SpecError, match="carries a password") as caught:
        load_spec({**LEAST, "input": uri})
    assert "open-sesame" not in str(caught.value)


@pytest.mark.parametrize("uri", ["zip://a@b.csv::https://host/a.zip", "sftp://me@host/a.csv"])
def test_a_user_without_a_password_is_none(uri: str) -> None:
    assert load_spec({**LEAST, "input": uri}).input == uri


@pytest.mark.parametrize(
    "uri",
    [
        "s3://lake/a:b@c",
        "a:b@c",
        "s3://lake@7/x",
        "https://host?email=a@b.c",
        "https://host#a:b@c",
        "https://host/a.csv?email=a:b@c",
    ],
)
def test_a_colon_and_an_at_elsewhere_are_no_password(uri: str) -> None:
    assert load_spec({**LEAST, "output": uri}).output == uri


def test_bodies_are_equal_when_specs_ask_for_the_same() -> None:
    written_out = {**LEAST, "sampling": {"temperature": 1, "seed": 0}, "priority": 0}
    assert load_spec(LEAST).body() == load_spec(written_out).body()
    assert load_spec(LEAST).body() != load_spec({**LEAST, "priority": 1}).body()


def test_what_numpy_and_paths_say_is_the_same_as_plain_values() -> None:
    plain = {
        "model": "models/digits",
        "input": None,
        "output": "lake",
        "grid": {
            "label": [0, 1, 2],
            "seed": [1, 7],
            "guidance": [0.5, 2],
            "speed": [0.25],
            "place": [[0.5, 1.0], [1, 2]],
            "prefix": ["half.png"],
        },
        "sampling": {"seed": 7, "samples": 3, "top_k": 5},
        "unit": {"rows": 4},
        "priority": -2,
        "max_attempts": 3,
    }
    given = {
        "model": Path("models/digits"),
        "input": None,
        "output": Path("lake"),
        "grid": {
            "label": range(3),
            "seed": np.array([1, 7]),
            "guidance": (Decimal("0.50"), Decimal("2.0")),
            "speed": [np.float32(0.25)],
            "place": [np.array([0.5, 1.0]), (np.int64(1), np.uint8(2))],
            "prefix": [Path("half.png")],
        },
        "sampling": {"seed": np.int64(7), "samples": np.int32(3), "top_k": np.uint8(5)},
        "unit": {"rows": np.int16(4)},
        "priority": np.int64(-2),
        "max_attempts": np.int64(3),
    }
    assert load_spec({**LEAST, **given}).body() == load_spec({**LEAST, **plain}).body()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({1, 2}, "'grid.label' should be a list: a set has no order"),
        (frozenset([1]), "'grid.label' should be a list: a set has no order"),
        ([{1, 2}], "'grid.label.0' should be a text or a finite number, not {1, 2}"),
        ([np.float64], "'grid.label.0' should be a text or a finite number, not <class"),
        ([np.float64("nan")], "'grid.label.0' should be a text or a finite number, not nan"),
        ([Decimal("Infinity")], "'grid.label.0' should be a text or a finite number, not Decimal"),
        (np.int64(7), "'grid.label' should be a valid list, not 7"),
    ],
)
def test_a_grid_holds_lists_of_texts_and_numbers(values: object, sentence: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_spec({**LEAST, "input": None, "grid": {"label": values}})
    assert str(caught.value).startswith(f"the job: {sentence}")


def test_the_order_of_a_grid_is_part_of_what_is_asked_for() -> None:
    grids = [{"a": [1], "b": [2, 3]}, {"b": [2, 3], "a": [1]}]
    first, second = (load_spec({**LEAST, "input": None, "grid": grid}) for grid in grids)
    assert first.body() != second.body()
    again = JobSpec.model_validate_json(first.body())
    assert list(again.grid or {}) == ["a", "b"]


@given(
    st.lists(
        st.one_of(
            st.integers(),
            st.booleans(),
            st.text(st.characters(exclude_categories=["Cs"])),
            st.floats(allow_nan=False, allow_infinity=False),
            st.lists(st.floats(allow_nan=False, allow_infinity=False)),
            st.fixed_dictionaries({"uri": st.just("packs/0.tar"), "offset": st.integers()}),
        ),
        min_size=1,
    )
)
def test_a_spec_survives_json(values: list[Any]) -> None:
    spec = load_spec({**LEAST, "input": None, "grid": {"label": values}})
    again = JobSpec.model_validate_json(spec.body())
    assert again.body() == spec.body()
    assert [type(value) for value in (again.grid or {})["label"]] == [type(v) for v in values]


def test_a_request_of_a_child_is_one_row() -> None:
    spec = load_spec({**LEAST, "sampling": {"samples": 4}})
    parent = job_of(8, 2).model_copy(update={"spec": spec})
    child = parent.model_copy(update={"parent": "j"})

    assert (parent.samples, child.samples) == (4, 1)
    assert Job.from_json(child.to_json(), "spec.json") == child


def test_a_deadline_is_so_long_after_the_submission() -> None:
    job = job_of(8, 2)
    assert job.deadline_at is None

    job = job.model_copy(update={"spec": load_spec({**LEAST, "deadline": "1.5h"})})
    assert job.deadline_at == datetime(2026, 11, 22, 17, 0, 12, tzinfo=UTC)
    assert Job.from_json(job.to_json(), "spec.json").deadline_at == job.deadline_at

    child = job.model_copy(update={"parent": "j", "submitted_at": "2026-11-30T00:00:00Z"})
    assert child.deadline_at == datetime(2026, 11, 30, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize("deadline", ["90s", "0.5 m", "1000d", "7"])
def test_a_deadline_is_written_as_a_time(deadline: str) -> None:
    assert load_spec({**LEAST, "deadline": deadline}).deadline == deadline


def test_the_table_lies_under_the_day_of_submission() -> None:
    folder = job_of(8, 2).table_folder
    assert folder == "artifacts/model_name=digits/day=2026-11-22/job=j"


def test_a_job_survives_json() -> None:
    job = job_of(1000, 256)
    assert Job.from_json(job.to_json(), "spec.json") == job


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b'{"job_id": "j"}', b"[1]"])
def test_what_is_no_job_is_corrupt(data: bytes) -> None:
    with pytest.raises(CorruptObject, match=r"^/lake/spec.json is not a spec.json of ours: b"):
        Job.from_json(data, "/lake/spec.json")


def test_units_cut_the_rows() -> None:
    assert list(job_of(600, 256).units()) == [Unit(0, 256), Unit(256, 512), Unit(512, 600)]


@given(rows=st.integers(1, 5000), unit_rows=st.integers(1, 600))
def test_every_row_is_in_one_unit(rows: int, unit_rows: int) -> None:
    units = list(job_of(rows, unit_rows).units())
    assert [row for unit in units for row in range(unit.start, unit.end)] == list(range(rows))
    assert all(unit.rows == unit_rows for unit in units[:-1])
