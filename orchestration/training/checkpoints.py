"""What a training run leaves in the state store while it is under way.

    {state}/training/{run}/recipe.json               what is being trained
                           checkpoints/000000120     where it stood after that step, created once
                           checkpoints/000000240     the last one, from which training goes on

Each checkpoint is whole: with the weights of the best validation so far besides the last ones. The
last two are kept. All are gone once the model is in a registry or a folder; of a run that nobody
goes on with they stay, until its folder is removed.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ancestral.jobs.errors import AlreadyExists
from ancestral.jobs.recipe import Recipe
from ancestral.jobs.store import open_store
from ancestral.models.train import TrainState
from ancestral.models.visits import Place
from ancestral.orchestration.errors import TrainingFailed

#: Of what a checkpoint holds, as this program writes and reads it.
FORMAT = 1

#: Checkpoints that are kept: the last one, and that before it for whoever is reading it just then.
KEPT = 2


@dataclass(frozen=True)
class Checkpoint:
    """Where training stands: what `train` can go on from, the seconds that it took so far, and the
    place of each rank in what it learns from."""

    state: TrainState
    seconds: float
    places: Sequence[Place]

    @property
    def step(self) -> int:
        """Steps that it comes after."""
        return int(self.state["step"])

    def place(self, rank: int, ranks: int) -> Place:
        """Where a rank goes on; if there were more or fewer of them, in the epoch after that.

        Before the first step nobody has seen anything, and all begin at the beginning.
        """
        if self.step == 0:
            return Place()
        if len(self.places) == ranks:
            return self.places[rank]
        return Place(max(place.epoch for place in self.places) + 1)


class Checkpoints:
    """Of one run."""

    def __init__(self, state_uri: str, run: str) -> None:
        self._store = open_store(state_uri)
        self._run = run

    def begin(self, recipe: Recipe) -> None:
        """Keep what is being trained. Raises StoreError when the state cannot be written."""
        self._store.put(self._path("recipe.json"), recipe.model_dump_json().encode())

    def save(self, checkpoint: Checkpoint) -> None:
        """Keep one more checkpoint, and remove those that nobody needs any more.

        Raises TrainingFailed when another process got to that step of the run first.
        """
        data = _encoded(checkpoint)
        path = self._path(f"checkpoints/{checkpoint.step:09d}")
        try:
            self._store.create(path, data)
        except AlreadyExists as error:
            # It may have been ourselves, in a call whose answer was lost.
            if self._store.read(path) != data:
                raise TrainingFailed(
                    f"the run {self._run} is being trained by another process as well: end one"
                ) from error
        for step in self.steps()[:-KEPT]:
            self._store.delete(self._path(f"checkpoints/{step:09d}"))

    def steps(self) -> list[int]:
        """Of the checkpoints that there are, the last one at the end."""
        paths = self._store.list(self._path("checkpoints"))
        names = [path.rpartition("/")[2] for path in paths]
        # File systems and desktops put files of their own beside them, like .nfs0000 and .DS_Store.
        return sorted(int(name) for name in names if name.isdecimal())

    def load(self, step: int) -> Checkpoint:
        """The checkpoint of that step.

        Raises NotFound, and TrainingFailed when another version of this program made it.
        """
        data = self._store.read(self._path(f"checkpoints/{step:09d}"))
        # Tensors and plain values only: nothing in it can run.
        kept = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        if kept.get("format") != FORMAT:
            raise other_version(self._run)
        places = [Place(*numbers) for numbers in kept["places"]]
        return Checkpoint(kept["state"], kept["seconds"], places)

    def end(self) -> None:
        """Remove everything, in order, so the recipe last: as long as it is there, the run is."""
        for path in self._store.list(f"training/{self._run}"):
            self._store.delete(path)

    def _path(self, name: str) -> str:
        return f"training/{self._run}/{name}"


def other_version(run: str) -> TrainingFailed:
    """What is to be raised when nobody can go on from a checkpoint as it is."""
    return TrainingFailed(
        f"the checkpoint of {run} was made by another version of this program: begin anew with "
        "--fresh"
    )


def _encoded(checkpoint: Checkpoint) -> bytes:
    file = io.BytesIO()
    places = [(place.epoch, place.block, place.taken) for place in checkpoint.places]
    state, seconds = dict(checkpoint.state), checkpoint.seconds
    torch.save({"format": FORMAT, "state": state, "seconds": seconds, "places": places}, file)
    return file.getvalue()
