"""Many steps of a whole network in one launch, for GPUs.

program ──▶ groups ──▶ source ──▶ text ──┬──▶ kernels   Triton
            (what runs together)         └──▶ twin      plain torch, on any device
"""
