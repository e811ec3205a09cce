"""One poller: asks for a key, polls, one poll after the other, and goes on whatever VK and the network do.

Layer 3, pure: a `Source` that the shell drains. Sources: dev.vk.com/ru/api/bots-long-poll/getting-started,
dev.vk.com/ru/api/user-long-poll/getting-started.

           when due          a key           when due
    KEYLESS ────────▶ ASKING ─────▶ READY ──────────────▶ POLLING
       ▲                │ no key      ▲                      │
       ├────────────────┘             └─── updates, 1 ───────┤
       └──────────────────────────────── 2, 3, unknown ──────┤
                                  REFUSED ◀───── 4 ──────────┘

What `failed` says: 1, what came since our `ts` is not all there any more: go on from that of the reply. 2, the key is
over: another one, and our `ts` stays. 3, the information was lost: key and `ts` anew. 4, no such version: that does not
mend itself. What is lost by 1 and 3 is counted as a gap.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from math import inf

from rawbot.errors import ProtocolError, StateError
from rawbot.exchange import OutgoingRequest, Response, Source
from rawbot.vk.errors import VKError
from rawbot.vk.handoff import Handoff
from rawbot.vk.journal import Journal
from rawbot.vk.polls import Failed, PollServer, Updates, decode_reply, decode_server, encode_poll
from rawbot.vk.setbacks import Setbacks

MARGIN = 10.0
"""Seconds beyond `wait` after which a poll that brings nothing is given up."""

TRANSFER = 30.0
"""Seconds beyond that for connecting, and for an answer that has begun."""

MAX_REPLY = 32 * 1024 * 1024
"""Bytes of an answer: some hundred of the largest events."""

MAX_WAIT = 90
"""Seconds for which VK lets a poll wait."""

PACE = 1.0
"""Seconds between two polls when the first has brought no news: answers that come too early must not make us spin."""

KEY_LIFE = 30.0
"""Seconds that a key lives at least; real ones live for an hour. Where they die sooner, others are asked for less and
less often: who asks before each poll is soon refused (29)."""

ASK_AFTER = 5
"""Polls that fail in a row before the server is asked for anew: it may have moved."""

HELD_FOR = 0.2
"""Seconds before updates that there was no room for are offered again."""


class Phase(Enum):
    """What a poller is about to do, or waits for."""

    STOPPED = "stopped"
    KEYLESS = "is to ask for a key"
    ASKING = "has asked for a key"
    READY = "is to poll"
    POLLING = "has polled"
    REFUSED = "is refused"


STOPPED, KEYLESS, ASKING, READY, POLLING, REFUSED = Phase

_MOVES = {
    STOPPED: {KEYLESS},
    KEYLESS: {ASKING, STOPPED},
    ASKING: {READY, KEYLESS, STOPPED},
    READY: {POLLING, STOPPED},
    POLLING: {READY, KEYLESS, REFUSED, STOPPED},
    REFUSED: {STOPPED},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Poller:
    """What tells one poller from another."""

    name: str
    """For the operator and for the kept position."""
    ask: Callable[[Callable[[object], None]], None]
    """Calls getLongPollServer; what it is given is told the result or a `VKError`, once, maybe in this very call."""
    wait: int
    """Seconds for which VK lets a poll wait for news."""
    params: Mapping[str, object]
    """What each poll says besides `act`, `key`, `ts` and `wait`."""
    https: bool
    """Whether the server must be one by https, as the API is."""
    entropy: Callable[[int], bytes]
    journal: Journal | None
    """Where the position is kept; None for nowhere: then what comes while nobody polls is lost."""


class LongPoll(Source):
    """The state of one poller. `start` and `stop` begin and end it, `tick` lets time pass.

    One poll is under way at most, and the next asks with the `ts` of the answer to it. A position is saved when all
    before it was handed over, so that a new process begins there.
    """

    trusted = True

    def __init__(self, poller: Poller, handoff: Handoff) -> None:
        self.polls = 0
        self.asked = 0
        """How often a key was asked for."""
        self.updates = 0
        self.gaps = 0
        """How often VK had lost what came since the last poll."""
        self.setbacks = Setbacks(poller.name, poller.entropy)
        self.answered_at = 0.0
        """Unix time of the last good answer."""
        self._poller = poller
        self._params = {"wait": poller.wait, **poller.params}
        self._handoff = handoff
        self._phase = STOPPED
        self._server: PollServer | None = None
        self._ts: str | None = None
        self._saved: str | None = None
        self._poll: OutgoingRequest | None = None
        self._turn: object = None
        """Names the call for a key whose answer counts."""
        self._clock = 0.0
        self._again_at = 0.0
        """When the next step is due."""
        self._pause = 0.0
        """How long that is put off, at most."""
        self._short_lived = 0
        """Keys in a row that did not live for `KEY_LIFE`."""
        self._polled_at = self._keyed_at = -inf

    def __repr__(self) -> str:
        return f"<LongPoll of {self._poller.name}, {self._phase.value}>"

    # The service's side

    @property
    def phase(self) -> Phase:
        """What is to be done next."""
        return self._phase

    @property
    def held(self) -> int:
        """How many updates wait for room."""
        return len(self._handoff)

    @property
    def unreadable(self) -> int:
        """How many updates were left out, since they could not be read."""
        return self._handoff.unreadable

    @property
    def ts(self) -> str | None:
        """What to ask with next."""
        return self._ts

    @property
    def deadline(self) -> float:  # type: ignore[override] # it follows from the state
        """When `tick`, or `next_request`, has something to do."""
        due = self._again_at if self._phase in (KEYLESS, READY) else inf
        return min(due, self._clock + HELD_FOR) if len(self._handoff) else due

    def start(self, now: float) -> None:
        """Begin when the shell does: where the last one has ended, in this process or in another."""
        if self._phase is not STOPPED:
            self.stop()
        journal = self._poller.journal
        self._ts = self._handoff.position
        if self._ts is None and journal is not None:
            self._ts = self._saved = journal.position(self._poller.name)
        self._short_lived = 0
        self._polled_at = self._keyed_at = -inf
        self._clock = now
        self.setbacks.start()
        self._put_off(KEYLESS, 0.0)

    def stop(self) -> None:
        """Ask for nothing any more; what waits for room is let go, and is asked for anew after a `start`."""
        self._poll = self._turn = None
        self._handoff.clear()
        if self._phase is not STOPPED:
            self._move(STOPPED)

    def tick(self, now: float) -> None:
        """Do what is due."""
        self._clock = now
        self._again_at = min(self._again_at, now + self._pause)  # the clock may have been set back
        if len(self._handoff):
            self._handoff.offer(now)
        self._note_handoff()
        if now < self._again_at:
            return
        if self._phase is KEYLESS:
            self._ask()
        elif self._phase is READY and self.on_ready is not None:
            self.on_ready()

    # The shell's side

    def next_request(self, now: float) -> OutgoingRequest | None:
        """Return the next poll, when it is time; ask for a key, when it is time for that."""
        if self._phase is KEYLESS and now >= self._again_at:
            self._clock = now
            self._ask()
        if self._phase is not READY or now < self._again_at or self._handoff.full:
            return None
        if self._server is None or self._ts is None:
            raise StateError("a poller is ready without a key")
        self._move(POLLING)
        self._clock = self._polled_at = now
        self.polls += 1
        url = encode_poll(self._server, self._ts, self._params)
        patience = self._poller.wait + MARGIN
        self._poll = OutgoingRequest(
            "GET",
            url,
            b"",
            (),
            now + patience + TRANSFER,
            read_timeout=patience,
            max_response=MAX_REPLY,
            disposable=True,
        )
        return self._poll

    def receive(self, request: OutgoingRequest, response: Response | None, now: float) -> bool:
        """Take the answer to the poll under way. Nothing is lost by a bad one: it is asked for again."""
        if request is not self._poll:  # from before a stop
            return True
        self._poll = None
        self._clock = now
        if response is not None and len(response.body) >= MAX_REPLY:
            self.setbacks.note_poll("too large")
            self._lose("an answer was too large to be read", None)
            return True
        try:
            reply = decode_reply(response)
        except ProtocolError as error:
            self.setbacks.note_poll(str(error))
            pause = self.setbacks.pause(self.setbacks.streak)
            if self.setbacks.streak % ASK_AFTER:
                self._put_off(READY, pause)
            else:
                self._want_key(pause)
            return True
        if isinstance(reply, Updates):
            self._take(reply)
        else:
            self.setbacks.note_poll(f"failed {reply.failed}" if reply.failed in _KNOWN else "failed otherwise")
            self._judge(reply)
        return True

    # What an answer means

    def _take(self, reply: Updates) -> None:
        """Go on at once after news, and after a moment when there was none or the answer is the last one again."""
        is_new = bool(reply.updates) and reply.ts != self._ts
        passed = self._clock - self._polled_at
        self._put_off(READY, 0.0 if is_new or passed > PACE else PACE - max(0.0, passed))
        self.setbacks.streak = 0
        self.answered_at = self._clock
        self.updates += len(reply.updates)
        self._ts = reply.ts
        self._handoff.receive(reply.updates, reply.ts, self._clock)
        self._note_handoff()

    def _judge(self, reply: Failed) -> None:
        if reply.failed == _OUTDATED and reply.ts is not None:
            self._lose("VK does not have all any more that came since the last poll (failed 1)", reply.ts)
        elif reply.failed in (_OUTDATED, _LOST):
            self._lose(f"VK has lost what came since the last poll (failed {reply.failed})", None)
        elif reply.failed == _EXPIRED:
            self._want_key(self._pause_in_series())
        elif reply.failed == _VERSION:
            self._move(REFUSED)
            offer = f"{reply.min_version} to {reply.max_version}" if reply.max_version is not None else "others"
            version = self._poller.params.get("version")
            self.setbacks.complain(
                f"VK does not speak version {version} of Long Poll (failed 4), but {offer}: no more is asked"
            )
        else:
            self._want_key(self.setbacks.pause(self.setbacks.streak))

    def _lose(self, reason: str, ts: str | None) -> None:
        """Count a gap, and go on from `ts`, or from where VK says with a new key."""
        self.gaps += 1
        self.setbacks.complain(reason)
        self._ts = ts
        if ts is None:
            self._want_key(self._pause_in_series())
            return
        self._put_off(READY, self._pause_in_series())
        self._handoff.receive([], ts, self._clock)
        self._note_handoff()

    def _pause_in_series(self) -> float:
        """Return how long to wait after an answer that is all right once, and not again and again."""
        return self.setbacks.pause(self.setbacks.streak - 1)

    # Keys

    def _want_key(self, pause: float) -> None:
        """Ask for a key after this pause, or a longer one where the last key has died early."""
        early = self._clock - self._keyed_at < KEY_LIFE
        self._short_lived = self._short_lived + 1 if early else 0
        self._put_off(KEYLESS, max(pause, self.setbacks.pause(self._short_lived)))

    def _ask(self) -> None:
        self._move(ASKING)
        self.asked += 1
        turn = self._turn = object()

        def on_done(outcome: object) -> None:
            if self._turn is turn:
                self._turn = None
                self._receive_key(outcome)

        self._poller.ask(on_done)

    def _receive_key(self, outcome: object) -> None:
        if isinstance(outcome, VKError):
            self._put_off(KEYLESS, self.setbacks.note_key(outcome))
            return
        try:
            server = decode_server(outcome, https=self._poller.https)
        except ProtocolError as error:
            self._put_off(KEYLESS, self.setbacks.note_key(error))
            return
        self.setbacks.end_of_keyless()
        self._server, self._keyed_at = server, self._clock
        self._put_off(READY, 0.0)
        if self._ts is None:
            self._ts = server.ts
            self._handoff.receive([], server.ts, self._clock)
            self._note_handoff()
        if self.on_ready is not None:
            self.on_ready()

    # Inside

    def _note_handoff(self) -> None:
        """Save how far it has come, and tell what went wrong."""
        failure, self._handoff.failure = self._handoff.failure, None
        if failure is not None:
            self.setbacks.complaints.append(failure)
        position, journal = self._handoff.position, self._poller.journal
        if journal is None or position is None or position == self._saved:
            return
        try:
            journal.save_position(self._poller.name, position)
        except OSError as error:
            self.setbacks.failures["position not saved"] += 1
            self.setbacks.complaints.append(error)
            return
        self._saved = position

    def _put_off(self, phase: Phase, pause: float) -> None:
        """Let this be what is done next, after a pause."""
        self._move(phase)
        self._pause = pause
        self._again_at = self._clock + pause

    def _move(self, phase: Phase) -> None:
        if phase not in _MOVES[self._phase]:
            raise StateError(f"a poller that {self._phase.value} cannot become one that {phase.value}")
        self._phase = phase


_OUTDATED, _EXPIRED, _LOST, _VERSION = 1, 2, 3, 4
_KNOWN = (_OUTDATED, _EXPIRED, _LOST, _VERSION)
