"""What can go wrong between a request and its artifact.

JobError
├── UsageError                 what was asked for cannot be done as asked
│   ├── SpecError              a job or recipe file is wrong
│   ├── RequestProblem         one request does not fit the model's signature
│   ├── RequestsInvalid        rows of the input are wrong; nothing was submitted
│   ├── ModelUnreadable        no bundle where the model should be
│   ├── ConflictError          the idempotency key already belongs to another body
│   └── UnknownJob             no job of that id
├── QueueError
│   ├── QueueUnavailable       the server does not answer, or not now
│   └── QueueMisconfigured     the server, or its URL, is set up so that it cannot serve
└── StoreError
    ├── AlreadyExists          a create-once object is there already
    ├── NotFound               no object of that name
    ├── StoreDenied            the store cannot be written or read as it is set up
    ├── StoreUnavailable       the store does not answer, or not now
    ├── StoreUnsafe            the store cannot create an object exactly once
    ├── CorruptObject          an object is not what its record says
    ├── PathRefused            a path or URI that the store does not open
    └── RowsMissing            a job cannot be finished: rows of it are undecided
"""

from collections.abc import Sequence


class JobError(Exception):
    """The root of everything that `ancestral.jobs` raises."""


class UsageError(JobError):
    """What was asked for cannot be done as asked; the message says what to change."""


class SpecError(UsageError):
    """A job or recipe file is wrong."""


class RequestProblem(UsageError):
    """One request does not fit the model's signature; the message does not say where it stands."""


class RequestsInvalid(UsageError):
    """Rows of the input are wrong; nothing was submitted.

    `problems` holds one sentence per row, at most the first hundred; `total` counts them all.
    """

    def __init__(self, problems: Sequence[str], total: int) -> None:
        self.problems = tuple(problems)
        self.total = total
        more = f" (and {total - 1} more)" if total > 1 else ""
        super().__init__(f"{self.problems[0]}{more}")


class ModelUnreadable(UsageError):
    """No readable bundle where the model should be."""


class ConflictError(UsageError):
    """The idempotency key already belongs to a job with another body."""


class UnknownJob(UsageError):
    """No job of that id is known here."""


class QueueError(JobError):
    """The queue could not do what was asked of it."""


class QueueUnavailable(QueueError):
    """The queue's server does not answer, or not now: it can pass by itself."""


class QueueMisconfigured(QueueError):
    """The queue's server, or its URL, is set up so that it cannot serve: somebody must act."""


class StoreError(JobError):
    """The object store could not do what was asked of it."""


class AlreadyExists(StoreError):
    """A create-once object is there already."""


class NotFound(StoreError):
    """There is no object of that name."""


class StoreDenied(StoreError):
    """The store cannot be written or read as it is set up: somebody must act."""


class StoreUnavailable(StoreError):
    """The store does not answer, or not now: it can pass by itself.

    No answer, throttled, full, credentials that have expired. What was asked may have been done.
    """


class StoreUnsafe(StoreError):
    """The store cannot create an object exactly once."""


class CorruptObject(StoreError):
    """An object is not what its record says."""


class PathRefused(StoreError):
    """A path or URI that the store does not open, or a path that would leave its root."""


class RowsMissing(StoreError):
    """A job cannot be finished: nothing is decided yet about some of its rows."""
