"""What can go wrong in a worker between a lease and its commit.

WorkerError
├── EncodeError     an array cannot become an artifact, or bytes are not one of ours
├── PackError       a pack was asked to hold a member it cannot hold
├── RowRefused      a model cannot be asked for this row; the row fails, its unit goes on
├── UnitIncomplete  the rows of a unit are not the ones that it was leased with
└── JobStuck        a job cannot go on
"""


class WorkerError(Exception):
    """The root of everything that `ancestral.workers` raises of its own."""


class EncodeError(WorkerError):
    """An array cannot become an artifact, or bytes are not an artifact of ours."""


class PackError(WorkerError):
    """A pack was asked to hold a member it cannot hold."""


class RowRefused(WorkerError):
    """A model cannot be asked for this row; the row fails, and its unit goes on."""


class UnitIncomplete(WorkerError):
    """The rows of a unit are not the ones that it was leased with."""


class JobStuck(WorkerError):
    """A job cannot go on: it is paused, or rows can neither be drawn nor be recorded as failed."""
