"""Products of full precision, whatever the caller's settings say."""

from __future__ import annotations

import pytest
import torch

from ancestral.models.sampling.torch_state import full_precision


def test_what_fails_leaves_the_precision_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    conv = torch.backends.cudnn.conv
    monkeypatch.setattr(conv, "fp32_precision", "tf32")

    with pytest.raises(ZeroDivisionError), full_precision():
        assert conv.fp32_precision == "ieee"
        _ = 1 / 0

    assert conv.fp32_precision == "tf32"


@pytest.mark.parametrize("preferred", ["highest", "high", "medium"])
def test_settings_old_and_new_agree(preferred: str) -> None:
    # Given what a caller prefers in the way that torch had first
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(preferred)
    try:
        allowed = torch.backends.cuda.matmul.allow_tf32
        with full_precision():
            # Then torch, which may ask in that way before a product, hears no contradiction
            assert not torch.backends.cuda.matmul.allow_tf32
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.get_float32_matmul_precision() == preferred
        assert torch.backends.cuda.matmul.allow_tf32 == allowed
    finally:
        torch.set_float32_matmul_precision(before)
