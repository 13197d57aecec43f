"""Charts as inline SVG: no script, no style of their own, colours from the page's CSS.

Every function returns markup that is safe to place in a page: texts are escaped here. Classes that
the page styles: `bar`, `axis`, `grid`, `tick`, `mark`, `wave`, and `series-0` to `series-5`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

#: How many series have a colour of their own; the page defines as many.
SERIES_COLOURS = 6

WIDTH, HEIGHT = 520, 260
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 44, 42
#: Of the text beside a mark, to see on which side there is room for it.
CHARACTER_WIDTH = 8


def waveform(samples: NDArray[np.int16], *, columns: int = 90, height: int = 36) -> Markup:
    """The outline of a sound (T,): from its lowest to its highest sample in each of `columns`.

    Strokes reach to zero; the sound's own peak fills the height, so that quiet ones show too.
    """
    peak = max(1, int(np.abs(samples.astype(np.int32)).max(initial=0)))
    stretches = np.array_split(samples, min(columns, max(1, len(samples))))
    middle = height / 2
    strokes = []
    for x, stretch in enumerate(stretches):
        low = int(stretch.min(initial=0)) / peak
        high = int(stretch.max(initial=0)) / peak
        top, bottom = middle - high * (middle - 1), middle - low * (middle - 1)
        # A stroke of no length is not drawn: silence keeps a hair's breadth.
        strokes.append(f"M{x + 0.5:g} {top:.1f}V{max(bottom, top + 0.6):.1f}")
    return Markup(
        f'<svg class="wave" viewBox="0 0 {columns} {height}" preserveAspectRatio="none" '
        f'aria-hidden="true"><path d="{"".join(strokes)}"/></svg>'
    )


def curve(values: Floats, *, columns: int = 90, height: int = 36) -> Markup:
    """The course of a series (T,), from its lowest to its highest value.

    Where there are more values than `columns`, each column goes from its lowest to its highest.
    Values that are no numbers are left out.
    """
    values = values[np.isfinite(values)]
    low, high = float(values.min(initial=math.inf)), float(values.max(initial=-math.inf))
    span = high - low or 1.0
    stretches = np.array_split(values, min(columns, len(values))) if len(values) else []
    points = [
        f"{(x + 0.5) * columns / len(stretches):.1f} "
        f"{1 + (high - float(value)) / span * (height - 2):.1f}"
        for x, stretch in enumerate(stretches)
        for value in (stretch if len(stretch) == 1 else (stretch.min(), stretch.max()))
    ]
    path = f'<path d="M{"L".join(points)}"/>' if points else ""
    return Markup(
        f'<svg class="wave" viewBox="0 0 {columns} {height}" preserveAspectRatio="none" '
        f'aria-hidden="true">{path}</svg>'
    )


def histogram(
    values: Floats, *, unit: str, description: str, marks: Mapping[str, float], bins: int = 48
) -> Markup:
    """How often each value occurs, of at least one; `marks` are named values, drawn as vertical
    lines."""
    inside = [float(values.min()), float(values.max()), *marks.values()]
    low, high = min(inside), max(inside)
    # Values that differ by rounding alone are one value, as are those too small to be divided.
    apart = high - low > max(1e-9 * max(abs(low), abs(high)), 1e-300)
    margin = (high - low) * 0.04 if apart else max(abs(high) * 0.05, 0.5)
    counts, edges = np.histogram(values, bins=bins, range=(low - margin, high + margin))
    axes = _Axes(float(edges[0]), float(edges[-1]), float(counts.max()))
    parts = [axes.draw(unit, "rows")]
    for count, left, right in zip(counts.tolist(), edges[:-1], edges[1:], strict=True):
        if count:
            title = f"{left:.3g} to {right:.3g} {unit}: {count:,} rows"
            parts.append(axes.bar(float(left), float(right), 0, count, "bar", title))
    outward = sorted(marks.items(), key=lambda mark: mark[1])
    for index, (name, value) in enumerate(outward):
        leftwards = index < len(outward) / 2
        parts.append(axes.mark(value, f"{name} {value:.3f}", index, leftwards))
    return _figure(description, parts)


def stacked_bars(
    series: Mapping[str, Floats], *, width: float, unit: str, value_unit: str, description: str
) -> Markup:
    """Bars over time, each `width` units wide and made of a layer for each of the series, in order:
    SERIES_COLOURS at most."""
    total = np.sum(list(series.values()), axis=0)
    axes = _Axes(0.0, width * len(total), float(total.max()))
    parts = [axes.draw(unit, value_unit)]
    base = np.zeros(len(total))
    for index, (name, heights) in enumerate(series.items()):
        for bar, (bottom, height) in enumerate(zip(base, heights, strict=True)):
            if height > 0:
                title = f"{name}: {height:,.3g} {value_unit} at {bar * width:g} {unit}"
                parts.append(
                    axes.bar(
                        bar * width,
                        (bar + 1) * width,
                        float(bottom),
                        float(bottom + height),
                        f"bar series-{index}",
                        title,
                    )
                )
        base = base + heights
    return _figure(description, parts)


def nice_step(span: float, steps: int) -> float:
    """The smallest of 1, 2 or 5 times a power of ten that covers `span` in at most `steps`."""
    least = span / steps
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * 0.999)


class _Axes:
    """Data coordinates to the drawing's, and what is drawn in them."""

    def __init__(self, low: float, high: float, top: float) -> None:
        self.low, self.high = low, high
        self.step = nice_step(top, 4)
        self.top = math.ceil(top / self.step * 0.999) * self.step

    def x(self, value: float) -> float:
        return LEFT + (value - self.low) / (self.high - self.low) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - value / self.top * (HEIGHT - TOP - BOTTOM)

    def draw(self, unit: str, value_unit: str) -> str:
        parts = []
        for tick in _ticks(0, self.top, self.step):
            y = self.y(tick)
            parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
            parts.append(_text(LEFT - 8, y + 4, f"{tick:,g}", "end"))
        step = nice_step(self.high - self.low, 7)
        for tick in _ticks(self.low, self.high, step):
            parts.append(_text(self.x(tick), HEIGHT - BOTTOM + 17, f"{tick:,.6g}", "middle"))
        parts.append(f'<path class="axis" d="M{LEFT} {HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>')
        parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, unit, "middle"))
        parts.append(_text(2, TOP - 14, value_unit, "start"))
        return "".join(parts)

    def bar(self, left: float, right: float, low: float, high: float, kind: str, title: str) -> str:
        x, y = self.x(left), self.y(high)
        width, height = self.x(right) - x, self.y(low) - y
        return (
            f'<rect class="{kind}" x="{x + 0.5:.1f}" y="{y:.1f}" width="{max(0.8, width - 1):.1f}" '
            f'height="{height:.1f}"><title>{escape(title)}</title></rect>'
        )

    def mark(self, value: float, text: str, index: int, leftwards: bool) -> str:
        x, y = self.x(value), 14 + 17 * index
        width = CHARACTER_WIDTH * len(text)
        if leftwards:
            leftwards = x - width > 0
        else:
            leftwards = x + width > WIDTH
        anchor, shift = ("end", -6) if leftwards else ("start", 6)
        return f'<path class="mark" d="M{x:.1f} {y - 10}V{HEIGHT - BOTTOM}"/>' + _text(
            x + shift, y, text, anchor, kind="tick strong"
        )


def _ticks(low: float, high: float, step: float) -> Sequence[float]:
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _text(x: float, y: float, text: str, anchor: str, kind: str = "tick") -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
    )


def _figure(description: str, parts: Sequence[str]) -> Markup:
    return Markup(
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(description)}">{"".join(parts)}</svg>'
    )
