"""One poll as bytes: the URL that asks for news, what comes back, and who is to be asked.

Layer 3, pure and stateless. Sources: dev.vk.com/ru/api/bots-long-poll/getting-started,
dev.vk.com/ru/api/user-long-poll/getting-started.

A `ts` is kept as the text that it is sent back as: VK tells a string or a number, and both are its own affair.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

import orjson

from rawbot.errors import ProtocolError
from rawbot.exchange import Response

MAX_TS = 64
"""Characters of a ts; a real one has some ten digits."""

_OK = 200


@dataclass(frozen=True, slots=True, repr=False)
class PollServer:
    """Who is to be asked, as getLongPollServer tells it. With the key, everybody can read what comes."""

    url: str
    key: str
    ts: str


@dataclass(frozen=True, slots=True, repr=False)
class Updates:
    """What has come, in its order, and what to ask with the next time."""

    ts: str
    updates: list[object]


@dataclass(frozen=True, slots=True, repr=False)
class Failed:
    """`failed`: the number of what is wrong, 0 for what is none; `ts` is to go on from, where one is told."""

    failed: int
    ts: str | None
    min_version: int | None = None
    max_version: int | None = None


def encode_poll(server: PollServer, ts: str, params: Mapping[str, object]) -> str:
    """Return the URL that asks for what came after `ts`."""
    return f"{server.url}?{urlencode({'act': 'a_check', 'key': server.key, 'ts': ts, **params})}"


def decode_reply(response: Response | None) -> Updates | Failed:
    """Return what a poll was answered, None standing for no connection. Raises `ProtocolError` for what says nothing.

    The field X-Next-Ts, which some replies have and no page tells of, stands in for a missing `ts`. It is not believed
    before the body is: what a torn body held would be lost.
    """
    if response is None:
        raise ProtocolError("no connection")
    if response.status != _OK:
        raise ProtocolError(f"HTTP {response.status}")
    try:
        value = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        raise ProtocolError("no JSON") from None
    if not isinstance(value, dict):
        raise ProtocolError("no object")
    ts = _read_ts(value.get("ts")) or _read_hint(response)
    if "failed" in value:
        failed, least, most = (_read_int(value.get(name)) for name in ("failed", "min_version", "max_version"))
        return Failed(failed or 0, ts, least, most)
    updates = value.get("updates")
    if not isinstance(updates, list) or ts is None:
        raise ProtocolError("neither updates nor failed")
    return Updates(ts, updates)


def decode_server(result: object, *, https: bool) -> PollServer:
    """Return whom to ask. A server without a scheme, as users are told, has the API's. Raises `ProtocolError`.

    `https` tells whether the API is one by https: then this server must be, too.
    """
    found = result if isinstance(result, dict) else {}
    url, key, ts = found.get("server"), found.get("key"), _read_ts(found.get("ts"))
    if not isinstance(url, str) or not isinstance(key, str) or not key or ts is None:
        raise ProtocolError("getLongPollServer tells no server, key and ts")
    if "://" not in url:
        url = ("https://" if https else "http://") + url
    if not _may_poll(url, ("https",) if https else ("https", "http")):
        raise ProtocolError("getLongPollServer tells a server that is none")
    return PollServer(url, key, ts)


def _may_poll(url: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return bool(parts.hostname) and parts.scheme in schemes and not (parts.query or parts.fragment)


def _read_ts(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str) and 0 < len(value) <= MAX_TS:
        return value
    return None


def _read_hint(response: Response) -> str | None:
    hint = next((value for name, value in response.headers if name == b"x-next-ts"), b"")
    return _read_ts(hint.decode("ascii").strip()) if hint.isascii() else None


def _read_int(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
