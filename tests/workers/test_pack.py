"""Packs are tars that everybody reads, of the same bytes whenever their rows are the same."""

from __future__ import annotations

import io
import json
import tarfile

from hypothesis import given
from hypothesis import strategies as st

from ancestral.workers.encode import Encoded
from ancestral.workers.pack import Member, PackWriter

ROWS = st.dictionaries(
    st.integers(0, 10**12 - 1),
    st.tuples(st.binary(max_size=1500), st.dictionaries(st.text(max_size=5), st.integers())),
    max_size=12,
)
Rows = dict[int, tuple[bytes, dict[str, int]]]


def write(rows: Rows) -> tuple[bytes, dict[int, Member]]:
    writer = PackWriter()
    members = {
        ordinal: writer.add(ordinal, png(data), description)
        for ordinal, (data, description) in sorted(rows.items())
    }
    return writer.close(), members


def png(data: bytes) -> Encoded:
    return Encoded(data, "png", "image/png", channels=1)


@given(ROWS)
def test_an_artifact_lies_where_its_member_says(rows: Rows) -> None:
    pack, members = write(rows)

    for ordinal, (data, _) in rows.items():
        member = members[ordinal]
        assert pack[member.offset : member.offset + member.length] == data


@given(ROWS)
def test_tarfile_reads_a_pack_and_nothing_tells_when_or_by_whom_it_was_made(rows: Rows) -> None:
    pack, _ = write(rows)

    with tarfile.open(fileobj=io.BytesIO(pack)) as tar:
        infos = tar.getmembers()
        contents = {info.name: tar.extractfile(info) for info in infos}
    assert [info.name for info in infos] == [
        f"{ordinal:012d}.{suffix}" for ordinal in sorted(rows) for suffix in ("png", "json")
    ]
    for ordinal, (data, description) in rows.items():
        image, text = contents[f"{ordinal:012d}.png"], contents[f"{ordinal:012d}.json"]
        assert image is not None and image.read() == data
        assert text is not None and json.loads(text.read()) == description
    for info in infos:
        assert (info.mtime, info.uid, info.gid, info.uname, info.gname) == (0, 0, 0, "", "")
        assert info.mode == 0o644 and info.isreg()


@given(ROWS)
def test_headers_are_those_that_tarfile_would_write(rows: Rows) -> None:
    pack, members = write(rows)

    for ordinal, member in members.items():
        info = tarfile.TarInfo(f"{ordinal:012d}.png")
        info.mode, info.size = 0o644, member.length
        header = info.tobuf(tarfile.USTAR_FORMAT)
        assert pack[member.offset - len(header) : member.offset] == header


@given(ROWS)
def test_equal_rows_make_equal_packs(rows: Rows) -> None:
    turned = {
        ordinal: (data, dict(reversed(description.items())))
        for ordinal, (data, description) in rows.items()
    }

    assert write(rows) == write(turned)
