"""The bot: handlers by the kind of event, and nothing else.

Layer 2. A `Bot` is told what to call for which event; the shell does the calling, the wings make the events.
"""

import inspect
from collections.abc import Callable
from typing import TypeVar, get_args

from rawbot.errors import ConfigError
from rawbot.event import MESSAGE, Handler
from rawbot.lanes import Policy

H = TypeVar("H", bound=Handler)


class Bot:
    """Handlers for messages and events, the same on every channel.

    `policy` says what happens to a message that arrives while an earlier one of the same conversation is still being
    answered, and `max_waiting` how many may wait (see `Lanes`). A handler may be given for each event name, and one
    for all events that have no handler of their own. Raises `ConfigError` for settings that cannot work.
    """

    def __init__(self, *, policy: Policy = "queue", max_waiting: int = 32) -> None:
        if policy not in get_args(Policy):
            raise ConfigError(f"policy is one of {', '.join(get_args(Policy))}, not {policy!r}")
        if not isinstance(max_waiting, int) or isinstance(max_waiting, bool) or max_waiting < 0:
            raise ConfigError("max_waiting is a whole number, 0 or more")
        self.policy = policy
        self.max_waiting = max_waiting
        self._handlers: dict[str, Handler] = {}
        self._any_event: Handler | None = None

    def on_message(self, handler: H) -> H:
        """Register the handler for what users write (decorator)."""
        self._register(MESSAGE, handler)
        return handler

    def on_event(self, *names: str) -> Callable[[H], H]:
        """Register a handler for the events with these names, or for all others when none is given (decorator)."""
        if any(not isinstance(name, str) for name in names):
            raise ConfigError("on_event takes event names: write @bot.on_event('enter_chat') or @bot.on_event()")

        def register(handler: H) -> H:
            for name in names:
                self._register(name, handler)
            if not names:
                if self._any_event is not None:
                    raise ConfigError("a handler for all other events is registered already")
                self._any_event = _checked(handler)
            return handler

        return register

    def handler_for(self, kind: str) -> Handler | None:
        """Return what to call for an event of this kind, or None."""
        handler = self._handlers.get(kind)
        if handler is None and kind != MESSAGE:
            return self._any_event
        return handler

    @property
    def kinds(self) -> frozenset[str] | None:
        """Return the kinds that have a handler; None when there is one for all events."""
        return None if self._any_event is not None else frozenset(self._handlers)

    def _register(self, kind: str, handler: Handler) -> None:
        if kind in self._handlers:
            raise ConfigError(f"a handler for {kind!r} is registered already")
        self._handlers[kind] = _checked(handler)


def _checked(handler: Handler) -> Handler:
    if not callable(handler):
        raise ConfigError(f"a handler must be callable, not {type(handler).__name__}")
    if inspect.isgeneratorfunction(handler) or inspect.isasyncgenfunction(handler):
        raise ConfigError("a handler does not yield: it writes to its reply")
    return handler
