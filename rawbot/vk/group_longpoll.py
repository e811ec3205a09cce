"""Bots Long Poll: a community's events, asked for by us.

Layer 3, pure. Source: VK, Bots Long Poll API (dev.vk.com/ru/api/bots-long-poll/getting-started). The events are those
of the Callback API, and go the same way; beside a `VKEndpoint` each is handled once, whichever way it comes.
"""

import os
from collections.abc import Callable, Hashable
from functools import partial

from rawbot.errors import ConfigError, StateError
from rawbot.event import Event
from rawbot.vk.access import API_URL, API_VERSION
from rawbot.vk.api import VKApi
from rawbot.vk.endpoint import VKEndpoint
from rawbot.vk.fields import is_int
from rawbot.vk.handoff import Handoff
from rawbot.vk.intake import MAX_PER_PEER, MAX_RUNNING, Intake, Refusal
from rawbot.vk.journal import Journal
from rawbot.vk.longpoll import LongPoll, Poller
from rawbot.vk.longpoll_service import LongPollService, check_wait
from rawbot.vk.messages import Envelope, decode_update
from rawbot.vk.register import Register
from rawbot.vk.settings import Streaming, VKGroup

WAIT = 25
"""Seconds for which VK keeps a poll waiting: the page advises it, since proxies cut off after 30."""


class GroupLongPoll(LongPollService):
    """The events of the community `group_id`, for `app.attach`. `token` is its access token, or a client that has it.

    `beside` is the door of the same app's at which the events come as callbacks, too: `GroupLongPoll(1, beside=door)`
    is the net beneath it. Bot, intake, journal and, without a token, the API client are the door's then. By itself it
    has its own:

    - `journal` keeps events that are not done, and how far the polls have come: what comes while no process polls is
      told to the next. Without it, a new process begins with what comes from then on.
    - `stream`, `echoes`, `max_running`, `max_per_peer`: as of `VKGroup` and `VKEndpoint`.

    `wait` is for how many seconds a poll waits for news. `api_url` and `api_version` are for a token. Raises
    `ConfigError` for settings that cannot work.
    """

    def __init__(
        self,
        group_id: int,
        token: str | VKApi | None = None,
        *,
        wait: int = WAIT,
        beside: VKEndpoint | None = None,
        journal: Journal | None = None,
        stream: Streaming = "final",
        echoes: bool = False,
        max_running: int = MAX_RUNNING,
        max_per_peer: int = MAX_PER_PEER,
        api_url: str = API_URL,
        api_version: str = API_VERSION,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        check_wait(wait)
        _check(group_id, beside, journal)
        api = _find_api(group_id, token, beside, api_url, api_version)
        self.group_id = group_id
        self._beside = beside
        self.intake = (
            beside.intake
            if beside is not None
            else Intake(
                {group_id: VKGroup(stream=stream)},
                {group_id: api},
                register=Register(),
                journal=journal,
                echoes=echoes,
                max_running=max_running,
                max_per_peer=max_per_peer,
                entropy=entropy,
            )
        )
        poll = LongPoll(self._poller(api, wait, entropy), Handoff(self._take, _peer))
        own = self.intake if beside is None else None
        super().__init__(poll, api, own, own_api=not isinstance(token, VKApi | None), label=("group", str(group_id)))
        self.needs_bot = beside is None

    def __repr__(self) -> str:
        return f"<GroupLongPoll of {self.group_id}>"

    def start(self, now: float) -> None:
        """Take on events (again), first of all those that an earlier process has left.

        Raises `ConfigError` when the door is in no app, or not in this one.
        """
        if self._beside is not None and self._beside.dispatch is None:
            raise ConfigError("the endpoint beside which it polls must be added to the same app")
        super().start(now)

    def _poller(self, api: VKApi, wait: int, entropy: Callable[[int], bytes]) -> Poller:
        return Poller(
            name=f"community {self.group_id}",
            ask=partial(api.submit, "groups.getLongPollServer", {"group_id": self.group_id}),
            wait=wait,
            params={},
            https=api.access.https,
            entropy=entropy,
            journal=self.intake.journal,
        )

    def _take(self, update: object, now: float) -> bool:
        return self._give(decode_update(update, self.group_id), now) is not Refusal.FULL

    def _give(self, envelope: Envelope, now: float) -> Event | Refusal:
        if self._beside is not None:
            try:
                return self._beside.push_event(envelope)
            except StateError:  # the app goes down
                return Refusal.FULL
        taken = self.intake.take(envelope, now)
        if isinstance(taken, Event):
            self._dispatch(taken)
        return taken


def _check(group_id: int, beside: VKEndpoint | None, journal: Journal | None) -> None:
    if not is_int(group_id) or group_id < 1:
        raise ConfigError("a community is given by its id, a positive integer")
    if beside is not None and journal is not None:
        raise ConfigError("beside an endpoint the journal is that of the endpoint")
    if beside is not None and not beside.serves(group_id):
        raise ConfigError("the endpoint beside which it polls does not serve this community")


def _find_api(group_id: int, token: str | VKApi | None, beside: VKEndpoint | None, url: str, version: str) -> VKApi:
    if isinstance(token, str):
        return VKApi(token, url=url, version=version)
    api = beside.apis.get(group_id) if token is None and beside is not None else token
    if api is None:
        raise ConfigError("a poller needs the community's access token")
    return api


def _peer(update: object) -> Hashable:
    """Return the dialog of an update, as far as it has one; whatever it is, nothing is raised."""
    about = update.get("object") if isinstance(update, dict) else None
    about = about.get("message", about) if isinstance(about, dict) else None
    peer_id = about.get("peer_id") if isinstance(about, dict) else None
    return peer_id if is_int(peer_id) else 0
