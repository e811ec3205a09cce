"""The methods of groups and users: who is who, callback servers and their settings, Long Poll.

Layer 3 (simulate). Sources: dev.vk.com/ru/method/groups.addCallbackServer and those beside it, groups.getById,
groups.getLongPollServer, messages.getLongPollServer, messages.getLongPollHistory, users.get.
"""

from collections.abc import Iterable
from html import unescape

from rawbot.errors import ConfigError
from rawbot.simulate.http_client import split_url
from rawbot.simulate.vk_call import Call
from rawbot.simulate.vk_callbacks import CallbackSender, CallbackServer
from rawbot.simulate.vk_rules import OLDEST_VERSION, ApiError, JsonObject, parse_version
from rawbot.simulate.vk_world import Account, Community
from rawbot.vk.event_types import LONG_POLL_SETTABLE, SETTABLE

MAX_SERVERS = 10
MAX_TITLE = 14
MAX_SECRET = 50

_GROUPS_IN_OBJECT = (5, 139)
"""From this version on groups.getById returns an object."""
_OF_ALL = frozenset(("group_id", "server_id", "api_version", "enabled", "v", "lang", "test_mode"))
"""Parameters of the settings that are no events."""


def get_by_id(call: Call) -> object:
    """Carry out groups.getById; without ids it is about the community that asks."""
    named = call.integers("group_ids") or call.integers("group_id")
    if not named:
        named = [call.own_community().id]
    known = [call.world.communities[group_id] for group_id in named if group_id in call.world.communities]
    groups = [
        {"id": c.id, "name": c.name, "screen_name": f"club{c.id}", "is_closed": 0, "type": "group"} for c in known
    ]
    return {"groups": groups, "profiles": []} if call.version >= _GROUPS_IN_OBJECT else groups


def get_users(call: Call) -> object:
    """Carry out users.get; without ids it is about the user that asks, and of a community there is none."""
    user_ids = call.integers("user_ids") or call.integers("user_id")
    if not user_ids and isinstance(call.caller, Account):
        user_ids = [call.caller.id]
    names = call.world.names
    return [
        {"id": user_id, "first_name": first, "last_name": last, "can_access_closed": True, "is_closed": False}
        for user_id in user_ids
        for first, last in [names.get(user_id, ("Ivan", "Ivanov"))]
    ]


def get_confirmation_code(call: Call) -> object:
    """Carry out groups.getCallbackConfirmationCode."""
    return {"code": call.community().api_confirmation}


def get_servers(call: Call) -> object:
    """Carry out groups.getCallbackServers; secret keys are told."""
    wanted = call.integers("server_ids")
    servers = [s for s in call.community().live_servers() if not wanted or s.id in wanted]
    items = [
        {"id": s.id, "title": s.title, "creator_id": s.creator_id, "url": s.url, "secret_key": s.secret_key}
        | {"status": s.status}
        for s in servers
    ]
    return {"count": len(items), "items": items}


async def add_server(call: Call, sender: CallbackSender) -> object:
    """Carry out groups.addCallbackServer: the server is asked for the confirmation before this returns."""
    community = call.community()
    if len(community.live_servers()) >= MAX_SERVERS:
        raise ApiError(2000)
    server = CallbackServer(next(community.server_ids), community.id, *_described(call), events=set())
    community.servers[server.id] = server
    await sender.confirm(server, community.api_confirmation)
    return {"server_id": server.id}


async def edit_server(call: Call, sender: CallbackSender) -> object:
    """Carry out groups.editCallbackServer: the server is asked again."""
    server = _server(call)
    server.url, server.title, server.secret_key = _described(call)
    await sender.confirm(server, call.community().api_confirmation)
    return 1


def delete_server(call: Call) -> object:
    """Carry out groups.deleteCallbackServer."""
    _server(call).delete()
    return 1


def get_settings(call: Call) -> object:
    """Carry out groups.getCallbackSettings."""
    server = _server(call)
    return {"api_version": server.api_version, "events": _ticked(server.events, SETTABLE)}


def set_settings(call: Call) -> object:
    """Carry out groups.setCallbackSettings; what is not named stays as it is."""
    server = _server(call)
    version, events = _read_settings(call, server.events, SETTABLE)
    server.api_version, server.events = version or server.api_version, events
    return 1


def get_long_poll_settings(call: Call) -> object:
    """Carry out groups.getLongPollSettings."""
    community = call.community()
    events = _ticked(community.long_poll_events, LONG_POLL_SETTABLE)
    return {"is_enabled": community.long_poll, "api_version": community.long_poll_version, "events": events}


def set_long_poll_settings(call: Call) -> object:
    """Carry out groups.setLongPollSettings; what is not named stays as it is."""
    community = call.community()
    version, events = _read_settings(call, community.long_poll_events, LONG_POLL_SETTABLE)
    community.long_poll_version, community.long_poll_events = version or community.long_poll_version, events
    if "enabled" in call.params:
        community.long_poll = call.flag("enabled")
    return 1


def get_long_poll_server(call: Call) -> object:
    """Carry out groups.getLongPollServer: a whole URL, and a `ts` that is a string."""
    community = call.community()
    if not community.long_poll:
        raise ApiError(100, "longpoll for this group is not enabled")
    server = f"{call.world.base_url}/lp/wh{community.id}"
    return {"key": community.stream.new_key(), "server": server, "ts": community.stream.told_ts()}


def get_user_long_poll_server(call: Call) -> object:
    """Carry out messages.getLongPollServer: a URL without its scheme, and a `ts` that is a number."""
    account = call.account()
    server = call.world.base_url.partition("://")[2] + f"/nim{account.id}"
    reply: JsonObject = {"server": server, "key": account.stream.new_key(), "ts": account.stream.told_ts()}
    return reply | {"pts": account.stream.pts} if call.flag("need_pts") else reply


def get_long_poll_history(call: Call) -> object:
    """Carry out messages.getLongPollHistory, from `pts` on."""
    account = call.account()
    pts = call.integer("pts")
    if pts > account.stream.pts:
        raise ApiError(908)
    entries = account.stream.since(pts)
    if entries is None:
        raise ApiError(907)
    updates = [entry for entry in entries if isinstance(entry, list)]
    messages = [_history_message(update) for update in updates if update[0] == _NEW and len(update) > _NEW_TEXT]
    return {
        "history": [update[:4] for update in updates],
        "messages": {"count": len(messages), "items": messages},
        "profiles": [],
        "groups": [],
        "new_pts": account.stream.pts,
        "conversations": [],
    }


_NEW = 4
_NEW_TEXT = 5
_OUTBOX = 2


def _history_message(update: list[object]) -> JsonObject:
    """Return a message of the history: an object, its text plain."""
    _, message_id, flags, peer_id, date, text, *_ = update
    out = isinstance(flags, int) and bool(flags & _OUTBOX)
    plain = unescape(str(text).replace("<br>", "\n"))
    return {"id": message_id, "peer_id": peer_id, "from_id": peer_id, "date": date, "text": plain, "out": int(out)}


def _described(call: Call) -> tuple[str, str, str]:
    """Return URL, title and secret key of a server."""
    url, title, secret = call.text("url"), call.text("title"), call.text("secret_key", "")
    try:
        split_url(url)
    except ConfigError:
        raise ApiError(100, "url is invalid") from None
    if not 0 < len(title) <= MAX_TITLE or len(secret) > MAX_SECRET:
        raise ApiError(100, f"title has at most {MAX_TITLE} characters, secret_key {MAX_SECRET}")
    return url, title, secret


def _server(call: Call) -> CallbackServer:
    community: Community = call.community()
    community.live_servers()
    server = community.servers.get(call.integer("server_id"))
    if server is None:
        raise ApiError(100, "server_id is no server's")
    return server


def _ticked(events: Iterable[str], names: Iterable[str]) -> JsonObject:
    ticked = set(events)
    return {name: int(name in ticked) for name in sorted(names)}


def _read_settings(call: Call, events: set[str], names: frozenset[str]) -> tuple[str, set[str]]:
    """Return the version, "" for none, and the events that are on; an unknown name is ignored, and blamed."""
    version = call.text("api_version", "")
    if version and (parse_version(version) or (0, 0)) < OLDEST_VERSION:
        raise ApiError(100, "api_version is unknown")
    on = {name for name in names & call.params.keys() if call.flag(name)}
    for name in call.params.keys() - names - _OF_ALL:
        call.world.blame(f"{call.method}: there is no parameter {name}")
    return version, (events - call.params.keys()) | on
