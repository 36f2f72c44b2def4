"""What the shim itself refuses, each with its status, code and the line that people read."""

from penstock._core.refusal import Refusal

__all__ = [
    "BROKEN_REQUEST",
    "HEAD_TOO_LARGE",
    "NONSENSE",
    "NO_RECORDING",
    "NO_SERVICE",
    "REST_MISSING",
    "REST_MISSING_UPSTREAM",
    "STALE",
    "UPSTREAM_BROKE_OFF",
    "UPSTREAM_CLOSED",
    "UPSTREAM_SILENT",
    "UPSTREAM_STOPPED",
    "body_too_large",
    "credential_refused",
]

RETRY_S = 5
"""When it makes sense to ask again while something of Penstock is away, seconds."""

NO_SERVICE = Refusal(
    503,
    "service_unavailable",
    "The policy service is away; nothing was forwarded. Try again when it is back.",
    retry_after_s=RETRY_S,
)
NO_RECORDING = Refusal(
    503,
    "recording_unavailable",
    "What passes here cannot be recorded now; nothing was forwarded. Try again later.",
    retry_after_s=RETRY_S,
)
NONSENSE = Refusal(
    503,
    "service_unavailable",
    "The policy service gave an answer that does not fit; nothing was forwarded. Update shim and service.",
    retry_after_s=RETRY_S,
)
STALE = Refusal(
    503,
    "service_unavailable",
    "The upstream was changed while this was decided; nothing was forwarded. Send the request again.",
    retry_after_s=1,
)
HEAD_TOO_LARGE = Refusal(
    431, "head_too_large", "The request was not forwarded: its head is too large; send fewer or smaller headers."
)
BROKEN_REQUEST = Refusal(400, "bad_request", "The request was not forwarded: it is not valid HTTP/1.1.")
REST_MISSING = Refusal(
    408, "request_timeout", "The rest of the request did not come; nothing was forwarded. Send it again."
)
REST_MISSING_UPSTREAM = Refusal(
    408, "request_timeout", "The rest of the request did not come; the upstream may have acted on what it got."
)
UPSTREAM_SILENT = Refusal(
    504, "upstream_timeout", "The upstream did not answer in time; it may have acted on the request."
)
UPSTREAM_STOPPED = Refusal(504, "upstream_timeout", "The rest of the upstream's answer did not come.")
UPSTREAM_CLOSED = Refusal(
    502, "upstream_lost", "The upstream closed the connection without an answer; it may have acted on the request."
)
UPSTREAM_BROKE_OFF = Refusal(
    502, "upstream_lost", "The upstream broke off its answer; it may have acted on the request."
)


def body_too_large(most: int) -> Refusal:
    """Returns the refusal of a body that must be read to decide and has more than `most` bytes."""
    reason = f"The body must be read to decide, and has more than {most} bytes; nothing was forwarded. Send less."
    return Refusal(413, "body_too_large", reason)


def credential_refused(upstream: str, decision: str) -> Refusal:
    """Returns the refusal of a request whose credential may not go where the upstream is."""
    reason = f"The credential of {upstream} may not be sent to its host; ask who keeps the secrets."
    return Refusal(403, "secret_host_refused", reason, decision=decision)
