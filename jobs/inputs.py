"""Inputs as streams of raw records: Parquet, JSONL, CSV, a glob of them, or a grid.

A source knows how its records are counted, so that every problem can name its place:

    requests.jsonl, line 3                     as editors count, from 1
    requests.csv, line 3                       from 1; the header is line 1
    requests.parquet, row 17 counted from 0    as data frames count
    the grid, request 5 counted from 0         as the ids that it gives
"""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import json
import lzma
import os
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from ancestral.jobs.bucket_errors import foreign_errors, translated
from ancestral.jobs.errors import JobError, SpecError, StoreUnavailable
from ancestral.jobs.wording import shown

#: How a file is read, by the end of its name (in front of .gz, .bz2 or .xz).
FORMS = {"parquet": (".parquet", ".pq"), "jsonl": (".jsonl", ".ndjson"), "csv": (".csv",)}

#: The column in which pandas keeps the row labels of a filtered or sorted frame; it is no field of
#: a request.
_ROW_LABELS = re.compile(r"__index_level_\d+__")

#: A line longer than this is no request; reading on would only fill the memory.
LONGEST_LINE_BYTES = 16 * 2**20

# Python's own limit, of 128 KiB, would call a longer cell a broken file. It is one for all who read
# CSV in this process, who may have raised it further.
csv.field_size_limit(max(csv.field_size_limit(), LONGEST_LINE_BYTES))

#: Rows of a Parquet file that are held as Python values at a time, and their bytes; a row may hold
#: a whole image or sound. What is not just numbers may take more than the file tells, since equal
#: values are stored once.
BATCH_ROWS = 4096
BATCH_ROWS_OF_ANY_SIZE = 64
BATCH_BYTES = 64 * 2**20

#: Bytes read from a file at a time.
BLOCK_BYTES = 2**20


@dataclass(frozen=True)
class Record:
    """One raw record, or the problem that kept it from being read."""

    number: int
    values: dict[str, Any]
    problem: str | None = None


@dataclass(frozen=True)
class Source:
    """One file or grid. `columns` is None where every record names its own (JSONL)."""

    origin: str
    #: How record {} is called: "line {}" or "row {} counted from 0".
    counting: str
    columns: tuple[str, ...] | None
    #: Values are texts, to be converted by the signature (CSV).
    texts: bool
    #: Where relative paths in the records begin: a path or a URI.
    folder: str
    records: Iterator[Record]

    def place(self, number: int) -> str:
        """Where record `number` stands, for the head of a sentence."""
        return f"{self.origin}, {self.counting.format(number)}"


def refuse_query(uri: str) -> None:
    """Raises SpecError for a web address with a query, whose text is to be kept."""
    for link in uri.split("::"):
        address, has_query, _ = link.partition("?")
        if has_query and is_http(address):
            raise SpecError(
                f"{address}: has a query, which may hold a signature and would be kept for all who "
                "read the job or the model: fetch the file first, or name an address without one"
            )


def expand(uri: str) -> list[str]:
    """The files that `uri` names: itself, or what a glob finds, sorted.

    Raises SpecError when there is none, or when a query would be kept; and StoreUnavailable.
    """
    refuse_query(uri)
    with reading(uri):
        files, path = fsspec.url_to_fs(uri, use_listings_cache=False)
        if files.isfile(path):
            return [uri]
        if files.isdir(path):
            raise SpecError(
                f"{uri}: is a folder; name a file in it, or a glob like {uri}/*.parquet"
            )
        found = sorted(files.glob(path)) if fsspec.core.has_magic(path) else []
    if not found:
        if not fsspec.core.has_magic(path):
            raise SpecError(f"{uri}: there is no such file")
        hint = "; of a file's own name, [ is written [[]" if "[" in path else ""
        raise SpecError(f"{uri}: no file matches{hint}")
    local = "file" in files.protocol
    return [each if local else files.unstrip_protocol(each) for each in found]


def is_http(uri: str) -> bool:
    """Whether it is the address of a file on a web server."""
    return uri.lower().startswith(("http://", "https://"))


def hash_file(uri: str) -> str:
    """The sha256 (hex) of a file's bytes as they are stored."""
    digest = hashlib.sha256()
    with opened(uri) as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def read_files(uris: Sequence[str]) -> Iterator[Source]:
    """The sources of the files, opened one after the other: exhaust each before taking the next.

    Raises SpecError when a file cannot be read, there or on the way through its records, and
    StoreUnavailable.
    """
    for uri in uris:
        form = _form(uri)
        folder = os.path.dirname(uri)
        compression = None if form == "parquet" else "infer"
        with opened(uri, compression) as file:
            if form == "parquet":
                table = pq.ParquetFile(file)
                names = table.schema_arrow.names
                kept = [
                    place for place, name in enumerate(names) if not _ROW_LABELS.fullmatch(name)
                ]
                columns = tuple(names[place] for place in kept)
                records = _parquet_records(table, kept, uri)
                yield Source(uri, "row {} counted from 0", columns, False, folder, records)
            elif form == "csv":
                text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
                rows = csv.reader(text, strict=True)
                header = tuple(next(rows, ()))
                if not header:
                    raise SpecError(f"{uri}, line 1: should name the columns, and is empty")
                yield Source(uri, "line {}", header, True, folder, _csv_records(rows, header, uri))
            else:
                yield Source(uri, "line {}", None, False, folder, _jsonl_records(file, uri))


def read_grid(grid: Mapping[str, Sequence[object]]) -> Source:
    """Every combination of the values, in the order of the keys: the last one varies fastest."""
    combinations = itertools.product(*grid.values())
    records = (
        Record(number, dict(zip(grid, values, strict=True)))
        for number, values in enumerate(combinations)
    )
    counting = "request {} counted from 0"
    return Source("the grid", counting, tuple(grid), False, os.getcwd(), records)


@contextmanager
def opened(uri: str, compression: str | None = None) -> Iterator[io.BufferedReader]:
    """The file at `uri`, any path or URI that fsspec knows. Errors are those of `reading`."""
    with reading(uri):
        # Without the cache of listings, a file that was replaced is read as it is now.
        file = fsspec.open(uri, "rb", compression=compression, use_listings_cache=False)
        with file as raw:
            yield io.BufferedReader(raw, BLOCK_BYTES)


@contextmanager
def reading(uri: str) -> Iterator[None]:
    """Turns what a file system or a format's reader raises about `uri` into our own errors.

    Raises SpecError, or StoreUnavailable when a bucket does not answer: no fault of the job.
    """
    scheme = uri.partition("://")[0]
    try:
        yield
    except JobError:
        raise
    except FileNotFoundError as error:
        raise SpecError(f"{uri}: there is no such file") from error
    except UnicodeDecodeError as error:
        raise SpecError(f"{uri}: is not text in UTF-8: save it as UTF-8") from error
    except (
        pa.ArrowException,
        csv.Error,
        EOFError,
        zlib.error,
        lzma.LZMAError,
    ) as error:
        raise SpecError(f"{uri}: is broken ({_first_line(error)})") from error
    except (ImportError, ValueError) as error:
        raise SpecError(f"{uri}: cannot be read ({_first_line(error)})") from error
    except foreign_errors(scheme) as error:
        if not scheme.startswith("s3"):
            raise SpecError(f"{uri}: cannot be read ({_first_line(error)})") from error
        problem = translated(error, f"{uri}: cannot be read")
        passing = isinstance(problem, StoreUnavailable)
        raise (problem if passing else SpecError(str(problem))) from None


def _form(uri: str) -> str:
    name = uri.lower()
    for packed in (".gz", ".bz2", ".xz"):
        name = name.removesuffix(packed)
    for form, suffixes in FORMS.items():
        if name.endswith(suffixes):
            return form
    known = ", ".join(suffix for suffixes in FORMS.values() for suffix in suffixes)
    raise SpecError(f"{uri}: its name should end in one of {known}")


def _parquet_records(table: pq.ParquetFile, columns: Sequence[int], uri: str) -> Iterator[Record]:
    numbers = itertools.count()
    with reading(uri):
        for batch in table.iter_batches(batch_size=_batch_rows(table)):
            for values in batch.select(columns).to_pylist():
                yield Record(next(numbers), values)


def _batch_rows(table: pq.ParquetFile) -> int:
    """As many rows as BATCH_BYTES hold where they are largest; few where nobody knows."""
    metadata = table.metadata
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    largest = max((group.total_byte_size // max(1, group.num_rows) for group in groups), default=0)
    numbers = all(pa.types.is_primitive(kind) for kind in table.schema_arrow.types)
    most = BATCH_ROWS if numbers else BATCH_ROWS_OF_ANY_SIZE
    return max(1, min(most, BATCH_BYTES // max(1, largest)))


def _csv_records(rows: Any, header: tuple[str, ...], uri: str) -> Iterator[Record]:
    with reading(uri):
        # The line that a record begins in: a quoted cell may go on in the next ones.
        first = rows.line_num + 1
        for cells in rows:
            if len(cells) == len(header):
                yield Record(first, dict(zip(header, cells, strict=True)))
            elif cells:
                count = f"{len(cells)} cell{'s' if len(cells) > 1 else ''}"
                problem = f"has {count} where the header has {len(header)}"
                yield Record(first, {}, problem)
            first = rows.line_num + 1


def _jsonl_records(file: io.BufferedReader, uri: str) -> Iterator[Record]:
    number = 0
    with reading(uri):
        while line := file.readline(LONGEST_LINE_BYTES):
            number += 1
            if len(line) == LONGEST_LINE_BYTES:
                raise SpecError(f"{uri}, line {number}: is longer than any request can be")
            if not line.isspace():
                yield _parsed(number, line)


def _parsed(number: int, line: bytes) -> Record:
    try:
        text = line.decode("utf-8-sig").rstrip("\r\n")
        values = json.loads(text, object_pairs_hook=_each_once)
    except RecursionError:
        return Record(number, {}, "is nested too deeply")
    except UnicodeDecodeError:
        return Record(number, {}, "is not text in UTF-8: save the file as UTF-8")
    except json.JSONDecodeError as error:
        # Its own line number would count from this line on.
        return Record(number, {}, f"is not valid JSON ({error.msg}: column {error.colno})")
    except ValueError as error:
        return Record(number, {}, f"is not valid JSON ({_first_line(error)})")
    if not isinstance(values, dict):
        return Record(number, {}, f"should be a JSON object, not {shown(values)}")
    return Record(number, values)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. Raises ValueError for a key that is given twice, of which one would win."""
    values: dict[str, Any] = {}
    for key, value in pairs:
        if key in values:
            raise ValueError(f"the key {shown(key)} is given twice")
        values[key] = value
    return values


def _first_line(error: Exception) -> str:
    status = getattr(error, "status", None)
    if status is not None:
        # Its words name the URL that we were sent on to, which may hold a secret.
        return f"HTTP status {status}"
    if isinstance(error, OSError) and error.filename is not None:
        # Its words repeat the path.
        return str(error.strerror)
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
