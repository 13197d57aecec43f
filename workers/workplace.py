"""What all stations of one worker share."""

from __future__ import annotations

from dataclasses import dataclass

from ancestral.jobs.queue import Queue
from ancestral.workers.events import Listener
from ancestral.workers.held import HeldLeases
from ancestral.workers.patience import Patience


@dataclass(frozen=True)
class Workplace:
    """Who works here, where the work comes from, who is told, and what is in hand."""

    worker: str
    queue: Queue
    listener: Listener
    patience: Patience
    held: HeldLeases
