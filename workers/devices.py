"""What a device cannot draw, whatever the network: known without one, before a job is submitted."""

from __future__ import annotations

from ancestral.jobs.spec import JobSpec


def refusal(device: str, job: str, reason: str) -> str:
    """The sentence that says so of a job, which is called by its id or name."""
    return f"{device} does not draw job {job}: {reason}"


def misfit(spec: JobSpec, device: str) -> str | None:
    """Why no sampler on a device of this machine draws as the job asks; None if some may.

    What a single network is refused for is found when a sampler is made for it.
    """
    if not device.startswith("cpu") or spec.kind == "score":
        return None
    if spec.sampling.tiles == "few":
        return "tiles of few rows are for GPUs: leave out 'tiles: few'"
    if spec.sampling.precision != "bfloat16":
        return None
    # Torch comes in with it: whoever draws in float32 need not wait for that.
    from ancestral.models.errors import NativeStale
    from ancestral.models.sampling.native.library import find

    try:
        library = find()
    except NativeStale as error:
        return str(error)
    if library is None:
        return "bfloat16 needs the native executor, which was not built: draw in float32"
    if library.name != "avx512bf16":
        return "bfloat16 needs a processor with AVX-512 BF16: draw in float32"
    return None
