"""What a report measures over the index: likelihoods, and rows a second."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from markupsafe import Markup
from numpy.typing import NDArray

from ancestral.jobs.bundles import HELD_OUT
from ancestral.orchestration.report.drawings import (
    SERIES_COLOURS,
    histogram,
    nice_step,
    stacked_bars,
)

#: Bars of the chart of throughput.
THROUGHPUT_BARS = 40

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Chart:
    """A drawing with its title, its caption, and the names of its series if it has several."""

    title: str
    drawing: Markup
    caption: str
    legend: Sequence[str] = ()


def likelihoods(table: pa.Table, metrics: Mapping[str, Any]) -> Chart | None:
    """The histogram of bits per dimension of the ok rows; None when there are none."""
    values = ok_rows(table)["bits_per_dim"].drop_null().to_numpy()
    if not len(values):
        return None
    marks = {"mean": float(values.mean())}
    if HELD_OUT in metrics:
        marks["real held-out"] = metrics[HELD_OUT]
    drawing = histogram(
        values,
        unit="bits per dimension",
        description=f"Histogram of bits per dimension of {len(values)} artifacts: "
        + ", ".join(f"{name} {value:.3f}" for name, value in marks.items()),
        marks=marks,
    )
    kinds = ", ".join(ok_rows(table)["likelihood_kind"].drop_null().unique().to_pylist())
    caption = (
        f"Every row that is ok carries its likelihood under the model ({kinds}), of what was drawn "
        "or scored; lower is likelier."
    )
    return Chart("Likelihood of each row", drawing, caption)


def throughput(table: pa.Table, rows: int | None = None) -> Chart | None:
    """Rows a second over time, by worker; None when there are no rows.

    `rows` is how many there are in all, if `table` is only a sample of the index.
    """
    if not table.num_rows:
        return None
    stretches = _attempts(table)
    share = 1.0 if rows is None else table.num_rows / rows
    length = float(stretches.end.max())
    width = nice_step(length, THROUGHPUT_BARS)
    edges = width * np.arange(math.ceil(length / width) + 1)
    names = sorted(set(stretches.workers))
    room = SERIES_COLOURS if len(names) <= SERIES_COLOURS else SERIES_COLOURS - 1
    shown, rest = names[:room], names[room:]

    def rate(members: Sequence[str]) -> Floats:
        own = np.isin(stretches.workers, members)
        begin, end = stretches.begin[own, None], stretches.end[own, None]
        done = np.clip((edges - begin) / (end - begin), 0, 1) * stretches.rows[own, None]
        rows_a_second: Floats = np.diff(done.sum(0)) / width / share
        return rows_a_second

    series = {name: rate([name]) for name in shown}
    if rest:
        series[f"{len(rest)} more"] = rate(rest)
    drawing = stacked_bars(
        series,
        width=width,
        unit="seconds since drawing began",
        value_unit="rows a second",
        description=f"Rows a second over {length:.0f} seconds, by {len(names)} workers",
    )
    caption = (
        f"In bars of {width:g} s, each unit's rows spread over the time that drawing them took. "
        f"{'One worker' if len(names) == 1 else f'{len(names):,} workers'}, "
        f"{len(stretches.rows):,} units{'' if share == 1 else ' of the sample'}."
    )
    return Chart("Throughput", drawing, caption, tuple(series) if len(series) > 1 else ())


def ok_rows(table: pa.Table) -> pa.Table:
    """The rows of the index that are ok."""
    return table.filter(pc.equal(table["status"], "ok"))


def drawing_seconds(table: pa.Table) -> float:
    """Seconds from the first worker's first row to the last commit."""
    return float(_attempts(table).end.max())


@dataclass(frozen=True)
class _Attempts:
    """The attempts that made the rows: who, how many rows, and from when to when in seconds."""

    workers: list[str]
    rows: Floats
    begin: Floats
    end: Floats


def _attempts(table: pa.Table) -> _Attempts:
    """A row says how much of its worker's time it took, and when its unit was committed.

    Units overlap in a worker's slots; here they stand one after another, each as late as its commit
    and those after it allow:

        slots     ▒▒▒▒▒▒▒▒▒▒|          rows of one unit, up to its commit |
                    ░░░░░░░░░░░░|      and of another that shared the slots with them
        here      ▒▒▒▒▒░░░░░░░░
    """
    grouped = table.group_by(["attempt", "worker"]).aggregate(
        [("created_at", "max"), ("sampling_seconds", "sum"), ("ordinal", "count")]
    )
    workers = grouped["worker"].to_pylist()
    end = grouped["created_at_max"].cast(pa.int64()).to_numpy() / 1e6
    # Nothing takes no time: rows that failed before they were drawn took a moment.
    spent = np.maximum(pc.fill_null(grouped["sampling_seconds_sum"], 0.0).to_numpy(), 1e-3)
    free_until: dict[str, float] = {}
    for index in np.argsort(-end):
        end[index] = min(end[index], free_until.get(workers[index], math.inf))
        free_until[workers[index]] = end[index] - spent[index]
    start = (end - spent).min()
    rows = grouped["ordinal_count"].to_numpy().astype(float)
    return _Attempts(workers, rows, end - spent - start, end - start)
