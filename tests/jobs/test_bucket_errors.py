"""What a store says, in words of our own: what to do, whether it passes by itself, no secret."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest

from ancestral.jobs import buckets
from ancestral.jobs.errors import StoreDenied, StoreError, StoreUnavailable, StoreUnsafe
from ancestral.jobs.store import Store, open_store
from tests.faults.proxy import Fault, HttpProxy, Refusal
from tests.seaweed import WRITER
from tests.tls import TlsFront, make_certificate

pytestmark = pytest.mark.s3

STORE = "s3://ancestral-tests/errors"
SECRET = "open-sesame-41"

EXPIRED = Refusal(400, "ExpiredToken")

CALLS: dict[str, Callable[[Store], object]] = {
    "put": lambda store: store.put("one", b"first"),
    "read": lambda store: store.read("one"),
    "exists": lambda store: store.exists("one"),
    "size": lambda store: store.size("one"),
    "list": lambda store: store.list(),
    "delete": lambda store: store.delete("one"),
}


@pytest.fixture(scope="module")
def answering(s3_server: str) -> Iterator[tuple[Store, HttpProxy]]:
    """A store, and the proxy that it is seen through."""
    with pytest.MonkeyPatch.context() as patch, HttpProxy(s3_server) as proxy:
        patch.setenv("AWS_ENDPOINT_URL", proxy.url)
        patch.setattr(buckets, "SDK_TRIES", 1)
        fsspec.get_filesystem_class("s3").clear_instance_cache()
        store = open_store(STORE)
        store.put("one", b"first")
        patch.undo()
        yield store, proxy


@pytest.fixture
def environment(
    s3_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[pytest.MonkeyPatch]:
    """An environment to change, of which no file system made before or after knows.

    Its credentials are a file's, whose path is `AWS_SHARED_CREDENTIALS_FILE`.
    """
    kind = fsspec.get_filesystem_class("s3")
    kind.clear_instance_cache()
    monkeypatch.setattr(buckets, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(buckets, "SDK_TRIES", 1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    write_credentials(tmp_path, *WRITER)
    yield monkeypatch
    kind.clear_instance_cache()


@pytest.fixture
def proxy(s3_server: str, environment: pytest.MonkeyPatch) -> Iterator[HttpProxy]:
    with HttpProxy(s3_server) as proxy:
        environment.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield proxy


def write_credentials(folder: Path, key: str, secret: str) -> None:
    lines = ["[default]", f"aws_access_key_id = {key}", f"aws_secret_access_key = {secret}"]
    (folder / "credentials").write_text("\n".join(lines))


def refusal(store: Store | None = None) -> StoreError:
    """What a write is told; its words hold no secret, nor do those that a log would show."""
    with pytest.raises(StoreError) as caught:
        (store or open_store(STORE)).put("one", b"first")
    told = str(caught.value)
    assert told.startswith(f"cannot write to {STORE}: ")
    logged = "".join(traceback.format_exception(caught.value))
    for text in (told, repr(caught.value), logged):
        assert SECRET not in text
        assert WRITER[1] not in text
    return caught.value


@pytest.mark.parametrize(
    ("status", "code", "kind", "words"),
    [
        (503, "SlowDown", StoreUnavailable, "is throttling us"),
        (503, "", StoreUnavailable, "is throttling us"),
        (429, "TooManyRequests", StoreUnavailable, "is throttling us"),
        (500, "InternalError", StoreUnavailable, r"is in trouble \(InternalError\)"),
        (504, "", StoreUnavailable, r"is in trouble \(504\)"),
        (400, "RequestTimeout", StoreUnavailable, "was torn on its way"),
        (400, "IncompleteBody", StoreUnavailable, "was torn on its way"),
        (507, "XMinioStorageFull", StoreUnavailable, "is full, or our quota of it: make room"),
        (403, "QuotaExceeded", StoreUnavailable, "is full, or our quota of it: make room"),
        (400, "ExpiredToken", StoreUnavailable, "have expired: renew them"),
        (403, "RequestExpired", StoreUnavailable, "have expired: renew them"),
        (400, "TokenRefreshRequired", StoreUnavailable, "have expired: renew them"),
        (403, "InvalidAccessKeyId", StoreDenied, "does not know the key"),
        (403, "SignatureDoesNotMatch", StoreDenied, "or its secret is another"),
        (403, "RequestTimeTooSkewed", StoreDenied, "this machine's clock is off"),
        (403, "AccessDenied", StoreDenied, "check the credentials and the bucket's policy"),
        (404, "NoSuchBucket", StoreDenied, "there is no such bucket"),
        (400, "AuthorizationHeaderMalformed", StoreDenied, "lies in another region"),
        (400, "InvalidArgument", StoreDenied, r"refuses the call \(InvalidArgument\)"),
        (418, "", StoreDenied, r"refuses the call \(418\)"),
        (501, "NotImplemented", StoreUnsafe, "knows no conditional writes"),
    ],
)
def test_what_a_store_answers_is_told_in_our_words(
    answering: tuple[Store, HttpProxy],
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    code: str,
    kind: type[StoreError],
    words: str,
) -> None:
    store, proxy = answering
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    monkeypatch.setattr(buckets, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(buckets, "SDK_TRIES", 1)
    proxy.meddle = lambda method, path: Refusal(status, code)
    with pytest.raises(kind, match=words):
        raise refusal(store)


@pytest.mark.parametrize(
    ("settings", "kind", "words"),
    [
        (
            {"AWS_ENDPOINT_URL": f"http://user:{SECRET}@127.0.0.1:9"},
            StoreUnavailable,
            "no answer",
        ),
        (
            {"AWS_ENDPOINT_URL": "http://no-such-host.invalid"},
            StoreUnavailable,
            r"no answer \(EndpointConnectionError\)",
        ),
        (
            {"AWS_ENDPOINT_URL": f"nonsense-{SECRET}"},
            StoreDenied,
            "AWS_ENDPOINT_URL is no URL",
        ),
        (
            {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": SECRET},
            StoreDenied,
            r"does not know the key .* \(InvalidAccessKeyId\)",
        ),
        (
            {"AWS_ACCESS_KEY_ID": WRITER[0], "AWS_SECRET_ACCESS_KEY": SECRET},
            StoreDenied,
            r"or its secret is another: .* \(SignatureDoesNotMatch\)",
        ),
        (
            {"AWS_SHARED_CREDENTIALS_FILE": "/no/such/file"},
            StoreDenied,
            "there are no credentials: set AWS_PROFILE",
        ),
        (
            {"AWS_PROFILE": "nobody"},
            StoreDenied,
            "the AWS configuration is wrong: check AWS_PROFILE",
        ),
    ],
)
def test_what_is_wrong_with_the_environment_is_told_in_our_words(
    environment: pytest.MonkeyPatch,
    settings: dict[str, str],
    kind: type[StoreError],
    words: str,
) -> None:
    for name, value in settings.items():
        environment.setenv(name, value)
    with pytest.raises(kind, match=words):
        raise refusal()


def test_an_endpoint_without_the_tls_of_its_url_is_denied(
    s3_server: str, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("AWS_ENDPOINT_URL", s3_server.replace("http://", "https://"))
    with pytest.raises(StoreDenied, match="or it does not speak TLS"):
        raise refusal()


def test_a_certificate_that_nobody_vouches_for_is_denied(
    s3_server: str, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    certificate = make_certificate(tmp_path, "localhost")
    with TlsFront(int(s3_server.rpartition(":")[2]), certificate) as front:
        environment.setenv("AWS_ENDPOINT_URL", f"https://localhost:{front.port}")
        with pytest.raises(StoreDenied, match="certificate is not trusted"):
            raise refusal()


# Credentials that are renewed


def test_expired_credentials_are_read_anew_at_once(
    proxy: HttpProxy, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Given credentials that expire, and somebody who renews them just then
    write_credentials(tmp_path, "nobody", SECRET)

    def expire(method: str, path: str) -> Fault | Refusal:
        if proxy.counts[EXPIRED]:
            return Fault.PASS
        write_credentials(tmp_path, *WRITER)
        return EXPIRED

    proxy.meddle = expire
    # When
    store = open_store(STORE)
    store.put("one", b"first")
    # Then
    assert proxy.counts[EXPIRED] == 1
    assert store.read("one") == b"first"


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_store_goes_on_once_its_credentials_are_renewed(
    proxy: HttpProxy, call: Callable[[Store], object]
) -> None:
    # Given
    store = open_store(STORE)
    store.put("one", b"first")
    proxy.meddle = lambda method, path: EXPIRED
    with pytest.raises(StoreUnavailable, match="have expired"):
        call(store)
    # When
    proxy.meddle = lambda method, path: Fault.PASS
    # Then
    call(store)


def test_a_key_that_was_exchanged_is_read_anew(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_credentials(tmp_path, "nobody", SECRET)
    store = open_store(STORE)
    assert isinstance(refusal(store), StoreDenied)
    write_credentials(tmp_path, *WRITER)
    store.put("one", b"first")
