"""Requests read from an input, checked against a signature and given their ids and seeds.

A table of requests has a column for every field of the model and may have two of its own:
`request_id` (else a request's index is its id: "0", "1", ...) and `seed` (else a digest of the
job's seed and the id). The input is read in a stream: memory does not grow with its rows.
Files that requests name are read as well, and travel with them.

What is wrong with one request makes it a problem, and `on_invalid` says what follows. `reject`: all
of the input is read, and RequestsInvalid lists what was found. `record`: the request becomes one
that fails with this error. Without a readable id it is called "#" and its index; one that repeats
an id keeps that id with "#" and its index appended, until nobody else has it. What is wrong with a
whole table (a missing or unknown column, a broken file) always rejects the job.
"""

from __future__ import annotations

import bisect
import heapq
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from ancestral.jobs.duplicates import Duplicate, SeenIds
from ancestral.jobs.errors import RequestProblem, RequestsInvalid
from ancestral.jobs.inputs import (
    Record,
    Source,
    expand,
    hash_file,
    read_files,
    read_grid,
    refuse_query,
)
from ancestral.jobs.kinds import check_together
from ancestral.jobs.media_values import MediaReference, MediaValue, check_beginning
from ancestral.jobs.problems import PROBLEMS_KEPT
from ancestral.jobs.request_shards import LocalShard, Request, fail_repeats, write_shards
from ancestral.jobs.signature import (
    RESERVED,
    check_columns,
    check_fields,
    check_request_id,
    check_seed,
    fields_from_text,
)
from ancestral.jobs.spec import InputFile, JobSpec
from ancestral.jobs.store import ahead

#: Requests between two calls that tell how many are checked.
TOLD_REQUESTS = 256


@dataclass(frozen=True)
class PreparedRequests:
    """The requests of a job, checked, in shards in a local folder."""

    requests: int
    shards: tuple[LocalShard, ...]
    inputs: tuple[InputFile, ...]


def prepare_requests(
    spec: JobSpec,
    signature: Mapping[str, Any],
    folder: Path,
    progress: Callable[[int], None] | None = None,
) -> PreparedRequests:
    """Reads, checks and normalises the requests of `spec` into shards in `folder`.

    `progress` is called with how many are checked so far, now and then; how many there are is not
    known before. Raises RequestsInvalid when requests are wrong and the spec does not record them,
    and SpecError when the input cannot be read.
    """
    for uri in _media_of_grid(spec, signature):
        refuse_query(uri)
    uris = expand(spec.input) if spec.input else []
    inputs = tuple(InputFile(uri=uri, sha256=hash_file(uri)) for uri in uris)
    sources = read_files(uris) if spec.grid is None else iter([read_grid(spec.grid)])
    checker = _Checker(spec, signature, folder, progress)
    shards = tuple(write_shards(checker.requests(sources), folder))
    checker.settle(shards)
    return PreparedRequests(checker.met, shards, inputs)


def _media_of_grid(spec: JobSpec, signature: Mapping[str, Any]) -> Iterator[str]:
    """Where media lie that a grid gives: unlike those of an input, their addresses stay in the
    spec."""
    for name, values in (spec.grid or {}).items():
        if signature["fields"].get(name, {}).get("type") == "media":
            for value in values:
                uri = value.get("uri") if isinstance(value, dict) else value
                if isinstance(uri, str):
                    yield uri


def derive_seed(job_seed: int, request_id: str) -> int:
    """The seed of a request without its own: the first 63 bits of BLAKE2b(job seed ‖ request_id).

    The job's seed enters as 8 bytes, lowest first, and the id in UTF-8.
    """
    digest = blake2b(job_seed.to_bytes(8, "little") + request_id.encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


class _Checker:
    """Turns records into requests, and keeps what is wrong with them."""

    def __init__(
        self,
        spec: JobSpec,
        signature: Mapping[str, Any],
        folder: Path,
        progress: Callable[[int], None] | None,
    ) -> None:
        self.met = 0
        self._progress = progress
        self._signature = signature
        self._has_media = any(field["type"] == "media" for field in signature["fields"].values())
        self._job_seed = spec.sampling.seed
        self._record = spec.on_invalid == "record"
        self._origin = spec.input or "the grid"
        self._seen = SeenIds(folder)
        #: Every source so far with the index of its first request.
        self._sources: list[tuple[int, Source]] = []
        #: Sentences with the index of their request.
        self._problems: list[tuple[int, str]] = []
        self._total_problems = 0

    def requests(self, sources: Iterable[Source]) -> Iterator[Request]:
        """The requests in order; no more of them once the job is to be rejected."""
        for source in sources:
            self._sources.append((self.met, source))
            if source.columns is not None:
                check_columns(self._signature, source.columns, source.origin)
            for number, request in self._checked_all(source):
                if request.error is not None:
                    self._note(self.met, request.error)
                self._seen.add(request.request_id, number)
                self.met += 1
                if self._progress is not None and self.met % TOLD_REQUESTS == 0:
                    self._progress(self.met)
                if self._record or not self._total_problems:
                    yield request
        if not self.met:
            raise RequestsInvalid([f"{self._origin}: holds no request"], 1)

    def settle(self, shards: Sequence[LocalShard]) -> None:
        """Finds repeated ids, now that all are known. Raises RequestsInvalid."""
        repeats = self._seen.duplicates()
        if self._record:
            self._fail(shards, sorted(repeats))
            return
        # As many may repeat as there are: only those that are shown are held.
        for each in heapq.nsmallest(PROBLEMS_KEPT, self._counted(repeats)):
            self._problems.append((each.index, self._repeats(each)))
        if self._total_problems:
            sentences = [sentence for _, sentence in sorted(self._problems)[:PROBLEMS_KEPT]]
            raise RequestsInvalid(sentences, self._total_problems)

    def _fail(self, shards: Sequence[LocalShard], repeats: list[Duplicate]) -> None:
        """Makes requests fail, in order, that repeat an id."""
        first = self.met
        while repeats:
            for number, some in itertools.groupby(repeats, lambda each: _holding(shards, each)):
                errors = {each.index: self._repeats(each) for each in some}
                for request_id in fail_repeats(shards[number], errors):
                    self._seen.add(request_id, number)
            # What was appended may have made an id that another request has as its own.
            again = sorted(each.index for each in self._seen.duplicates() if each.index >= first)
            first, repeats = first + len(repeats), [repeats[index - first] for index in again]

    def _counted(self, repeats: Iterable[Duplicate]) -> Iterator[Duplicate]:
        for each in repeats:
            self._total_problems += 1
            yield each

    def _checked_all(self, source: Source) -> Iterator[tuple[int, Request]]:
        """Every record of a source as its number and a request."""

        def check(indexed: tuple[int, Record]) -> tuple[int, Request]:
            index, record = indexed
            return record.number, self._checked(index, record, source)

        indexed = enumerate(source.records, start=self.met)
        # Files of a store far away are worth waiting for together.
        return ahead(check, indexed) if self._has_media else map(check, indexed)

    def _checked(self, index: int, record: Record, source: Source) -> Request:
        request_id = f"#{index}"
        try:
            if record.problem:
                raise RequestProblem(record.problem)
            values = record.values
            if source.texts:
                values = fields_from_text(self._signature, values)
            request_id = check_request_id(values.get("request_id", index))
            seed = values.get("seed")
            fields = {name: value for name, value in values.items() if name not in RESERVED}
            seed = derive_seed(self._job_seed, request_id) if seed is None else check_seed(seed)
            asked = check_fields(self._signature, fields)
            check_together(asked)
            return Request(request_id, seed, self._with_media(asked, source.folder))
        except RequestProblem as problem:
            sentence = f"{source.place(record.number)}: {problem}"
            return Request(request_id, derive_seed(self._job_seed, request_id), {}, sentence)

    def _with_media(self, fields: Mapping[str, Any], folder: str) -> dict[str, Any]:
        """The fields with the bytes of the files that they name. Raises RequestProblem."""
        known = {
            name: value.read(folder) if isinstance(value, MediaReference) else value
            for name, value in fields.items()
        }
        for name, value in known.items():
            if isinstance(value, MediaValue):
                check_beginning(name, value, self._signature["medium"])
        return known

    def _note(self, index: int, sentence: str) -> None:
        self._total_problems += 1
        if len(self._problems) < PROBLEMS_KEPT:
            self._problems.append((index, sentence))

    def _repeats(self, repeat: Duplicate) -> str:
        source, first_source = self._source(repeat.index), self._source(repeat.first_index)
        first = first_source.counting.format(repeat.first_number)
        where = "" if first_source is source else f" of {first_source.origin}"
        return f"{source.place(repeat.number)}: has the same request_id as {first}{where}"

    def _source(self, index: int) -> Source:
        """The source of the request of that index."""
        position = bisect.bisect_right(self._sources, index, key=lambda each: each[0]) - 1
        return self._sources[position][1]


def _holding(shards: Sequence[LocalShard], repeat: Duplicate) -> int:
    return bisect.bisect_right(shards, repeat.index, key=lambda shard: shard.first_request) - 1
