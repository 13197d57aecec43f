"""A job into a folder of tars for WebDataset, fewer and larger than its packs.

    packs of units ──► {job}-{moment}-ok-000000.tar, ...-ok-000001.tar, ...
                  └──► {job}-{moment}-rejected-000000.tar, if they were asked for

The samples are those of the packs, member by member. Every tar is created once and holds the rows
of fixed packs, so that an export which was interrupted goes on where it was, and one that is done
again writes nothing. Jobs may share a folder: the moment is that of submission, since a job of
another state may have the same id.
"""

from __future__ import annotations

import contextlib
import io
import re
import tarfile
from collections.abc import Iterable, Iterator, Sequence

from ancestral.jobs.errors import AlreadyExists, CorruptObject
from ancestral.jobs.export_rows import SHARD_BYTES, FinishedJob, Outcome, Passed
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.records import STATUS_LETTERS, RowsRecord, read_verified
from ancestral.jobs.store import Store, ahead, open_output


def export_webdataset(
    finished: FinishedJob, uri: str, outcomes: Sequence[Outcome], passed: Passed
) -> tuple[str, int]:
    """Where the folder is, and how many rows were written to it. Raises StoreError."""
    place = open_output(uri)
    job = finished.job
    name = f"{job.job_id}-{re.sub('[^0-9]', '', job.submitted_at)}"
    written = 0
    for outcome in outcomes:
        letter = STATUS_LETTERS[outcome]
        records = Ledger(finished.store, job.job_id).records(job)
        chosen = (record for record in records if letter in record.statuses)
        for number, group in enumerate(_in_groups(chosen, SHARD_BYTES)):
            rows = sum(record.statuses.count(letter) for record in group)
            path = f"{name}-{outcome}-{number:06d}.tar"
            if not place.exists(path):
                with contextlib.suppress(AlreadyExists):
                    place.create(path, _tar(finished.store, group, letter))
                    written += rows
            passed(rows)
    return place.uri, written


def _in_groups(records: Iterable[RowsRecord], size: int) -> Iterator[list[RowsRecord]]:
    """Records that follow one another, whose packs have about so many bytes together."""
    group: list[RowsRecord] = []
    bytes_of_group = 0
    for record in records:
        bytes_of_record = sum(fact.bytes for fact in record.packs)
        if group and bytes_of_group + bytes_of_record > size:
            yield group
            group, bytes_of_group = [], 0
        group.append(record)
        bytes_of_group += bytes_of_record
    if group:
        yield group


def _tar(store: Store, records: Sequence[RowsRecord], letter: str) -> memoryview:
    """The members of the rows with that letter, of all packs of these records."""
    file = io.BytesIO()
    packs = ((record, fact) for record in records for fact in record.packs)
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for record, fact, data in ahead(lambda each: (*each, read_verified(store, each[1])), packs):
            try:
                with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as pack:
                    for member in pack:
                        ordinal = int(member.name.partition(".")[0])
                        if record.statuses[ordinal - record.start] == letter:
                            tar.addfile(member, pack.extractfile(member))
            except (tarfile.TarError, ValueError, IndexError) as error:
                raise CorruptObject(f"{store.uri_of(fact.path)} is no pack of ours") from error
    return file.getbuffer()
