"""`ancestral train`: a model from a recipe."""

from __future__ import annotations

import math
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ancestral.jobs.bundles import CONFIG
from ancestral.jobs.client import Client
from ancestral.jobs.errors import StoreDenied, UsageError
from ancestral.jobs.settings import Settings
from ancestral.jobs.store import local_folder
from ancestral.orchestration.commands.options import json_option
from ancestral.orchestration.commands.output import print_json, print_table, say
from ancestral.orchestration.commands.services import ray_address
from ancestral.orchestration.errors import DONE

if TYPE_CHECKING:
    from ancestral.orchestration.training.rank import Trained
    from ancestral.orchestration.training.run import TrainingRun


@click.command()
@click.argument("recipe_name", metavar="RECIPE")
@click.option(
    "--budget",
    metavar="TIME",
    help="Train for so long, like 90s or 10m.  [default: the recipe's, of digits 90m]",
)
@click.option(
    "--workers", type=click.IntRange(1), default=2, show_default=True, help="Data-parallel ranks."
)
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    show_default=True,
    help="What ranks train on; with cuda each one takes a whole GPU.",
)
@click.option("--name", help="The model's name in the registry.  [default: the recipe's]")
@click.option("--fresh", is_flag=True, help="Begin anew what was interrupted before.")
@click.option(
    "--output",
    metavar="DIR",
    help="Write the bundle to this folder of this machine, not the registry; the model is called "
    "as the folder.",
)
@json_option
def train(
    recipe_name: str,
    budget: str | None,
    workers: int,
    device: str,
    name: str | None,
    fresh: bool,
    output: str | None,
    as_json: bool,
) -> int:
    """Train a model by a recipe: a YAML file, or the name of one that ships.

    What a recipe holds, and how to make a table of one's own: docs/recipe.md

    What was interrupted goes on from its last checkpoint when the same command is given again, or
    begins anew if it has none yet.
    Curves and samples are in {ANCESTRAL_HOME}/runs, by default ~/.ancestral/runs. TensorBoard shows
    them: pip install tensorboard, then tensorboard --logdir ~/.ancestral/runs

    \b
    On data that ships:
      digits               handwritten digits, asked for by label (gated_pixelcnn)
      digits-further       the model that ships or was trained as digits goes on
      digits-wide          the same by three times the weights: the model that ships
      digits-pixelcnn      the same by a pixelcnn
      digits-made          the same in black and white by a made
      digits-darn          the same in black and white by a darn
      digit-autoencoder    handwritten digits as ten numbers (pixelcnn_autoencoder)
      moving-digits        clips of two digits that move about (video_pixel)
      telephone-digits     spoken digits, asked for by digit and speaker (wavenet)

    \b
    On tables in the folder ANCESTRAL_DATA:
      emoji                emoji in colour, asked for by category (pixelcnn_pp)
      patches              patches of photos in colour (pixelcnn_pp)
      spoken-digits        English digits, a text in a speaker's voice (wavenet)
      voices               prompts in four languages, a text in a speaker's voice (wavenet)
      piano                piano music (wavenet)
      piano-linear         the same as a series, fitted at once (linear)
    """
    from ancestral.orchestration.training.recipe import find_recipe, parse_budget

    if name is not None and output is not None:
        raise click.UsageError("Give either --name or --output.")
    folder = _bundle_folder(output) if output is not None else None
    settings = Settings.from_environment()
    recipe = find_recipe(recipe_name)
    if name is not None:
        recipe = recipe.called(name)
    if budget is not None:
        recipe = recipe.with_budget(parse_budget(budget))
    if folder is not None:
        make_folder(folder)
    # From here on it takes seconds to import things.
    from ancestral.orchestration.training.run import plan_training
    from ancestral.orchestration.training.train import cut_short, end_training

    run = plan_training(recipe, Client(settings).registry, workers=workers, fresh=fresh)
    say(
        f"{run.recipe.name}: a {run.recipe.family} of {run.parameters:,} parameters, "
        f"{run.rows_text}"
    )
    if run.step:
        say(f"goes on from step {run.step:,} of a run that did not come to its end")
    trained = _train(settings, run, workers, device)
    if (warning := cut_short(run.recipe, trained)) is not None:
        say(warning)
    document = keep(trained, settings, run.recipe.name, folder)
    end_training(run)
    if as_json:
        print_json(document)
    else:
        held_out = document.get("held_out_bits_per_dim", math.nan)
        print_table(
            [
                ("model", f"{document['name']}@{document['digest'][:12]}"),
                ("bundle", document["uri"]),
                (
                    "held-out",
                    f"{held_out:.4f} bits per dimension",
                ),
                ("samples", document["samples"]),
            ]
        )
    return DONE


def _bundle_folder(output: str) -> Path:
    return local_folder(
        output,
        "--output",
        "without it the model goes to the registry, in ANCESTRAL_STATE; `ancestral models push` "
        "puts a bundle there, too",
    )


def make_folder(folder: Path) -> None:
    """Make the folder of the bundle, so that what is wrong with it is said before the training.

    Raises StoreDenied when it cannot be written, and UsageError when it is none or holds something
    else.
    """
    if os.path.isfile(folder):  # of a path too long, it says no
        raise UsageError(f"{folder} is a file: give --output a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"probe")
    except OSError as error:
        raise StoreDenied(f"{folder}: cannot be written ({error.strerror})") from error
    if any(folder.iterdir()) and not (folder / CONFIG).exists():
        raise UsageError(
            f"{folder} holds something that is not a bundle: give --output another folder, or "
            "empty this one"
        )


def _train(settings: Settings, run: TrainingRun, workers: int, device: str) -> Trained:
    from ancestral.orchestration.cluster import cluster
    from ancestral.orchestration.interrupt import Interrupt
    from ancestral.orchestration.training.event_files import EventFiles
    from ancestral.orchestration.training.train import train as train_on_cluster

    with cluster(ray_address(settings), max(workers, os.cpu_count() or 1)) as resources:
        resources.places(device)
        with Interrupt() as interrupt, EventFiles(settings.home / "runs" / run.name) as files:
            return train_on_cluster(
                run,
                workers=workers,
                device=device,
                stream=sys.stderr,
                interrupt=interrupt,
                listen=files,
            )


def keep(trained: Trained, settings: Settings, name: str, folder: Path | None) -> dict[str, Any]:
    """Put the model where it was asked for; what is known of it."""
    from ancestral.orchestration.training.train import publish, write_bundle, write_picture

    registry = Client(settings).registry
    if folder is not None:
        write_bundle(trained, folder)
        entry = registry.resolve(str(folder))
        picture = folder / "samples.png"
    else:
        entry = publish(trained, registry, name)
        picture = settings.home / "samples" / f"{name}-{entry.digest[:12]}.png"
    write_picture(trained, picture)
    return {
        "name": entry.name,
        "digest": entry.digest,
        "uri": entry.uri,
        "samples": str(picture),
        **entry.metrics,
    }
