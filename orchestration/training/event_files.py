"""Curves and pictures of a training run, as files that TensorBoard shows.

tensorboard --logdir {home}/runs
"""

from __future__ import annotations

import uuid
from pathlib import Path
from types import TracebackType
from typing import Self

from tensorboardX import SummaryWriter

from ancestral.jobs.errors import StoreDenied
from ancestral.models import TrainProgress
from ancestral.orchestration.training.news import Began, News, Picture
from ancestral.workers.images import decode_image

#: Until what was told is in a file, in seconds: little is lost with this process.
FLUSH_SECONDS = 1


class EventFiles:
    """A listener to the news of one run, which writes them to a folder of this machine.

    Raises StoreDenied when it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: SummaryWriter | None = None

    def __call__(self, news: News) -> None:
        try:
            match news:
                case Began():
                    self.close()
                    # purge_step hides what an interrupted run wrote of later steps; the suffix
                    # keeps two files of one second apart.
                    self._writer = SummaryWriter(
                        str(self._folder),
                        purge_step=news.step + 1,
                        flush_secs=FLUSH_SECONDS,
                        filename_suffix=f".{uuid.uuid4().hex[:6]}",
                    )
                case Picture() if self._writer is not None:
                    pixels, _ = decode_image(news.png)
                    layout = "HWC" if pixels.ndim == 3 else "HW"
                    self._writer.add_image("samples", pixels, news.step, dataformats=layout)
                case TrainProgress() if self._writer is not None:
                    for name, value in _scalars(news).items():
                        self._writer.add_scalar(name, value, news.step)
        except OSError as error:
            raise StoreDenied(f"{self._folder}: cannot be written ({error.strerror})") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Finish what was begun."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _scalars(progress: TrainProgress) -> dict[str, float]:
    scalars = {
        "bits_per_dim/train": progress.bits_per_dim,
        "learning_rate": progress.learning_rate,
        "gradient_norm": progress.gradient_norm,
        "steps_per_second": progress.steps_per_second,
        "waiting/batches": progress.seconds_waited / progress.seconds,
        "waiting/checkpoints": progress.seconds_saved / progress.seconds,
    }
    if progress.validation_bits_per_dim is not None:
        scalars["bits_per_dim/held_out"] = progress.validation_bits_per_dim
    return scalars
