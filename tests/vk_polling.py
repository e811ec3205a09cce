"""A shell for one poller whose clock and network are played by the test, and VK's queue as the pages describe it."""

from collections.abc import Callable, Mapping
from functools import partial
from urllib.parse import parse_qsl, urlsplit

import orjson
from memory_journal import MemoryJournal
from vk_calling import FakePromise, method_of, result

from rawbot.event import Event
from rawbot.exchange import OutgoingRequest, Response, Source
from rawbot.vk.handoff import Handoff
from rawbot.vk.longpoll import LongPoll, Poller
from rawbot.vk.longpoll_service import LongPollService
from rawbot.vk.setbacks import LongPollError

NOW = 1_767_225_600.0
SERVER = "https://lp.vk.example/whp/1"
NAME = "community 1"


def half(count: int) -> bytes:
    """Chance in the middle: waits are three quarters of their length."""
    return b"\x80".ljust(count, b"\0")


def told_server(ts: object = "100", key: str = "k1") -> dict[str, object]:
    return {"key": key, "server": SERVER, "ts": ts}


def reply(value: object, status: int = 200, **headers: str) -> Response:
    """Answer as VK does, with a line end behind the JSON."""
    fields = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    return Response(status, orjson.dumps(value) + b"\n", b"application/json", fields)


def updates(ts: object, *items: object) -> Response:
    return reply({"ts": ts, "updates": list(items)})


def failed(number: int, **more: object) -> Response:
    return reply({"failed": number, **more})


def asked(request: OutgoingRequest) -> dict[str, str]:
    """Return what a poll asks."""
    assert request.method == "GET"
    return dict(parse_qsl(urlsplit(request.url).query, strict_parsing=True))


class FakeJournal(MemoryJournal):
    """Remembers each position that was saved, too."""

    def __init__(self) -> None:
        super().__init__()
        self.saved: list[str] = []

    def save_position(self, name: str, value: str) -> None:
        super().save_position(name, value)
        self.saved.append(value)


class FakeShell:
    """Sends the polls of one poller as soon as they are there; keys and answers are the test's."""

    def __init__(
        self,
        *,
        take: Callable[[object, float], bool] | None = None,
        ask: Callable[[Callable[[object], None]], None] | None = None,
        journal: FakeJournal | None = None,
        params: Mapping[str, object] | None = None,
        entropy: Callable[[int], bytes] = half,
        now: float = NOW,
    ) -> None:
        self.now = now
        self.taken: list[object] = []
        self.room = True
        self.asks: list[Callable[[object], None]] = []
        """Calls for a key that are not answered."""
        self.sending: list[OutgoingRequest] = []
        self.handoff = Handoff(take or self.take, lambda _: 0)
        poller = Poller(
            name=NAME,
            ask=ask or self.asks.append,
            wait=25,
            params=params or {},
            https=True,
            entropy=entropy,
            journal=journal,
        )
        self.poll = LongPoll(poller, self.handoff)
        self.poll.on_ready = self.pump

    def take(self, update: object, now: float) -> bool:
        del now
        if self.room:
            self.taken.append(update)
        return self.room

    def start(self, key: object = None) -> None:
        """Start, and give it a key, by default one with the ts 100."""
        self.poll.start(self.now)
        self.tick()
        self.give_key(key)

    def give_key(self, key: object = None) -> None:
        (on_done,) = self.asks
        self.asks.clear()
        on_done(told_server() if key is None else key)

    def pump(self) -> None:
        while (request := self.poll.next_request(self.now)) is not None:
            self.sending.append(request)
            assert len(self.sending) == 1, "two polls are under way"

    @property
    def request(self) -> OutgoingRequest:
        """The poll under way."""
        (request,) = self.sending
        return request

    @property
    def ts(self) -> str:
        """What the poll under way asks with."""
        return asked(self.request)["ts"]

    def reply(self, response: Response | None) -> None:
        request = self.request
        self.sending.clear()
        assert self.poll.receive(request, response, self.now)
        self.pump()

    def tick(self, passed: float = 0.0) -> None:
        self.now += passed
        self.poll.tick(self.now)

    def wait(self, seconds: float) -> None:
        """Let time pass, waking the poller when it wants it."""
        end = self.now + seconds
        while self.now < (due := self.poll.deadline) <= end:
            self.tick(due - self.now)
        self.tick(end - self.now)

    def complaints(self) -> list[str]:
        """Return what the operator would be told, each once."""
        found = list(self.poll.setbacks.complaints)
        self.poll.setbacks.complaints.clear()
        assert all(isinstance(complaint, LongPollError | OSError) for complaint in found)
        return [str(complaint).removeprefix(f"Long Poll of {NAME}: ") for complaint in found]


class FakeQueue:
    """VK's side of one community's Long Poll: `ts` counts the events; old ones go, and keys are over now and then."""

    def __init__(self, *, numeric: bool = False, most: int = 100) -> None:
        self.events: list[object] = []
        self.oldest = 0
        """The first event that is kept."""
        self.key = "key 0"
        self.lost_key = ""
        """The key of what was lost."""
        self.keys = 0
        self.numeric = numeric
        self.most = most
        """Updates in one answer."""
        self.hint = True

    def server(self) -> dict[str, object]:
        """Answer getLongPollServer."""
        self.keys += 1
        return told_server(self._tell(len(self.events)), self.key)

    def expire_key(self) -> None:
        self.key = f"key {self.keys + len(self.key)}{self.key[-3:]}"

    def lose(self) -> None:
        """Lose the information: key and ts are worth nothing."""
        self.lost_key = self.key
        self.expire_key()
        self.oldest = len(self.events)

    def poll(self, request: OutgoingRequest) -> Response:
        """Answer a poll at once, its wait being over."""
        query = asked(request)
        assert query["act"] == "a_check"
        if query["key"] == self.lost_key:
            return failed(3)
        if query["key"] != self.key:
            return failed(2)
        ts = int(query["ts"])
        if not self.oldest <= ts <= len(self.events):
            return failed(1, ts=len(self.events))
        found = self.events[ts : ts + self.most]
        following = ts + len(found)
        headers = {"x_next_ts": str(following)} if self.hint else {}
        return reply({"ts": self._tell(following), "updates": found}, **headers)

    def _tell(self, ts: int) -> int | str:
        return ts if self.numeric else str(ts)


class FakeApp:
    """A shell for a whole service: its API client and its poller, both with requests that the test answers."""

    def __init__(self, service: LongPollService, now: float = NOW) -> None:
        self.service = service
        self.now = now
        self.events: list[Event] = []
        """What the bot was told."""
        self.calls: list[OutgoingRequest] = []
        self.polls: list[OutgoingRequest] = []
        self.faults: list[str] = []
        """What was logged of the service."""
        service.dispatch = self.events.append
        service.promise = FakePromise

    def start(self) -> None:
        service = self.service
        service.start(self.now)
        for source, requests in ((service.api, self.calls), (service.poll, self.polls)):
            source.enabled = True
            source.on_ready = partial(self.pump, source, requests)
        self.tick()

    def stop(self) -> None:
        """End it as the engine does; handlers are the test's affair."""
        service = self.service
        service.drain(self.now)
        for source, requests in ((service.api, self.calls), (service.poll, self.polls)):
            source.enabled = False
            source.on_ready = None
            requests.clear()

    def pump(self, source: Source, requests: list[OutgoingRequest]) -> None:
        while (request := source.next_request(self.now)) is not None:
            requests.append(request)
        assert len(self.polls) <= 1, "two polls are under way"

    def tick(self, passed: float = 0.0) -> None:
        self.now += passed
        try:
            self.service.tick(self.now)
        except (LongPollError, OSError) as error:
            self.faults.append(str(error))

    def wait(self, seconds: float) -> None:
        """Let time pass, as the engine does; what is not answered in time has failed."""
        end = self.now + seconds
        while self.now < end:
            due = min(max(self.service.deadline, self.now), end, self.now + 1)
            self.tick(max(due - self.now, 0.001))
            while self.calls and self.calls[0].expires_at <= self.now:
                self.answer_call(Response(504))
            while self.polls and self.polls[0].expires_at <= self.now:
                self.answer_poll(Response(504))

    def answer_call(self, response: Response | None) -> None:
        request = self.calls.pop(0)
        assert self.service.api.receive(request, response, self.now)
        self.pump(self.service.api, self.calls)

    def answer_poll(self, response: Response | None) -> None:
        request = self.polls.pop()
        assert self.service.poll.receive(request, response, self.now)
        self.pump(self.service.poll, self.polls)

    @property
    def method(self) -> str:
        """The method of the call that waits first for its answer."""
        return method_of(self.calls[0])

    def give_key(self, told: object = None) -> None:
        assert self.method.endswith("getLongPollServer")
        self.answer_call(result(told_server() if told is None else told))
