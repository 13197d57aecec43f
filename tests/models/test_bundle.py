"""A bundle comes back as the same network, or not at all."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode

from ancestral.models.autoregressive import Autoregressive
from ancestral.models.bundle import load_bundle, save_bundle
from ancestral.models.errors import BundleError, ConfigError
from ancestral.models.families import FAMILIES, build, config_of
from tests.models import laws
from tests.models.nets import all_cases

CASES = all_cases()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle of a labelled image net."""
    save_bundle(
        tmp_path / "model",
        CASES["gated_pixelcnn by label"].net,
        card="# Digits\n",
        metrics={"bits_per_dim": 0.5},
    )
    return tmp_path / "model"


@pytest.mark.parametrize("name", CASES, ids=lambda name: name.replace(" ", "-"))
def test_a_network_comes_back_as_it_was(name: str, tmp_path: Path) -> None:
    # Given a network, trained or not, and a bundle of it
    net, request = CASES[name].net, CASES[name].requests[-1]
    digest = save_bundle(tmp_path, net, card="", metrics={"bits_per_dim": 1.5})

    # When it is loaded
    bundle = load_bundle(tmp_path)

    # Then it scores and promises the same, ready to sample
    x = laws.random_event(net, request, seed=0)
    with torch.no_grad():
        expected = net.log_prob(x, net.conditions(request))
        assert torch.equal(bundle.net.log_prob(x, bundle.net.conditions(request)), expected)
    assert bundle.net.signature == net.signature
    assert not bundle.net.training
    assert (bundle.digest, bundle.metrics, bundle.folder) == (
        digest,
        {"bits_per_dim": 1.5},
        tmp_path,
    )


def test_the_digest_stands_for_weights_and_config_but_not_for_card_and_metrics(
    tmp_path: Path,
) -> None:
    net = CASES["gated_pixelcnn"].net
    first = save_bundle(tmp_path / "a", net, card="one", metrics={})
    again = save_bundle(tmp_path / "b", net, card="two", metrics={"bits_per_dim": 3.0})
    assert first == again == hashlib.sha256((tmp_path / "a/config.json").read_bytes()).hexdigest()

    other = build(net.family, config_of(net))
    assert save_bundle(tmp_path / "c", other, card="one", metrics={}) != first


def test_config_json_is_canonical_and_copies_the_signature(folder: Path) -> None:
    data = (folder / "config.json").read_bytes()
    document = json.loads(data)
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert data == canonical.encode() + b"\n"
    assert sorted(document) == ["config", "family", "signature", "weights"]
    assert document["signature"]["fields"]["label"]["values"] == [0, 1, 2]
    assert document["weights"]["bytes"] == (folder / "model.safetensors").stat().st_size


def edit_config(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    def edit(folder: Path) -> None:
        document = json.loads((folder / "config.json").read_bytes())
        change(document)
        (folder / "config.json").write_text(json.dumps(document))

    return edit


def flip_a_bit(folder: Path) -> None:
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "model.safetensors").write_bytes(data)


def replace_weights(data: bytes) -> Callable[[Path], object]:
    """Other weights, under a config that vouches for them."""

    def replace(folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(data)
        sha256 = hashlib.sha256(data).hexdigest()
        edit_config(lambda document: document["weights"].update(sha256=sha256))(folder)

    return replace


def test_a_signature_that_says_the_same_in_other_words_is_the_same(folder: Path) -> None:
    described = {"description": "Whatever it was called once."}
    edit_config(lambda d: d["signature"]["fields"]["label"].update(described))(folder)

    assert load_bundle(folder).net.signature["fields"]["label"] != described


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (flip_a_bit, "model.safetensors is not the file that config.json names: sha256 differs"),
        (lambda f: (f / "model.safetensors").unlink(), "cannot read .*model.safetensors: No such"),
        (lambda f: (f / "metrics.json").unlink(), "cannot read .*metrics.json: No such file"),
        (lambda f: (f / "config.json").write_text("{"), "config.json is not JSON"),
        (lambda f: (f / "config.json").write_text("[]"), "config.json is not a JSON object"),
        (lambda f: (f / "config.json").write_text("{}"), "config.json does not describe a model"),
        (edit_config(lambda d: d.update(family=[])), "config.json does not describe a model"),
        (edit_config(lambda d: d.update(config=[])), "config.json does not describe a model"),
        (edit_config(lambda d: d.update(family="gan")), "no family 'gan': there are darn, gat"),
        (edit_config(lambda d: d["config"].update(depth=3)), "GatedPixelCNNConfig has no 'depth'"),
        (edit_config(lambda d: d.pop("signature")), "config.json does not describe a model"),
        (
            edit_config(lambda d: d["signature"].update(levels=2)),
            "config.json: its signature is not that of its network",
        ),
        (edit_config(lambda d: d["config"].update(channels=9)), "does not fit the model in config"),
        (replace_weights(b"not safetensors"), "does not fit the model in config.json"),
    ],
)
def test_a_damaged_bundle_is_refused_in_one_sentence(
    folder: Path, damage: Callable[[Path], object], message: str
) -> None:
    damage(folder)
    with pytest.raises(BundleError, match=message) as caught:
        load_bundle(folder)
    assert "\n" not in str(caught.value)


class Made(TorchFunctionMode):
    """Counts the numbers that are made meanwhile."""

    numbers = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        self.numbers += made.numel() if isinstance(made, torch.Tensor) else 0
        return made


@pytest.mark.parametrize(
    "change", [{"channels": 4000}, {"embedding": 20_000_000}, {"layers": 10**6}]
)
def test_a_network_that_is_far_larger_than_its_weights_is_refused_before_it_is_built(
    folder: Path, change: dict[str, int]
) -> None:
    # Given a bundle whose configuration asks for a gigabyte or more
    edit_config(lambda document: document["config"].update(change))(folder)

    # When
    with Made() as made, pytest.raises(BundleError, match="more numbers than its weights"):
        load_bundle(folder)

    # Then
    assert made.numbers < 2 * (folder / "model.safetensors").stat().st_size + 2**25


@pytest.mark.parametrize("name", CASES, ids=lambda name: name.replace(" ", "-"))
def test_a_config_survives_json(name: str) -> None:
    net = CASES[name].net
    values = json.loads(json.dumps(config_of(net)))
    twin: Any = build(net.family, values)
    original: Any = net
    assert twin.config == original.config


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"height": 3, "width": 3}, "GatedPixelCNNConfig needs 'levels'"),
        ({"height": 3, "width": 3, "levels": 4, "colour": 1}, "has no 'colour': it has height, "),
        ({"height": "3", "width": 3, "levels": 4}, "height cannot be '3'"),
        ({"height": True, "width": 3, "levels": 4}, "height cannot be True"),
        ({"height": 3, "width": 3, "levels": 4, "labels": [1, 2.5]}, r"labels cannot be \[1, 2.5"),
        ({"height": 3, "width": 3, "levels": 4, "channels": 0}, "channels must be at least 1"),
    ],
)
def test_a_config_that_does_not_fit_is_named(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build("gated_pixelcnn", config)


def test_every_family_is_known_by_its_own_name() -> None:
    assert set(FAMILIES) == {case.net.family for case in CASES.values()}
    for name, family in FAMILIES.items():
        assert issubclass(family.net, Autoregressive)
        assert family.net.family == name
