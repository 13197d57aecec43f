"""What all stations of one worker share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ancestral.jobs.queue import Queue
from ancestral.jobs.store import Store
from ancestral.workers.events import Listener
from ancestral.workers.held import HeldLeases
from ancestral.workers.patience import Patience


@dataclass(frozen=True)
class Workplace:
    """Who works here and on which device, where the work comes from, who is told, and what is in
    hand. `opener` opens the store of a URI."""

    worker: str
    device: str
    queue: Queue
    listener: Listener
    patience: Patience
    held: HeldLeases
    opener: Callable[[str], Store]
