"""Has VK call a bot: finds the callback server by its URL or makes it, keeps its secret, and asks for the right events.

Layer 3, pure: coroutines over the API client. Source: VK, groups.addCallbackServer and its neighbours
(dev.vk.com/ru/method/groups.addCallbackServer), Callback API (dev.vk.com/ru/api/callback/getting-started).

Doing it again changes nothing. The bot must be listening: VK asks it for the confirmation string while a server is
being added or changed.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from rawbot.errors import ConfigError
from rawbot.event import MESSAGE
from rawbot.exchange import Promise
from rawbot.vk.access import API_VERSION
from rawbot.vk.errors import AnswerError
from rawbot.vk.event_types import SETTABLE
from rawbot.vk.fields import is_int
from rawbot.vk.settings import check_secret

MAX_SERVERS = 10
"""Callback servers that a community may have."""

MAX_TITLE = 14
"""Characters of a server's title."""

TITLE = "rawbot"


class Caller(Protocol):
    """What the set-up needs of the API client."""

    def call(self, method: str, /, **params: object) -> Promise:
        """Call a method."""


class CallbackServer(NamedTuple):
    """A server as VK knows it."""

    id: int
    url: str
    title: str
    secret: str
    status: str
    """`unconfigured`, `failed`, `wait` or `ok`."""

    def __repr__(self) -> str:
        return f"<CallbackServer {self.id} {self.status}>"  # neither secret nor URL in a log line


class SetUp(NamedTuple):
    """What the set-up has come to."""

    server: CallbackServer
    """As VK knows it now: with a status of `failed` VK did not get the confirmation string."""
    created: bool
    changed: bool
    """Whether a server that was there had to be changed, or what it is sent."""
    events: tuple[str, ...]
    """What VK sends from now on."""


def events_for(kinds: Iterable[str] | None) -> tuple[str, ...]:
    """Return the events that handlers of these kinds want (`Bot.kinds`); None for all that can be asked for."""
    if kinds is None:
        return tuple(sorted(SETTABLE))
    wanted = {"message_new" if kind == MESSAGE else kind for kind in kinds}
    return tuple(sorted(wanted & SETTABLE))


async def set_up(
    api: Caller,
    group_id: int,
    *,
    url: str,
    secret: str | None = None,
    title: str = TITLE,
    events: Iterable[str] | None = None,
    api_version: str = API_VERSION,
) -> SetUp:
    """Have VK call `url` for the events of this community; `events` None is all of them.

    Without a `secret` the one that the server has is kept, and a new server has none; `title` is for a new one. Raises
    `ConfigError` before anything is changed when a limit of VK's does not allow it, and `VKError` for what VK refuses.
    """
    wanted = _check(url, title, secret, events)
    servers = await list_servers(api, group_id)
    server = next((server for server in servers if server.url == url), None)
    created, changed = server is None, False
    if server is None:
        server = await _add(api, group_id, servers, CallbackServer(0, url, title, secret or "", "wait"))
    elif secret not in (None, server.secret) or server.status not in ("ok", "wait"):
        await api.call("groups.editCallbackServer", **renewal(group_id, server, secret=secret))
        changed = True
    settings: dict[str, object] = {"api_version": api_version, **{name: int(name in wanted) for name in SETTABLE}}
    if not _has(await api.call("groups.getCallbackSettings", group_id=group_id, server_id=server.id), settings):
        await api.call("groups.setCallbackSettings", group_id=group_id, server_id=server.id, **settings)
        changed = not created
    if created or changed:
        known = [other for other in await list_servers(api, group_id) if other.id == server.id]
        server = known[0] if known else server
    return SetUp(server, created, changed, wanted)


async def list_servers(api: Caller, group_id: int) -> list[CallbackServer]:
    """Return the callback servers of a community. Raises `VKError`."""
    return decode_servers(await api.call("groups.getCallbackServers", group_id=group_id))


def decode_servers(told: object) -> list[CallbackServer]:
    """Return the servers of groups.getCallbackServers, which tells their secrets in clear. Raises `AnswerError`."""
    items = told.get("items") if isinstance(told, dict) else None
    servers = [_decode_server(item) for item in items] if isinstance(items, list) else [None]
    if None in servers:
        raise AnswerError(0, "the answer has no callback servers", "groups.getCallbackServers")
    return [server for server in servers if server is not None]


def renewal(group_id: int, server: CallbackServer, *, secret: str | None = None) -> dict[str, object]:
    """Return the parameters of groups.editCallbackServer that have VK confirm a server anew, which ends a pause.

    With another `secret`, or the one that it has.
    """
    kept = server.secret if secret is None else secret
    fields: dict[str, object] = {"group_id": group_id, "server_id": server.id, "url": server.url}
    return {**fields, "title": server.title or TITLE, "secret_key": kept or None}


async def _add(api: Caller, group_id: int, servers: list[CallbackServer], server: CallbackServer) -> CallbackServer:
    if len(servers) >= MAX_SERVERS:
        raise ConfigError(f"the community has {len(servers)} callback servers already, as many as it may: delete one")
    fields = {"url": server.url, "title": server.title, "secret_key": server.secret or None}
    told = await api.call("groups.addCallbackServer", group_id=group_id, **fields)
    number = told.get("server_id") if isinstance(told, dict) else None
    if not is_int(number):
        raise AnswerError(0, "the answer does not name the server that was added", "groups.addCallbackServer")
    return server._replace(id=number)


def _decode_server(item: object) -> CallbackServer | None:
    number = item.get("id") if isinstance(item, dict) else None
    if not isinstance(item, dict) or not is_int(number):
        return None
    fields = (str(item.get(name) or "") for name in ("url", "title", "secret_key", "status"))
    return CallbackServer(number, *fields)


def _has(told: object, settings: Mapping[str, object]) -> bool:
    """Tell whether a server's settings are these already."""
    events = told.get("events") if isinstance(told, dict) else None
    if not isinstance(told, dict) or not isinstance(events, dict):
        return False
    return all(events.get(name, told.get(name)) == value for name, value in settings.items())


def _check(url: str, title: str, secret: str | None, events: Iterable[str] | None) -> tuple[str, ...]:
    """Return the events that are wanted. Raises `ConfigError` for what VK would refuse."""
    if not url.startswith(("http://", "https://")) or not urlsplit(url).hostname:
        raise ConfigError("the URL of a callback server begins with http:// or https://")
    if not 0 < len(title) <= MAX_TITLE:
        raise ConfigError(f"the title of a callback server has 1 to {MAX_TITLE} characters")
    if secret is not None:
        check_secret(secret)
    if events is None:
        return events_for(None)
    wanted = tuple(sorted(set(events)))
    unknown = [event for event in wanted if event not in SETTABLE]
    if unknown:
        raise ConfigError(f"VK has no setting for {', '.join(unknown)}")
    return wanted
