"""VK's door: the Callback API of one or several communities, answered in the same call.

Layer 3, pure. Source: VK, Callback API (dev.vk.com/ru/api/callback/getting-started).

    POST {type: confirmation, group_id, secret}      the community's confirmation string
    POST {type, group_id, object, event_id, secret}  ok, and the bot is told

The body of an answer is a command: `ok` takes the event, `remove` deletes the server, `version X` changes what is sent.
So nothing that a handler says ever gets there; the last two are said when the operator asks for them, and only then.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Literal, get_args

import orjson

from rawbot.errors import ConfigError, ProtocolError, StateError
from rawbot.event import Event
from rawbot.exchange import Answer, Endpoint, Exchange, Figure, Request, Response, refuse
from rawbot.vk.access import API_URL, API_VERSION
from rawbot.vk.api import VKApi
from rawbot.vk.bots import own_bots
from rawbot.vk.community import TEXT, Community
from rawbot.vk.event_types import CONFIRMATION
from rawbot.vk.intake import MAX_BYTES, MAX_PER_PEER, MAX_RUNNING, Intake, Refusal
from rawbot.vk.journal import Journal
from rawbot.vk.messages import Envelope, decode_envelope
from rawbot.vk.register import MAX_REMEMBERED, WINDOW, Register
from rawbot.vk.settings import VKGroup

UnknownPolicy = Literal["refuse", "ok_and_drop"]
"""What is told the events of a community that is not served here: 403, or `ok` so that VK does not repeat them."""

MAX_BODY = 2 * 1024 * 1024
"""Bytes of one event: the largest messages, with hundreds of forwarded ones, are some hundred kilobytes."""

RETRY_AFTER = (5, 60, 600, 1800, 3600)
"""Seconds after which VK is asked to bring an event again, by how often it has: as VK itself does, since nothing tells
whether it tries more often for being put off for less."""

_SCHEDULE = tuple(accumulate(RETRY_AFTER, initial=0.0))
"""Seconds that an event is old at the least, by how often it was brought in vain."""

_OK = Response(200, b"ok", TEXT)
_ANSWER = Answer(_OK)


class VKEndpoint(Endpoint):
    """The communities by id: `VKEndpoint({1: VKGroup(secret="…", confirmation="…", token="…")})`.

    - `unknown`: what is told the events of any other community. `echoes`: whether the bot is told what the community
      has said itself (message_reply).
    - `journal`: keeps events that were acknowledged and are not done, so that they outlive the process.
    - `window`, `max_remembered`: for how many seconds and how many ended events are remembered; repeated, they are not
      handled again. `max_running`, `max_per_peer`, `max_bytes`: events, messages of one dialog and bytes that are
      handled at once; one more is told to come again.
    - `api_url`, `api_version`: of the API that answers go to. `apis`: clients that were made already, by community.

    Raises `ConfigError` for settings that cannot work. `receive` answers every request and raises nothing, but for what
    a `confirmation` of the operator's raises.
    """

    methods = ("POST",)
    keeps_state = True  # a repetition must reach the process that knows the event
    max_body_size = MAX_BODY

    def __init__(
        self,
        groups: Mapping[int, VKGroup],
        *,
        unknown: UnknownPolicy = "refuse",
        echoes: bool = False,
        journal: Journal | None = None,
        window: float = WINDOW,
        max_remembered: int = MAX_REMEMBERED,
        max_running: int = MAX_RUNNING,
        max_per_peer: int = MAX_PER_PEER,
        max_bytes: int = MAX_BYTES,
        api_url: str = API_URL,
        api_version: str = API_VERSION,
        apis: Mapping[int, VKApi] | None = None,
    ) -> None:
        _check(groups, apis or {}, unknown)
        self.handlers = own_bots({group_id: group.bot for group_id, group in groups.items()})
        self.apis = _make_apis(groups, apis or {}, api_url, api_version)
        """The API client of each community that has a token."""
        self.sources = tuple(self.apis.values())
        self.intake = Intake(
            groups,
            self.apis,
            register=Register(window=window, max_remembered=max_remembered),
            journal=journal,
            echoes=echoes,
            max_running=max_running,
            max_per_peer=max_per_peer,
            max_bytes=max_bytes,
        )
        self.failures: Counter[str] = Counter()
        """How often requests were refused, by the reason."""
        self.retries: Counter[str] = Counter()
        """How often events came, by X-Retry-Counter; "0" is the first time."""
        self._communities = {group_id: Community(group, self.apis.get(group_id)) for group_id, group in groups.items()}
        self._drops_unknown = unknown == "ok_and_drop"

    def __repr__(self) -> str:
        return f"<VKEndpoint of {', '.join(map(str, self._communities))}>"

    def receive(self, request: Request, now: float) -> Exchange:
        """Answer one callback: 400 for what is no event, 403 for a wrong secret, 503 when there is no room."""
        reason = "malformed"
        try:
            envelope = decode_envelope(request.body)
            community = self._communities.get(envelope.group_id)
            if community is None:
                return self._receive_unknown(envelope)
            if not community.is_known_to(envelope):
                return self._refuse("secret", ProtocolError("the secret is not the community's", status=403))
            if not community.is_shown(request.certificate):
                return self._refuse("certificate", ProtocolError("the certificate is not VK's", status=403))
            if envelope.type == CONFIRMATION:
                reason = CONFIRMATION
                return community.confirm(envelope.group_id, now)
            return self._receive_event(request, envelope, community, now)
        except ProtocolError as error:
            return self._refuse(reason, error)

    def push_event(self, event: Envelope | Mapping[str, object] | bytes) -> Event | Refusal:
        """Take on an event that came by another road; the bot is told as of any other. Its secret is not looked at.

        Raises `ProtocolError` for what cannot be read or is no event of these communities, `OSError` when it cannot be
        kept, and `StateError` unless the app runs.
        """
        if self.dispatch is None or self.intake.closed:
            raise StateError("this endpoint belongs to no running app, so nobody would hear of the event")
        if not isinstance(event, Envelope):
            event = decode_envelope(event if isinstance(event, bytes) else orjson.dumps(event))
        if event.group_id not in self._communities:
            raise ProtocolError("the community is not served here", status=403)
        taken = self.intake.take(event, self.intake.clock)
        if isinstance(taken, Event):
            self.dispatch(taken)
        return taken

    def serves(self, group_id: int) -> bool:
        """Tell whether this community's events are taken here."""
        return group_id in self._communities

    # The operator's side

    def remove_server(self, group_id: int) -> None:
        """Have VK delete this callback server of the community's, with the answer to its next event."""
        self._known(group_id).order_removal()

    def switch_version(self, group_id: int, version: str) -> None:
        """Have VK send events of this API version, from the answer to its next event on."""
        self._known(group_id).order_version(version)

    # The shell's side

    def start(self, now: float) -> None:
        """Take on events (again), first of all those that an earlier process has left."""
        self.intake.closed = False
        for api in self.apis.values():
            api.promise = self.promise
            api.start()
        if self.dispatch is not None:
            for event in self.intake.recall(now):
                self.dispatch(event)

    def tick(self, now: float) -> None:
        """Let time pass."""
        self.intake.tick(now)
        for api in self.apis.values():
            api.tick(now)
        self.deadline = min([self.intake.deadline, *(api.deadline for api in self.apis.values())])

    def drain(self, now: float) -> None:  # noqa: ARG002 - a service's shape
        """Take on no events any more: VK brings them again. Those that are known already are acknowledged."""
        self.intake.closed = True

    def unsettled(self) -> int:
        """Count the events whose answers are not out yet."""
        return len(self.intake)

    def figures(self) -> Iterable[Figure]:
        """Return the numbers to be watched from outside."""
        yield from self.intake.figures()
        for group_id, api in self.apis.items():
            for figure in api.figures():
                yield figure._replace(labels=(*figure.labels, ("group", str(group_id))))
        for reason, count in sorted(self.failures.items()):
            yield Figure("vk_refused", "counter", count, "Requests that were refused.", (("reason", reason),))
        for retry, count in sorted(self.retries.items()):
            yield Figure("vk_callbacks", "counter", count, "Callbacks by VK's counter of retries.", (("retry", retry),))
        without = sum(community.open for community in self._communities.values())
        yield Figure("vk_without_secret", "gauge", without, "Communities that take every sender's word.")

    # Inside

    def _known(self, group_id: int) -> Community:
        community = self._communities.get(group_id)
        if community is None:
            raise ConfigError("this community is not served here")
        return community

    def _receive_unknown(self, envelope: Envelope) -> Answer:
        """Never let a stranger's event, or confirmation, fall to one of ours."""
        if self._drops_unknown and envelope.type != CONFIRMATION:
            self.failures["unknown group"] += 1
            return _ANSWER
        return self._refuse("unknown group", ProtocolError("the community is not served here", status=403))

    def _receive_event(self, request: Request, envelope: Envelope, community: Community, now: float) -> Answer:
        counter = request.header(b"x-retry-counter")
        tries = 0 if counter is None else _read_counter(counter)
        self.retries["0" if not tries else str(tries) if tries < len(_SCHEDULE) else "more"] += 1
        began_at = now - _SCHEDULE[min(tries, len(_SCHEDULE) - 1)] if tries else None
        try:
            taken = self.intake.take(envelope, now, began_at=began_at, size=len(request.body))
        except OSError:
            return self._put_off("journal", tries)
        if taken is Refusal.FULL:
            return self._put_off("draining" if self.intake.closed else "full", tries)
        event = taken if isinstance(taken, Event) else None
        command = community.take_command()
        return Answer(_OK if command is None else Response(200, command, TEXT), event)

    def _put_off(self, reason: str, tries: int) -> Answer:
        """Have VK bring the event again."""
        after = RETRY_AFTER[min(tries, len(RETRY_AFTER) - 1)]
        error = ProtocolError(_PUT_OFF[reason], status=503, headers=((b"retry-after", b"%d" % after),))
        return self._refuse(reason, error)

    def _refuse(self, reason: str, error: ProtocolError) -> Answer:
        self.failures[reason] += 1
        return refuse(error)


_PUT_OFF = {
    "draining": "the bot goes down: the event is to come again",
    "journal": "the journal cannot keep the event, so it is to come again",
    "full": "too many events are being handled: this one is to come again",
}


def _read_counter(counter: bytes) -> int:
    """Return VK's count of vain attempts, as a hint: who drops what has one loses events."""
    return int(counter) if counter.isdigit() and len(counter) == 1 else 0


def _make_apis(groups: Mapping[int, VKGroup], given: Mapping[int, VKApi], url: str, version: str) -> dict[int, VKApi]:
    tokens = {group_id: group.token for group_id, group in groups.items() if group_id not in given}
    made = {group_id: VKApi(token, url=url, version=version) for group_id, token in tokens.items() if token}
    return {**made, **given}


def _check(groups: Mapping[int, VKGroup], apis: Mapping[int, VKApi], unknown: str) -> None:
    if not groups or any(not isinstance(group, int) or isinstance(group, bool) or group < 1 for group in groups):
        raise ConfigError("groups are given by their ids, positive integers")
    if not all(isinstance(group, VKGroup) for group in groups.values()):
        raise ConfigError("each community has a VKGroup")
    if not apis.keys() <= groups.keys():
        raise ConfigError("an API client belongs to a community that is served here")
    if unknown not in get_args(UnknownPolicy):
        raise ConfigError("unknown is refuse or ok_and_drop")
