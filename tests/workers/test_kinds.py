"""Jobs of every kind, with real networks in one process."""

from __future__ import annotations

import json
import math
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from ancestral.jobs.client import Client
from ancestral.jobs.kinds import fields_of, kinds_of
from ancestral.jobs.manifest import read_manifest
from ancestral.jobs.results import Artifact, Results
from ancestral.jobs.settings import Settings
from ancestral.jobs.spec import Media
from ancestral.models import Autoregressive, prepare, save_bundle, to_media
from ancestral.models.autoregressive import TrainingLoss
from ancestral.models.data import collate
from ancestral.models.families import FAMILIES as SHIPPED
from ancestral.models.naive import sample_naive
from ancestral.models.train import train
from ancestral.models.train_settings import TrainSettings
from ancestral.workers.encode import encode, read_media
from ancestral.workers.here import run_here
from tests.models.nets import DIGITS, all_cases, image_case, sound_case
from tests.models.tokens import FAMILY, Tokens, TokensConfig

IMAGES = image_case(labels=DIGITS)
CASES = all_cases()

#: One of each family.
FAMILIES = [
    "linear",
    "darn by label",
    "made of levels by label",
    "pixelcnn in colour by label",
    "gated_pixelcnn by map",
    "pixelcnn_pp in colour by label and latent",
    "pixelcnn_autoencoder",
    "wavenet mixture by both",
    "video_pixel",
]


class Place:
    """A folder with models, files to give, and a lake."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = Settings(folder / "home", str(folder / "home" / "state"))

    def publish(self, net: Autoregressive) -> str:
        save_bundle(self.folder / net.family, net, card="A toy.", metrics={})
        return str(self.folder / net.family)

    def file(self, net: Autoregressive, name: str, symbols: np.ndarray) -> str:
        """A file of these symbols."""
        artifact = encode(net.signature, to_media(net.signature, symbols), {}, Media())
        path = self.folder / f"{name}.{artifact.suffix}"
        path.write_bytes(artifact.data)
        return str(path)

    def run(self, net: Autoregressive, kind: str, **given: Any) -> Results:
        spec = {
            "name": kind,
            "kind": kind,
            "model": self.publish(net),
            "output": str(self.folder / "lake"),
            "unit": {"rows": 4},
            **given,
        }
        return run_here(spec, settings=self.settings, slots=4)

    def draw(self, net: Autoregressive, fields: dict[str, Any]) -> tuple[dict[str, Any], str]:
        """The index row of one artifact, and its file."""
        lines = self.folder / "r.jsonl"
        lines.write_text(json.dumps(fields))
        (artifact,) = self.run(net, "generate", input=str(lines))
        file = self.folder / artifact.file_name
        file.write_bytes(artifact.bytes())
        return dict(artifact.row), str(file)

    def go_on(self, net: Autoregressive, kind: str, **fields: Any) -> Artifact:
        """The one artifact of one request."""
        lines = self.folder / f"{kind}.jsonl"
        lines.write_text(json.dumps(fields))
        (artifact,) = self.run(net, kind, input=str(lines))
        return artifact


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 7, (5, 6))


def test_images_are_completed_from_their_first_rows(place: Place) -> None:
    # Given whole images of which two rows are to be kept
    net = IMAGES.net
    pictures = [picture(seed) for seed in range(3)]
    files = [place.file(net, f"{seed}", each) for seed, each in enumerate(pictures)]

    results = place.run(
        net,
        "complete",
        grid={"prefix": files, "label": [1], "keep": [2]},
        sampling={"samples": 3, "seed": 7},
    )

    # Then every artifact begins with the rows, bit for bit, and goes on as it is defined to
    assert len(results) == 9
    for artifact in results:
        row = artifact.row
        given = torch.from_numpy(pictures[row["ordinal"] // 3][:2]).reshape(-1)
        expected = sample_naive(net, {"label": 1}, row["seed"], row["sample"], prefix=given)
        symbols = expected.symbols.numpy()
        np.testing.assert_array_equal(
            read_media(net.signature, artifact.bytes()), to_media(net.signature, symbols)
        )
        # And the likelihood counts what was drawn
        nats = row["log_likelihood_nats"]
        assert nats == pytest.approx(expected.log_likelihood_nats, rel=1e-5)
        assert row["bits_per_dim"] == pytest.approx(-nats / math.log(2) / 18)
        assert (row["condition_keep"], row["kind"]) == (2, "complete")
    assert len(set(results.table()["sha256"].to_pylist())) == 9


def test_a_sound_is_completed_from_its_first_seconds(place: Place) -> None:
    net = sound_case(speaker=True, digit=False).net
    symbols = np.arange(16).repeat(2)
    file = place.file(net, "whole", symbols)

    (artifact,) = place.run(
        net,
        "complete",
        grid={"prefix": [file], "keep": [0.012], "seconds": [0.02], "speaker": ["ada"]},
    )

    sound = read_media(net.signature, artifact.bytes())
    assert artifact.row["frames"] == len(sound) == 20
    np.testing.assert_array_equal(sound[:12], to_media(net.signature, symbols[:12]))
    bits = -artifact.row["log_likelihood_nats"] / math.log(2)
    assert artifact.row["bits_per_dim"] == pytest.approx(bits / 8)


def test_a_gate_looks_at_what_was_given_of_a_sound_too(place: Place) -> None:
    # Given a beginning of 10 samples at full scale, which is half of the sound
    net = sound_case(speaker=True, digit=False).net
    file = place.file(net, "loud", np.array([15] * 5 + [0] * 5))
    fields = {"prefix": [file], "seconds": [0.02], "speaker": ["ada"]}

    (artifact,) = place.run(net, "complete", grid=fields, gates={"clipped_share": 0.45})

    sound = read_media(net.signature, artifact.bytes())
    low, high = to_media(net.signature, np.array([0, 15]))
    share = np.isin(sound, [low, high]).mean()
    assert share >= 0.5
    assert artifact.row["status"] == "rejected"
    assert artifact.row["error"] == f"clipping: {share:g} of the samples are clipped, above 0.45"


def test_a_prefix_that_does_not_fit_costs_its_own_row(place: Place) -> None:
    net = IMAGES.net
    files = [place.file(net, f"{rows}", picture(0)[:rows]) for rows in (3, 5)]
    results = place.run(net, "complete", grid={"prefix": files, "label": [0]})
    sound, failed = results.table().to_pylist()
    assert sound["status"] == "ok"
    assert failed["status"] == "failed"
    assert "'prefix' leaves nothing to draw" in failed["error"]


def test_what_was_generated_can_be_scored_by_its_own_index(place: Place) -> None:
    # Given a job's index as the input of another, its artifacts by the pieces of their packs
    net = IMAGES.net
    made = place.run(net, "generate", grid={"label": list(DIGITS)}, sampling={"samples": 2})
    table = made.table()
    pieces = table.select(["uri", "offset", "length"]).to_pylist()
    asked = {
        "request_id": [str(ordinal) for ordinal in table["ordinal"].to_pylist()],
        "label": table["condition_label"],
        "artifact": pieces,
    }
    pq.write_table(pa.table(asked), place.folder / "r.parquet")

    scored = place.run(net, "score", input=str(place.folder / "r.parquet"))

    # Then each has the likelihood that it had when it was drawn
    assert len(scored) == 6
    for before, after in zip(table.to_pylist(), scored.table().to_pylist(), strict=True):
        assert (after["status"], after["kind"], after["likelihood_kind"]) == (
            "ok",
            "score",
            "exact",
        )
        assert after["log_likelihood_nats"] == pytest.approx(
            before["log_likelihood_nats"], rel=1e-5
        )
        assert after["bits_per_dim"] == pytest.approx(before["bits_per_dim"], rel=1e-5)
        assert after["symbols_sha256"] == before["symbols_sha256"]
        assert after["condition_artifact"] == before["sha256"]
        # And no artifact of its own
        assert {after[name] for name in ("uri", "sha256", "length", "media_type")} == {None}


def test_a_score_job_has_no_packs_and_one_row_cannot_spoil_another(place: Place) -> None:
    net = IMAGES.net
    (place.folder / "broken.png").write_bytes(b"BM, and no picture")
    files = [
        place.file(net, "good", picture(0)),
        str(place.folder / "broken.png"),
        place.file(net, "small", picture(0)[:4]),
    ]

    results = place.run(net, "score", grid={"artifact": files, "label": [0]})

    rows = results.table().to_pylist()
    assert [row["status"] for row in rows] == ["ok", "failed", "failed"]
    assert "'artifact' cannot be used" in rows[1]["error"]
    assert "'artifact' is 4 x 6, and the model draws 5 x 6" in rows[2]["error"]
    client = Client(place.settings)
    (job_id,) = client.jobs()
    manifest = read_manifest(client.store(job_id), job_id)
    assert manifest is not None
    assert (manifest.rows_ok, manifest.rows_failed, manifest.pack_count) == (1, 2, 0)
    assert results.download(place.folder / "files") == 0


def test_neither_units_nor_slots_show_in_scores(place: Place) -> None:
    net = IMAGES.net
    files = [place.file(net, str(seed), picture(seed)) for seed in range(5)]
    asked = {"artifact": files, "label": [0, 2]}
    runs = [place.run(net, "score", grid=asked, unit={"rows": rows}) for rows in (1, 3, 10)]
    scores = [run.table()["log_likelihood_nats"].to_pylist() for run in runs]
    assert scores[0] == scores[1] == scores[2]
    assert len(set(scores[0])) == 10


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_scores_what_it_drew(place: Place, name: str) -> None:
    # Given an artifact
    net, fields = CASES[name].net, dict(CASES[name].requests[0])
    drawn, file = place.draw(net, fields)
    asked = {
        key: value for key, value in fields.items() if key in fields_of(net.signature, "score")
    }

    scored = place.go_on(net, "score", artifact=file, **asked).row

    # Then it is as likely as when it was drawn, where that is of the same symbols and conditions
    assert scored["status"] == "ok", scored["error"]
    if net.signature.get("hidden"):
        assert (drawn["likelihood_kind"], scored["likelihood_kind"]) == ("joint", "bound")
        assert scored["log_likelihood_nats"] < 0
        return
    assert scored["likelihood_kind"] == drawn["likelihood_kind"]
    assert scored["symbols_sha256"] == drawn["symbols_sha256"]
    if "reconstruct" not in kinds_of(net.signature):
        nats = drawn["log_likelihood_nats"]
        assert scored["log_likelihood_nats"] == pytest.approx(nats, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize(
    "name", [name for name in FAMILIES if "complete" in kinds_of(CASES[name].net.signature)]
)
def test_every_family_that_can_goes_on_from_a_beginning(place: Place, name: str) -> None:
    net, fields = CASES[name].net, dict(CASES[name].requests[0])
    _, file = place.draw(net, fields)
    keep = 2 / net.signature.get("sample_rate_hz", 1)

    artifact = place.go_on(net, "complete", prefix=file, keep=keep, **fields)

    assert artifact.ok, artifact.row["error"]
    before = read_media(net.signature, Path(file).read_bytes())
    after = read_media(net.signature, artifact.bytes())
    np.testing.assert_array_equal(after[:2], before[:2])
    assert after.shape == before.shape


def test_a_series_of_levels_is_learnt_drawn_completed_and_scored(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a family of such series that has learnt to count to 3
    monkeypatch.setattr("ancestral.models.families.FAMILIES", {**SHIPPED, "tokens": FAMILY})
    torch.manual_seed(0)
    net = Tokens(TokensConfig(length=12, levels=4))
    counting = [(np.arange(12) + start) % 4 for start in range(4)]
    batch = collate(prepare(net, [each.astype(np.float64) for each in counting], [{}] * 4))
    settings = TrainSettings(learning_rate=0.2)
    train(TrainingLoss(net), net, cycle([batch]), settings, fraction_done=lambda step: step / 100)

    # When a series is drawn, completed from its beginning, and scored
    drawn, file = place.draw(net, {})
    completed = place.go_on(net, "complete", prefix=file, keep=5)
    scored = place.go_on(net, "score", artifact=file).row

    # Then each goes on counting, and is as likely as it was drawn
    series = np.load(file)
    assert np.array_equal(series, (np.arange(12) + series[0]) % 4)
    assert np.array_equal(np.load(completed.open()), series)
    assert scored["symbols_sha256"] == drawn["symbols_sha256"]
    assert scored["log_likelihood_nats"] == pytest.approx(drawn["log_likelihood_nats"], rel=1e-4)

    # And a number between its levels fails its row
    np.save(place.folder / "half.npy", series + 0.5)
    refused = place.go_on(net, "score", artifact=str(place.folder / "half.npy")).row
    assert refused["status"] == "failed"
    assert "'artifact' cannot be used: such series holds whole numbers" in refused["error"]


def test_an_image_is_reconstructed_from_its_latent_vector(place: Place) -> None:
    # Given two images and a network that encodes them
    net = CASES["pixelcnn_autoencoder"].net
    shape, levels = net.signature["shape"], net.signature["levels"]
    images = np.random.default_rng(0).integers(0, levels, (2, *shape))
    first, second = (place.file(net, str(number), each) for number, each in enumerate(images))

    asked = {"image": [first], "second_image": [second], "fraction": [0, 0.25, 1]}
    results = place.run(net, "reconstruct", grid=asked, sampling={"samples": 2})

    # Then each artifact is what the network draws for the latent vector of that place between them
    latents = [
        net.encode(torch.from_numpy(image).unsqueeze(0)).tolist()[0]  # type: ignore[operator]
        for image in images
    ]
    for artifact in results:
        row = artifact.row
        fraction = row["condition_fraction"]
        latent = [(1 - fraction) * a + fraction * b for a, b in zip(*latents, strict=True)]
        expected = sample_naive(net, {"latent": latent}, row["seed"], row["sample"]).symbols.numpy()
        pixels = read_media(net.signature, artifact.bytes())
        np.testing.assert_array_equal(pixels, to_media(net.signature, expected))
        assert "condition_latent" not in row
    assert len(results) == 6
