"""`ancestral models`: what the registry holds, and what becomes of it."""

from __future__ import annotations

import dataclasses
import shutil
from typing import Any

import click

from ancestral.jobs.bundles import HELD_OUT
from ancestral.jobs.client import Client
from ancestral.jobs.kinds import fields_of, kinds_of
from ancestral.jobs.registry import ModelEntry, Registry
from ancestral.jobs.removal import remove_models
from ancestral.orchestration.commands.options import json_option
from ancestral.orchestration.commands.output import (
    print_columns,
    print_json,
    print_table,
    print_yaml,
)
from ancestral.orchestration.errors import DONE

#: Of a line, where no terminal says how many it has.
LINE_CHARACTERS = 100


@click.group()
def models() -> None:
    """Models that were trained or pushed, or came with the package.

    NAME means the latest version of a model, NAME@DIGEST the one whose digest begins so.
    """


@models.command("ls")
@click.argument("name", required=False)
@json_option
def list_models(name: str | None, as_json: bool) -> int:
    """List all models, or all versions of one.

    Of each model the latest version; with a NAME all that it has, newest first.
    """
    registry = Client().registry
    if name is not None:
        return _list_versions(registry, name, as_json)
    entries = registry.list()
    if as_json:
        print_json([dataclasses.asdict(entry) for entry in entries])
    elif not entries:
        click.echo("There are no models yet; train one: ancestral train digits")
    else:
        for entry in entries:
            ships = "(comes with the package)" if entry.ships else ""
            line = f"{entry.name:<24} {entry.digest[:12]}  {entry.family:<16} {_score(entry):<27}"
            click.echo(f"{line} {ships}".rstrip())
    return DONE


def _list_versions(registry: Registry, name: str, as_json: bool) -> int:
    versions = registry.versions(name)
    if as_json:
        facts = ("published_at", "latest")
        print_json(
            [
                {**dataclasses.asdict(each.entry), **{fact: getattr(each, fact) for fact in facts}}
                for each in versions
            ]
        )
        return DONE
    for each in versions:
        published = (each.published_at or "")[:19].replace("T", " ")
        marks = [
            *(["latest"] if each.latest else []),
            *(["comes with the package"] if each.entry.ships else []),
        ]
        line = f"{each.entry.digest[:12]}  {published:<19}  {each.entry.family:<16}"
        click.echo(f"{line} {_score(each.entry):<27} {', '.join(marks)}".rstrip())
    return DONE


def _score(entry: ModelEntry) -> str:
    held_out = entry.metrics.get(HELD_OUT)
    return f"{held_out:.4f} held-out bits/dim" if held_out is not None else ""


@models.command("push")
@click.argument("bundle", metavar="PATH_OR_URI")
@click.option("--name", help="The model's name in the registry.  [default: the folder's]")
@json_option
def push_model(bundle: str, name: str | None, as_json: bool) -> int:
    """Copy a bundle into the registry, as the latest NAME.

    The same bundle again is the same version, and is the latest once more.
    """
    return _show_latest(Client().registry.publish(bundle, name), as_json)


@models.command("latest")
@click.argument("model", metavar="NAME@DIGEST")
@json_option
def make_latest(model: str, as_json: bool) -> int:
    """Choose the version that the bare NAME means.

    Jobs that were submitted before keep theirs.
    """
    return _show_latest(Client().registry.make_latest(model), as_json)


def _show_latest(entry: ModelEntry, as_json: bool) -> int:
    if as_json:
        print_json(dataclasses.asdict(entry))
    else:
        print_table([("latest", f"{entry.name}@{entry.digest[:12]}"), ("bundle", entry.uri)])
    return DONE


@models.command("rm")
@click.argument("model", metavar="NAME@DIGEST|NAME")
@click.option("--all", "every", is_flag=True, help="All versions of NAME.")
@click.option("--force", is_flag=True, help="Even if unfinished jobs need it: their rows fail.")
@json_option
def remove_model(model: str, every: bool, force: bool, as_json: bool) -> int:
    """Remove a version of a model, or all of them.

    The latest version can go when it is the last one, or once another is the latest. A model that
    comes with the package stays, and is what NAME means when all others are gone.
    """
    removed = remove_models(Client(), model, every=every, force=force)
    name = model.partition("@")[0]
    if as_json:
        print_json([{"name": name, "digest": digest} for digest in removed])
        return DONE
    for digest in removed:
        click.echo(f"removed {name}@{digest}")
    return DONE


@models.command("show")
@click.argument("model")
@json_option
def show_model(model: str, as_json: bool) -> int:
    """Show one model: NAME, NAME@DIGEST, or the path or URI of a bundle.

    For each kind of job that it can do: what a request is asked for, and a job to paste.
    """
    from ancestral.orchestration.job_examples import example_job, makes

    entry = Client().registry.resolve(model)
    kinds = kinds_of(entry.signature)
    if as_json:
        told = {
            kind: {
                "fields": fields_of(entry.signature, kind),
                "example": example_job(model, entry.signature, kind),
            }
            for kind in kinds
        }
        print_json({**dataclasses.asdict(entry), "kinds": told})
        return DONE
    lines = [
        ("name", entry.name),
        ("digest", entry.digest),
        ("family", entry.family),
        ("bundle", entry.uri),
        ("makes", makes(entry.signature)),
        ("kinds", ", ".join(kinds)),
    ]
    lines += [(name, _figure(value)) for name, value in entry.metrics.items()]
    print_table(lines)
    for kind in kinds:
        _show_kind(model, entry.signature, kind)
    return DONE


def _figure(value: Any) -> str:
    """A metric, with as many digits as say something."""
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value)


def _show_kind(model: str, signature: dict[str, Any], kind: str) -> None:
    from ancestral.orchestration.job_examples import default, example_job, takes

    click.echo(f"\nA job of kind {kind} asks for:")
    fields = fields_of(signature, kind)
    if fields:
        print_columns(
            ("field", "type", "default", "takes", "what it is"),
            [
                (name, field["type"], default(field), takes(field), field.get("description", ""))
                for name, field in fields.items()
            ],
            width=shutil.get_terminal_size((LINE_CHARACTERS, 24)).columns,
        )
    else:
        click.echo("nothing: a request only has an id and a seed")
    click.echo()
    print_yaml(example_job(model, signature, kind))
