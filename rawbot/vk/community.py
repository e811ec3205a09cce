"""One community at the door: whether a sender is VK, what the confirmation string is, and what is to be said to VK.

Layer 3, pure. Source: VK, Callback API (dev.vk.com/ru/api/callback/getting-started). The string that the API tells
belongs to servers that were set up by the API; it changes from time to time. VK shows a client certificate when it was
given one for the server, and that is the only proof of origin besides the secret.
"""

import re
from collections.abc import Mapping
from hmac import compare_digest

from rawbot.errors import ConfigError, ProtocolError
from rawbot.exchange import Answer, Exchange, Pending, Response
from rawbot.vk.messages import Envelope
from rawbot.vk.posting import Api
from rawbot.vk.settings import VKGroup

CONFIRMATION_KEPT = 60.0
"""Seconds for which a confirmation string that the API has told is used."""

CONFIRMATION_WITHIN = 5.0
"""Seconds within which the API has to tell it: VK gives up at about eight."""

TEXT = b"text/plain"

_VERSION = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}")


class Community:
    """A community at work. `api` is its API client, if it has one."""

    __slots__ = ("_api", "_command", "_secrets", "_settings", "_told", "_told_at", "_waiting")

    def __init__(self, settings: VKGroup, api: Api | None) -> None:
        self._settings = settings
        self._api = api
        self._secrets = [secret.encode() for secret in settings.secrets]
        self._command: bytes | None = None
        """What the operator wants to be said in place of the next `ok`."""
        self._told: str | None = None
        """The confirmation string that the API has told, and when."""
        self._told_at = 0.0
        self._waiting: list[Pending] = []
        """Requests for it, while the API is asked."""

    @property
    def open(self) -> bool:
        """Whether it takes every sender's word."""
        return not self._secrets

    def is_known_to(self, envelope: Envelope) -> bool:
        """Tell whether an event brings one of the secrets, if there are any."""
        secrets = self._secrets
        if not secrets:
            return True
        given = b"" if envelope.secret is None else envelope.secret.encode("utf-8", "surrogatepass")
        if len(secrets) == 1:
            return compare_digest(given, secrets[0])
        matches = [compare_digest(given, secret) for secret in secrets]  # all of them, whichever it is
        return any(matches)

    def is_shown(self, certificate: Mapping[str, object] | None) -> bool:
        """Tell whether the sender has shown the client certificate that VK was given, if it was given one."""
        wanted = self._settings.common_name
        return wanted is None or wanted in _common_names(certificate)

    # What is said

    def order_removal(self) -> None:
        """Have VK delete the server with the answer to its next event."""
        self._command = b"remove"

    def order_version(self, version: str) -> None:
        """Have VK send events of this version. Raises `ConfigError` for what is none."""
        if not isinstance(version, str) or not _VERSION.fullmatch(version):
            raise ConfigError('a version of the API is a string such as "5.199"')
        self._command = b"version " + version.encode("ascii")

    def take_command(self) -> bytes | None:
        """Return what is to be said in place of `ok`, once."""
        command, self._command = self._command, None
        return command

    # Confirmation

    def confirm(self, group_id: int, now: float) -> Exchange:
        """Tell the confirmation string. Raises `ProtocolError` (403) when there is no way to know one."""
        text = self._settings.confirmation
        if callable(text):
            text = text()
        if text:
            return Answer(_say(text))
        if self._told is not None and 0 <= now - self._told_at < CONFIRMATION_KEPT:
            return Answer(_say(self._told))
        if self._api is None:
            raise ProtocolError(
                "there is no confirmation string for this community, nor a token to ask for it", status=403
            )
        return self._ask(self._api, group_id, now)

    def _ask(self, api: Api, group_id: int, now: float) -> Pending:
        """Ask the API, once for all who wait."""
        self._told = None
        pending = Pending(None, now + CONFIRMATION_WITHIN, self._respond)
        self._waiting = [other for other in self._waiting if not other.over]
        self._waiting.append(pending)
        if len(self._waiting) == 1:
            self._told_at = now
            api.submit("groups.getCallbackConfirmationCode", {"group_id": group_id}, self._note_told)
        return pending

    def _note_told(self, outcome: object) -> None:
        code = outcome.get("code") if isinstance(outcome, dict) else None
        self._told = code if isinstance(code, str) and code else None
        waiting, self._waiting = self._waiting, []
        for pending in waiting:
            pending.wake()

    def _respond(self, _now: float) -> Response:
        return UNTOLD if self._told is None else _say(self._told)


def _common_names(certificate: Mapping[str, object] | None) -> list[object]:
    """Return the common names in a subject, as `ssl.SSLSocket.getpeercert` has it: pairs in tuples in a tuple."""
    subject = None if certificate is None else certificate.get("subject")
    names = subject if isinstance(subject, tuple) else ()
    return [value for name in names for key, value in name if key == "commonName"]


def _say(text: str) -> Response:
    return Response(200, text.encode(), TEXT)


UNTOLD = Response(503, b"no confirmation string yet\n", TEXT, headers=((b"retry-after", b"5"),))
"""What VK is told when the API does not tell in time."""
