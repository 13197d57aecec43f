"""What can go wrong in a worker between a lease and its commit.

WorkerError
├── EncodeError     an array cannot become an artifact, or bytes are not one of ours
├── RowRefused      a model cannot be asked for this row; the row fails, its unit goes on
├── JobRefused      this worker cannot draw as a job asks
├── SlotsLost       device memory ran out; what was in slots is to be drawn anew, fewer at once
├── UnitIncomplete  the rows of a unit are not the ones that it was leased with
└── JobStuck        a job cannot go on
"""


class WorkerError(Exception):
    """The root of everything that `ancestral.workers` raises of its own."""


class EncodeError(WorkerError):
    """An array cannot become an artifact, or bytes are not an artifact of ours."""


class RowRefused(WorkerError):
    """A model cannot be asked for this row; the row fails, and its unit goes on."""


class JobRefused(WorkerError):
    """This worker cannot draw as a job asks: not in that precision, not on that device, or not
    where the model cannot be built, as without the package of its family."""


class SlotsLost(WorkerError):
    """Device memory ran out. A model lost what was in its slots, of which it has `slots` now."""

    def __init__(self, slots: int) -> None:
        super().__init__(f"device memory ran out: {slots} rows are drawn at once from now on")
        self.slots = slots


class UnitIncomplete(WorkerError):
    """The rows of a unit are not the ones that it was leased with."""


class JobStuck(WorkerError):
    """A job cannot go on: it is paused, or rows can neither be drawn nor be recorded as failed."""
