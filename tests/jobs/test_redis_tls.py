"""TLS between a client and a server that do not fit: what to change is told."""

from __future__ import annotations

import re
import ssl

import pytest
import redis

from ancestral.jobs.errors import QueueError, QueueMisconfigured, QueueUnavailable
from tests.jobs.refusals import SECRET, connected, refusal
from tests.tls import Certificate, TlsFront, make_certificate

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"), "localhost")


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2].partition("/")[0])


def test_over_tls_a_server_answers(redis_url: str, certificate: Certificate) -> None:
    password = redis_url.partition("@")[0].rpartition(":")[2]
    with TlsFront(port_of(redis_url), certificate) as front:
        url = f"rediss://:{password}@localhost:{front.port}?ssl_ca_certs={certificate.path}"
        with connected(url) as client:
            assert client.ping()


@pytest.mark.parametrize(
    ("url", "kind", "words"),
    [
        ("redis://:{secret}@localhost:{tls}", QueueError, "rediss://"),
        ("rediss://:{secret}@localhost:{tls}", QueueMisconfigured, "add ?ssl_ca_certs=FILE"),
        (
            "rediss://:{secret}@127.0.0.1:{tls}?ssl_ca_certs={authority}",
            QueueMisconfigured,
            "shows another host's certificate",
        ),
        (
            "rediss://:{secret}@localhost:{tls}?ssl_ca_certs=/no/such/file",
            QueueMisconfigured,
            "a certificate file of the URL is absent",
        ),
        (
            "rediss://:{secret}@localhost:{plain}?socket_timeout=0.2",
            QueueUnavailable,
            "if it speaks no TLS, its URL must begin with redis://",
        ),
    ],
)
def test_tls_that_does_not_fit_is_told_apart(
    redis_url: str, certificate: Certificate, url: str, kind: type[QueueError], words: str
) -> None:
    with TlsFront(port_of(redis_url), certificate) as front:
        told = refusal(
            url.format(
                secret=SECRET,
                tls=front.port,
                plain=port_of(redis_url),
                authority=certificate.path,
            )
        )
    assert isinstance(told, kind)
    assert words in str(told)


def test_a_client_hears_of_the_certificate_that_is_wanted(
    redis_url: str, certificate: Certificate
) -> None:
    with TlsFront(port_of(redis_url), certificate, clients=certificate.path) as front:
        told = refusal(f"rediss://localhost:{front.port}?ssl_ca_certs={certificate.path}")
    # Its reason does not always arrive before its end.
    assert re.search(r"on TLS: .* certificate required|\?ssl_certfile=FILE", str(told))


def test_a_certificate_out_of_its_time_is_unavailable_until_it_is_renewed(
    redis_url: str,
) -> None:
    def call(client: redis.Redis) -> None:
        try:
            reason = ssl.SSLCertVerificationError(1, "certificate verify failed")
            reason.verify_code, reason.verify_message = 10, "certificate has expired"
            raise reason
        except ssl.SSLError:
            raise redis.ConnectionError("Error 1 connecting") from None

    told = refusal(redis_url, call)
    assert isinstance(told, QueueUnavailable)
    assert "out of its time (certificate has expired): renew it" in str(told)
