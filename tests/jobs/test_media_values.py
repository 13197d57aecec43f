"""Media that requests give: files, pieces of packs, and bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from ancestral.jobs import media_values
from ancestral.jobs.errors import RequestProblem
from ancestral.jobs.media_values import (
    MediaReference,
    MediaValue,
    check_beginning,
    media_given,
)
from tests.jobs.web import Quiet, serving


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """A folder that holds half.png."""
    (tmp_path / "half.png").write_bytes(b"the upper half")
    return str(tmp_path)


def read(value: object, folder: str) -> MediaValue:
    given = media_given("prefix", value)
    return given.read(folder) if isinstance(given, MediaReference) else given


def test_a_file_is_read_whole(folder: str) -> None:
    value = read("half.png", folder)
    assert value == MediaValue(b"the upper half", f"{folder}/half.png")
    assert value.sha256 == hashlib.sha256(b"the upper half").hexdigest()


def test_a_piece_is_read_as_an_index_names_it(folder: str) -> None:
    piece = {"uri": "half.png", "offset": 4, "length": 5}
    assert read(piece, folder) == MediaValue(b"upper", f"{folder}/half.png")
    assert read({"uri": "half.png", "offset": 4, "length": None}, folder).data == b"upper half"
    assert read({"uri": "half.png"}, folder).data == b"the upper half"
    # A null elsewhere in its table turned the numbers to floats
    assert read({"uri": "half.png", "offset": 4.0, "length": 5.0}, folder).data == b"upper"


def test_bytes_are_taken_as_they_are() -> None:
    assert media_given("prefix", b"sound") == MediaValue(b"sound", None)


def test_where_relative_paths_begin(folder: str) -> None:
    with fsspec.open("memory://media-values/7.png", "wb") as file:
        file.write(b"seven")
    assert read("7.png", "memory://media-values") == read("memory://media-values/7.png", folder)
    assert read(f"{folder}/half.png", "memory://media-values").data == b"the upper half"
    assert read("x/../half.png", folder).uri == f"{folder}/half.png"


def test_a_relative_path_stays_within_the_bucket_where_it_begins() -> None:
    # Given an input in a folder of a bucket, and media beside that folder
    for name in ("7.png", "media//8.png", ".../9.png"):
        with fsspec.open(f"memory://bucket/{name}", "wb") as file:
            file.write(name.encode())

    # Then a path is resolved as on a disk, but for what a bucket takes for names
    for path, name in (
        ("../7.png", "7.png"),
        ("./a/../../7.png", "7.png"),
        ("../media//8.png", "media//8.png"),
        ("../.../9.png", ".../9.png"),
    ):
        value = read(path, "memory://bucket/inputs")
        assert value == MediaValue(name.encode(), f"memory://bucket/{name}")

    # And no path leads to another bucket
    for path in ("../../other/7.png", "../../bucket/7.png"):
        with pytest.raises(RequestProblem) as caught:
            read(path, "memory://bucket/inputs")
        assert str(caught.value) == (
            f"{path}: begins in memory://bucket/inputs, and leaves memory://bucket"
        )


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("none.png", "none.png: there is no such file"),
        (".", ": cannot be read (Is a directory)"),
        ("empty.png", "empty.png: is empty"),
        ({"uri": "half.png", "offset": 10, "length": 5}, "half.png: ends before byte 15"),
        ({"uri": "half.png", "offset": 99}, "half.png: is empty"),
        ({"uri": "half.png", "offset": -1}, "'prefix.offset' should be a whole number"),
        ({"uri": "half.png", "offset": 4.5}, "'prefix.offset' should be a whole number"),
        ({"uri": "half.png", "offset": 2**63}, f"a whole number in [0, {2**63 - 1}], not"),
        ({"uri": "half.png", "length": True}, "'prefix.length' should be a whole number"),
        ({"uri": "half.png", "size": 5}, "'prefix' has an unknown key 'size'; known are uri"),
        ({"offset": 5}, "'prefix' should have a 'uri' that is a text, not nothing"),
        ("", "'prefix' should be a path or a URI"),
        ("half\udcff.png", "'prefix' should be a path or a URI"),
        ("simplecache::s3://lake/7.png", "without '::'"),
        ("odd://lake/7.png", "odd://lake/7.png: cannot be read"),
        (b"", "prefix: is empty"),
    ],
)
def test_what_cannot_be_read_is_a_problem_of_its_request(
    folder: str, value: object, sentence: str
) -> None:
    (Path(folder) / "empty.png").touch()
    with pytest.raises(RequestProblem) as caught:
        read(value, folder)
    assert sentence in str(caught.value)


def test_a_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(RequestProblem, match="carries a password") as caught:
        media_given("prefix", "s3://me:open-sesame@lake/7.png")
    assert "open-sesame" not in str(caught.value)


@pytest.fixture
def server() -> Iterator[str]:
    """The URL of a web server that has half.png, which it gives whole whatever is asked for; of
    half.png?live it does not say the length."""

    class Handler(Quiet):
        def do_GET(self) -> None:
            there = self.path.startswith("/half.png")
            self.send_response(200 if there else 403)
            if not self.path.endswith("?live"):
                self.send_header("Content-Length", "14" if there else "0")
            self.end_headers()
            if there and self.command == "GET":
                self.wfile.write(b"the upper half")

    with serving(Handler) as url:
        yield url


@pytest.mark.parametrize(
    "piece",
    [
        {"offset": 0, "length": 3},
        {"offset": 4, "length": 5},
        {"offset": 4, "length": 14},
        {"offset": 4},
    ],
)
@pytest.mark.parametrize("query", ["", "?live"])
def test_a_whole_file_is_not_taken_for_a_piece(
    server: str, query: str, piece: dict[str, int]
) -> None:
    with pytest.raises(RequestProblem, match=r"half\.png: its server gives whole files only"):
        read({"uri": f"{server}/half.png{query}", **piece}, "/")


def test_a_signature_of_an_address_is_not_kept(server: str, folder: str) -> None:
    value = read(f"{server}/half.png?X-Signature=open-sesame", "/")
    assert value == MediaValue(b"the upper half", f"{server}/half.png")
    with pytest.raises(RequestProblem, match="cannot be read") as caught:
        read(f"{server}/none.png?X-Signature=open-sesame", "/")
    assert "open-sesame" not in str(caught.value)
    # And of a file nothing is cut away
    (Path(folder) / "what?.png").write_bytes(b"what")
    assert read("what?.png", folder).uri == f"{folder}/what?.png"


@pytest.mark.parametrize("value", ["half.png", {"uri": "half.png"}, b"the upper half"])
def test_what_is_too_large_is_refused(
    folder: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media_values, "LARGEST_MEDIA_BYTES", 14)
    assert read(value, folder).data == b"the upper half"
    monkeypatch.setattr(media_values, "LARGEST_MEDIA_BYTES", 13)
    with pytest.raises(RequestProblem, match="is larger than 13 bytes"):
        read(value, folder)


@pytest.mark.s3
def test_a_piece_of_an_object_in_a_bucket_is_read(s3_server: str) -> None:
    with fsspec.open("s3://ancestral-tests/media/pack.tar", "wb") as file:
        file.write(b"the upper half")
    assert read("pack.tar", "s3://ancestral-tests/media").data == b"the upper half"
    piece = {"uri": "s3://ancestral-tests/media/pack.tar", "offset": 4, "length": 5}
    assert read(piece, "/").data == b"upper"
    with pytest.raises(RequestProblem, match="there is no such file"):
        read("none.tar", "s3://ancestral-tests/media")


#: How files begin that are read.
WEBP, MP4 = b"RIFF\x24\0\0\0WEBPVP8 ", b"\0\0\0\x20ftypisom"
PNG, GIF, NPY, FLAC = b"\x89PNG\r\n", b"GIF89a", b"\x93NUMPY\x01\0", b"fLaC\0\0"


@pytest.mark.parametrize(
    ("medium", "those", "others"),
    [
        ("image", [PNG, WEBP, b"\xff\xd8\xff\xe0", GIF, b"BM6"], [MP4, NPY, FLAC, b"RIFF"]),
        ("video", [WEBP, GIF, PNG, MP4], [b"\xff\xd8\xff\xe0", b"BM6", NPY, FLAC, b"ftypisom"]),
        ("series", [NPY], [PNG, WEBP, MP4, FLAC, b" \x93NUMPY"]),
        ("audio", [FLAC, WEBP, b"anything"], []),
    ],
)
def test_files_begin_like_those_of_their_medium(
    medium: str, those: list[bytes], others: list[bytes]
) -> None:
    for data in those:
        check_beginning("prefix", MediaValue(data), medium)
    for data in others:
        with pytest.raises(RequestProblem, match=r"^'prefix': does not begin like an? "):
            check_beginning("prefix", MediaValue(data), medium)
