"""The registry: names, versions, and bundles brought here."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ancestral.jobs.errors import (
    ModelUnreadable,
    SpecError,
    StoreDenied,
    StoreUnavailable,
    UsageError,
)
from ancestral.jobs.registry import Registry
from ancestral.jobs.store import Store, open_store
from tests.jobs.bundles import DIGITS, SPEECH, write_bundle


@pytest.fixture
def registry(store: Store, tmp_path: Path) -> Registry:
    """An empty registry, on every kind of store in turn."""
    return Registry(store.uri, tmp_path / "cache")


@pytest.fixture
def local_registry(tmp_path: Path) -> Registry:
    return Registry(str(tmp_path / "state"), tmp_path / "cache")


def test_a_published_model_is_found_by_name_and_version(registry: Registry, tmp_path: Path) -> None:
    first = write_bundle(tmp_path / "one", weights=b"one")
    second = write_bundle(tmp_path / "two", weights=b"two")
    registry.publish(tmp_path / "one", "digits")
    entry = registry.publish(tmp_path / "two", "digits")
    assert (entry.name, entry.digest, entry.family) == ("digits", second, "gated_pixelcnn")
    assert entry.signature == DIGITS
    assert entry.metrics == {"bits_per_dim": 1.25}
    assert registry.resolve("digits") == entry
    assert registry.resolve("digits@latest") == entry
    assert registry.resolve(f"digits@{first[:6]}").digest == first
    assert registry.resolve(f"digits@{first}").digest == first
    assert registry.resolve(entry.uri).digest == second


def test_the_latest_is_the_one_published_last(local_registry: Registry, tmp_path: Path) -> None:
    for weights in (b"one", b"two", b"one"):
        digest = write_bundle(tmp_path / "model", weights=weights)
        local_registry.publish(tmp_path / "model", "digits")
        assert local_registry.resolve("digits").digest == digest


def test_a_version_never_changes(local_registry: Registry, tmp_path: Path) -> None:
    write_bundle(tmp_path / "model")
    entry = local_registry.publish(tmp_path / "model", "digits")
    (tmp_path / "model" / "metrics.json").write_text('{"bits_per_dim": 0}')
    assert local_registry.publish(tmp_path / "model", "digits") == entry


def test_the_list_is_the_latest_of_each_by_name(registry: Registry, tmp_path: Path) -> None:
    assert registry.list() == []
    for name, signature in (("speech", SPEECH), ("digits", DIGITS)):
        write_bundle(tmp_path / name, signature)
        registry.publish(tmp_path / name, name)
    assert [(each.name, each.signature["medium"]) for each in registry.list()] == [
        ("digits", "image"),
        ("speech", "audio"),
    ]


def publish(registry: Registry, folder: Path, weights: bytes, name: str = "digits") -> str:
    """The digest of a bundle that was published."""
    write_bundle(folder / weights.decode(), weights=weights)
    return registry.publish(folder / weights.decode(), name).digest


def test_versions_are_told_newest_first(registry: Registry, tmp_path: Path) -> None:
    digests = [publish(registry, tmp_path, weights) for weights in (b"one", b"two", b"three")]
    registry.make_latest(f"digits@{digests[1][:8]}")
    versions = registry.versions("digits")
    assert [each.entry.digest for each in versions] == digests[::-1]
    assert [each.latest for each in versions] == [False, True, False]
    moments = [each.published_at or "" for each in versions]
    assert moments == sorted(moments, reverse=True) and all(moments)
    # Published again, a version is the latest, and as old as it was.
    publish(registry, tmp_path, b"one")
    assert [each.latest for each in registry.versions("digits")] == [False, False, True]
    assert [each.published_at for each in registry.versions("digits")] == moments


def test_the_latest_can_be_moved(registry: Registry, tmp_path: Path) -> None:
    first, second = (publish(registry, tmp_path, weights) for weights in (b"one", b"two"))
    assert registry.make_latest(f"digits@{first[:8]}").digest == first
    assert registry.resolve("digits").digest == first
    assert registry.make_latest(f"digits@{second}") == registry.resolve("digits")


@pytest.mark.parametrize("model", ["digits", "./digits", "s3://lake/digits@abcd"])
def test_what_names_no_version_cannot_be_the_latest(
    local_registry: Registry, tmp_path: Path, model: str
) -> None:
    publish(local_registry, tmp_path, b"one")
    with pytest.raises(UsageError, match="names no version of a model: write NAME@DIGEST"):
        local_registry.make_latest(model)


def test_a_bundle_in_a_store_is_published_under_the_name_of_its_folder(
    store: Store, registry: Registry, tmp_path: Path
) -> None:
    digest = write_bundle(tmp_path / "model")
    for file in (tmp_path / "model").iterdir():
        store.put(f"elsewhere/my-digits/{file.name}", file.read_bytes())
    entry = registry.publish(store.uri_of("elsewhere/my-digits"))
    assert (entry.name, entry.digest) == ("my-digits", digest)
    assert registry.resolve("my-digits") == entry


def test_what_cannot_be_opened_is_not_published(local_registry: Registry) -> None:
    with pytest.raises(ModelUnreadable, match="s3:/bucket/x"):
        local_registry.publish("s3:/bucket/x")


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_a_damaged_version_hides_no_other_and_a_push_mends_it(
    file: str, local_registry: Registry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # Given two versions, and another model, of which the latest version was cut short
    first, second = (publish(local_registry, tmp_path, weights) for weights in (b"one", b"two"))
    write_bundle(tmp_path / "speech")
    local_registry.publish(tmp_path / "speech")
    damaged = Path(local_registry.resolve(f"digits@{second}").uri) / file
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-1])

    # Then the others are listed, and the log says which one is not
    assert [entry.name for entry in local_registry.list()] == ["speech"]
    assert [each.entry.digest for each in local_registry.versions("digits")] == [first]
    assert f"digits@{second[:12]} is left out: " in caplog.text
    assert set(local_registry.digests("digits")) == {first[:12], second[:12]}
    # And the same bundle makes it whole
    publish(local_registry, tmp_path, b"two")
    assert damaged.read_bytes() == whole
    assert local_registry.resolve("digits").digest == second
    # Or it is removed like any other
    damaged.write_bytes(whole[:-1])
    local_registry.make_latest(f"digits@{first}")
    local_registry.remove("digits", local_registry.digests(f"digits@{second[:8]}"))
    assert local_registry.digests("digits") == (first[:12],)


def test_of_pushes_at_once_all_versions_are_there(registry: Registry, tmp_path: Path) -> None:
    bundles = [tmp_path / str(number) for number in range(4)]
    digests = {write_bundle(each, weights=each.name.encode()) for each in bundles}
    with ThreadPoolExecutor(8) as pool:
        entries = list(pool.map(lambda each: registry.publish(each, "digits"), bundles * 2))
    assert {entry.digest for entry in entries} == digests
    assert {each.entry.digest for each in registry.versions("digits")} == digests
    assert registry.resolve("digits").digest in digests
    for each in registry.versions("digits"):
        assert registry.fetch(each.entry.uri, each.entry.digest)


class DyingStore(Store):
    """Goes away when it comes to write or to remove `broken`."""

    broken = ""

    def create(self, path: str, data: bytes | memoryview) -> None:
        self._die(path)
        super().create(path, data)

    def put(self, path: str, data: bytes | memoryview) -> None:
        self._die(path)
        super().put(path, data)

    def delete(self, path: str) -> None:
        self._die(path)
        super().delete(path)

    def _die(self, path: str) -> None:
        if path.endswith(self.broken):
            raise StoreUnavailable("the store went away")


@pytest.mark.parametrize("broken", ["model.safetensors", "metrics.json", "card.md", "config.json"])
def test_a_push_that_dies_before_its_version_is_there_leaves_none(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    # Given a model, and a push of another version that dies on the way
    registry = Registry(store.uri, tmp_path / "cache")
    first = publish(registry, tmp_path, b"one")
    with monkeypatch.context() as patch:
        patch.setattr("ancestral.jobs.registry.open_store", DyingStore)
        patch.setattr(DyingStore, "broken", broken)
        with pytest.raises(StoreUnavailable):
            publish(Registry(store.uri, tmp_path / "cache"), tmp_path, b"two")
    # Then nothing of it is seen, and done again it comes to its end
    assert [each.entry.digest for each in registry.versions("digits")] == [first]
    second = publish(registry, tmp_path, b"two")
    assert registry.resolve("digits").digest == second
    assert registry.fetch(registry.resolve("digits").uri, second)


def test_a_push_that_dies_before_the_latest_is_moved_leaves_a_version(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry(store.uri, tmp_path / "cache")
    with monkeypatch.context() as patch:
        patch.setattr("ancestral.jobs.registry.open_store", DyingStore)
        patch.setattr(DyingStore, "broken", "latest.json")
        with pytest.raises(StoreUnavailable):
            publish(Registry(store.uri, tmp_path / "cache"), tmp_path, b"one")
    (version,) = registry.versions("digits")
    assert (version.latest, registry.list()) == (False, [])
    digest = version.entry.digest
    with pytest.raises(ModelUnreadable, match=f"name one, like digits@{digest[:12]}"):
        registry.resolve("digits")
    assert registry.resolve(f"digits@{digest[:6]}") == version.entry
    publish(registry, tmp_path, b"one")
    assert registry.resolve("digits") == version.entry


def test_a_removed_version_is_gone_and_can_be_published_again(
    registry: Registry, tmp_path: Path
) -> None:
    first, second = (publish(registry, tmp_path, weights) for weights in (b"one", b"two"))
    registry.remove("digits", [first])
    assert [each.entry.digest for each in registry.versions("digits")] == [second]
    with pytest.raises(ModelUnreadable, match="there is no such version"):
        registry.resolve(f"digits@{first}")
    assert publish(registry, tmp_path, b"one") == first
    assert registry.fetch(registry.resolve("digits").uri, first)


def test_the_latest_goes_last(registry: Registry, tmp_path: Path) -> None:
    first, second = (publish(registry, tmp_path, weights) for weights in (b"one", b"two"))
    with pytest.raises(UsageError) as caught:
        registry.remove("digits", [second])
    assert f"digits@{second[:12]} is the latest version: make another one" in str(caught.value)
    assert f"digits@{first[:12]}" in str(caught.value)
    registry.make_latest(f"digits@{first}")
    registry.remove("digits", [second])
    registry.remove("digits", [first])
    assert registry.list() == []
    with pytest.raises(ModelUnreadable, match="no model is called 'digits'"):
        registry.resolve("digits")


def test_nothing_of_removed_versions_is_left(store: Store, tmp_path: Path) -> None:
    registry = Registry(store.uri, tmp_path / "cache")
    digests = [publish(registry, tmp_path, weights) for weights in (b"one", b"two")]
    other = publish(registry, tmp_path, b"three", "speech")
    registry.remove("digits", digests)
    assert {path.split("/")[1] for path in store.list("registry")} == {"speech"}
    assert registry.resolve("speech").digest == other


@pytest.mark.parametrize("broken", ["model.safetensors", "metrics.json", "card.md"])
def test_a_removal_that_dies_leaves_no_half_of_a_version(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    registry = Registry(store.uri, tmp_path / "cache")
    digest = publish(registry, tmp_path, b"one")
    with monkeypatch.context() as patch:
        patch.setattr("ancestral.jobs.registry.open_store", DyingStore)
        patch.setattr(DyingStore, "broken", broken)
        with pytest.raises(StoreUnavailable):
            Registry(store.uri, tmp_path / "cache").remove("digits", [digest])
    assert registry.list() == []
    with pytest.raises(ModelUnreadable, match="no model is called 'digits'"):
        registry.resolve("digits")
    # What is left of it is in nobody's way.
    assert publish(registry, tmp_path, b"one") == digest
    assert registry.fetch(registry.resolve("digits").uri, digest)


def test_a_latest_that_is_gone_is_no_latest(local_registry: Registry, tmp_path: Path) -> None:
    digest = publish(local_registry, tmp_path, b"one")
    publish(local_registry, tmp_path, b"two", "speech")
    state = open_store(str(tmp_path / "state"))
    state.put("registry/digits/latest.json", b'{"digest": "feed00000000"}')
    assert [entry.name for entry in local_registry.list()] == ["speech"]
    with pytest.raises(ModelUnreadable, match="no version of 'digits' is the latest"):
        local_registry.resolve("digits")
    assert local_registry.make_latest(f"digits@{digest}") == local_registry.resolve("digits")


def test_a_folder_is_a_model(
    local_registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = write_bundle(tmp_path / "my-model")
    monkeypatch.chdir(tmp_path)
    for text in ("./my-model", "./my-model/", str(tmp_path / "my-model")):
        entry = local_registry.resolve(text)
        assert (entry.name, entry.uri, entry.digest) == (
            "my-model",
            str(tmp_path / "my-model"),
            digest,
        )


def test_an_unknown_name_is_named(local_registry: Registry, tmp_path: Path) -> None:
    write_bundle(tmp_path / "model")
    digest = local_registry.publish(tmp_path / "model", "digits").digest
    other = "0000" if not digest.startswith("0000") else "1111"
    for text, sentence in (
        ("digit", "no model is called 'digit'; did you mean 'digits'?"),
        ("Digits", "no model is called 'Digits'; did you mean 'digits'?"),
        ("", "no model is called ''; known are digits"),
        ("digits@newest", "after '@' goes 'latest' or the beginning of a digest"),
        ("digits@", "digits@: after '@' goes 'latest' or the beginning of a digest"),
        (f"digits@{other}", "digits@0000: there is no such version"),
        (f"digits@{digest[:20]}{'0' * 44}", "there is no such version"),
    ):
        with pytest.raises(ModelUnreadable) as caught:
            local_registry.resolve(text)
        assert sentence in str(caught.value)


def test_an_ambiguous_version_is_refused(local_registry: Registry, tmp_path: Path) -> None:
    state = open_store(str(tmp_path / "state"))
    for digest in ("abcd00000000", "abcd11111111"):
        state.create(f"registry/digits/{digest}/config.json", b"{}")
    with pytest.raises(ModelUnreadable, match="digits@abcd: 2 versions begin like this"):
        local_registry.resolve("digits@abcd")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"config.json": None}, "there is no config.json, so it is no model"),
        ({"config.json": b"nonsense"}, "config.json: is not JSON"),
        ({"config.json": b"[]"}, "config.json: is not a JSON object"),
        ({"config.json": b"{}"}, "config.json: does not describe a model"),
        ({"model.safetensors": None}, "there is no model.safetensors"),
        ({"model.safetensors": b"the weig"}, "model.safetensors: is cut short"),
        ({"metrics.json": None}, "there is no metrics.json"),
        (
            {"config.json": b'{"family": "f", "signature": {"medium": "smell"}, "weights": {}}'},
            "the model's signature makes 'smell'",
        ),
    ],
)
def test_a_broken_bundle_is_named(
    local_registry: Registry, tmp_path: Path, change: dict[str, bytes | None], sentence: str
) -> None:
    folder = tmp_path / "model"
    write_bundle(folder)
    for name, data in change.items():
        if data is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(data)
    with pytest.raises(ModelUnreadable) as caught:
        local_registry.resolve(str(folder))
    assert str(folder) in str(caught.value)
    assert sentence in str(caught.value)
    with pytest.raises(ModelUnreadable):
        local_registry.publish(folder, "digits")
    assert local_registry.list() == []


def test_weights_that_are_not_those_of_the_config_are_not_published(
    local_registry: Registry, tmp_path: Path
) -> None:
    write_bundle(tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelUnreadable, match=r"model\.safetensors: is not the file that config"):
        local_registry.publish(tmp_path / "model", "digits")
    assert local_registry.list() == []


@pytest.mark.parametrize("name", ["", "Digits", "a/b", "../x", "a b", ".x", "ä"])
def test_a_name_is_plain(local_registry: Registry, tmp_path: Path, name: str) -> None:
    write_bundle(tmp_path / "model")
    with pytest.raises(SpecError, match="a model cannot be called"):
        local_registry.publish(tmp_path / "model", name)


def test_what_cannot_be_opened_is_no_model(local_registry: Registry) -> None:
    for text in ("nonsense://x/y", "./nowhere", "s3:/bucket/x"):
        with pytest.raises(ModelUnreadable):
            local_registry.resolve(text)


def test_a_fetched_bundle_is_whole(registry: Registry, tmp_path: Path) -> None:
    digest = write_bundle(tmp_path / "model")
    entry = registry.publish(tmp_path / "model", "digits")
    folder = registry.fetch(entry.uri, digest)
    assert registry.fetch(entry.uri, digest) == folder
    for file in ("config.json", "model.safetensors", "card.md", "metrics.json"):
        assert (folder / file).read_bytes() == (tmp_path / "model" / file).read_bytes()


def test_a_local_bundle_is_not_copied(local_registry: Registry, tmp_path: Path) -> None:
    digest = write_bundle(tmp_path / "model")
    assert local_registry.fetch(str(tmp_path / "model"), digest) == tmp_path / "model"
    assert not (tmp_path / "cache").exists()


def remote_bundle(tmp_path: Path) -> tuple[Store, str]:
    """A bundle that is not in a local folder, and its digest."""
    digest = write_bundle(tmp_path / "model")
    store = open_store(f"memory://{tmp_path.name}/bundle")
    for file in ("config.json", "model.safetensors", "card.md", "metrics.json"):
        store.put(file, (tmp_path / "model" / file).read_bytes())
    return store, digest


def test_once_fetched_a_bundle_is_read_from_the_cache(
    local_registry: Registry, tmp_path: Path
) -> None:
    store, digest = remote_bundle(tmp_path)
    folder = local_registry.fetch(store.uri, digest)
    for file in store.list():
        store.delete(file)
    assert local_registry.fetch(store.uri, digest) == folder


def test_a_cached_bundle_that_was_changed_is_fetched_anew(
    local_registry: Registry, tmp_path: Path
) -> None:
    store, digest = remote_bundle(tmp_path)
    folder = local_registry.fetch(store.uri, digest)
    for file in ("config.json", "model.safetensors"):
        for damage in (b"{}", None):
            (folder / file).unlink()
            if damage is not None:
                (folder / file).write_bytes(damage)
            assert local_registry.fetch(store.uri, digest) == folder
            assert (folder / file).read_bytes() == store.read(file)
    # And nothing else is left in the cache
    assert list(folder.parent.iterdir()) == [folder]


def test_a_bundle_that_changed_is_not_fetched(local_registry: Registry, tmp_path: Path) -> None:
    store, digest = remote_bundle(tmp_path)
    store.put("config.json", json.dumps({"weights": {}}).encode())
    with pytest.raises(ModelUnreadable, match="holds another model now"):
        local_registry.fetch(store.uri, digest)
    write_bundle(tmp_path / "model", weights=b"others")
    with pytest.raises(ModelUnreadable, match="holds another model now"):
        local_registry.fetch(str(tmp_path / "model"), digest)


def test_a_bundle_with_broken_weights_leaves_no_copy(
    local_registry: Registry, tmp_path: Path
) -> None:
    store, digest = remote_bundle(tmp_path)
    store.put("model.safetensors", b"others")
    with pytest.raises(ModelUnreadable, match=r"model\.safetensors: is not the file"):
        local_registry.fetch(store.uri, digest)
    assert list((tmp_path / "cache" / "bundles").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file in the way")
    store, digest = remote_bundle(tmp_path)
    registry = Registry(str(tmp_path / "state"), tmp_path / "cache")
    with pytest.raises(StoreDenied, match="cannot be written"):
        registry.fetch(store.uri, digest)


@pytest.mark.parametrize(
    "figure", ["null", '"0.57"', "true", "[]", "NaN", "Infinity", "1" + "0" * 400]
)
def test_of_metrics_only_what_can_be_shown_is_kept(
    local_registry: Registry, tmp_path: Path, figure: str
) -> None:
    write_bundle(tmp_path / "model")
    written = (
        f'{{"held_out_bits_per_dim": {figure}, "steps": {figure}, "held_out_kind": "exact", '
        '"note": "\\u001b[31mred", "long": "' + "a" * 101 + '", "\\u001b[2J": 1, "nested": {}, '
        '"seconds": 1.5, "guided": true}'
    )
    (tmp_path / "model" / "metrics.json").write_text(written)

    metrics = local_registry.publish(tmp_path / "model", "digits").metrics

    plain = {key: metrics.pop(key) for key in ("held_out_kind", "seconds", "guided")}
    assert plain == {"held_out_kind": "exact", "seconds": 1.5, "guided": True}
    # As a figure of no importance, a text or a boolean may stand.
    assert metrics == ({"steps": json.loads(figure)} if figure in ('"0.57"', "true") else {})


def test_a_held_out_figure_is_a_number(local_registry: Registry, tmp_path: Path) -> None:
    write_bundle(tmp_path / "model")
    for figure in (0.5, 3, -1e300):
        metrics = {"held_out_bits_per_dim": figure}
        (tmp_path / "model" / "metrics.json").write_text(json.dumps(metrics))
        assert local_registry.resolve(str(tmp_path / "model")).metrics == metrics


def edited(folder: Path, **keys: object) -> Path:
    """The bundle in `folder`, after its config.json was given other values."""
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **keys}))
    return folder


@pytest.mark.parametrize("family", ["", "\x1b]0;owned\x07", "a\nb", "two words", "x" * 101])
def test_a_family_has_a_plain_name(local_registry: Registry, tmp_path: Path, family: str) -> None:
    write_bundle(tmp_path / "model")
    with pytest.raises(ModelUnreadable, match="a family cannot be called") as caught:
        local_registry.publish(edited(tmp_path / "model", family=family), "digits")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("length", [None, True, 0, -5, 1.5, "11", 1e999, 2**63, 10**400, []])
def test_the_length_of_weights_is_a_size(
    local_registry: Registry, tmp_path: Path, length: object
) -> None:
    write_bundle(tmp_path / "model")
    with pytest.raises(ModelUnreadable, match="does not describe a model"):
        local_registry.publish(edited(tmp_path / "model", weights={"bytes": length}), "digits")


@pytest.mark.parametrize("file", ["config.json", "metrics.json"])
def test_a_version_that_is_nested_too_deeply_hides_no_other(
    local_registry: Registry, tmp_path: Path, file: str
) -> None:
    for name in ("deep", "speech"):
        write_bundle(tmp_path / name)
        local_registry.publish(tmp_path / name)
    deep = Path(local_registry.resolve("deep").uri) / file
    deep.write_text("[" * 200_000)
    assert [entry.name for entry in local_registry.list()] == ["speech"]
    with pytest.raises(ModelUnreadable, match="is not JSON"):
        local_registry.resolve("deep")
