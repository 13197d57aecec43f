"""`ancestral models`: what the registry holds."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from ancestral.orchestration.commands.output import (
    DONE,
    json_option,
    print_columns,
    print_json,
    print_table,
)


@click.group()
def models() -> None:
    """Look at the models that were trained or published."""


@models.command("ls")
@json_option
def list_models(as_json: bool) -> int:
    """List the latest version of every model."""
    entries = _registry().list()
    if as_json:
        print_json([dataclasses.asdict(entry) for entry in entries])
    elif not entries:
        click.echo("There are no models yet; train one: ancestral train digits")
    else:
        for entry in entries:
            held_out = entry.metrics.get("held_out_bits_per_dim")
            score = f"{held_out:.4f} held-out bits/dim" if held_out is not None else ""
            click.echo(f"{entry.name:<24} {entry.digest[:12]}  {entry.family:<16} {score}".rstrip())
    return DONE


@models.command("show")
@click.argument("model")
@json_option
def show_model(model: str, as_json: bool) -> int:
    """Show one model: NAME, NAME@DIGEST, or the path or URI of a bundle.

    For each kind of job that it can do: what a request is asked for, and a job to paste.
    """
    from ancestral.jobs.kinds import fields_of, kinds_of
    from ancestral.orchestration.job_examples import example_job, makes

    entry = _registry().resolve(model)
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
    lines += [(name, str(value)) for name, value in entry.metrics.items()]
    print_table(lines)
    for kind in kinds:
        _show_kind(model, entry.signature, kind)
    return DONE


def _show_kind(model: str, signature: dict[str, Any], kind: str) -> None:
    import yaml

    from ancestral.jobs.kinds import fields_of
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
        )
    else:
        click.echo("nothing: a request only has an id and a seed")
    example = yaml.safe_dump(
        example_job(model, signature, kind), sort_keys=False, default_flow_style=None, width=100
    )
    click.echo(f"\n{example.rstrip()}")


def _registry() -> Any:
    from ancestral.jobs.registry import Registry
    from ancestral.jobs.settings import Settings

    settings = Settings.from_environment()
    return Registry(settings.state_uri, settings.cache_folder)
