"""What a slot is said to take, against what a GPU is left with."""

from __future__ import annotations

import torch

from ancestral.models.autoregressive import Autoregressive
from ancestral.models.gated_pixelcnn import GatedPixelCNN, GatedPixelCNNConfig
from ancestral.models.sampling.budget import free_bytes, slot_bytes, slots_for
from ancestral.models.sampling.sampler import Sampler
from ancestral.models.wavenet import WaveNet
from ancestral.models.wavenet_config import WaveNetConfig

#: Twice a tile of the graph executor on a GPU.
SLOTS = 2048


#: What weights, workspaces and the pool of the graphs take beside slots, at most.
BESIDE_BYTES = 512 * 2**20


def check_memory(net: Autoregressive, device: str) -> None:
    program = net.program()
    said = SLOTS * slot_bytes(program, torch.float32)
    if torch.device(device).type == "cpu":
        # Torch does not count the memory of a processor.
        assert said >= SLOTS * 4 * sum(grid.columns * grid.width for grid in program.grids)
        return

    # When a sampler makes its tiles
    torch.cuda.empty_cache()
    before = torch.cuda.memory_reserved(device)
    sampler = Sampler(net, slots=SLOTS, device=device, executor="graph")
    taken = torch.cuda.memory_reserved(device) - before

    # Then they take what was said, and little beside it
    assert sampler.free == SLOTS
    assert taken <= said + BESIDE_BYTES, f"{taken:,} bytes, not {said:,}"
    # And with that much free, so many slots would have been chosen
    free = free_bytes(torch.device(device))
    assert slots_for(free, program, torch.float32) >= min(SLOTS, free // (4 * said) * SLOTS)


def test_slots_of_sounds_take_no_more_than_they_are_said_to(device: str) -> None:
    # Given a network whose rings are most of what its slots take
    config = WaveNetConfig(sample_rate_hz=16_000, residual=32, skip=32, depth=9, stacks=1)
    check_memory(WaveNet(config).eval(), device)


def test_slots_of_images_take_no_more_than_they_are_said_to(device: str) -> None:
    # Given one whose sweeps take registers for every column of a row
    config = GatedPixelCNNConfig(16, 16, levels=4, embedding=4, channels=32, layers=4, head=16)
    check_memory(GatedPixelCNN(config).eval(), device)
