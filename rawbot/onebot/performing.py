"""Carries out action requests: bytes in, and bytes out at once or when the handler is done.

Layer 3, pure. Source: OneBot 12, connect/data-protocol/{action-request,action-response}. Whatever a request is, it is
answered, with its echo as far as that can be read; a handler that does not answer in time is answered for.

A plain function is called on the way through. A coroutine function runs as a handler of the shell's, so that actions do
not wait for each other; its event has the kind ACTION.
"""

import inspect
import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from rawbot.errors import ConfigError
from rawbot.event import CancelReason, Event, Handler
from rawbot.lanes import Policy
from rawbot.onebot.actions import Actions, Call
from rawbot.onebot.codec import Codec
from rawbot.onebot.messages import Account
from rawbot.onebot.requests import ActionRequest, decode_request, echo_of, failed, succeeded
from rawbot.onebot.retcodes import (
    BAD_HANDLER,
    INTERNAL_HANDLER_ERROR,
    TIMED_OUT,
    TIRED,
    ActionError,
)
from rawbot.onebot.roster import Roster
from rawbot.onebot.settings import demand_positive

ACTION = "onebot.action"
"""The kind of the event that stands for an action that runs."""

META = frozenset(("get_latest_events", "get_supported_actions", "get_status", "get_version"))
"""Actions that need no bot (OneBot 12, connect/data-protocol/action-request)."""

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Form(Protocol[T_co]):
    """How a response is given: as a `Codec` encodes it, for one."""

    @property
    def encode(self) -> Callable[[object], T_co]:
        """What makes of a response what is told. May raise `ActionError` (20001)."""


class Performer:
    """Runs the actions of one implementation.

    `timeout` is in seconds: after it a handler's action is answered 36001, though the handler runs on. At most
    `max_running` handlers run at once, one more action is answered 36000. `strict` refuses parameters that no handler
    asks for.
    """

    def __init__(
        self,
        actions: Actions,
        roster: Roster,
        *,
        clock: Callable[[], float],
        timeout: float,
        max_running: int,
        strict: bool,
    ) -> None:
        if not 0 < timeout < math.inf:
            raise ConfigError("action_timeout must be finite and above 0")
        demand_positive("max_running", max_running)
        self.actions = actions
        self._roster = roster
        self._clock = clock
        self._timeout = timeout
        self._max_running = max_running
        self.strict = strict
        self._running: OrderedDict[Running[Any], float] = OrderedDict()
        """With the time at which each is given up: in order, since all have as long."""
        self._overdue = 0
        """How many run on although they are answered for."""
        self.performed = 0
        self.failed = 0
        """How many of them were answered with an error."""

    def __len__(self) -> int:
        """Count those that run."""
        return len(self._running) + self._overdue

    @property
    def deadline(self) -> float:
        """When `tick` is due."""
        return next(iter(self._running.values())) if self._running else math.inf

    def read(self, data: bytes | str, codec: Codec) -> ActionRequest | bytes:
        """Return the request, or the encoded response when it is none."""
        echo: object = None
        try:
            value = codec.decode(data)
            echo = echo_of(value)
            return decode_request(value)
        except ActionError as error:
            return self.refuse(error, echo, codec)

    def refuse(self, error: ActionError, echo: object, codec: Form[T]) -> T:
        """Return the encoded response to what failed."""
        self.performed += 1
        self.failed += 1
        try:
            return codec.encode(failed(error, echo))
        except ActionError:  # a handler's error can say what no response can: the name of a file that is not UTF-8
            return codec.encode(failed(_UNSAYABLE, echo))

    def perform(self, request: ActionRequest, codec: Form[T], tell: Callable[[T], None]) -> Event | None:
        """Carry out a request. `tell`, which takes the encoded response, is called once.

        That is within this call, unless the event returned is dispatched. What is returned is to be, in any case.
        """
        echo = request.echo
        try:
            account = self._account(request)
            call = self.actions.bind(request, account, strict=self.strict)
            if call.is_async:
                return self._start(call, echo, codec, tell)
            data = call()
            if hasattr(data, "__await__"):
                return self._start_waiting(data, echo, codec, tell)
        except ActionError as error:
            tell(self.refuse(error, echo, codec))
            return None
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - a handler may raise anything, asyncio's CancelledError too
            tell(self.refuse(_internal(request.action), echo, codec))
            return _event(_raising(error), _ANSWERED)
        tell(self.respond(data, echo, codec))
        return None

    def respond(self, data: object, echo: object, codec: Form[T]) -> T:
        """Return the encoded response to what succeeded, or to a handler whose result no response can say (20001)."""
        try:
            encoded = codec.encode(succeeded(data, echo))
        except ActionError as error:
            return self.refuse(error, echo, codec)
        self.performed += 1
        return encoded

    def tick(self, now: float) -> None:
        """Answer for the handlers whose time is up."""
        latest = now + self._timeout
        while self._running:
            running, gives_up_at = next(iter(self._running.items()))
            if gives_up_at > latest:  # the clock was set back since
                self._running = OrderedDict((one, min(at, latest)) for one, at in self._running.items())
            elif gives_up_at > now:
                return
            else:
                self._overdue += 1
                running.give_up(ActionError(TIMED_OUT, "the action has taken too long; it may still take effect"))

    def forget(self, running: "Running[Any]") -> None:
        """Note that it is answered."""
        self._running.pop(running, None)

    def note_end(self) -> None:
        """Note that a handler has ended after it was answered for."""
        self._overdue -= 1

    def _account(self, request: ActionRequest) -> Account | None:
        if request.action in META or request.action not in self.actions:
            return None  # and of an action that there is none of, `bind` says so
        return self._roster.find(request.bot)

    def _start(self, call: Callable[[], object], echo: object, codec: Form[T], tell: Callable[[T], None]) -> Event:
        if len(self) >= self._max_running:
            raise ActionError(TIRED, "too many actions are under way")
        running = Running(self, echo, codec, tell)
        self._running[running] = self._clock() + self._timeout
        return _event(call, running)

    def _start_waiting(self, data: object, echo: object, codec: Form[T], tell: Callable[[T], None]) -> Event:
        """Wait for what a plain function has returned."""
        try:
            return self._start(lambda: data, echo, codec, tell)
        except ActionError:
            if inspect.iscoroutine(data):
                data.close()  # or Python complains that nobody has waited for it
            raise


class Running(Generic[T]):
    """An action whose handler runs (`event.Reply`): answered once, by its result, its failure or the clock."""

    __slots__ = ("_codec", "_echo", "_overdue", "_performer", "_tell")

    text = ""

    def __init__(self, performer: Performer, echo: object, codec: Form[T], tell: Callable[[T], None]) -> None:
        self._performer = performer
        self._echo = echo
        self._codec = codec
        self._tell: Callable[[T], None] | None = tell
        self._overdue = False

    @property
    def finished(self) -> bool:
        """Whether it is answered."""
        return self._tell is None

    def tell_to(self, tell: Callable[[T], None]) -> None:
        """Let another take the response, should it not be given yet."""
        if self._tell is not None:
            self._tell = tell

    def succeed(self, data: object) -> None:
        """Answer with the handler's result."""
        if (tell := self._tell) is not None:
            self._answer(tell, self._performer.respond(data, self._echo, self._codec))

    def refuse(self, error: ActionError) -> None:
        """Answer with an error."""
        if (tell := self._tell) is not None:
            self._answer(tell, self._performer.refuse(error, self._echo, self._codec))

    def give_up(self, error: ActionError) -> None:
        """Answer with an error although the handler runs on."""
        self._overdue = True
        self.refuse(error)

    def write(self, text: str) -> None:
        """Say nothing: an action has a result."""

    def replace(self, text: str) -> None:
        """Say nothing: an action has a result."""

    def finish(self) -> None:
        """Answer without data, should nothing have been answered."""
        self.succeed(None)
        self._note_end()

    def fail(self) -> None:
        """Answer that the handler raised; what it was is in the log and told to nobody."""
        self.refuse(ActionError(INTERNAL_HANDLER_ERROR, "the handler failed"))
        self._note_end()

    def cancel(self, reason: CancelReason) -> None:
        """Answer that the handler was stopped."""
        self.refuse(ActionError(TIRED, f"the action was stopped: {reason}"))
        self._note_end()

    def _note_end(self) -> None:
        if self._overdue:
            self._overdue = False
            self._performer.note_end()

    def _answer(self, tell: Callable[[T], None], data: T) -> None:
        self._tell = None
        self._performer.forget(self)
        tell(data)


class ActionHandlers:
    """Who hears of actions (`event.Handlers`): what runs one and answers with its result."""

    policy: Policy = "parallel"
    max_waiting = 0

    def handler_for(self, kind: str) -> Handler | None:
        """Return what runs an action."""
        return run if kind == ACTION else None


async def run(event: Event, reply: Running[Any]) -> None:
    """Run an action's handler and answer with what comes of it. What it raises besides `ActionError` is the shell's."""
    call = event.message
    try:
        result = call() if callable(call) else None
        if inspect.isawaitable(result):
            result = await result
    except ActionError as error:
        reply.refuse(error)
    else:
        reply.succeed(result)


def _event(call: Call | Callable[[], object], reply: Running[Any]) -> Event:
    return Event(ACTION, "onebot", "", "", "", reply, call)


def _raising(error: BaseException) -> Callable[[], object]:
    """Return what raises within the shell what was raised here, so that it is logged as the handlers' errors are."""

    def call() -> object:
        raise error

    return call


def _internal(action: str) -> ActionError:
    return ActionError(INTERNAL_HANDLER_ERROR, f"the handler of {action} failed")


class _Answered(Running[bytes]):
    """Stands where the answer is given already."""

    __slots__ = ()

    def __init__(self) -> None:
        self._tell = None
        self._overdue = False


_ANSWERED = _Answered()
_UNSAYABLE = ActionError(BAD_HANDLER, "the handler failed with an error that cannot be encoded")
