"""Curves as drawings: of `training.py --curves`, and of what `density.py --mnist` wrote to a file.

cd benchmarks && python -m parts.curves ../docs/figures/mnist.json ../docs/figures/mnist.svg
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parts.killed import Killed, Point

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 720, 400, 56, 36, 46
#: Where the curves of a drawing end; those of MNIST leave room for names beside them.
MNIST_END, KILLED_END = 570, 696
COLOURS = ("#0b6e99", "#c2410c", "#4d7c0f", "#7e22ce")
#: Nats per image at the bottom and the top.
LOWEST, HIGHEST = 78, 102


def draw_mnist(document: Mapping[str, Any]) -> str:
    """SVG: nats of the watched validation images over minutes (logarithmic), and their end."""
    networks = document["networks"]
    longest = max(network["seconds"] for network in networks.values()) / 60
    shortest = longest / 100

    def x(minutes: float) -> float:
        share = math.log(max(minutes, shortest) / shortest) / math.log(longest / shortest)
        return LEFT + share * (MNIST_END - LEFT)

    def y(nats: float) -> float:
        share = (HIGHEST - min(nats, HIGHEST)) / (HIGHEST - LOWEST)
        return TOP + share * (HEIGHT - TOP - BOTTOM)

    parts = _frame(
        "Nats per validation image of binarized MNIST while networks learn",
        "nats per validation image of binarized MNIST",
        "minutes of training",
        MNIST_END,
    )
    for nats in range(LOWEST, HIGHEST + 1, 4):
        parts.append(_line(y(nats), "#e5e5e5"))
        parts.append(_text(LEFT - 8, y(nats) + 4, str(nats), "end", "#555"))
    for minutes in _ticks(shortest, longest):
        parts.append(_text(x(minutes), HEIGHT - 28, f"{minutes:g}", "middle", "#555"))
    for name, nats in document["published"].items():
        parts.append(_line(y(nats), "#777", dashed=True))
        parts.append(_text(MNIST_END + 6, y(nats) + 4, f"{name} {nats:.2f}", "start", "#777"))
    for colour, (name, network) in zip(COLOURS, networks.items(), strict=False):
        watched = [p for p in network["curve"] if p["validation_nats"] is not None]
        points = [(p["seconds"] / 60, p["validation_nats"]) for p in watched]
        points.append((network["seconds"] / 60, network["validation_nats"]))
        path = "L".join(f"{x(m):.1f} {y(n):.1f}" for m, n in points)
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        label = f"{name} {network['validation_nats']:.2f}"
        parts.append(_text(x(points[-1][0]) - 4, y(points[-1][1]) - 8, label, "end", colour))
    return "\n".join([*parts, "</svg>"]) + "\n"


def draw_killed(killed: Killed) -> str:
    """SVG: bits per dimension of training batches over steps, and what was killed when."""
    last = killed.undisturbed[-1].step
    bits = [point.bits_per_dim for point in killed.undisturbed]
    low, high = min(bits), max(bits)

    def x(step: float) -> float:
        return LEFT + step / last * (KILLED_END - LEFT)

    def y(value: float) -> float:
        return TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM)

    def path(points: Sequence[Point]) -> str:
        return "M" + "L".join(f"{x(p.step):.1f} {y(p.bits_per_dim):.1f}" for p in points)

    parts = _frame(killed.sentence(), "bits per dimension of training batches", "steps", KILLED_END)
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        value = low + share * (high - low)
        parts.append(_text(LEFT - 8, y(value) + 4, f"{value:.2f}", "end", "#555"))
        parts.append(_text(x(share * last), HEIGHT - 28, f"{share * last:.0f}", "middle", "#555"))
    for kill in killed.kills:
        again = x(kill.after) - x(kill.went_on_from)
        parts.append(
            f'<rect x="{x(kill.went_on_from):.1f}" y="{TOP}" width="{max(again, 0):.1f}" '
            f'height="{HEIGHT - TOP - BOTTOM}" fill="#fde8d8"/>'
        )
        parts.append(_text(x(kill.after) + 4, TOP + 12, f"kill -9 of {kill.what}", "start", "#555"))
    wide, narrow = 'stroke="#9cc9dd" stroke-width="6"', 'stroke="#c2410c" stroke-width="1.5"'
    parts.append(f'<path d="{path(killed.undisturbed)}" fill="none" {wide}/>')
    parts.append(f'<path d="{path(killed.disturbed)}" fill="none" {narrow}/>')
    legend = "wide: undisturbed; narrow: killed twice; shaded: done again"
    parts.append(_text(KILLED_END, 20, legend, "end", "#555"))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _frame(title: str, what: str, across: str, end: int) -> list[str]:
    """The beginning of an SVG: what it shows, and what stands above and below its curves."""
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'font-family="sans-serif" font-size="12">',
        f"<title>{title}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text(LEFT, 20, what, "start", "#111"),
        _text((LEFT + end) / 2, HEIGHT - 10, across, "middle", "#111"),
    ]


def _ticks(low: float, high: float) -> Iterator[float]:
    for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        yield from (f * 10.0**power for f in (1, 2, 5) if low <= f * 10.0**power <= high)


def _line(y: float, colour: str, dashed: bool = False) -> str:
    dashes = ' stroke-dasharray="5 4"' if dashed else ""
    return f'<path d="M{LEFT} {y:.1f}H{MNIST_END}" stroke="{colour}"{dashes}/>'


def _text(x: float, y: float, text: str, anchor: str, colour: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{text}</text>'


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit("say where the results are and where the drawing goes: FILE.json FILE.svg")
    source, target = map(Path, sys.argv[1:])
    target.write_text(draw_mnist(json.loads(source.read_text())))


if __name__ == "__main__":
    main()
