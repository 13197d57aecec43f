"""A training run before it begins: its recipe completed, checked on its rows, and kept.

    recipe ──► with the configuration of the model it starts from ──► completed from the rows
           ──► checked on them ──► kept in the state store, with the weights it starts from

A run is known by its recipe: whoever trains by the same one goes on from its last checkpoint, until
its model is kept somewhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice

from ancestral.jobs.datasets import split_sizes
from ancestral.jobs.errors import JobError, SpecError
from ancestral.jobs.recipe import Recipe, TrainingData
from ancestral.jobs.registry import Registry, is_path
from ancestral.jobs.signature import PLURALS, check_described
from ancestral.jobs.wording import nearest, shortened
from ancestral.models import Autoregressive, Bundle, ConfigError, ModelError, load_bundle
from ancestral.models.bundle import canonical_json
from ancestral.models.optimizer import optimizers_of
from ancestral.models.train import first_state, take_up
from ancestral.models.visits import Place
from ancestral.orchestration.training.checkpoints import Checkpoint, Checkpoints, other_version
from ancestral.orchestration.training.completion import complete, listed_fields
from ancestral.orchestration.training.contact_sheet import asked_in_rows
from ancestral.orchestration.training.examples import Events, augmentation, network, train_settings
from ancestral.orchestration.training.learners import ClosedForm, learner
from ancestral.orchestration.training.tables import absolute_table, table_uri
from ancestral.orchestration.training.trial import described, try_drawing, try_learning

#: Rows of each split that are tried before a run begins; a later one that does not fit ends it.
CHECKED_ROWS = 10_000


@dataclass(frozen=True)
class TrainingRun:
    """A run that is about to begin, or to go on from `step`. `recipe` is complete; `left_out` are
    the rows that are neither to learn from nor held out, by what their column `split` holds."""

    name: str
    recipe: Recipe
    state_uri: str
    training_rows: int
    held_out_rows: int
    parameters: int
    left_out: Mapping[str | None, int]
    step: int = 0

    @property
    def rows_text(self) -> str:
        """How many rows there are of which kind, in words."""
        text = f"{self.training_rows:,} rows to learn from, {self.held_out_rows:,} held out"
        if not self.left_out:
            return text
        others = shortened(map(repr, self.left_out), most=3)
        return f"{text}; {sum(self.left_out.values()):,} of other splits are left out ({others})"


def plan_training(
    recipe: Recipe, registry: Registry, *, workers: int = 1, fresh: bool = False
) -> TrainingRun:
    """The run of a recipe by so many ranks, checked on its rows: the one in the registry's state
    store that did not come to its end, or a new one, which is kept there. With `fresh` it begins
    anew in any case.

    Raises SpecError when nothing can be trained by the recipe as it is, ModelUnreadable when there
    is no such model to start from, TrainingFailed when the run is there but of another version of
    this program, and StoreError when the state cannot be written.
    """
    data = recipe.data.model_copy(update={"path": absolute_table(recipe.data.path)})
    recipe = recipe.model_copy(update={"data": data})
    try:
        recipe, start = _started(recipe, registry)
        recipe = complete(recipe)
        net = network(recipe)
        # Else it would be missed only when the model is published, which is after its training.
        signature = json.loads(canonical_json(net.signature))
        check_described(net.family, signature, f"the recipe {recipe.name!r}")
        if start is not None:
            _load(net, start, recipe)
        check_training(recipe, net)
        learnt, held_out = (
            Events(recipe, net.signature, held_out=apart) for apart in (False, True)
        )
        for events in (learnt, held_out):
            _check(events, net)
        _try(recipe, net, learnt)
    except ModelError as error:
        raise SpecError(f"the recipe {recipe.name!r}: {error}") from error
    except (JobError, OSError):
        raise
    except Exception as error:
        # A family may be anybody's and raise anything.
        raise SpecError(f"the recipe {recipe.name!r}: {described(error)}") from error
    name = f"{recipe.name}-{recipe_digest(recipe, start.digest if start else None)[:12]}"
    run = TrainingRun(
        name=name,
        recipe=recipe,
        state_uri=registry.state_uri,
        training_rows=len(learnt),
        held_out_rows=len(held_out),
        parameters=sum(weights.numel() for weights in net.parameters()),
        left_out=_left_out(recipe.data),
    )
    check_shares(run, workers)
    checkpoints = Checkpoints(registry.state_uri, name)
    if fresh:
        checkpoints.end()
    checkpoints.begin(recipe)
    steps = checkpoints.steps()
    if steps:
        try:
            _take_up(checkpoints.load(steps[-1]), recipe, net)
        except ModelError as error:
            raise other_version(name) from error
    elif start is not None:
        assert recipe.training is not None, "only steps start from anything"
        state = first_state(net, train_settings(recipe.training))
        checkpoints.save(Checkpoint(state, 0.0, [Place()]))
    return replace(run, step=steps[-1] if steps else 0)


def recipe_digest(recipe: Recipe, start_digest: str | None = None) -> str:
    """What two recipes have in common only if they are the same, and start from the same bundle.

    A key that a later version knows, too, changes nothing as long as it is not given.
    """
    document = json.dumps(recipe.document(), sort_keys=True)
    return hashlib.sha256(f"{document}{start_digest or ''}".encode()).hexdigest()


def check_training(recipe: Recipe, net: Autoregressive) -> None:
    """Raises ConfigError when the network is not trained in that way."""
    _check_fields(recipe, net)
    medium, loudness = net.signature["medium"], recipe.data.loudness_dbfs
    usual = TrainingData.model_fields["loudness_dbfs"].default
    if "audio" not in (medium, recipe.data.source) and loudness not in (usual, None):
        raise ConfigError(
            f"'data.loudness_dbfs' is for sounds, and a {recipe.family} makes {PLURALS[medium]}"
        )
    training, at_once = recipe.training, isinstance(net, ClosedForm)
    if at_once and recipe.start is not None:
        raise ConfigError(f"a {recipe.family} is fitted in closed form: leave out 'start'")
    if at_once and training is not None:
        raise ConfigError(f"a {recipe.family} is fitted in closed form: leave out 'training'")
    if training is None:
        if not at_once:
            raise ConfigError("the key 'training' is missing")
        return
    train_settings(training)
    if augmentation(training) is not None and medium != "image":
        raise ConfigError(
            f"'training.augmentation' is for images, and a {recipe.family} makes {PLURALS[medium]}"
        )
    if training.augmentation is not None and any(
        field["type"] == "map" for field in net.signature["fields"].values()
    ):
        raise ConfigError(
            "'training.augmentation' moves images, but not the maps that say what is where in "
            "them: leave out one of them"
        )
    if training.crop_samples is not None and len(net.signature["shape"]) > 1:
        raise ConfigError(
            f"'training.crop_samples' is for sounds and series, and a {recipe.family} makes "
            f"{PLURALS[medium]}"
        )


def check_shares(run: TrainingRun, workers: int) -> None:
    """Raises SpecError when there are fewer rows than ranks, or when batches do not divide."""
    if run.training_rows < workers:
        raise SpecError(f"{run.training_rows} training rows cannot be shared by {workers} workers")
    training = run.recipe.training
    if training is None:
        return
    size, parts = training.batch_size, training.accumulate or 1
    shares = workers * parts
    if size % shares:
        less = size - size % shares
        raise SpecError(
            f"the recipe {run.recipe.name!r}: 'training.batch_size' is {size}, which {workers} "
            f"workers cannot share evenly{f' in {parts} parts each' if parts > 1 else ''}: "
            f"{f'{less} or ' if less else ''}{less + shares} would do"
        )


def _started(recipe: Recipe, registry: Registry) -> tuple[Recipe, Bundle | None]:
    """The recipe with the configuration of the model that it starts from, wherever it says nothing
    else, and that model, which it names by its digest if it lies in the registry; None when it
    starts from random weights.

    Raises ModelUnreadable, and ConfigError when it is of another family.
    """
    if recipe.start is None:
        return recipe, None
    entry = registry.resolve(recipe.start)
    if entry.family != recipe.family:
        raise ConfigError(f"'start' is a {entry.family}, which a {recipe.family} cannot start from")
    bundle = load_bundle(registry.fetch(entry.uri, entry.digest))
    start = entry.uri if is_path(recipe.start) else f"{entry.name}@{entry.digest[:12]}"
    model = {**entry.config["config"], **recipe.model}
    return recipe.model_copy(update={"start": start, "model": model}), bundle


def _load(net: Autoregressive, start: Bundle, recipe: Recipe) -> None:
    """Give a network the weights that it starts from. Raises ConfigError when they do not fit."""
    try:
        net.load_state_dict(start.net.state_dict())
    except RuntimeError as error:
        raise ConfigError(
            f"the weights of {recipe.start} do not fit what 'model' says: leave out what differs"
        ) from error


def _check_fields(recipe: Recipe, net: Autoregressive) -> None:
    """Raises ConfigError when a field is none of the network's."""
    has = net.signature["fields"]
    for name, column in recipe.data.fields.items():
        if name in has:
            continue
        listed = listed_fields(recipe.family)
        if name in listed and not recipe.model.get(listed[name], True):
            raise ConfigError(
                f"'data.fields' names {name}, of which 'model.{listed[name]}' lists no values: "
                "leave that out, and those of the training rows are taken"
            )
        known = [each for each in dict.fromkeys([*listed, *has]) if each != name]
        free = [each for each in known if each not in recipe.data.fields]
        hint = f": write {{{free[0]}: {column}}}" if free else ""
        raise ConfigError(
            f"'data.fields': a {recipe.family} is asked for {', '.join(known) or 'nothing'}, not "
            f"for {name}{nearest(name, known) or hint}"
        )


def _try(recipe: Recipe, net: Autoregressive, events: Events) -> None:
    """Raises ModelError when the network cannot be drawn from, or cannot learn from events."""
    try_drawing(net, asked_in_rows(net.signature)[0])
    if recipe.training is not None and learner(net) is None:
        item = events.item(net, 0, next(iter(events)))
        try_learning(net, item, recipe.training.crop_samples)


def _left_out(data: TrainingData) -> dict[str | None, int]:
    """Rows of the table that are in neither split, by the one that they are in; none of a table
    from which clips are made, which are what is counted then."""
    if data.moving_digits is not None:
        return {}
    sizes = split_sizes(table_uri(data.path))
    return {split: rows for split, rows in sizes.items() if split not in ("train", data.held_out)}


def _check(events: Events, net: Autoregressive) -> None:
    """Raises DataError when one of the first events does not fit."""
    for number, example in enumerate(islice(events, CHECKED_ROWS)):
        # What has to learn something first does not know yet what it is trained on.
        if learner(net) is None:
            events.item(net, number, example)


def _take_up(kept: Checkpoint, recipe: Recipe, net: Autoregressive) -> None:
    """Raises ModelError when training cannot go on from there."""
    assert recipe.training is not None, "what is fitted in closed form has no checkpoints"
    take_up(kept.state, net, net, optimizers_of(net, train_settings(recipe.training)))
