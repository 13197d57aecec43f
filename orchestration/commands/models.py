"""`ancestral models`: what the registry holds."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from ancestral.orchestration.commands.output import DONE, json_option, print_json, print_table


@click.group()
def models() -> None:
    """Look at the models that were trained or published."""


@models.command("ls")
@json_option
def list_models(as_json: bool) -> int:
    """List the latest version of every model."""
    entries = _registry().list()
    if as_json:
        print_json([_document(entry) for entry in entries])
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
    """Show one model: NAME, NAME@DIGEST, or the path or URI of a bundle."""
    entry = _registry().resolve(model)
    if as_json:
        print_json(_document(entry))
        return DONE
    lines = [
        ("name", entry.name),
        ("digest", entry.digest),
        ("family", entry.family),
        ("bundle", entry.uri),
        ("makes", _makes(entry.signature)),
    ]
    for name, field in entry.signature["fields"].items():
        lines.append((f"field {name}", _field(field)))
    lines += [(name, str(value)) for name, value in entry.metrics.items()]
    print_table(lines)
    return DONE


def _registry() -> Any:
    from ancestral.jobs.registry import Registry
    from ancestral.jobs.settings import Settings

    settings = Settings.from_environment()
    return Registry(settings.state_uri, settings.cache_folder)


def _document(entry: Any) -> dict[str, Any]:
    return dataclasses.asdict(entry)


def _makes(signature: dict[str, Any]) -> str:
    if signature["medium"] == "image":
        height, width = signature["shape"]
        return f"images of {height} x {width} pixels in {signature['levels']} levels"
    return f"sounds at {signature['sample_rate_hz']} Hz in {signature['levels']} levels"


def _field(field: dict[str, Any]) -> str:
    if field["type"] == "category":
        return "one of " + ", ".join(str(value) for value in field["values"])
    low, high = field.get("minimum", "any"), field.get("maximum", "any")
    return f"{field['type']} from {low} to {high}"
