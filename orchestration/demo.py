"""The whole system at a glance: a model that learns on the spot, and a job of each that ships.

    digits.yaml ──► train ──► registry ──► a job: each label some times ──► digits-live.html
    digits, spoken-digits, emoji, piano ─► a job of each ─────────────────► digits.html, ...

One queue server and one Ray serve all of them. The model that learnt is kept in the registry, so
that jobs of one's own can use it afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from ancestral.jobs.bundles import HELD_OUT
from ancestral.jobs.errors import StoreDenied
from ancestral.jobs.recipe import Recipe
from ancestral.jobs.registry import ModelEntry, Registry
from ancestral.jobs.status import JobStatus
from ancestral.orchestration.interrupt import Interrupt
from ancestral.orchestration.report.judge import Judgement, judge_job
from ancestral.orchestration.report.page import render_report
from ancestral.orchestration.report.real import real_ones
from ancestral.orchestration.serve import Service, run_job
from ancestral.orchestration.training.recipe import find_recipe
from ancestral.orchestration.training.run import plan_training
from ancestral.orchestration.training.train import end_training, publish, train


@dataclass(frozen=True)
class Act:
    """One job.

    model: by which name a model ships, and the recipe that it learnt by.
    asked: values of fields; every value is asked for of the categories that are not among them.
    judged: whether it draws digits, which a judge can name.
    """

    model: str
    title: str
    samples: int
    temperature: float = 1.0
    asked: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    judged: bool = False


#: Its model is not the one that ships, but learns on the spot, under a name of its own.
LIVE = Act("digits", "digits learnt just now", samples=30, judged=True)
LIVE_NAME = "digits-live"
LIVE_SECONDS = 120.0

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PHRASES = ("four two", "three one four", "seven seven seven")

ACTS = (
    Act("digits", "handwritten digits", samples=100, asked={"guidance": (0.5,)}, judged=True),
    Act(
        "spoken-digits",
        "spoken digits",
        samples=1,
        temperature=0.9,
        asked={"text": (*WORDS, *PHRASES)},
    ),
    Act("emoji", "emoji", samples=12),
    Act("piano", "loops of piano", samples=8, asked={"seconds": (4, 8)}),
)

#: Data-parallel ranks; the machine that this is made for has two cores.
RANKS = 2


@dataclass(frozen=True)
class Outcome:
    """What came of one act. `report` is a local file."""

    status: JobStatus
    held_out_bits_per_dim: float | None
    judgement: Judgement | None
    report: Path


@dataclass(frozen=True)
class Stage:
    """Where acts are played. Progress goes to `stream`, what is to be said to `say`."""

    service: Service
    output: Path
    stream: TextIO
    say: Callable[[str], None]
    interrupt: Interrupt

    def learn(self, recipe: Recipe) -> ModelEntry:
        """A model that learns by a recipe, published. Raises what `train` does."""
        client = self.service.client
        run = plan_training(recipe, client.registry, workers=RANKS)
        trained = train(
            run, workers=RANKS, picture=False, stream=self.stream, interrupt=self.interrupt
        )
        entry = publish(trained, client.registry, recipe.name)
        end_training(run)
        held_out = entry.metrics.get(HELD_OUT, math.nan)
        self.say(f"trained {entry.name}@{entry.digest[:12]}: {held_out:.4f} held-out bits")
        return entry

    def play(self, act: Act, entry: ModelEntry) -> Outcome:
        """The act's job by this model, and its report. Raises what `run_job` does."""
        client = self.service.client
        job = client.submit(
            {
                "name": act.title,
                "kind": "generate",
                "model": f"{entry.name}@{entry.digest}",
                "grid": requests_of(act, entry.signature),
                "output": str(self.output),
                "sampling": {"seed": 1, "samples": act.samples, "temperature": act.temperature},
            }
        )
        manifest = run_job(self.service, job, self.stream, self.interrupt)
        results = client.results(job.job_id)
        recipe = find_recipe(act.model)
        judgement = judge_job(results, recipe.data.path) if act.judged else None
        report = self.output / f"{entry.name}.html"
        html = render_report(
            results,
            job,
            manifest,
            metrics=entry.metrics,
            judgement=judgement,
            real=real_ones(recipe, entry.signature),
        )
        try:
            report.write_text(html, encoding="utf-8")
        except OSError as error:
            raise StoreDenied(f"{report}: cannot be written ({error.strerror})") from error
        if judgement is not None:
            self.say(judgement.sentence())
        held_out = entry.metrics.get(HELD_OUT)
        return Outcome(client.status(job.job_id), held_out, judgement, report)


def run_demo(stage: Stage, budget_seconds: float | None) -> dict[str, Outcome]:
    """Play all acts; what came of each, by the name of its model.

    The model that learns on the spot does so for `budget_seconds`; None: LIVE_SECONDS. Raises what
    `Stage.learn` and `Stage.play` do.
    """
    models = shipped_models(stage.service.client.registry)
    acts = [act for act in ACTS if act.model in models]
    count = 1 + len(acts)
    stage.say(f"1 of {count}: {LIVE.title}")
    recipe = find_recipe(LIVE.model).called(LIVE_NAME)
    entry = stage.learn(recipe.with_budget(budget_seconds or LIVE_SECONDS))
    outcomes = {LIVE_NAME: stage.play(LIVE, entry)}
    for number, act in enumerate(acts, start=2):
        stage.say(f"\n{number} of {count}: {act.title}")
        outcomes[act.model] = stage.play(act, models[act.model])
    return outcomes


def shipped_models(registry: Registry) -> dict[str, ModelEntry]:
    """The models of acts that ship, by name, whatever else was published under their names."""
    wanted = {act.model for act in ACTS}
    return {
        model.name: version.entry
        for model in registry.list()
        if model.name in wanted
        for version in registry.versions(model.name)
        if version.entry.ships
    }


def requests_of(act: Act, signature: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The grid of the act's job; fields that have a default are left to it unless asked for."""
    return {
        name: list(act.asked.get(name) or field["values"])
        for name, field in signature["fields"].items()
        if name in act.asked or "default" not in field
    }
