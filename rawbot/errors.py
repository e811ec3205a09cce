"""The error family: each class says whose fault it is and which status answers it.

Layer 0. Nothing here knows a platform, HTTP syntax or asyncio. Texts are plain values: a secret, a key or a
decrypted body never enters one.
"""

from collections.abc import Sequence


class RawbotError(Exception):
    """The root: whatever rawbot raises on purpose is one of these."""


class ProtocolError(RawbotError):
    """The peer is to blame: what it sent breaks the protocol.

    `status` is the HTTP status to answer with. `code` is the vendor's number for the failure where the vendor has
    one (WeCom: -40001 … -40011); it labels logs and counters and is never sent to the peer. `headers` are fields that
    the answer must carry, as Retry-After.
    """

    status = 400

    def __init__(
        self,
        reason: str,
        *,
        status: int | None = None,
        code: int | None = None,
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        super().__init__(reason)
        if status is not None:
            self.status = status
        self.code = code
        self.headers = headers


class LimitError(ProtocolError):
    """The peer sent more than a limit allows (413 body, 414 target, 431 header section)."""

    status = 413


class StateError(RawbotError):
    """Our side is to blame: a call that the present state does not allow, such as writing to a finished reply."""

    status = 500


class ConfigError(RawbotError):
    """The operator is to blame: a setting that cannot work. Raised when the object is made, not at a message."""


class MissingExtraError(ConfigError):
    """An optional dependency is needed and absent; the text names the extra that installs it."""

    def __init__(self, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the extra {extra!r}: pip install 'rawbot[{extra}]'")
        self.extra = extra


class FetchError(RawbotError):
    """An outgoing request gave nothing usable: refused address, time-out, bad status, too large, broken cipher."""
