"""User Long Poll: what happens in an account's dialogs, asked for by us.

Layer 3, pure. Source: VK, User Long Poll API, version 3 (dev.vk.com/ru/api/user-long-poll/getting-started).
"""

import os
from collections.abc import Callable, Hashable, Mapping
from functools import partial

from rawbot.errors import ConfigError, ProtocolError
from rawbot.event import Event
from rawbot.vk.access import API_URL, API_VERSION
from rawbot.vk.api import VKApi
from rawbot.vk.fields import is_int
from rawbot.vk.handoff import Handoff
from rawbot.vk.intake import MAX_PER_PEER, MAX_RUNNING, Refusal
from rawbot.vk.journal import Journal
from rawbot.vk.longpoll import LongPoll, Poller
from rawbot.vk.longpoll_service import LongPollService, check_wait
from rawbot.vk.rates import USER_RATE
from rawbot.vk.register import Register
from rawbot.vk.user_events import decode_user_update
from rawbot.vk.user_intake import UserIntake
from rawbot.vk.user_objects import NewMessage

WAIT = 15
"""Seconds for which VK keeps a poll waiting."""

MODE = 2 + 8 + 32 + 64 + 128
"""Attachments, extended events, pts, platforms, random_ids: 234."""

VERSION = 3
"""The version that the page describes, and `user_events` reads."""


class UserLongPoll(LongPollService):
    """The updates of the account whose access token this is, for `app.attach`.

    New messages from others have the kind "message", all else the kinds of `user_intake`. `echoes` adds what the
    account has sent itself.

    - `wait`, `mode`, `version`: what each poll says; see the page.
    - `journal` keeps messages that are not done, and how far the polls have come, under the name `account`: what comes
      while no process polls is told to the next. By default that name is made from the token: give one, where the
      position is to outlive the token.
    - `max_running`, `max_per_peer`: updates that are handled at once, in all and messages of one dialog.

    Raises `ConfigError` for settings that cannot work.
    """

    def __init__(
        self,
        token: str | VKApi,
        *,
        wait: int = WAIT,
        mode: int = MODE,
        version: int = VERSION,
        account: str | None = None,
        journal: Journal | None = None,
        echoes: bool = False,
        max_running: int = MAX_RUNNING,
        max_per_peer: int = MAX_PER_PEER,
        api_url: str = API_URL,
        api_version: str = API_VERSION,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        check_wait(wait)
        if any(not is_int(number) or number < 0 for number in (mode, version)):
            raise ConfigError("mode and version are whole numbers, 0 or more")
        api = token if isinstance(token, VKApi) else VKApi(token, url=api_url, version=api_version, rate=USER_RATE)
        self.account = account or f"user-{api.access.fingerprint}"
        self.intake = UserIntake(
            self.account,
            api,
            register=Register(),
            journal=journal,
            echoes=echoes,
            max_running=max_running,
            max_per_peer=max_per_peer,
            entropy=entropy,
        )
        params = {"mode": mode, "version": version}
        poll = LongPoll(self._poller(api, wait, params, entropy, journal), Handoff(self._take, _peer))
        is_own = not isinstance(token, VKApi)
        super().__init__(poll, api, self.intake, own_api=is_own, label=("account", self.account))

    def __repr__(self) -> str:
        return f"<UserLongPoll of {self.account}>"

    def _poller(
        self,
        api: VKApi,
        wait: int,
        params: Mapping[str, int],
        entropy: Callable[[int], bytes],
        journal: Journal | None,
    ) -> Poller:
        asked = {"need_pts": True, "lp_version": params["version"]}
        return Poller(
            name=self.account,
            ask=partial(api.submit, "messages.getLongPollServer", asked),
            wait=wait,
            params=params,
            https=api.access.https,
            entropy=entropy,
            journal=journal,
        )

    def _take(self, update: object, now: float) -> bool:
        taken = self.intake.take(update, now)
        if isinstance(taken, Event):
            self._dispatch(taken)
        return taken is not Refusal.FULL


def _peer(update: object) -> Hashable:
    """Return the dialog of a new message, and 0 for everything else."""
    try:
        about = decode_user_update(update)
    except ProtocolError:
        return 0
    return about.peer_id if isinstance(about, NewMessage) else 0
