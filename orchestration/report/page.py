"""A finished job as one HTML file: what came out, how likely it is, how fast, and how it was made.

The file holds everything it shows and asks no network for anything. Of a large job it shows and
measures a sample of the rows, so that neither the file nor the memory it takes grows with the job.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jinja2
import pyarrow as pa
import pyarrow.compute as pc

from ancestral.jobs.bundles import HELD_OUT
from ancestral.jobs.manifest import Manifest
from ancestral.jobs.results import Results
from ancestral.jobs.signature import PLURALS
from ancestral.jobs.spec import Job
from ancestral.orchestration.report.comparison import make_comparison
from ancestral.orchestration.report.gallery import Gallery, Real, make_gallery
from ancestral.orchestration.report.judge import Judgement
from ancestral.orchestration.report.measures import (
    Chart,
    drawing_seconds,
    likelihoods,
    ok_rows,
    throughput,
)
from ancestral.orchestration.wording import counted, duration, moment, size

#: What a job of each kind did with its requests.
PARTICIPLES = {
    "generate": "drawn",
    "complete": "completed",
    "reconstruct": "reconstructed",
    "score": "scored",
}

#: About so many rows are shown and measured, at most; whatever is told of more is the manifest's.
LARGEST_ROWS = 100_000

#: Rows that are not ok are listed up to this many.
LARGEST_PROBLEMS = 25


@dataclass(frozen=True)
class Stat:
    """One figure of the head of the page."""

    name: str
    value: str
    aside: str


@dataclass(frozen=True)
class Finding:
    """What was found out about the artifacts, in plain words; not `good` stands out."""

    title: str
    text: str
    good: bool


@dataclass(frozen=True)
class Facts:
    """A titled list of names and values."""

    title: str
    facts: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Problems:
    """The first rows that are not ok."""

    caption: str
    rows: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Page:
    """What the template shows."""

    version: str
    job_id: str
    title: str
    summary: str
    index: str
    stats: Sequence[Stat]
    findings: Sequence[Finding]
    gallery: Gallery | None
    comparison: Gallery | None
    charts: Sequence[Chart]
    #: Which rows the charts tell of.
    measured: str
    problems: Problems | None
    facts: Sequence[Facts]


def render_report(
    results: Results,
    job: Job,
    manifest: Manifest,
    *,
    metrics: Mapping[str, Any] | None = None,
    judgement: Judgement | None = None,
    real: Real | None = None,
) -> str:
    """The report of a finished job as HTML.

    `metrics` is the metrics.json of the job's model; with `judgement` the report says how
    recognisable the artifacts are, and with `real` it shows real ones beside them. Raises
    StoreError when the artifacts cannot be read.
    """
    page = _page(results, job, manifest, metrics=metrics or {}, judgement=judgement, real=real)
    source = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(source).render(page=page)


def _page(
    results: Results,
    job: Job,
    manifest: Manifest,
    *,
    metrics: Mapping[str, Any],
    judgement: Judgement | None,
    real: Real | None,
) -> Page:
    """Everything that the report of a finished job says."""
    table = results.spread(LARGEST_ROWS)
    decided = manifest.rows - manifest.rows_cancelled
    whole = table.num_rows == decided
    medium = PLURALS[job.signature["medium"]]
    fields = " and ".join(job.signature["fields"])
    each = " each" if job.requests > 1 else ""
    summary = (
        f"{manifest.rows:,} {medium}{f' asked for by {fields}' if fields else ''}, in "
        f"{counted(job.requests, 'request')} of {counted(job.samples, 'sample')}"
        f"{each}; {_done(job, manifest)} {moment(manifest.finished_at)}."
    )
    measured = "all rows of the index, not only those shown above"
    if not whole:
        measured = f"a sample of {table.num_rows:,} rows, spread over the job"
        summary += f" What is shown and measured here is {measured}."
    comparison = make_comparison(job, table, results)
    gallery = None
    if comparison is None:
        gallery = make_gallery(job.signature, table, results, real, of=manifest.rows_ok)
    charts = [likelihoods(table, metrics), throughput(table, decided)]
    lineage = _lineage(table, job, manifest, whole=whole)
    facts = [_settings(job), _model(job), _training(metrics), lineage]
    return Page(
        version=version("ancestral"),
        job_id=job.job_id,
        title=job.spec.name,
        summary=summary,
        index=manifest.index,
        stats=_stats(table, manifest, metrics, whole=whole),
        findings=[] if judgement is None else [_finding(judgement)],
        gallery=gallery,
        comparison=comparison,
        charts=[chart for chart in charts if chart is not None],
        measured=measured,
        problems=_problems(results, manifest),
        facts=[group for group in facts if group.facts],
    )


def _done(job: Job, manifest: Manifest) -> str:
    """What the model did, and how the job ended."""
    made = manifest.rows_ok + manifest.rows_rejected
    done = f"{PARTICIPLES[job.spec.kind]} by {job.model.name} ({job.model.family})"
    if made < manifest.rows:
        done = f"{made:,} of them {done}"
    return f"{done} {'until the job was cancelled' if manifest.rows_cancelled else 'and finished'}"


def _stats(
    table: pa.Table, manifest: Manifest, metrics: Mapping[str, Any], *, whole: bool
) -> list[Stat]:
    """The counts of the whole job, and the measures of the rows of `table`."""
    not_ok = f"{manifest.rows_failed:,} failed, {manifest.rows_rejected:,} rejected"
    if manifest.rows_cancelled:
        not_ok += f", {manifest.rows_cancelled:,} cancelled"
    stats = [
        Stat("Rows", f"{manifest.rows_ok:,}", f"ok, of {manifest.rows:,}"),
        Stat("Not ok", f"{manifest.rows - manifest.rows_ok:,}", not_ok),
    ]
    ok = ok_rows(table)
    if not ok.num_rows:
        return stats
    held_out = metrics.get(HELD_OUT)
    seconds = drawing_seconds(table)
    stats += [
        Stat(
            "Bits per dimension",
            f"{pc.mean(ok['bits_per_dim']).as_py():.3f}",
            "on average" if held_out is None else f"held-out data: {held_out:.3f}",
        ),
        Stat(
            "Rows a second",
            f"{(manifest.rows - manifest.rows_cancelled) / seconds:,.1f}",
            f"over {duration(seconds)}",
        ),
    ]
    # A job that only scores has no artifacts.
    if pc.count(ok["uri"]).as_py():
        rows = "ok rows" if whole else "measured ok rows"
        # Not of the files, each of which holds what its own row asked for.
        distinct = pc.count_distinct(ok["symbols_sha256"]).as_py()
        stats += [
            Stat("Distinct", f"{distinct:,}", f"{distinct / ok.num_rows:.1%} of {rows}"),
            Stat("Artifacts", size(pc.sum(ok["length"]).as_py()), f"of the {rows}"),
        ]
    return stats


def _finding(judgement: Judgement) -> Finding:
    good = judgement.verdict == "recognisable"
    return Finding(judgement.headline(), judgement.details(), good)


def _problems(results: Results, manifest: Manifest) -> Problems | None:
    """The first rows that are not ok; None without any."""
    count = manifest.rows_failed + manifest.rows_rejected
    if not count:
        return None
    columns = ["request_id", "sample", "status", "conditioning", "error"]
    rows = results.not_ok(manifest.parts, LARGEST_PROBLEMS).select(columns).to_pylist()
    return Problems(
        f"{len(rows):,} of {count:,}, in order. A failed row was not drawn; a rejected one "
        "was, and a gate said no.",
        rows,
    )


def _settings(job: Job) -> Facts:
    sampling = job.spec.sampling
    gates = job.spec.gates
    facts = [
        ("seed", str(sampling.seed)),
        ("samples", f"{sampling.samples} for each request"),
        ("temperature", f"{sampling.temperature:g}"),
        ("top-k", "off" if sampling.top_k is None else str(sampling.top_k)),
        ("top-p", "off" if sampling.top_p is None else f"{sampling.top_p:g}"),
        ("unit", f"{job.unit_rows:,} rows"),
    ]
    if gates.silence_dbfs is not None:
        facts.append(("gate", f"reject sounds below {gates.silence_dbfs:g} dBFS"))
    if gates.clipped_share is not None:
        facts.append(("gate", f"reject sounds clipped beyond a share of {gates.clipped_share:g}"))
    if gates.shortest_seconds is not None:
        facts.append(("gate", f"reject sounds shorter than {gates.shortest_seconds:g} s"))
    if gates.longest_seconds is not None:
        facts.append(("gate", f"reject sounds longer than {gates.longest_seconds:g} s"))
    if gates.constant_image:
        facts.append(("gate", "reject images of a single grey value or colour"))
    return Facts("Settings", facts)


def _model(job: Job) -> Facts:
    signature = job.signature
    shape = " × ".join("any length" if size is None else str(size) for size in signature["shape"])
    levels = signature["levels"]
    symbols = "real numbers" if levels is None else f"{levels:,} levels"
    facts = [
        ("name", job.model.name),
        ("family", job.model.family),
        ("digest", job.model.digest),
        ("draws", f"{signature['medium']}, {shape}, {symbols}"),
    ]
    return Facts("Model", facts)


def _training(metrics: Mapping[str, Any]) -> Facts:
    facts = []
    for name, value in metrics.items():
        if isinstance(value, float | int | str):
            text = value if isinstance(value, str) else f"{value:,.6g}"
            facts.append((name.replace("_", " "), text))
    return Facts("Training", facts)


def _lineage(table: pa.Table, job: Job, manifest: Manifest, *, whole: bool) -> Facts:
    devices = pc.unique(table["device"]).to_pylist()
    workers = pc.count_distinct(table["worker"]).as_py()
    part = "" if whole else " of the measured rows"
    facts = [
        ("numerics", ", ".join(manifest.numerics)),
        (f"devices{part}", ", ".join(sorted(devices))),
        (f"workers{part}", f"{workers:,}" if workers else ""),
        ("sampling", f"{duration(manifest.sampling_seconds)} in all workers together"),
        ("submitted", moment(job.submitted_at)),
        ("finished", moment(manifest.finished_at)),
        ("packs", f"{manifest.pack_count:,} of {size(manifest.pack_bytes)} together"),
    ]
    facts += [("input", f"{file.uri} (sha256 {file.sha256[:12]})") for file in job.inputs[:3]]
    # Where nothing was drawn, nobody drew it.
    return Facts("Lineage", [(name, value) for name, value in facts if value])
