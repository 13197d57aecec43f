"""Media that requests give: files, pieces of packs, or bytes, read once when a job is submitted.

    "halves/7.png"                                      a path, relative to the input's folder
    "s3://lake/halves/7.png"                            a URI of any store that fsspec knows
    {"uri": "packs/0-9.tar", "offset": 512, "length": 803}      a piece, as our own index names it
    b"\\x89PNG..."                                       the bytes themselves (a binary column)

What was read travels inside the request shards: a job never depends on files that may change.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import fsspec

from ancestral.jobs.errors import RequestProblem, SpecError
from ancestral.jobs.inputs import is_http, reading
from ancestral.jobs.numbers import INTEGER_LIMIT, whole
from ancestral.jobs.spec import without_password
from ancestral.jobs.wording import did_you_mean, shown

#: The largest file that a request may give: some minutes of uncompressed sound.
LARGEST_MEDIA_BYTES = 16 * 2**20

#: How files of a medium begin that samplers read, and what people call them. Sounds are not looked
#: at: they come in more kinds than anybody lists.
BEGINNINGS = {
    "image": (rb"\x89PNG|RIFF....WEBP|\xff\xd8\xff|GIF8|BM", "a PNG, WebP, JPEG, GIF or BMP"),
    "video": (rb"RIFF....WEBP|GIF8|\x89PNG|....ftyp", "a WebP, GIF, PNG or MP4"),
    "series": (rb"\x93NUMPY", "an npy"),
}

_PIECE_KEYS = ("uri", "offset", "length")


@dataclass(frozen=True)
class MediaValue:
    """An image, sound, clip or series that a request gave: its file's bytes, and where they were.

    `uri` is absolute, without the query of an HTTP address, which may hold a signature; None where
    the request held the bytes themselves.
    """

    data: bytes = field(repr=False)
    uri: str | None = None

    @cached_property
    def sha256(self) -> str:
        """Of the bytes, in hex."""
        return hashlib.sha256(self.data).hexdigest()


def check_beginning(name: str, value: MediaValue, medium: str) -> None:
    """Raises RequestProblem when the file of the medium `name` does not begin like one of its kind.

    One that does may still be broken, which only those who read all of it find out.
    """
    if medium not in BEGINNINGS:
        return
    pattern, kinds = BEGINNINGS[medium]
    if not re.match(pattern, value.data, re.DOTALL):
        raise RequestProblem(f"{value.uri or repr(name)}: does not begin like {kinds} file")


@dataclass(frozen=True)
class MediaReference:
    """A file that a request names, or `length` bytes of it from `offset` on."""

    uri: str
    offset: int = 0
    length: int | None = None

    def read(self, folder: str) -> MediaValue:
        """What lies there; `folder` is where relative paths begin. Raises RequestProblem."""
        uri = _absolute(self.uri, folder)
        shown_uri = _without_query(uri)
        wanted = LARGEST_MEDIA_BYTES + 1 if self.length is None else self.length
        whole_file_given = False
        try:
            with reading(shown_uri):
                # Without the cache of listings, a file that was replaced is read as it is now.
                files, path = fsspec.url_to_fs(uri, use_listings_cache=False)
                piece = self.offset > 0 or self.length is not None
                if piece and is_http(uri):
                    whole_file_given = len(files.cat_file(path, start=0, end=1)) > 1
                data = files.cat_file(path, start=self.offset, end=self.offset + wanted)
        except SpecError as error:
            raise RequestProblem(str(error)) from error
        if whole_file_given:
            # The server ignores ranges, and its answer to the piece itself would not show that.
            raise RequestProblem(f"{shown_uri}: its server gives whole files only, and no pieces")
        if self.length is not None and len(data) < self.length:
            raise RequestProblem(f"{shown_uri}: ends before byte {self.offset + self.length}")
        return MediaValue(_sized(data, shown_uri), shown_uri)


def media_given(name: str, value: object) -> MediaReference | MediaValue:
    """What a request gives as the medium `name`. Raises RequestProblem."""
    if isinstance(value, MediaValue):
        return value
    if isinstance(value, bytes):
        return MediaValue(_sized(value, name))
    if isinstance(value, str):
        return MediaReference(_checked_uri(name, value))
    if isinstance(value, Mapping):
        return _piece(name, value)
    raise RequestProblem(
        f"{name!r} should be the path or URI of a file, bytes, or 'uri', 'offset' and 'length' of "
        f"a piece, not {shown(value)}"
    )


def _piece(name: str, value: Mapping[str, object]) -> MediaReference:
    for key in value:
        if key not in _PIECE_KEYS:
            hint = did_you_mean(key, _PIECE_KEYS)
            raise RequestProblem(f"{name!r} has an unknown key {key!r}{hint}")
    uri, offset, length = (value.get(key) for key in _PIECE_KEYS)
    if not isinstance(uri, str):
        raise RequestProblem(f"{name!r} should have a 'uri' that is a text, not {shown(uri)}")
    return MediaReference(
        _checked_uri(name, uri),
        0 if offset is None else _checked_size(f"{name}.offset", offset, INTEGER_LIMIT - 1),
        None if length is None else _checked_size(f"{name}.length", length, LARGEST_MEDIA_BYTES),
    )


def _checked_uri(name: str, uri: str) -> str:
    # Half a surrogate pair, which JSON can spell, is no character of any name.
    if not uri or "\0" in uri or "::" in uri or re.search("[\ud800-\udfff]", uri):
        raise RequestProblem(
            f"{name!r} should be a path or a URI like s3://bucket/file without '::', not "
            f"{shown(uri)}"
        )
    try:
        return without_password(uri)
    except ValueError as error:
        raise RequestProblem(f"{name!r} {error}") from error


def _checked_size(name: str, value: object, limit: int) -> int:
    size = whole(value)
    if size is None or not 0 <= size <= limit:
        wanted = f"a whole number in [0, {limit}]"
        raise RequestProblem(f"{name!r} should be {wanted}, not {shown(value)}")
    return size


def _sized(data: bytes, origin: str) -> bytes:
    if not data:
        raise RequestProblem(f"{origin}: is empty")
    if len(data) > LARGEST_MEDIA_BYTES:
        raise RequestProblem(f"{origin}: is larger than {LARGEST_MEDIA_BYTES} bytes")
    return data


def _without_query(uri: str) -> str:
    return uri.partition("?")[0] if is_http(uri) else uri


def _absolute(uri: str, folder: str) -> str:
    """`uri` as every folder understands it; `folder` may be a URI itself. Raises RequestProblem."""
    path = os.path.expanduser(uri)
    if "://" in path or os.path.isabs(path):
        return path
    if "://" not in folder:
        return os.path.abspath(os.path.join(folder, path))
    scheme, _, place = folder.partition("://")
    root, *parts = place.split("/")
    # To a bucket "." and ".." are names like any other.
    for part in path.split("/"):
        if part == ".." and not parts:
            raise RequestProblem(f"{uri}: begins in {folder}, and leaves {scheme}://{root}")
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return f"{scheme}://{'/'.join([root, *parts])}"
