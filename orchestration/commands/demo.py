"""`ancestral demo`: the whole system at a glance."""

from __future__ import annotations

import dataclasses
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from ancestral.jobs.client import Client
from ancestral.jobs.settings import Settings
from ancestral.jobs.store import local_folder
from ancestral.orchestration.commands.options import json_option
from ancestral.orchestration.commands.output import (
    exit_code,
    print_json,
    print_table,
    say,
    status_document,
)
from ancestral.orchestration.commands.services import queue_of, ray_address

if TYPE_CHECKING:
    from ancestral.orchestration.demo import Outcome


@click.command()
@click.option(
    "--output",
    metavar="DIR",
    default="demo",
    show_default=True,
    help="Folder of this machine for artifacts, index and reports.",
)
@click.option("--budget", metavar="TIME", help="For the model that learns, like 90s or 10m.")
@json_option
def demo(output: str, budget: str | None, as_json: bool) -> int:
    """Train a small model on real data, draw with it and with those that ship, write reports.

    Handwritten digits by label, spoken digits by text and speaker, emoji by category and
    loops of piano; some minutes on two processor cores.
    """
    from ancestral.orchestration.training.recipe import parse_budget

    seconds = parse_budget(budget) if budget is not None else None
    folder = local_folder(output, "--output", "`ancestral run` draws a job into a bucket")
    settings = Settings.from_environment()
    with queue_of(settings) as queue:
        from ancestral.orchestration.cluster import cluster
        from ancestral.orchestration.demo import RANKS, Stage, run_demo
        from ancestral.orchestration.interrupt import Interrupt
        from ancestral.orchestration.serve import Service

        places = max(RANKS, os.cpu_count() or 1)
        with cluster(ray_address(settings), places) as resources, Interrupt() as interrupt:
            client = Client(settings, queue)
            service = Service(client, queue, resources.cpus, slots=None, device="cpu")
            outcomes = run_demo(Stage(service, folder, sys.stderr, say, interrupt), seconds)
    if as_json:
        print_json({name: _document(outcome) for name, outcome in outcomes.items()})
    else:
        for name, outcome in outcomes.items():
            click.echo()
            print_table(_lines(name, outcome))
    return max(exit_code(outcome.status) for outcome in outcomes.values())


def _document(outcome: Outcome) -> dict[str, Any]:
    judgement = outcome.judgement
    return status_document(
        outcome.status,
        str(outcome.report),
        held_out_bits_per_dim=outcome.held_out_bits_per_dim,
        verdict=judgement.verdict if judgement else None,
        judgement=dataclasses.asdict(judgement) if judgement else None,
    )


def _lines(name: str, outcome: Outcome) -> list[tuple[str, str]]:
    status, judgement, held_out = outcome.status, outcome.judgement, outcome.held_out_bits_per_dim
    return [
        ("model", name),
        *([("held-out", f"{held_out:.4f} bits per dimension")] if held_out is not None else []),
        ("rows", f"{status.rows_ok:,} ok, {status.rows_failed:,} failed"),
        *([("verdict", judgement.headline())] if judgement is not None else []),
        ("index", status.index or ""),
        ("report", str(outcome.report)),
    ]
