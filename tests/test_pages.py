"""Numbers and formats that pages tell are those of the code; links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest

from ancestral.jobs.client import Client
from ancestral.jobs.problems import PROBLEMS_KEPT
from ancestral.jobs.queue import LEASE_SECONDS
from ancestral.models.sampling.executor import Executor
from ancestral.models.sampling.fused.executor import TILES, FusedExecutor
from ancestral.models.sampling.graph.executor import CUDA_TILE_SLOTS, GraphExecutor
from ancestral.models.sampling.reference import TILE_SLOTS
from ancestral.orchestration.cli import LISTED_PROBLEMS
from ancestral.orchestration.commands.services import EMBEDDED_LEASE_SECONDS
from ancestral.orchestration.controller import AUDIT_SECONDS
from ancestral.orchestration.serve import PATIENCE_SECONDS
from ancestral.workers.clips import ANIMATION_FORMATS
from ancestral.workers.here import run_here
from ancestral.workers.images import STILL_FORMATS
from tests.orchestration.tiny import tiny_settings, tiny_spec

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [
    *ROOT.glob("*.md"),
    *(
        page
        for folder in ("benchmarks", "deploy", "docs")
        for page in (ROOT / folder).rglob("*.md")
    ),
    ROOT / "orchestration" / "shipped" / "README.md",
]


def text_of(page: str) -> str:
    """The words of a page, one blank between each."""
    return " ".join((DOCS / page).read_text(encoding="utf-8").split())


def between(page: str, before: str, after: str) -> str:
    (found,) = re.findall(f"{re.escape(before)}(.*?){re.escape(after)}", text_of(page))
    return str(found)


def test_the_formats_of_given_media_are_those_that_can_be_read() -> None:
    images = re.findall(r"\w+", between("signature.md", "images as ", ", sounds"))
    clips = re.findall(r"\w+", between("signature.md", "clips as ", ", series"))

    assert {name.upper() for name in images} - {"OR"} == set(STILL_FORMATS)
    assert {name.upper() for name in clips} - {"OR"} == {*ANIMATION_FORMATS, "MP4"}


def test_as_many_wrong_requests_are_listed_as_the_page_says() -> None:
    listed = between("signature.md", "the command line lists the first ", " and counts all")
    kept = between("signature.md", "`RequestsInvalid.problems` has the first ", ".")

    assert ({"twenty": 20}[listed], {"hundred": 100}[kept]) == (LISTED_PROBLEMS, PROBLEMS_KEPT)


def test_chunks_and_tiles_are_as_long_and_wide_as_the_page_says() -> None:
    said = between("architecture.md", "**Tiles.**", "**Wide and narrow units.**")

    assert [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", said)] == [
        Executor.chunk_positions,
        TILE_SLOTS,
        GraphExecutor.chunk_positions,
        FusedExecutor.chunk_positions,
        CUDA_TILE_SLOTS,
        TILES["fused"][0],
        TILES["fused-few"][0],
    ]


def test_orders_are_heard_as_soon_as_the_page_says() -> None:
    said = between("guarantees.md", "**Pause and cancel act within one heartbeat**", " apart")

    # A lease has four heartbeats, and "a minute" stands for the audit.
    assert re.findall(r"(\d+) s", said) == [
        f"{LEASE_SECONDS / 4:.0f}",
        f"{EMBEDDED_LEASE_SECONDS / 4:.0f}",
    ]
    assert "within about a minute" in said and AUDIT_SECONDS == 60
    assert "wait a minute for a queue" in text_of("guarantees.md") and PATIENCE_SECONDS == 60


def test_what_a_job_has_drawn_another_scores_by_the_query_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a job that has drawn, and the page's query of its index
    monkeypatch.chdir(tmp_path)
    settings = tiny_settings(tmp_path)
    drawn = run_here(tiny_spec(tmp_path / "lake", samples=2), settings=settings)
    (job_id,) = Client(settings).jobs()
    index = Client(settings).status(job_id).index
    (query,) = re.findall(r"```sql\n(.*?)```", (DOCS / "signature.md").read_text(), flags=re.S)

    # When what it makes is the input of a job that scores
    duckdb.sql(query.replace("INDEX", str(index)))
    spec = {"name": "j", "kind": "score", "model": "tiny", "input": "drawn.parquet"}
    scored = run_here({**spec, "output": "scores"}, settings=settings)

    # Then each artifact is as likely as it was when it was drawn
    before, after = (results.table().sort_by("ordinal").to_pydict() for results in (drawn, scored))
    assert {*before["status"], *after["status"]} == {"ok"}
    likelihoods = dict(zip(after["request_id"], after["log_likelihood_nats"], strict=True))
    for ordinal, likelihood in zip(before["ordinal"], before["log_likelihood_nats"], strict=True):
        assert likelihoods[str(ordinal)] == pytest.approx(likelihood, abs=1e-4)


def test_links_lead_somewhere() -> None:
    links = [
        (page, link)
        for page in PAGES
        for link in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
        if "://" not in link
    ]

    assert len(links) > 30
    assert [each for each in links if not (each[0].parent / each[1]).exists()] == []
