"""What a Redis client raises, in sentences of our own that say what to do.

    QueueUnavailable      it can pass by itself: the server is down, full, busy, failing over
    QueueMisconfigured    somebody must act: password, rights, TLS, a cluster's node, no Redis
    QueueError            the server refused a call for a reason that we do not know

Nothing that the client raised is chained, for it may quote what was sent, passwords included.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import redis
from redis import exceptions

from ancestral.jobs.errors import QueueError, QueueMisconfigured, QueueUnavailable

#: What the server's user must be allowed, as ACL SETUSER takes it.
RIGHTS = "~*ancestral* +@read +@write +@scripting +@connection +time +info"

_PASSWORD = "refuses the user or password of its URL"
_RIGHTS = f"denies its user a right ({{words}}); it takes {RIGHTS}"
_CLUSTER = "is one node of a cluster, with keys elsewhere: use a server without cluster mode"
_NO_REDIS = "does not speak Redis's protocol: check host and port; over TLS a URL is rediss://"

#: What an error means by its class; of several the first.
_BY_CLASS: tuple[tuple[type[Exception], type[QueueError], str], ...] = (
    (exceptions.AuthenticationError, QueueMisconfigured, _PASSWORD),
    (exceptions.AuthenticationWrongNumberOfArgsError, QueueMisconfigured, _PASSWORD),
    (exceptions.NoPermissionError, QueueMisconfigured, _RIGHTS),
    (exceptions.AskError, QueueMisconfigured, _CLUSTER),
    (exceptions.ClusterCrossSlotError, QueueMisconfigured, _CLUSTER),
    (exceptions.InvalidResponse, QueueMisconfigured, _NO_REDIS),
    (exceptions.OutOfMemoryError, QueueUnavailable, "has no memory left: raise its maxmemory"),
    (exceptions.BusyLoadingError, QueueUnavailable, "is still loading its data"),
    (exceptions.ReadOnlyError, QueueUnavailable, "is a replica: the URL must lead to the primary"),
    (exceptions.MasterDownError, QueueUnavailable, "is a replica whose primary is down"),
    (exceptions.ClusterDownError, QueueUnavailable, "is in a cluster that is down"),
    (exceptions.TryAgainError, QueueUnavailable, "is moving its keys to another node"),
)

#: What an error means by how its words begin, where the client has no class for it.
_BY_WORDS: tuple[tuple[str, type[QueueError], str], ...] = (
    ("ACL failure in script", QueueMisconfigured, _RIGHTS),
    ("The user executing the script can't", QueueMisconfigured, _RIGHTS),
    ("Script attempted to access a non local key", QueueMisconfigured, _CLUSTER),
    ("DB index is out of range", QueueMisconfigured, "has no database of the URL's number"),
    ("SELECT is not allowed", QueueMisconfigured, "has no database but 0, being in a cluster"),
    ("max number of clients", QueueUnavailable, "has no connection left: raise its maxclients"),
    ("BUSY", QueueUnavailable, "is busy with a long script"),
    ("Script killed", QueueUnavailable, "had our script killed by somebody"),
    ("MISCONF", QueueUnavailable, "cannot save its data, so it takes none: see its disk and log"),
    ("NOREPLICAS", QueueUnavailable, "misses replicas without which it takes no data"),
)

_SURPLUS = re.compile(r", with args.*| script: [0-9a-f]{40}.*", re.DOTALL)


@contextmanager
def translated_errors(address: str) -> Iterator[None]:
    """Turns what the client raises into a QueueError.

    `address` is the server's, without a password: redis://HOST:PORT, rediss://... or unix://PATH.
    """
    try:
        yield
    except redis.RedisError as error:
        kind, what = _meaning(error, tls=address.startswith("rediss://"))
        raise kind(f"the queue's server {address} {what}") from None


def _meaning(error: redis.RedisError, tls: bool) -> tuple[type[QueueError], str]:
    words = _harmless_words(error)
    for known, kind, what in _BY_CLASS:
        if isinstance(error, known):
            return kind, what.format(words=words)
    for beginning, kind, what in _BY_WORDS:
        if words.startswith(beginning):
            return kind, what.format(words=words)
    if not isinstance(error, redis.ConnectionError | redis.TimeoutError):
        return QueueError, f"refused a call: {words}"
    reason = error.__context__
    if isinstance(reason, ssl.SSLError):
        return _tls_meaning(reason)
    return _connection_meaning(reason, words, tls)


def _tls_meaning(reason: ssl.SSLError) -> tuple[type[QueueError], str]:
    match reason:
        case ssl.SSLEOFError():
            return _closed(tls=True)
        case ssl.SSLCertVerificationError(verify_code=9 | 10):
            what = f"shows a certificate out of its time ({reason.verify_message}): renew it"
            return QueueUnavailable, what
        case ssl.SSLCertVerificationError(verify_code=62 | 64):
            return QueueMisconfigured, (
                f"shows another host's certificate ({reason.verify_message.rstrip('.')}): name "
                "the host in the URL as the certificate does"
            )
        case ssl.SSLCertVerificationError():
            return QueueMisconfigured, (
                f"shows a certificate that is not trusted ({reason.verify_message}): add "
                "?ssl_ca_certs=FILE with its authority to the URL"
            )
        case ssl.SSLError(reason="WRONG_VERSION_NUMBER" | "RECORD_LAYER_FAILURE"):
            return QueueMisconfigured, "does not speak TLS: its URL must begin with redis://"
    what = (reason.reason or "no reason given").replace("_", " ").lower()
    return QueueMisconfigured, f"does not agree with us on TLS: {what}"


def _connection_meaning(
    reason: BaseException | None, words: str, tls: bool
) -> tuple[type[QueueError], str]:
    match reason:
        case FileNotFoundError() | PermissionError() if tls:
            return QueueMisconfigured, "cannot be reached: a certificate file of the URL is absent"
        case socket.gaierror():
            return QueueUnavailable, "cannot be found: its host name is not known here"
        case TimeoutError():
            hint = "; if it speaks no TLS, its URL must begin with redis://" if tls else ""
            return QueueUnavailable, f"does not answer in time{hint}"
        case ConnectionResetError() | BrokenPipeError() | None:
            return _closed(tls)
        case OSError(strerror=str(what)):
            return QueueUnavailable, f"does not answer: {what.lower()}"
    return QueueUnavailable, f"does not answer: {words}"


def _closed(tls: bool) -> tuple[type[QueueError], str]:
    hint = (
        "a certificate of ours, its URL must name it: ?ssl_certfile=FILE&ssl_keyfile=FILE"
        if tls
        else "TLS, its URL must begin with rediss://"
    )
    return QueueUnavailable, f"closed the connection; if it wants {hint}"


def _harmless_words(error: redis.RedisError) -> str:
    """The server's words, less what was sent (of an unknown command) and where in a script."""
    return _SURPLUS.sub("", str(error)).rstrip(".")
