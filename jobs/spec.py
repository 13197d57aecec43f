"""What is asked for (`JobSpec`, as people write it) and what was accepted (`Job`, spec.json)."""

from __future__ import annotations

import json
import math
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from ancestral.jobs import layout
from ancestral.jobs.documents import Document, read_document, validate
from ancestral.jobs.errors import CorruptObject
from ancestral.jobs.numbers import INTEGER_LIMIT, duration_seconds, plain_number
from ancestral.jobs.store import Store
from ancestral.jobs.units import MOST_UNIT_ROWS, Unit, plan_units
from ancestral.jobs.wording import shown

#: A deadline is so far away at most.
LONGEST_DEADLINE = timedelta(days=1000)

#: Kinds of characters that a terminal may obey: controls and ends of lines.
_OBEYED = ("Cc", "Zl", "Zp")

#: Those that turn the direction of what follows, so that it reads as something else.
_TURNS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def without_password(uri: str) -> str:
    """`uri`, unless it carries user:password@, which would end up in spec.json and in logs.

    That is looked for in each link of a chain, zip://a.csv::https://host/a.zip. Over HTTP a user
    alone is refused as well: it is a token.
    """
    for link in uri.split("::"):
        scheme, found, rest = link.partition("://")
        user, at, _ = re.split("[/?#]", rest, maxsplit=1)[0].rpartition("@")
        if found and at and (":" in user or scheme.lower() in ("http", "https")):
            raise ValueError(
                f"carries a password ({scheme}://***@...): take it out, and give credentials by "
                "the environment or by the provider's own configuration"
            )
    return uri


def is_one_line(text: str) -> bool:
    """Whether there is something to read in `text`, and a terminal could only show it."""
    obeyed = not text.isprintable() and any(
        unicodedata.category(each) in _OBEYED or each in _TURNS for each in text
    )
    return not obeyed and any(each.isprintable() and not each.isspace() for each in text)


def _printable(text: str) -> str:
    if not is_one_line(text):
        raise ValueError(f"should be a text that can be read in one line, not {shown(text)}")
    return text


def _deadline(value: object) -> object:
    seconds = duration_seconds(value) if isinstance(value, str) else None
    if value is not None and not 1 <= (seconds or 0) <= LONGEST_DEADLINE.total_seconds():
        raise ValueError(
            "should be a time such as 90s, 30m, 2h or 1d, of up to "
            f"{LONGEST_DEADLINE.days} days, not {shown(value)}"
        )
    return value


def _plain(value: object) -> object:
    """Python's own value in place of numpy's, and a text in place of a path."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value.tolist() if hasattr(value, "tolist") and not isinstance(value, type) else value


def _grid_values(values: object) -> object:
    values = _plain(values)
    if isinstance(values, set | frozenset):
        raise ValueError("should be a list: a set has no order")
    return list(values) if isinstance(values, range) else values


def _grid_value(value: object) -> object:
    """A value that a grid may hold; whether it fits the model is the signature's to say."""
    value = _plain(value)
    if isinstance(value, Decimal):
        number = plain_number(value)
        value = value if number is None else number
    if isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, list | tuple):
        return [_grid_value(part) for part in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _grid_value(part) for key, part in value.items()}
    raise ValueError(f"should be a text or a finite number, not {value!r}")


Uri = Annotated[str, BeforeValidator(_plain), Field(min_length=1), AfterValidator(without_password)]
Whole = Annotated[int, BeforeValidator(_plain)]
GridValue = Annotated[Any, AfterValidator(_grid_value)]
GridValues = Annotated[list[GridValue], BeforeValidator(_grid_values)]


class Sampling(Document):
    """How symbols are drawn; the same for every request of a job."""

    seed: Whole = Field(default=0, ge=0, lt=INTEGER_LIMIT, strict=True)
    #: Samples drawn for each request.
    samples: Whole = Field(default=1, ge=1, lt=2**31, strict=True)
    temperature: float = Field(default=1.0, ge=1e-6, le=1e6, strict=True)
    #: Draw among the k most likely symbols only.
    top_k: Whole | None = Field(default=None, ge=1, lt=2**31, strict=True)
    #: Draw among the most likely symbols that together hold this probability.
    top_p: float | None = Field(default=None, gt=0, le=1, strict=True)
    #: What samplers compute in. In bfloat16 they draw faster, other symbols of slightly other
    #: probabilities; on a processor without bfloat16 they refuse.
    precision: Literal["float32", "bfloat16"] = "float32"
    #: How many rows share each reading of the weights on a GPU in bfloat16: many are drawn fastest
    #: in all, few soonest. The bytes are not the same.
    tiles: Literal["many", "few"] = "many"

    @model_validator(mode="after")
    def _few_in_bfloat16(self) -> Sampling:
        if self.tiles == "few" and self.precision != "bfloat16":
            raise ValueError(
                "asks for tiles of few rows in float32: 'tiles: few' goes with "
                "'precision: bfloat16'"
            )
        return self


class Media(Document):
    """How artifacts are encoded, always without loss, and laid out in the store."""

    image: Literal["png", "webp"] = "png"
    audio: Literal["flac", "wav"] = "flac"
    #: Clips; WebP is animated, MP4 is H.264.
    video: Literal["webp", "mp4"] = "webp"
    series: Literal["npy"] = "npy"
    layout: Literal["packed"] = "packed"


#: By the medium and the format; a clip in WebP is an image that moves.
MEDIA_TYPES = {
    ("image", "png"): "image/png",
    ("image", "webp"): "image/webp",
    ("audio", "flac"): "audio/flac",
    ("audio", "wav"): "audio/wav",
    ("video", "webp"): "image/webp",
    ("video", "mp4"): "video/mp4",
    ("series", "npy"): "application/x-npy",
}


class UnitSize(Document):
    """How many rows are leased and committed together; None leaves the choice to us."""

    rows: Whole | None = Field(default=None, ge=1, le=MOST_UNIT_ROWS, strict=True)


class Gates(Document):
    """Reasons to reject an artifact that was drawn; its row keeps the reason."""

    #: Reject a sound whose loudness (root mean square) lies below this, in decibels of full scale.
    silence_dbfs: float | None = Field(default=None, le=0, strict=True)
    #: Reject a sound of whose samples more than this share are at full scale.
    clipped_share: float | None = Field(default=None, ge=0, lt=1, strict=True)
    #: Reject a sound that is shorter or longer.
    shortest_seconds: float | None = Field(default=None, gt=0, strict=True)
    longest_seconds: float | None = Field(default=None, gt=0, strict=True)
    #: Reject an image of a single grey value or colour.
    constant_image: bool = Field(default=False, strict=True)

    @model_validator(mode="after")
    def _some_length_passes(self) -> Gates:
        shortest, longest = self.shortest_seconds, self.longest_seconds
        if shortest is not None and longest is not None and shortest > longest:
            raise ValueError(
                f"lets no sound pass: 'shortest_seconds', {shortest:g}, should be at most "
                f"'longest_seconds', {longest:g}"
            )
        return self


class JobSpec(Document):
    """A job as people write it. `input` and `output` paths are relative to where one submits."""

    name: Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_printable)]
    #: What is done with each request; which kinds a model can do, its signature says.
    kind: Literal["generate", "complete", "reconstruct", "score"] = "generate"
    #: `name`, `name@latest`, `name@digest`, or the path or URI of a bundle.
    model: Uri
    #: A Parquet, JSONL or CSV file of requests, or a glob of them.
    input: Uri | None = None
    #: In place of `input`: values per field, of which every combination is a request; the field
    #: written last varies fastest.
    grid: dict[str, GridValues] | None = None
    output: Uri
    sampling: Sampling = Sampling()
    media: Media = Media()
    unit: UnitSize = UnitSize()
    #: Reject the job when a request is wrong, or record each wrong request as a failed row.
    on_invalid: Literal["reject", "record"] = "reject"
    #: Jobs of a higher priority are sampled first.
    priority: Whole = Field(default=0, ge=-1000, le=1000, strict=True)
    #: A time from submission, such as 90s or 2h, within which all rows should be drawn: of equal
    #: priority the earliest goes first, and fleets are sized by it. Nothing ends with it.
    deadline: Annotated[str | None, BeforeValidator(_deadline)] = None
    #: Attempts at a unit before it is split in half, and at a row alone before it is recorded as
    #: failed.
    max_attempts: Whole = Field(default=2, ge=1, strict=True)
    gates: Gates = Gates()
    #: The same key with the same spec is the same job, however often it is submitted.
    idempotency_key: str | None = Field(default=None, min_length=1, max_length=500)

    @model_validator(mode="after")
    def _one_source_of_requests(self) -> JobSpec:
        if (self.input is None) == (self.grid is None):
            raise ValueError("give exactly one of 'input' and 'grid'")
        for key, values in (self.grid or {}).items():
            if key == "request_id":
                raise ValueError("'grid.request_id' cannot be given: a grid numbers its requests")
            if not values:
                raise ValueError(f"'grid.{key}' should hold at least one value")
        return self

    def body(self) -> bytes:
        """The spec as canonical JSON; two specs ask for the same when their bodies are equal."""
        return _canonical(self.model_dump(mode="json"))


class ModelReference(Document):
    """The bundle that a job was accepted with; `digest` pins it (sha256, hex)."""

    name: str
    uri: str
    digest: str
    family: str


class Shard(Document):
    """One Arrow file of normalised requests; `path` is relative to the job's output."""

    path: str
    first_request: int
    requests: int
    sha256: str


class InputFile(Document):
    """A file that the requests were read from, as it was then."""

    uri: str
    sha256: str


class Job(Document):
    """An accepted job: spec.json, which never changes.

    A row is one sample of one request: row = request index * samples + sample. The requests of a
    child, which draws rows of its parent again, are single rows that say which sample they are.
    """

    job_id: str
    #: The job whose rows are drawn again; None if they are drawn for the first time.
    parent: str | None = None
    #: Of a child, its parent's.
    spec: JobSpec
    model: ModelReference
    #: The model's, with the fields that the job's kind asks for.
    signature: dict[str, Any]
    requests: int
    rows: int
    unit_rows: int
    shards: tuple[Shard, ...]
    inputs: tuple[InputFile, ...]
    #: ISO 8601 in UTC, like 2026-11-22T15:30:12Z.
    submitted_at: str

    @property
    def samples(self) -> int:
        """Rows per request."""
        return self.spec.sampling.samples if self.parent is None else 1

    @property
    def deadline_at(self) -> datetime | None:
        """When all rows should be drawn, in UTC; of a child it counts from its own submission."""
        seconds = duration_seconds(self.spec.deadline or "")
        if seconds is None:
            return None
        return datetime.fromisoformat(self.submitted_at) + timedelta(seconds=seconds)

    @property
    def table_folder(self) -> str:
        """Where the job's part of the public table lies in its output."""
        return layout.artifacts_folder(self.model.name, self.submitted_at[:10], self.job_id)

    def units(self) -> Iterator[Unit]:
        """The root units, in order."""
        return plan_units(self.rows, self.unit_rows)

    def to_json(self) -> bytes:
        return _canonical(self.model_dump(mode="json"))

    @staticmethod
    def from_json(data: bytes, uri: str) -> Job:
        """Raises CorruptObject when what lies at `uri` is not an accepted job."""
        try:
            return Job.model_validate_json(data)
        except ValidationError as error:
            raise CorruptObject(f"{uri} is not a spec.json of ours: {data[:200]!r}") from error


def accepted_job(store: Store, job_id: str) -> Job:
    """The job of that id in its output. Raises NotFound, and CorruptObject for what is none."""
    path = layout.spec_path(job_id)
    return Job.from_json(store.read(path), store.uri_of(path))


def load_spec(source: str | os.PathLike[str] | Mapping[str, Any] | JobSpec) -> JobSpec:
    """The spec in a YAML file, in a dict, or as it is.

    Raises SpecError, which names the file and each wrong key.
    """
    if isinstance(source, JobSpec):
        return source
    if isinstance(source, Mapping):
        return validate(JobSpec, source, "the job")
    return validate(JobSpec, read_document(source), os.fspath(source))


def _canonical(data: dict[str, Any]) -> bytes:
    # Keys keep their order: ours is fixed, and a grid's decides how its requests are numbered.
    return json.dumps(data, separators=(",", ":")).encode()
