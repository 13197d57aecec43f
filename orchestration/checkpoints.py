"""What a training run leaves in the state store while it is under way.

    {state}/training/{run}/recipe.json     what is being trained; a run is resumed by its name alone
                           checkpoint      where it stands, replaced now and then

Both are gone once the run has ended in a bundle.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import torch

from ancestral.jobs.errors import NotFound, SpecError
from ancestral.jobs.recipe import Recipe
from ancestral.jobs.store import open_store
from ancestral.models.train import TrainState


@dataclass(frozen=True)
class Checkpoint:
    """Where training stands: what `train` can go on from, and the seconds that it took so far."""

    state: TrainState
    seconds: float


class Checkpoints:
    """Of one run."""

    def __init__(self, state_uri: str, run: str) -> None:
        self._store = open_store(state_uri)
        self._run = run

    def begin(self, recipe: Recipe) -> None:
        """Keep what is being trained. Raises StoreError when the state cannot be written."""
        self._store.put(self._path("recipe.json"), recipe.model_dump_json().encode())

    def recipe(self) -> Recipe:
        """What the run trains. Raises SpecError when no run of that name is under way."""
        try:
            return Recipe.model_validate_json(self._store.read(self._path("recipe.json")))
        except NotFound as error:
            raise SpecError(
                f"no training run {self._run!r} can be resumed from {self._store.uri}"
            ) from error

    def save(self, checkpoint: Checkpoint) -> None:
        """Replace the checkpoint."""
        file = io.BytesIO()
        torch.save({"state": dict(checkpoint.state), "seconds": checkpoint.seconds}, file)
        self._store.put(self._path("checkpoint"), file.getvalue())

    def load(self) -> Checkpoint | None:
        """The last checkpoint; None when there is none yet."""
        try:
            data = self._store.read(self._path("checkpoint"))
        except NotFound:
            return None
        # Tensors and plain values only: nothing in it can run.
        kept = torch.load(io.BytesIO(data), weights_only=True)
        return Checkpoint(kept["state"], kept["seconds"])

    def end(self) -> None:
        """Remove everything."""
        for name in ("checkpoint", "recipe.json"):
            self._store.delete(self._path(name))

    def _path(self, name: str) -> str:
        return f"training/{self._run}/{name}"
