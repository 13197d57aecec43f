"""The judge against real digits, wrong labels and noise; jobs beside tables of what they drew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from ancestral.jobs.datasets import read_table
from ancestral.jobs.results import Results
from ancestral.jobs.settings import Settings
from ancestral.models import GatedPixelCNN, GatedPixelCNNConfig, save_bundle
from ancestral.orchestration.report.judge import (
    Pictures,
    judge_job,
    judge_pictures,
    squared_distances,
)
from ancestral.orchestration.training.tables import table_uri
from ancestral.workers.here import run_here
from ancestral.workers.images import decode_image


def real_pictures(split: str) -> Pictures:
    rows = list(read_table(table_uri("digits20"), ["image", "label"], split=split))
    images = [np.frombuffer(row["image"], np.uint8).reshape(20, 20) for row in rows]
    return Pictures(np.stack(images), [row["label"] for row in rows])


@pytest.fixture(scope="module")
def training() -> Pictures:
    return real_pictures("train")


@pytest.fixture(scope="module")
def held_out() -> Pictures:
    return real_pictures("test")


def test_real_digits_that_were_held_out_are_named_rightly(
    training: Pictures, held_out: Pictures
) -> None:
    judgement = judge_pictures(held_out, training, held_out)

    assert judgement.accuracy == judgement.held_out_accuracy > 0.95
    assert judgement.verdict == "recognisable"
    assert judgement.copies == 0
    assert f"{judgement.held_out_accuracy:.1%} of 450 real digits" in judgement.sentence()


def test_digits_under_wrong_labels_are_not_recognised(
    training: Pictures, held_out: Pictures
) -> None:
    wrong = Pictures(held_out.images, [(label + 1) % 10 for label in held_out.labels])

    judgement = judge_pictures(wrong, training, held_out)

    assert judgement.accuracy < 0.05
    assert judgement.verdict == "not recognisable"


def test_noise_is_not_recognised_as_digits(training: Pictures, held_out: Pictures) -> None:
    # Given the pixels of real digits, in another order
    random = np.random.default_rng(0)
    pixels = random.permuted(held_out.images.reshape(len(held_out), -1), axis=1)

    # When
    noise = Pictures(pixels.reshape(held_out.images.shape), held_out.labels)
    judgement = judge_pictures(noise, training, held_out)

    # Then
    assert judgement.accuracy < 0.3
    assert judgement.verdict == "not recognisable"


def test_training_digits_in_fewer_greys_are_found_to_be_copies(
    training: Pictures, held_out: Pictures
) -> None:
    # Given 30 training digits as a model of 16 levels would repeat them, among 90 held-out ones
    greys = (training.images[:30] // 16 * 17).astype(np.uint8)
    mixed = Pictures(
        np.concatenate([greys, held_out.images[:90]]),
        [*training.labels[:30], *held_out.labels[:90]],
    )

    assert judge_pictures(mixed, training, held_out).copies == 0.25


@pytest.mark.parametrize("missing", ["generated", "training", "held_out"])
def test_pictures_without_anything_to_compare_are_refused(missing: str) -> None:
    some = Pictures(np.zeros((5, 4, 4), np.uint8), [0] * 5)
    given = {"generated": some, "training": some, "held_out": some}
    given[missing] = Pictures(np.zeros((0, 4, 4), np.uint8), [])

    with pytest.raises(ValueError, match="judging pictures takes"):
        judge_pictures(**given)


def test_distances_are_those_of_each_pair() -> None:
    random = np.random.default_rng(0)
    a, b = random.standard_normal((3, 5)), random.standard_normal((4, 5))

    each = [[((one - other) ** 2).sum() for other in b] for one in a]

    np.testing.assert_allclose(squared_distances(a, b), each)
    assert (squared_distances(1e3 * a, 1e3 * a).diagonal() >= 0).all()


def drawn(labels: tuple[int, ...], asked: list[int], folder: Path) -> Results:
    """A finished job of a network that knows these labels."""
    torch.manual_seed(0)
    config = GatedPixelCNNConfig(
        height=4, width=5, levels=4, labels=labels, embedding=4, channels=6, layers=2, head=6
    )
    save_bundle(folder / "bundle", GatedPixelCNN(config).eval(), card="A tiny one.", metrics={})
    spec = {
        "name": "tiny",
        "model": str(folder / "bundle"),
        "grid": {"label": asked},
        "output": str(folder / "lake"),
        "on_invalid": "record",
    }
    settings = Settings(folder / "home", str(folder / "home" / "state"))
    return run_here(spec, settings=settings, slots=8)


def test_images_by_label_are_judged_beside_both_splits_of_the_table(tmp_path: Path) -> None:
    # Given a table that trains on the very images that the job drew, and holds out blank ones
    results = drawn((0, 1, 2, 3), [0, 1, 2, 3], tmp_path)
    images = [decode_image(artifact.bytes())[0].tobytes() for artifact in results]
    table = {
        "image": [*images, *images, *images, bytes(20)],
        "label": [0, 1, 2, 3] * 3 + [2],
        "split": ["train"] * 12 + ["test"],
    }
    pq.write_table(pa.table(table), tmp_path / "real.parquet")

    # When
    judgement = judge_job(results, str(tmp_path / "real.parquet"))

    # Then
    assert judgement is not None
    assert (judgement.judged, judgement.held_out) == (4, 1)
    assert (judgement.accuracy, judgement.copies) == (1.0, 1.0)


def test_a_job_without_any_ok_row_is_not_judged(tmp_path: Path) -> None:
    assert judge_job(drawn((0, 1), [7], tmp_path), "digits20") is None
