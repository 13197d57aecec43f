"""The curves of `density.py --mnist --json FILE` as a drawing.

cd benchmarks && python -m parts.curves ../docs/figures/mnist.json ../docs/figures/mnist.svg
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 400, 56, 150, 36, 46
COLOURS = ("#0b6e99", "#c2410c", "#4d7c0f", "#7e22ce")
#: Nats per image at the bottom and the top.
LOWEST, HIGHEST = 78, 102


def draw(document: Mapping[str, Any]) -> str:
    """SVG: nats of the watched validation images over minutes (logarithmic), and their end."""
    networks = document["networks"]
    longest = max(network["seconds"] for network in networks.values()) / 60
    shortest = longest / 100

    def x(minutes: float) -> float:
        share = math.log(max(minutes, shortest) / shortest) / math.log(longest / shortest)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(nats: float) -> float:
        share = (HIGHEST - min(nats, HIGHEST)) / (HIGHEST - LOWEST)
        return TOP + share * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'font-family="sans-serif" font-size="12">',
        "<title>Nats per validation image of binarized MNIST while networks learn</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text(LEFT, 20, "nats per validation image of binarized MNIST", "start", "#111"),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, "minutes of training", "middle", "#111"),
    ]
    for nats in range(LOWEST, HIGHEST + 1, 4):
        parts.append(_line(y(nats), "#e5e5e5"))
        parts.append(_text(LEFT - 8, y(nats) + 4, str(nats), "end", "#555"))
    for minutes in _ticks(shortest, longest):
        parts.append(_text(x(minutes), HEIGHT - 28, f"{minutes:g}", "middle", "#555"))
    for name, nats in document["published"].items():
        parts.append(_line(y(nats), "#777", dashed=True))
        parts.append(_text(WIDTH - RIGHT + 6, y(nats) + 4, f"{name} {nats:.2f}", "start", "#777"))
    for colour, (name, network) in zip(COLOURS, networks.items(), strict=False):
        watched = [p for p in network["curve"] if p["validation_nats"] is not None]
        points = [(p["seconds"] / 60, p["validation_nats"]) for p in watched]
        points.append((network["seconds"] / 60, network["validation_nats"]))
        path = "L".join(f"{x(m):.1f} {y(n):.1f}" for m, n in points)
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        label = f"{name} {network['validation_nats']:.2f}"
        parts.append(_text(x(points[-1][0]) - 4, y(points[-1][1]) - 8, label, "end", colour))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _ticks(low: float, high: float) -> Iterator[float]:
    for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        yield from (f * 10.0**power for f in (1, 2, 5) if low <= f * 10.0**power <= high)


def _line(y: float, colour: str, dashed: bool = False) -> str:
    dashes = ' stroke-dasharray="5 4"' if dashed else ""
    return f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{colour}"{dashes}/>'


def _text(x: float, y: float, text: str, anchor: str, colour: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{text}</text>'


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit("say where the results are and where the drawing goes: FILE.json FILE.svg")
    source, target = map(Path, sys.argv[1:])
    target.write_text(draw(json.loads(source.read_text())))


if __name__ == "__main__":
    main()
