"""One process that draws: lease, sample, encode, commit.

    from ancestral.workers import run_here

    for artifact in run_here("job.yaml"):
        print(artifact.row["request_id"], artifact.row["bits_per_dim"], len(artifact.bytes()))

Nothing here loads torch before something is drawn; `WarmSamplers`, which does, is imported from
`ancestral.workers.samplers`.
"""

from ancestral.workers.clips import decode_clip, encode_clip, read_clip
from ancestral.workers.encode import Encoded, encode, read_media
from ancestral.workers.errors import (
    EncodeError,
    JobRefused,
    JobStuck,
    RowRefused,
    SlotsLost,
    UnitIncomplete,
    WorkerError,
)
from ancestral.workers.estimation import Estimate, Speed, estimate
from ancestral.workers.events import (
    Event,
    Hiccup,
    JobDeclined,
    Listener,
    SlotsHalved,
    UnitAdopted,
    UnitCommitted,
    UnitFailed,
    UnitGivenUp,
    UnitLost,
    UnitReleased,
    UnitSplit,
    UnitStarted,
    WorkerHung,
    log_event,
)
from ancestral.workers.here import run_here
from ancestral.workers.images import decode_image, encode_image, read_image
from ancestral.workers.series import decode_series, encode_series, read_series
from ancestral.workers.sounds import decode_audio, encode_audio, read_recording
from ancestral.workers.verification import Difference, Verification, verify
from ancestral.workers.work import Drawn, WarmModel, WarmModels
from ancestral.workers.worker import Pace, Worker

__all__ = [
    "Difference",
    "Drawn",
    "EncodeError",
    "Encoded",
    "Estimate",
    "Event",
    "Hiccup",
    "JobDeclined",
    "JobRefused",
    "JobStuck",
    "Listener",
    "Pace",
    "RowRefused",
    "SlotsHalved",
    "SlotsLost",
    "Speed",
    "UnitAdopted",
    "UnitCommitted",
    "UnitFailed",
    "UnitGivenUp",
    "UnitIncomplete",
    "UnitLost",
    "UnitReleased",
    "UnitSplit",
    "UnitStarted",
    "Verification",
    "WarmModel",
    "WarmModels",
    "Worker",
    "WorkerError",
    "WorkerHung",
    "decode_audio",
    "decode_clip",
    "decode_image",
    "decode_series",
    "encode",
    "encode_audio",
    "encode_clip",
    "encode_image",
    "encode_series",
    "estimate",
    "log_event",
    "read_clip",
    "read_image",
    "read_media",
    "read_recording",
    "read_series",
    "run_here",
    "verify",
]
