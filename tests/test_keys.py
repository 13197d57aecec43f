"""The pages of job files and of recipes name every key, what it takes and its default, and no more;
what stands there as an example works."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ancestral.jobs.recipe import Recipe, Training, read_recipe
from ancestral.jobs.registry import Registry
from ancestral.jobs.settings import SHIPPED_MODELS
from ancestral.jobs.spec import JobSpec, load_spec
from ancestral.models import FAMILIES
from ancestral.models.errors import ConditionError
from ancestral.models.train_settings import TrainSettings
from ancestral.orchestration.training.completion import complete, listed_fields
from ancestral.orchestration.training.examples import Events, network
from ancestral.orchestration.training.run import check_training, plan_training
from tests.models import laws
from tests.models.nets import Case, all_cases

DOCS = Path(__file__).parents[1] / "docs"
PAGES: dict[str, type[BaseModel]] = {"job.md": JobSpec, "recipe.md": Recipe}


def text_of(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def rows(page: str, head: str) -> list[list[str]]:
    """The cells of the table that begins with this head."""
    (table,) = re.findall(rf"^\| {re.escape(head)}.*\n\|[-|]+\n((?:\|.*\n)+)", text_of(page), re.M)
    return [re.split(r"\s*\|\s*", line)[1:-1] for line in table.splitlines()]


def code_block(page: str, language: str, number: int = 0) -> str:
    return str(re.findall(rf"```{language}\n(.*?)```", text_of(page), flags=re.S)[number])


def types_in(annotation: object) -> Iterator[object]:
    """A type and those that it is made of."""
    yield annotation
    for part in get_args(annotation):
        yield from types_in(part)


def document_in(field: FieldInfo) -> type[BaseModel] | None:
    """What stands below a key, if that are keys of its own."""
    kinds = types_in(field.annotation)
    return next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), None)


def keys_of(document: type[BaseModel], above: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every key with its field, those of documents within it as `outer.inner`."""
    for name, field in document.model_fields.items():
        yield above + name, field
        if (inner := document_in(field)) is not None:
            yield from keys_of(inner, f"{above}{name}.")


def default_of(field: FieldInfo) -> str:
    """How a page says a default; a document whose keys all have their own says none."""
    if field.is_required():
        return "required"
    if isinstance(field.default, BaseModel):
        return ""
    return f"`{yaml.safe_dump(field.default).splitlines()[0]}`"


@pytest.mark.parametrize("page", PAGES)
def test_every_key_is_named_with_its_default_and_no_other(page: str) -> None:
    named = {row[0].strip("`"): re.sub(r" \(.*\)$", "", row[2]) for row in rows(page, "key")}

    assert named == {key: default_of(field) for key, field in keys_of(PAGES[page])}


@pytest.mark.parametrize("page", PAGES)
def test_every_choice_is_named(page: str) -> None:
    types = {row[0].strip("`"): row[1] for row in rows(page, "key")}
    for key, field in keys_of(PAGES[page]):
        choices = [
            choice
            for kind in types_in(field.annotation)
            if get_origin(kind) is Literal
            for choice in get_args(kind)
        ]
        if choices:
            assert re.findall("`(.*?)`", types[key]) == choices, key


def test_what_the_trainer_takes_for_null_is_true() -> None:
    left_to_it = {field.name: field.default for field in dataclasses.fields(TrainSettings)}
    said = {row[0].strip("`"): row[2] for row in rows("recipe.md", "key")}

    for name in left_to_it.keys() & Training.model_fields.keys():
        value = left_to_it[name]
        shown = f"({value})" if not isinstance(value, str) else f"(`{value}`)"
        assert said[f"training.{name}"] == ("`null`" if value is None else f"`null` {shown}")


def test_the_families_are_named_with_what_they_need() -> None:
    said = {
        row[0].strip("`"): (re.findall("`(.*?)`", row[1]), *re.findall(r"\[(.*)\]\((.*)\)", row[2]))
        for row in rows("recipe.md", "family")
    }

    assert said.keys() == FAMILIES.keys()
    for name, (needed, (config, file)) in said.items():
        fields = dataclasses.fields(FAMILIES[name].config)
        missing = dataclasses.MISSING
        assert needed == [
            each.name
            for each in fields
            if each.default is missing and each.default_factory is missing
        ]
        assert config == FAMILIES[name].config.__name__
        assert f"class {config}" in (DOCS / file).read_text(encoding="utf-8")


def test_the_fields_of_families_are_named_and_no_other() -> None:
    told = {row[0].strip("`"): fields_named(row[3]) for row in rows("recipe.md", "family")}

    wanted = {name: set(listed_fields(name)) for name in FAMILIES}
    for case in all_cases().values():
        wanted[case.net.family] |= shown_by_rows(case)
    assert told == wanted


def fields_named(cell: str) -> set[str]:
    """Those in a cell like "`a`; `b`, where the key `c` says how large it is"."""
    parts = [part.partition(", where ")[0] for part in cell.split(";")]
    return {name for part in parts for name in re.findall("`(.*?)`", part)}


def shown_by_rows(case: Case) -> set[str]:
    """The fields that have to be told of an event that a network learns from."""
    fields = case.requests[0]
    event = laws.random_event(case.net, fields, seed=0)[0]

    def fits(told: Mapping[str, Any]) -> bool:
        try:
            case.net.example(event, told)
        except ConditionError:
            return False
        return True

    without = {name: {k: v for k, v in fields.items() if k != name} for name in fields}
    return {name for name in fields if fits(fields) and not fits(without[name])}


def test_the_job_is_a_job() -> None:
    spec = load_spec(yaml.safe_load(code_block("job.md", "yaml")))

    assert (spec.sampling.samples, spec.media.image, spec.unit.rows) == (100, "webp", 50)


def test_the_recipe_learns_from_the_table_that_is_made_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given ten images and their labels
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (10, 28, 28), dtype=np.uint8)

    # When the table is made as the page says, and the page's recipe reads it
    labels = [number // 2 for number in range(10)]
    exec(code_block("recipe.md", "python"), {"images": images, "labels": labels})
    recipe = complete(read_recipe(yaml.safe_load(code_block("recipe.md", "yaml"))))
    net = network(recipe)
    learnt, held_out = (Events(recipe, net.signature, held_out=apart) for apart in (False, True))

    # Then every image is there, and the labels are known
    assert np.array_equal([each.array for each in (*held_out, *learnt)], images)
    assert recipe.model["labels"] == [0, 1, 2, 3, 4]
    check_training(recipe, net)


def test_the_recipe_that_starts_from_a_model_that_ships_says_nothing_of_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given two images of each split, as large as the model's
    monkeypatch.chdir(tmp_path)
    rows = [{"split": split, "image": bytes(20 * 20), "label": 7} for split in ("train", "test")]
    pq.write_table(pa.Table.from_pylist(2 * rows), "my-handwriting.parquet")
    registry = Registry(str(tmp_path / "state"), tmp_path / "cache", SHIPPED_MODELS)

    run = plan_training(read_recipe(yaml.safe_load(code_block("recipe.md", "yaml", 1))), registry)

    assert run.recipe.model["labels"] == list(range(10))
    assert run.recipe.start == f"digits@{registry.resolve('digits').digest[:12]}"
