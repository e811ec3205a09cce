"""Looks after the callback servers: one that VK has given up is confirmed anew, so that events come again.

Layer 3, pure. Source: VK, groups.getCallbackServers and groups.editCallbackServer
(dev.vk.com/ru/method/groups.getCallbackServers). After several failures in a row VK stops sending to a server for a
while, and its status is `failed` then. Long Poll beside the callbacks brings what is missed meanwhile.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from math import inf

from rawbot.errors import ConfigError
from rawbot.exchange import Figure, Service
from rawbot.vk.api import VKApi
from rawbot.vk.errors import VKError
from rawbot.vk.setup import CallbackServer, decode_servers, renewal

LOOK_EVERY = 300.0
"""Seconds between two looks."""

RENEW_EVERY = 1800.0
"""Seconds after which a server that was confirmed anew in vain may be once more: VK counts changes, too (29)."""

FIRST_LOOK = 60.0
"""Seconds after the start: a server that was down before is confirmed by then, or paused."""

MISSING = "missing"
"""Stands for the status of a server that VK does not know."""


class ServerWatch(Service):
    """Watches the server with this URL in each of these communities, by id, for `app.attach`.

    Tokens need the right to manage the community. A server that is missing is not made: that is for `set_up`. Raises
    `ConfigError` for intervals that cannot be.
    """

    def __init__(
        self,
        apis: Mapping[int, VKApi],
        *,
        url: str,
        look_every: float = LOOK_EVERY,
        renew_every: float = RENEW_EVERY,
        first_look: float = FIRST_LOOK,
    ) -> None:
        if not 0 < look_every < inf or not 0 < renew_every < inf or not 0 <= first_look < inf:
            raise ConfigError("look_every, renew_every and first_look are numbers of seconds")
        self.sources = tuple(apis.values())
        self.statuses: dict[int, str] = {}
        """What VK said last of each community's server."""
        self.renewed = 0
        """How often one was confirmed anew."""
        self.failed = 0
        """Calls that came to nothing."""
        self._apis = dict(apis)
        self._url = url
        self._look_every, self._renew_every, self._first_look = look_every, renew_every, first_look
        self._renewed_at: dict[int, float] = {}
        self._look_at = inf
        self._clock = 0.0

    def __repr__(self) -> str:
        return f"<ServerWatch of {', '.join(map(str, self._apis))}>"

    def start(self, now: float) -> None:
        """Begin to watch."""
        for api in self._apis.values():
            api.promise = self.promise
            api.start()
        self._look_at = now + self._first_look

    def tick(self, now: float) -> None:
        """Look, when it is time."""
        self._clock = now
        if self._look_at < inf:
            self._look_at = min(self._look_at, now + max(self._look_every, self._first_look))  # the clock was set back
        for api in self._apis.values():
            api.tick(now)
        if now >= self._look_at:
            self._look_at = now + self._look_every
            for group_id, api in self._apis.items():
                api.submit("groups.getCallbackServers", {"group_id": group_id}, partial(self._judge, group_id))
        self.deadline = min([self._look_at, *(api.deadline for api in self._apis.values())])

    def drain(self, now: float) -> None:  # noqa: ARG002 - a service's shape
        """Look no more."""
        self._look_at = inf

    def figures(self) -> Iterable[Figure]:
        """Return the numbers to be watched from outside."""
        for group_id, status in self.statuses.items():
            labels = (("group", str(group_id)),)
            yield Figure("vk_server_ok", "gauge", status == "ok", "1 while VK sends to the callback server.", labels)
        yield Figure("vk_server_renewals", "counter", self.renewed, "Servers that were confirmed anew.")
        yield Figure("vk_server_watch_failures", "counter", self.failed, "Calls that came to nothing.")

    def _judge(self, group_id: int, told: object) -> None:
        try:
            if isinstance(told, VKError):
                raise told
            servers = decode_servers(told)
        except VKError:
            self.failed += 1
            return
        server = next((server for server in servers if server.url == self._url), None)
        self.statuses[group_id] = MISSING if server is None else server.status
        due = self._renewed_at.get(group_id, -inf) + self._renew_every
        if server is not None and server.status == "failed" and self._clock >= due and self._look_at < inf:
            self._renew(group_id, server)

    def _renew(self, group_id: int, server: CallbackServer) -> None:
        self._renewed_at[group_id] = self._clock
        self.renewed += 1
        self._apis[group_id].submit("groups.editCallbackServer", renewal(group_id, server), self._note_renewal)

    def _note_renewal(self, told: object) -> None:
        self.failed += isinstance(told, VKError)
