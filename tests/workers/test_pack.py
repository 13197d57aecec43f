"""Packs are tars that everybody reads, of the same bytes whenever their rows are the same."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
import webdataset
from hypothesis import given
from hypothesis import strategies as st

from ancestral.workers.encode import Artifact
from ancestral.workers.errors import PackError
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


def png(data: bytes) -> Artifact:
    return Artifact(data, "png", "image/png", channels=1)


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
def test_equal_rows_make_equal_packs(rows: Rows) -> None:
    turned = {
        ordinal: (data, dict(reversed(description.items())))
        for ordinal, (data, description) in rows.items()
    }

    assert write(rows) == write(turned)


# WebDataset leaves the file that it opened to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_webdataset_reads_a_pack(tmp_path: Path) -> None:
    pack, _ = write({3: (b"three", {"seed": 30}), 11: (b"eleven", {"seed": 110})})
    (tmp_path / "pack.tar").write_bytes(pack)

    samples = list(webdataset.WebDataset(str(tmp_path / "pack.tar"), shardshuffle=False))

    assert [sample["__key__"] for sample in samples] == ["000000000003", "000000000011"]
    assert [sample["png"] for sample in samples] == [b"three", b"eleven"]
    assert [json.loads(sample["json"])["seed"] for sample in samples] == [30, 110]


def test_rows_have_to_rise() -> None:
    writer = PackWriter()
    writer.add(5, png(b"five"), {})

    with pytest.raises(PackError, match="row 5 came after row 5"):
        writer.add(5, png(b"five"), {})
    with pytest.raises(PackError, match="row 4 came after row 5"):
        writer.add(4, png(b"four"), {})


def test_a_closed_pack_takes_no_more_and_stays_what_it_is() -> None:
    writer = PackWriter()
    writer.add(1, png(b"one"), {})
    pack = writer.close()

    with pytest.raises(PackError, match="closed"):
        writer.add(2, png(b"two"), {})
    assert writer.close() == pack
