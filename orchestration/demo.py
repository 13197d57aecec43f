"""The whole system at a glance: two models trained on real data, two bulk jobs, two reports.

    digits.yaml ──► train ──► registry ──► a job: each label many times ──► digits.html
    spoken-digits.yaml ──► train ──► registry ──► a job: every digit in every voice ──► ...

One queue server and one Ray serve both. Models go into the registry under the recipes' names, so
that jobs of one's own can use them afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from ancestral.jobs.errors import StoreDenied
from ancestral.jobs.recipe import Recipe
from ancestral.jobs.status import JobStatus
from ancestral.orchestration.interrupt import Interrupt
from ancestral.orchestration.judge import Judgement
from ancestral.orchestration.judging import judge_job
from ancestral.orchestration.measures import HELD_OUT
from ancestral.orchestration.recipe import find_recipe
from ancestral.orchestration.report import write_report
from ancestral.orchestration.serve import Service, run_job
from ancestral.orchestration.training import plan_training, publish, train


@dataclass(frozen=True)
class Act:
    """One model and one job. Every combination of the model's fields is asked for."""

    recipe: str
    title: str
    samples: int
    temperature: float


ACTS = (
    Act("digits", "handwritten digits", 100, 1.0),
    Act("spoken-digits", "spoken digits", 1, 0.9),
)

#: Data-parallel ranks; the machine that this is made for has two cores.
RANKS = 2


@dataclass(frozen=True)
class Outcome:
    """What came of one act. `report` is a local file."""

    status: JobStatus
    held_out_bits_per_dim: float
    judgement: Judgement | None
    report: Path


def run_demo(
    service: Service,
    output: Path,
    budget_seconds: float | None,
    stream: TextIO,
    say: Callable[[str], None],
    interrupt: Interrupt,
) -> dict[str, Outcome]:
    """Play both acts; what came of each, by the name of its recipe.

    `budget_seconds` is for the training of both together, shared as their own budgets are.
    Raises what `train` and `run_job` do.
    """
    recipes = recipes_for(budget_seconds)
    outcomes = {}
    for number, act in enumerate(ACTS, start=1):
        say(f"\n{number} of {len(ACTS)}: {act.title}")
        outcomes[act.recipe] = _play(
            act, recipes[act.recipe], service, output, stream, say, interrupt
        )
    return outcomes


def _play(
    act: Act,
    recipe: Recipe,
    service: Service,
    output: Path,
    stream: TextIO,
    say: Callable[[str], None],
    interrupt: Interrupt,
) -> Outcome:
    client = service.client
    run = plan_training(recipe, client.settings.state_uri)
    trained = train(run, workers=RANKS, picture=False, stream=stream, interrupt=interrupt)
    entry = publish(trained, client.registry, recipe.name)
    held_out = trained.metrics[HELD_OUT]
    say(f"trained {entry.name}@{entry.digest[:12]}: {held_out:.4f} held-out bits per dimension")
    job = client.submit(
        {
            "name": act.title,
            "kind": "generate",
            "model": f"{entry.name}@{entry.digest}",
            "grid": _everything(entry.signature["fields"]),
            "output": str(output),
            "sampling": {"seed": 1, "samples": act.samples, "temperature": act.temperature},
        }
    )
    manifest = run_job(service, job, stream, interrupt)
    results = client.results(job.job_id)
    judgement = judge_job(job, results, recipe.data.path)
    report = output / f"{recipe.name}.html"
    try:
        write_report(results, job, manifest, report, metrics=trained.metrics, judgement=judgement)
    except OSError as error:
        raise StoreDenied(f"{report}: cannot be written ({error.strerror})") from error
    if judgement is not None:
        say(judgement.sentence())
    return Outcome(client.status(job.job_id), held_out, judgement, report)


def recipes_for(budget_seconds: float | None) -> dict[str, Recipe]:
    """The recipes of all acts by name, to be trained for so long together; None: as they say."""
    recipes = {act.recipe: find_recipe(act.recipe) for act in ACTS}
    if budget_seconds is None:
        return recipes
    usual = {name: recipe.budget_seconds for name, recipe in recipes.items()}
    scale = budget_seconds / sum(usual.values())
    return {name: recipe.with_budget(usual[name] * scale) for name, recipe in recipes.items()}


def _everything(fields: Mapping[str, Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {name: list(field["values"]) for name, field in fields.items()}
