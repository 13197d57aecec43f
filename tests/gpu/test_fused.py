"""The fused executor: close to the reference in float32, and in bfloat16 within a stated drift."""

from __future__ import annotations

import torch

from ancestral.models.sampling.distributions import LogisticMixture
from ancestral.models.sampling.executors import ExecutorName
from tests.gpu.asked import (
    CASES,
    check_explained,
    drawn,
    drawn_symbols,
    exact_nats,
    requests_of,
)

#: How much the likelihood of what is drawn in bfloat16 may drift from the float32 network's, in
#: nats a symbol: of a softmax or a bit, and of mixtures, whose scales are narrow.
DRIFT_NATS, MIXTURE_DRIFT_NATS = 0.005, 0.03


def test_in_float32_it_draws_what_the_reference_draws(
    device: str, fused_case: str, fused: ExecutorName
) -> None:
    case = CASES[fused_case]
    requests = requests_of(case, 6, plain=True)

    found = drawn(case, requests, device=device, executor=fused)
    expected = drawn(case, requests, device="cpu", executor="reference")

    for request in requests:
        check_explained(case, request, found[request.key], expected[request.key])


def test_in_bfloat16_the_likelihood_drifts_little(
    device: str, fused_case: str, fused: ExecutorName
) -> None:
    # Given events that were drawn in bfloat16, with their likelihood as it was summed up
    case = CASES[fused_case]
    requests = requests_of(case, 64, plain=True)
    samples = drawn(
        case, requests, device=device, executor=fused, dtype=torch.bfloat16, slots=len(requests)
    )

    # When the network scores them in float32
    summed = sum(sample.log_likelihood_nats for sample in samples.values())
    exact = sum(exact_nats(case, request, samples[request.key]) for request in requests)

    # Then the two differ by little for each symbol
    drift = abs(summed - exact) / drawn_symbols(list(samples.values()))
    mixture = isinstance(case.net.distribution, LogisticMixture)
    allowed = MIXTURE_DRIFT_NATS if mixture else DRIFT_NATS
    assert drift < allowed, f"it drifts by {drift:.4f} nats a symbol"
