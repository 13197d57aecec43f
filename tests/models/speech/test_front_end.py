"""What a front end foretells, and what it learns, in a language of tones."""

from __future__ import annotations

import pytest
import torch

from ancestral.models.errors import ConditionError, DataError
from ancestral.models.speech.acoustics import FEATURES
from ancestral.models.speech.frames import BANDS
from ancestral.models.speech.front_end import FrontEnd
from ancestral.models.speech.learning import Recording, learn
from tests.models.speech.tones import CHARACTERS, COLUMNS, fresh, pace, recordings, said

#: In one process, for what they share takes as long as all of them.
pytestmark = pytest.mark.xdist_group("front end")


@pytest.fixture(scope="module")
def learnt() -> FrontEnd:
    front_end = fresh()
    learn(front_end, recordings(front_end), steps=250, seed=1)
    return front_end


@pytest.mark.parametrize("voice", [0, 1])
@pytest.mark.parametrize("text", ["cab", "acbca", "ba"])
def test_a_sound_is_aligned_with_its_text(learnt: FrontEnd, text: str, voice: int) -> None:
    # Given a text, and its sound at another loudness
    frames = learnt.hear(said(text, voice, loudness=0.2))

    # When
    taken = learnt.align(frames, learnt.spell(text))

    # Then each letter begins where it does, to within a column or two
    wanted = torch.tensor(pace(text, voice))
    assert int(taken.sum()) == int(wanted.sum()) == len(frames)
    assert (taken.cumsum(0) - wanted.cumsum(0)).abs().max() <= 2


@pytest.mark.parametrize("voice", [0, 1])
def test_each_voice_has_its_pace(learnt: FrontEnd, voice: int) -> None:
    text = "bcabc"
    taken = learnt.pace(learnt.spell(text), voice, most=100)
    wanted = sum(pace(text, voice))
    assert abs(int(taken.sum()) - wanted) <= 0.2 * wanted


def test_each_letter_sounds_as_it_does(learnt: FrontEnd) -> None:
    # Given a text that was not among those learnt from
    text, voice = "acbac", 1
    spelled, taken = learnt.spell(text), torch.tensor(pace("acbac", 1))

    # When
    features = learnt.features(spelled, voice, taken)

    # Then its spectrum is nearer to that of its sound than to that of another text
    assert features.shape == (FEATURES, int(taken.sum()))
    right, wrong = (learnt.seen(learnt.hear(said(each, voice)))[:BANDS] for each in (text, "bacba"))
    assert (features[:BANDS] - right).abs().mean() < 0.5 * (features[:BANDS] - wrong).abs().mean()


def test_learning_is_a_function_of_its_seed() -> None:
    states = []
    for seed in (1, 1, 2):
        front_end = fresh(channels=8)
        learn(front_end, recordings(front_end), steps=3, seed=seed)
        states.append(front_end.state_dict())
    same = [all(torch.equal(states[0][k], state[k]) for k in state) for state in states]
    assert same == [True, True, False]


def test_what_is_learnt_stays(learnt: FrontEnd) -> None:
    assert not any(parameter.requires_grad for parameter in learnt.parameters())
    assert all(parameter.grad is None for parameter in learnt.parameters())


def test_progress_is_told() -> None:
    front_end, told = fresh(channels=4), list[str]()
    learn(front_end, recordings(front_end), steps=100, seed=1, report=told.append)
    assert [line.partition(",")[0] for line in told] == [
        "aligner: step 100 of 100",
        "acoustics: step 100 of 100",
    ]


def test_a_text_too_long_for_its_sound_is_named() -> None:
    front_end = fresh(channels=4)
    good, short = recordings(front_end)[:2], front_end.hear(torch.zeros(240))
    bad = Recording(short, front_end.spell("abc"), 0)
    with pytest.raises(DataError, match="training row 2: its text is too long"):
        learn(front_end, [*good, bad], steps=1, seed=1)


def test_a_text_of_any_length_is_said_unless_there_is_a_limit(learnt: FrontEnd) -> None:
    spelled = learnt.spell("abc cab " * 200)
    taken = learnt.pace(spelled, 0, most=100_000)
    assert len(taken) == 1601 and int(taken.sum()) > 1601 * COLUMNS[0] * 0.6
    with pytest.raises(ConditionError, match="longer to say than 1 seconds: cut it"):
        learnt.pace(spelled, 0, most=100)


def test_it_knows_its_characters(learnt: FrontEnd) -> None:
    assert learnt.spell("A-b.").tolist() == [0, 1, 0, 2, 0]
    with pytest.raises(ConditionError, match=f"write the text with {CHARACTERS.strip()}"):
        learnt.spell("d")
