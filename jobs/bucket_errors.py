"""What fsspec and the S3 SDK raise, in sentences of our own that say what to do.

    StoreUnavailable    it can pass by itself: no answer, throttled, full, credentials expired
    StoreDenied         somebody must act: rights, keys, bucket, region, TLS, this machine's clock
    StoreUnsafe         the store knows no conditional writes

The code that a store answers with decides, for SDKs have been seen to raise the same one with other
HTTP statuses. Nothing that was raised is chained or quoted, for it may hold what is secret, such as
an endpoint's password; `S3FS_LOGGING_LEVEL=DEBUG` has s3fs itself tell all.
"""

from __future__ import annotations

from ancestral.jobs.errors import StoreDenied, StoreError, StoreUnavailable, StoreUnsafe

#: S3's words for "the object is there already" and for "somebody else writes it just now".
TAKEN = ("PreconditionFailed", "412")
CONFLICT = ("ConditionalRequestConflict", "OperationAborted", "409")

#: For "it has no bytes there".
BEYOND_END = ("InvalidRange", "416")

_EXPIRED = (
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "TokenRefreshRequired",
    "LoginRefreshRequired",
    "LoginTokenLoadError",
    "SSOTokenLoadError",
    "TokenRetrievalError",
    "UnauthorizedSSOTokenError",
)
_WRONG_KEY = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken")

#: What credentials may mend that are read anew.
STALE_CREDENTIALS = (*_EXPIRED, *_WRONG_KEY)

#: What a store answers with, or how the SDK calls what it met: the class of ours, and a sentence.
_MEANINGS: tuple[tuple[tuple[str, ...], type[StoreError], str], ...] = (
    (
        _EXPIRED,
        StoreUnavailable,
        "the credentials have expired: renew them where they come from (a profile, a role, a "
        "login); where they are read from the environment, start again",
    ),
    (
        _WRONG_KEY,
        StoreDenied,
        "access is denied, as the store does not know the key or its secret is another: check the "
        "credentials",
    ),
    (
        ("NoCredentialsError", "PartialCredentialsError"),
        StoreDenied,
        "there are no credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    ),
    (
        ("ProfileNotFound", "ConfigParseError", "ConfigNotFound", "InvalidConfigError"),
        StoreDenied,
        "the AWS configuration is wrong: check AWS_PROFILE and ~/.aws/config",
    ),
    (
        ("CredentialRetrievalError", "MetadataRetrievalError"),
        StoreUnavailable,
        "where the credentials come from does not answer",
    ),
    (
        ("RequestTimeTooSkewed",),
        StoreDenied,
        "this machine's clock is off by more than the store allows: set it",
    ),
    (
        (
            "AccessDenied",
            "AllAccessDisabled",
            "AccountProblem",
            "InvalidSecurity",
            "403",
            "PermissionError",
        ),
        StoreDenied,
        "access is denied: check the credentials and the bucket's policy",
    ),
    (
        ("NoSuchBucket", "404", "FileNotFoundError"),
        StoreDenied,
        "there is no such bucket: make it, or check its name and the endpoint",
    ),
    (
        (
            "PermanentRedirect",
            "TemporaryRedirect",
            "AuthorizationHeaderMalformed",
            "IllegalLocationConstraintException",
            "301",
            "307",
        ),
        StoreDenied,
        "the bucket lies in another region: set AWS_DEFAULT_REGION, or the endpoint",
    ),
    (
        ("SSLError",),
        StoreDenied,
        "the endpoint's certificate is not trusted, or it does not speak TLS: check its https:// "
        "and AWS_CA_BUNDLE",
    ),
    (
        ("ValueError", "InvalidURL"),
        StoreDenied,
        "AWS_ENDPOINT_URL is no URL such as https://host:port",
    ),
    (
        ("NotImplementedError",),
        StoreDenied,
        "a file system of this kind cannot do that: use a folder or a bucket",
    ),
    (
        ("NotImplemented", "501"),
        StoreUnsafe,
        "the store knows no conditional writes, or not the SDK's checksums, which "
        "AWS_REQUEST_CHECKSUM_CALCULATION=when_required leaves out",
    ),
    (
        (
            "SlowDown",
            "SlowDownRead",
            "SlowDownWrite",
            "ServiceUnavailable",
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "RequestThrottled",
            "RequestLimitExceeded",
            "BandwidthLimitExceeded",
            "TooManyRequests",
            "TooManyRequestsException",
            "429",
            "503",
        ),
        StoreUnavailable,
        "the store is throttling us, or is overloaded",
    ),
    (
        (
            "QuotaExceeded",
            "XMinioAdminBucketQuotaExceeded",
            "XMinioStorageFull",
            "InsufficientStorage",
            "507",
        ),
        StoreUnavailable,
        "the store is full, or our quota of it: make room",
    ),
    (
        (
            "RequestTimeout",
            "IncompleteBody",
            "BadDigest",
            "XAmzContentSHA256Mismatch",
            "XAmzContentChecksumMismatch",
            "NoSuchUpload",
            "InvalidPart",
            *CONFLICT,
            "408",
            "425",
        ),
        StoreUnavailable,
        "the call was torn on its way, or met another one",
    ),
)


def foreign_errors(scheme: str) -> tuple[type[Exception], ...]:
    """What the file systems of `scheme` raise when they cannot do what they are asked."""
    if not scheme.startswith(("s3", "http")):
        return OSError, NotImplementedError
    # Here, because they are slow to import and most uses of this package need no network.
    from aiohttp import ClientError as HttpError

    if scheme.startswith("http"):
        return OSError, NotImplementedError, HttpError
    from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]
    from botocore.parsers import ResponseParserError  # type: ignore[import-untyped]

    # A ValueError is about an endpoint that is no URL.
    return OSError, BotoCoreError, ClientError, ResponseParserError, HttpError, ValueError


def code_of(error: Exception) -> str:
    """The code that the store answered with; without an answer the name of the error's class."""
    answer = _answer(error)
    if answer is None:
        return type(error).__name__
    return str(answer.get("Error", {}).get("Code") or _status(answer))


def translated(error: Exception, what: str) -> StoreError:
    """Our error; `what` begins its sentence, as in "cannot write to s3://lake"."""
    code = code_of(error)
    for codes, kind, sentence in _MEANINGS:
        if code in codes:
            return kind(f"{what}: {sentence} ({code})")
    answer = _answer(error)
    if answer is None:
        return StoreUnavailable(f"{what}: no answer ({code})")
    if _status(answer).startswith("4"):
        return StoreDenied(f"{what}: the store refuses the call ({code})")
    return StoreUnavailable(f"{what}: the store is in trouble ({code})")


def _answer(error: BaseException | None) -> dict[str, dict[str, object]] | None:
    """The store's; the SDK's error that has it is a cause of the one that s3fs makes of it."""
    while error is not None:
        answer = getattr(error, "response", None)
        if isinstance(answer, dict):
            return answer
        error = error.__cause__
    return None


def _status(answer: dict[str, dict[str, object]]) -> str:
    return str(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
