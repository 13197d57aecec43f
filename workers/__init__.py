"""One process that draws: lease, sample, encode, commit.

    from ancestral.workers import run_here

    for artifact in run_here("job.yaml"):
        print(artifact.row["request_id"], artifact.row["bits_per_dim"], len(artifact.bytes()))

Nothing here loads torch before something is drawn; `WarmSamplers`, which does, is imported from
`ancestral.workers.samplers`.
"""

from ancestral.workers.encode import (
    Artifact,
    decode_audio,
    decode_image,
    encode,
    encode_audio,
    encode_image,
)
from ancestral.workers.errors import (
    EncodeError,
    JobStuck,
    PackError,
    RowRefused,
    UnitIncomplete,
    WorkerError,
)
from ancestral.workers.events import (
    Event,
    Hiccup,
    Listener,
    UnitAdopted,
    UnitCommitted,
    UnitFailed,
    UnitGivenUp,
    UnitLost,
    UnitReleased,
    UnitStarted,
    log_event,
)
from ancestral.workers.here import run_here
from ancestral.workers.work import Drawn, WarmModel, WarmModels
from ancestral.workers.worker import Pace, Worker

__all__ = [
    "Artifact",
    "Drawn",
    "EncodeError",
    "Event",
    "Hiccup",
    "JobStuck",
    "Listener",
    "Pace",
    "PackError",
    "RowRefused",
    "UnitAdopted",
    "UnitCommitted",
    "UnitFailed",
    "UnitGivenUp",
    "UnitIncomplete",
    "UnitLost",
    "UnitReleased",
    "UnitStarted",
    "WarmModel",
    "WarmModels",
    "Worker",
    "WorkerError",
    "decode_audio",
    "decode_image",
    "encode",
    "encode_audio",
    "encode_image",
    "log_event",
    "run_here",
]
