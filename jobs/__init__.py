"""What is asked for, and what became of it: job specs, the queue, the store, the index, the client.

    from ancestral.jobs import Client

    client = Client()
    job = client.submit("digits.yaml")
    client.wait(job.job_id)
    for artifact in client.results(job.job_id):
        ...

Needs neither torch nor ray, so that a scheduler can submit cheaply.
"""

from ancestral.jobs.client import Client, JobStatus, KnownJob
from ancestral.jobs.datasets import read_table
from ancestral.jobs.documents import read_document, validate
from ancestral.jobs.errors import (
    AlreadyExists,
    ConflictError,
    CorruptObject,
    JobError,
    ModelUnreadable,
    NotFound,
    PathRefused,
    QueueError,
    QueueMisconfigured,
    QueueUnavailable,
    RequestProblem,
    RequestsInvalid,
    RowsMissing,
    SpecError,
    StoreDenied,
    StoreError,
    StoreUnavailable,
    StoreUnsafe,
    UnknownJob,
    UsageError,
)
from ancestral.jobs.finalise import Manifest, finalise, read_manifest
from ancestral.jobs.index import IndexRow, decode_part, encode_part
from ancestral.jobs.ledger import FileFact, Ledger, RangeRecord
from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.jobs.queue import Lease, Order, Queue, QueueCounts, QueuedJob
from ancestral.jobs.redis_queue import RedisQueue
from ancestral.jobs.registry import ModelEntry, Registry
from ancestral.jobs.request_shards import Row, read_rows
from ancestral.jobs.results import Artifact, Results
from ancestral.jobs.settings import Settings
from ancestral.jobs.spec import Gates, Job, JobSpec, Media, Sampling, UnitSize, load_spec
from ancestral.jobs.store import Store, open_store
from ancestral.jobs.units import RowCounts, Unit

__all__ = [
    "AlreadyExists",
    "Artifact",
    "Client",
    "ConflictError",
    "CorruptObject",
    "FileFact",
    "Gates",
    "IndexRow",
    "Job",
    "JobError",
    "JobSpec",
    "JobStatus",
    "KnownJob",
    "Lease",
    "Ledger",
    "Manifest",
    "Media",
    "MemoryQueue",
    "ModelEntry",
    "ModelUnreadable",
    "NotFound",
    "Order",
    "PathRefused",
    "Queue",
    "QueueCounts",
    "QueueError",
    "QueueMisconfigured",
    "QueueUnavailable",
    "QueuedJob",
    "RangeRecord",
    "RedisQueue",
    "Registry",
    "RequestProblem",
    "RequestsInvalid",
    "Results",
    "Row",
    "RowCounts",
    "RowsMissing",
    "Sampling",
    "Settings",
    "SpecError",
    "Store",
    "StoreDenied",
    "StoreError",
    "StoreUnavailable",
    "StoreUnsafe",
    "Unit",
    "UnitSize",
    "UnknownJob",
    "UsageError",
    "decode_part",
    "encode_part",
    "finalise",
    "load_spec",
    "open_store",
    "read_document",
    "read_manifest",
    "read_rows",
    "read_table",
    "validate",
]
