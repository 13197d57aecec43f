"""What is asked for, and what became of it: job specs, the queue, the store, the index, the client.

    from ancestral.jobs import Client

    client = Client()
    job = client.submit("digits.yaml")
    client.wait(job.job_id)
    for artifact in client.results(job.job_id):
        ...

Needs neither torch nor ray, so that a scheduler can submit cheaply.
"""

from ancestral.jobs.client import Client
from ancestral.jobs.cover import Cover
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
from ancestral.jobs.export import Exported
from ancestral.jobs.finalise import finalise
from ancestral.jobs.fsck import FsckReport, fsck
from ancestral.jobs.index import IndexRow, decode_part, encode_part
from ancestral.jobs.intents import Intent, Wanted
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.manifest import Manifest, read_manifest
from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.jobs.queue import Lease, Order, Progress, Queue, QueueCounts, QueuedJob
from ancestral.jobs.records import FileFact, RangeRecord, RowsRecord, SplitRecord
from ancestral.jobs.recovery import audit, recount, recover
from ancestral.jobs.redis_queue import RedisQueue
from ancestral.jobs.registry import ModelEntry, Registry
from ancestral.jobs.request_shards import Row, read_rows
from ancestral.jobs.results import Artifact, Results
from ancestral.jobs.settings import Settings
from ancestral.jobs.spec import Gates, Job, JobSpec, Media, Sampling, UnitSize, load_spec
from ancestral.jobs.states import State
from ancestral.jobs.status import JobStatus
from ancestral.jobs.store import Store, open_store
from ancestral.jobs.units import RowCounts, Unit

__all__ = [
    "AlreadyExists",
    "Artifact",
    "Client",
    "ConflictError",
    "CorruptObject",
    "Cover",
    "Exported",
    "FileFact",
    "FsckReport",
    "Gates",
    "IndexRow",
    "Intent",
    "Job",
    "JobError",
    "JobSpec",
    "JobStatus",
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
    "Progress",
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
    "RowsRecord",
    "Sampling",
    "Settings",
    "SpecError",
    "SplitRecord",
    "State",
    "Store",
    "StoreDenied",
    "StoreError",
    "StoreUnavailable",
    "StoreUnsafe",
    "Unit",
    "UnitSize",
    "UnknownJob",
    "UsageError",
    "Wanted",
    "audit",
    "decode_part",
    "encode_part",
    "finalise",
    "fsck",
    "load_spec",
    "open_store",
    "read_document",
    "read_manifest",
    "read_rows",
    "read_table",
    "recount",
    "recover",
    "validate",
]
