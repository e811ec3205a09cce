"""What goes out to the API and comes back: whose turn it is, what is repeated, and how each call ends.

Layer 3, pure: a `Source` that the shell drains. Time comes in with `next_request`, `receive` and `tick`. Sources:
dev.vk.com/ru/api/api-requests, dev.vk.com/ru/method/execute.

What failed is repeated only where that can do no harm: VK says that it was not carried out, or no connection came
about, or the call is idempotent. Everything else is told to the caller.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import count
from math import inf

from rawbot.exchange import Figure, OutgoingRequest, Response, Source
from rawbot.vk.access import Access
from rawbot.vk.batching import EXECUTE, SINGLY, decode_execute, encode_execute, gather
from rawbot.vk.calls import UNDER_WAY, Call, CallQueue
from rawbot.vk.errors import (
    AnswerError,
    CallTimeoutError,
    QueueFullError,
    RateError,
    ShutdownError,
    UnreachableError,
    VKError,
)
from rawbot.vk.methods import EncodedCall, decode_answer, decode_result
from rawbot.vk.rates import Bucket
from rawbot.vk.retries import PAUSE, read_retry_after, wait_before

LINGER = 0.1
"""Seconds for which a call waits for others to share a request with, at most and only while one is under way."""

GRACE = 2.0
"""Seconds for which a request outlives its calls: their end is ours to tell, since the shell tells it like that of a
connection that broke off."""

_CLOSED = "the app has ended, or has nothing to send with"

_AGAIN = object()
"""What came of a call that its company kept from being carried out."""

_CHANCE_BYTES = 4


@dataclass(slots=True, repr=False)
class _Sent(OutgoingRequest):
    """A request of ours."""

    number: int = 0


class Traffic(Source):
    """Open calls and the requests that carry them. Each call that is admitted is told of its end once."""

    trusted = True

    def __init__(
        self,
        access: Access,
        bucket: Bucket,
        queue: CallQueue,
        *,
        batch: bool,
        entropy: Callable[[int], bytes],
    ) -> None:
        self.deadline = inf
        """Unix time at which `tick`, or `next_request`, has something to do; in the past while the shell is busy."""
        self.answered = 0
        self.repeated = 0
        self.failed: Counter[str] = Counter()
        """Calls without a result, by VK's code or else the kind of the error."""
        self._access = access
        self._bucket = bucket
        self._queue = queue
        self._batch = batch
        self._entropy = entropy
        self._numbers = count(1)
        self._under_way: dict[int, Sequence[Call]] = {}
        self._outcomes: deque[tuple[Call, object]] = deque()
        self._telling = False
        self._enabled = self._closed = False

    @property
    def enabled(self) -> bool:
        """Whether the shell sends what is here. When it says that it does not, all open calls end in a `ShutdownError`.

        So do those that are made from then on, until it says that it does, or `start` was called.
        """
        return self._enabled

    @enabled.setter
    def enabled(self, value: bool) -> None:
        self._enabled = value
        self._closed = not value
        if self._closed:
            self._end_all()

    def start(self) -> None:
        """Let calls wait for a shell that is about to begin, for the first time or again."""
        self._closed = False

    def waiting(self) -> int:
        """Count the calls that wait to be sent, for the first time or again."""
        return len(self._queue)

    def admit(self, call: Call) -> None:
        """Take in a call. It may end in this very call, when there is no room or nobody sends."""
        if self._closed:
            self._outcomes.append((call, ShutdownError(0, _CLOSED, call.method)))
        elif not self._queue.add(call):
            self._outcomes.append((call, QueueFullError(0, "too many calls wait", call.method)))
        self._settle()

    def next_request(self, now: float) -> OutgoingRequest | None:
        """Return the next request, if one is due and VK's rate lets it go."""
        for call in self._advance(now):
            self._end_overdue(call)
        self._tell_callers()
        calls = self._choose()
        request = self._send(calls) if calls else None
        self._note_deadline()
        return request

    def receive(self, request: OutgoingRequest, response: Response | None, now: float) -> bool:
        """Take the answer for the calls that this request carried. They are told, so nothing is lost unseen."""
        calls = self._under_way.pop(request.number, ()) if isinstance(request, _Sent) else ()
        overdue = self._advance(now)  # those that are answered in their last moment have their answer
        hint = read_retry_after(response)
        again = []
        for call, outcome in zip(calls, self._read(calls, response), strict=True):
            if call.over:
                continue
            call.alone = call.alone or outcome is _AGAIN or isinstance(outcome, AnswerError)
            if outcome is _AGAIN:
                again.append(call)
            else:
                self._judge(call, outcome, hint)
        for call in reversed(again):
            self._queue.put_back(call)
        for call in overdue:
            self._end_overdue(call)
        self._settle()
        return True

    def tick(self, now: float) -> None:
        """End what has taken too long, and have sent what is due."""
        for call in self._advance(now):
            self._end_overdue(call)
        self._settle()

    def figures(self) -> Iterator[Figure]:
        """Return the numbers to be watched."""
        yield Figure("vk_api_waiting", "gauge", len(self._queue), "Calls that wait, for the first time or again.")
        yield Figure("vk_api_under_way", "gauge", len(self._under_way), "Requests to the API under way.")
        yield Figure("vk_api_answered", "counter", self.answered, "Calls that had a result.")
        yield Figure("vk_api_repeated", "counter", self.repeated, "Calls made again.")
        for reason, failed in sorted(self.failed.items()):
            labels = (("reason", reason),)
            yield Figure("vk_api_failed", "counter", failed, "Calls without a result, by code or kind.", labels)

    # Sending

    def _advance(self, now: float) -> list[Call]:
        overdue, set_back = self._queue.advance(now)
        if set_back:
            self._bucket.shift(-set_back)
        return overdue

    def _choose(self) -> list[Call]:
        """Return the calls for the next request; none when they have to wait."""
        while (head := self._queue.head()) is not None and not head.wanted():
            self._queue.finish(head)
        now = self._queue.now
        if head is None or self._bucket.ready_at > now:
            return []
        if not self._batch:
            return [head]
        calls, complete = gather(call for call in self._queue.waiting() if call.wanted())
        return calls if complete or not self._under_way or now >= head.since + LINGER else []

    def _send(self, calls: Sequence[Call]) -> OutgoingRequest:
        self._bucket.take(self._queue.now)
        for call in calls:
            self._queue.take(call)
        number = next(self._numbers)
        self._under_way[number] = calls
        url, body, headers = self._encode(calls)
        expires_at = max(call.expires_at for call in calls) + GRACE
        return _Sent("POST", url, body, headers, expires_at, number=number)

    def _encode(self, calls: Sequence[Call]) -> EncodedCall:
        call = calls[0]
        if len(calls) > 1:
            return self._access.encode(EXECUTE, {"code": encode_execute([(c.method, c.fields) for c in calls])})
        return call.upload or self._access.encode(call.method, call.fields)

    # What came of it

    def _read(self, calls: Sequence[Call], response: Response | None) -> list[object]:
        """Return what came of each call: a result, a `VKError`, or `_AGAIN`."""
        if response is None:
            return [UnreachableError(0, "no connection", call.method) for call in calls]
        secret = self._access.token
        if len(calls) < 2:  # noqa: PLR2004 - no company
            return [_read_one(call, response, secret) for call in calls]
        try:
            answer = decode_answer(response.status, response.body, EXECUTE, secret=secret)
        except VKError as error:
            return [_share(error, call) for call in calls]
        return decode_execute(answer, [call.method for call in calls], secret=secret)

    def _judge(self, call: Call, outcome: object, hint: float) -> None:
        """End the call, or let it wait for its next try. `hint` is how long the server wants us to wait."""
        if not isinstance(outcome, VKError):
            self._end(call, outcome)
            return
        now = self._queue.now
        if isinstance(outcome, RateError):
            self._bucket.pause(now + max(PAUSE, hint))
        call.failure = outcome
        wait = wait_before(call, outcome, int.from_bytes(self._entropy(_CHANCE_BYTES), "big") / 256**_CHANCE_BYTES)
        if wait is None or now + max(wait, hint) >= call.expires_at:
            self._end(call, outcome)
            return
        call.tries += 1
        self.repeated += 1
        self._queue.put_off(call, now + max(wait, hint))

    # The end

    def _end(self, call: Call, outcome: object) -> None:
        self._queue.finish(call)
        self._outcomes.append((call, outcome))

    def _end_overdue(self, call: Call) -> None:
        if call.over:
            return
        last = call.failure
        told = f"no result within {call.timeout:g} s" + (f", the last try gave: {last.reason}" if last else "")
        error = CallTimeoutError(0, told, call.method)
        error.uncertain = call.phase is UNDER_WAY or (last is not None and last.uncertain)
        self._end(call, error)

    def _end_all(self) -> None:
        for call in self._queue.open_calls():
            error = ShutdownError(0, _CLOSED, call.method)
            error.uncertain = call.phase is UNDER_WAY or (call.failure is not None and call.failure.uncertain)
            self._end(call, error)
        self._under_way.clear()
        self._settle()

    def _settle(self) -> None:
        """Tell everybody what has come of it."""
        self._tell_callers()
        self._note_deadline()
        if self.on_ready is not None and len(self._queue):
            self.on_ready()

    def _note_deadline(self) -> None:
        self.deadline = self._queue.due
        if (head := self._queue.head()) is not None:
            lingers = self._batch and head.shareable and self._under_way
            ready_at = max(self._bucket.ready_at, head.since + LINGER if lingers else head.since)
            self.deadline = min(self.deadline, ready_at)

    def _tell_callers(self) -> None:
        """Tell of the calls that are over. What callers do then may bring on the end of others, which follow."""
        if self._telling:
            return
        self._telling = True
        try:
            while self._outcomes:
                call, outcome = self._outcomes.popleft()
                self._note(outcome)
                call.on_done(outcome)
        finally:
            self._telling = False

    def _note(self, outcome: object) -> None:
        if isinstance(outcome, VKError):
            # Frames hold the token, and an error is kept by whoever gets it; to cut them also breaks a cycle.
            outcome.__traceback__ = outcome.__context__ = None
            self.failed[str(outcome.code) if outcome.code else type(outcome).__name__] += 1
        else:
            self.answered += 1


def _read_one(call: Call, response: Response, secret: str) -> object:
    try:
        if call.decode is not None:
            return call.decode(response.status, response.body)
        return decode_result(response.status, response.body, call.method, secret=secret)
    except VKError as error:
        return error


def _share(error: VKError, call: Call) -> object:
    """Return what it means for one call that the request as a whole has failed."""
    if error.code in SINGLY and (call.idempotent or not error.uncertain):
        return _AGAIN
    own = copy(error)
    own.method = call.method
    return own
