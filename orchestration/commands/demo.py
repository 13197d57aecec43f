"""`ancestral demo`: the whole system at a glance."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ancestral.orchestration.commands.output import (
    exit_code,
    json_option,
    print_json,
    print_table,
    say,
    status_document,
)
from ancestral.orchestration.commands.services import SLOTS, queue_url

if TYPE_CHECKING:
    from ancestral.orchestration.demo import Outcome


@click.command()
@click.option(
    "--output",
    metavar="DIR",
    default="demo",
    show_default=True,
    help="Folder for artifacts, index and reports.",
)
@click.option("--budget", metavar="TIME", help="For training both models, like 90s or 10m.")
@json_option
def demo(output: str, budget: str | None, as_json: bool) -> int:
    """Train two small models on real data, run two bulk jobs, write their reports.

    Handwritten digits by label, and spoken digits by digit and speaker; some minutes on
    two processor cores.
    """
    from ancestral.jobs.settings import Settings
    from ancestral.orchestration.recipe import parse_budget

    seconds = parse_budget(budget) if budget is not None else None
    settings = Settings.from_environment()
    folder = Path(output).absolute()
    with queue_url(settings) as (url, embedded):
        from ancestral.orchestration.cluster import cluster
        from ancestral.orchestration.demo import RANKS, run_demo
        from ancestral.orchestration.interrupt import Interrupt
        from ancestral.orchestration.serve import Service

        places = max(RANKS, os.cpu_count() or 1)
        with cluster(settings.ray_address, places) as resources, Interrupt() as interrupt:
            service = Service.at(
                settings,
                url,
                embedded=embedded,
                samplers=resources.cpus,
                slots=SLOTS,
                device="cpu",
            )
            outcomes = run_demo(service, folder, seconds, sys.stderr, say, interrupt)
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
        held_out_bits_per_dim=outcome.held_out_bits_per_dim,
        verdict=judgement.verdict if judgement else None,
        judgement=dataclasses.asdict(judgement) if judgement else None,
        report=str(outcome.report),
    )


def _lines(name: str, outcome: Outcome) -> list[tuple[str, str]]:
    status, judgement = outcome.status, outcome.judgement
    return [
        ("model", name),
        ("held-out", f"{outcome.held_out_bits_per_dim:.4f} bits per dimension"),
        ("rows", f"{status.rows_ok:,} ok, {status.rows_failed:,} failed"),
        ("verdict", judgement.headline() if judgement else "There is nothing to judge."),
        ("index", status.index or ""),
        ("report", str(outcome.report)),
    ]
