"""Temperature, then top-k, then top-p, ties to the lower symbol; each row by itself."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ancestral.models.errors import ConditionError
from ancestral.models.sampling.draw import Settings, SettingsBatch, draw

logit_rows = st.lists(st.floats(-30, 30, width=32), min_size=2, max_size=20)
unit = st.floats(2**-24, 1 - 2**-24, width=32)


def _draw(logits: list[float], u: float, settings: Settings) -> int:
    batch = SettingsBatch.of([settings], len(logits), torch.float32)
    return int(draw(torch.tensor([logits]), torch.tensor([u]), batch))


def test_the_symbol_is_the_first_whose_running_weight_exceeds_u() -> None:
    # Given probabilities 1/4, 1/2, 1/4
    logits = [0.0, 0.6931472, 0.0]
    # Then u walks through them in order
    assert [_draw(logits, u, Settings()) for u in (0.1, 0.3, 0.7, 0.8)] == [0, 1, 1, 2]


def test_a_low_temperature_draws_the_likeliest() -> None:
    assert {_draw([0.0, 1.0, 0.5], u, Settings(temperature=0.01)) for u in (0.01, 0.99)} == {1}


def test_top_k_keeps_the_likeliest_and_breaks_ties_to_the_lower_symbol() -> None:
    logits = [1.0, 2.0, 1.0, 2.0, 1.0]
    drawn = {_draw(logits, u / 100, Settings(top_k=3)) for u in range(1, 100)}
    assert drawn == {0, 1, 3}


def test_top_p_keeps_the_smallest_set_that_holds_p() -> None:
    # Given probabilities 1/2, 1/4, 1/4
    logits = [0.6931472, 0.0, 0.0]
    drawn = {_draw(logits, u / 100, Settings(top_p=0.6)) for u in range(1, 100)}
    # Then the first of the two equal ones completes the set
    assert drawn == {0, 1}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_however_little_p_is_the_likeliest_is_left(dtype: torch.dtype) -> None:
    logits = torch.tensor([[0.0, 2.0, 1.0, 2.0]], dtype=dtype)
    for p in (1e-7, 1e-45, 1e-46, 1e-323):
        batch = SettingsBatch.of([Settings(top_p=p)], 4, dtype)
        drawn = {int(draw(logits, torch.tensor([u / 10]), batch)) for u in range(1, 10)}
        assert drawn == {1}


def test_top_k_comes_before_top_p() -> None:
    # Given probabilities 0.4, 0.3, 0.2, 0.1; after top-k of 2 the first holds 0.57
    logits = torch.log(torch.tensor([0.4, 0.3, 0.2, 0.1])).tolist()
    both = Settings(top_k=2, top_p=0.5)
    assert {_draw(logits, u / 100, both) for u in range(1, 100)} == {0}
    assert {_draw(logits, u / 100, Settings(top_p=0.5)) for u in range(1, 100)} == {0, 1}


@given(logit_rows, unit)
def test_settings_that_keep_everything_change_nothing(logits: list[float], u: float) -> None:
    plain = _draw(logits, u, Settings())
    assert _draw(logits, u, Settings(top_k=len(logits))) == plain
    assert _draw(logits, u, Settings(top_p=1.0)) == plain


@given(logit_rows, unit, st.floats(0.1, 3), st.integers(1, 5), st.floats(0.05, 1))
def test_a_row_does_not_see_its_neighbours_settings(
    logits: list[float], u: float, temperature: float, top_k: int, top_p: float
) -> None:
    # Given one row with plain settings and one with all of them
    special = Settings(temperature, top_k, top_p)
    batch = SettingsBatch.of([Settings(), special], len(logits), torch.float32)
    both = draw(torch.tensor([logits, logits]), torch.tensor([u, u]), batch)
    # Then each draws what it draws alone
    assert both.tolist() == [_draw(logits, u, Settings()), _draw(logits, u, special)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": 0},
        {"temperature": -1},
        {"temperature": float("nan")},
        {"top_k": 0},
        {"top_k": 1.5},
        {"top_k": True},
        {"top_k": 2**31},
        {"top_p": 0},
        {"top_p": 1.5},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConditionError, match=next(iter(wrong))):
        Settings(**wrong)  # type: ignore[arg-type]


def test_truncation_is_refused_for_large_alphabets() -> None:
    with pytest.raises(ConditionError, match="up to 256"):
        Settings(top_k=5).check_alphabet(257)
    Settings(temperature=0.5).check_alphabet(65_536)
