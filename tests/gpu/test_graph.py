"""The graph executor draws in float32 what the reference draws on a processor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ancestral.models.sampling.draw import Settings
from tests.gpu.asked import CASES, check_explained, drawn, requests_of


def test_it_draws_what_the_reference_draws(device: str, case: str) -> None:
    # Given plain requests of all kinds that the network understands
    requests = requests_of(CASES[case], 6, plain=True)

    # When they are drawn by both
    found = drawn(CASES[case], requests, device=device, executor="graph")
    expected = drawn(CASES[case], requests, device="cpu", executor="reference")

    # Then they are equal symbol by symbol, or part where rounding explains it
    for request in requests:
        check_explained(CASES[case], request, found[request.key], expected[request.key])


def test_settings_reach_the_draws(device: str, case: str) -> None:
    # Given settings that leave nothing to chance, each in its own way, side by side
    certain = [Settings(temperature=1e-6), Settings(top_k=1), Settings(top_p=1e-6)]
    if CASES[case].net.distribution.levels is None:
        certain = [Settings(temperature=1e-6)]
    requests = [
        replace(request, settings=certain[number % len(certain)])
        for number, request in enumerate(requests_of(CASES[case], 6, plain=True))
    ]

    found = drawn(CASES[case], requests, device=device, executor="graph")
    expected = drawn(CASES[case], requests, device="cpu", executor="reference")

    for request in requests:
        np.testing.assert_allclose(
            found[request.key].symbols, expected[request.key].symbols, atol=1e-4
        )
