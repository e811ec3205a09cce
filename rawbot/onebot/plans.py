"""Plans: how the params of a request become the keyword arguments of a handler.

Layer 3, pure; nothing is called here. Plans are made in `handlers`, once per handler, so that a request costs little:
three params of type str are bound in 0.7 µs.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rawbot.onebot.conversions import Convert, MismatchError
from rawbot.onebot.messages import Account
from rawbot.onebot.requests import ActionRequest
from rawbot.onebot.retcodes import BAD_PARAM, UNSUPPORTED_PARAM, WHO_AM_I, ActionError

Handler = Callable[..., Any]
"""`handler(**params)` returns the response's data: a coroutine function, or a plain function that must not block."""

MAX_SHOWN = 64
"""Characters of a name of the peer's choice that an error text repeats."""

_ABSENT = object()


@dataclass(slots=True)
class Plan:
    """What is known of one handler and its parameters."""

    handler: Handler
    is_async: bool
    """The handler is a coroutine function, or an object whose `__call__` is one."""
    taken: frozenset[str]
    """Names that `**params` cannot carry, for Python has given them away: to parameters that are called otherwise on
    the wire, to `self`, to what a `partial` has bound. What a peer calls so is unknown and reaches no handler."""
    wired: list[tuple[str, str, type | None, Convert]] = field(default_factory=list)
    """Name on the wire, name in Python, the type that needs no conversion, the conversion."""
    known: set[str] = field(default_factory=set)
    """The names on the wire."""
    missing: dict[str, str] = field(default_factory=dict)
    """What to say when a required one of them is absent."""
    accounts: list[str] = field(default_factory=list)
    """The parameters that get the bot."""
    without_bot: dict[str, object] = field(default_factory=dict)
    """What those get when there is no bot; one that has a default is left out."""
    needs_bot: bool = False
    requests: list[str] = field(default_factory=list)
    """The parameters that get the request."""
    rest: Convert | None = None
    """The conversion of what `**params` takes."""

    def arguments(self, request: ActionRequest, bot: Account | None, *, strict: bool) -> dict[str, object]:
        """Return the keyword arguments of a call; what is absent is left out, so that its default applies.

        Raises `ActionError`: 10003 for what is missing or mistyped, 10004 for an unknown parameter when `strict`, 10101
        without a bot where one is needed, and what `decode_message` says of a message.
        """
        params = request.params
        arguments: dict[str, object] = {}
        wire = ""
        try:
            for wire, name, as_is, convert in self.wired:
                value = params.get(wire, _ABSENT)
                if type(value) is as_is:
                    arguments[name] = value
                elif value is not _ABSENT:
                    arguments[name] = convert(value)
                elif wire in self.missing:
                    raise ActionError(BAD_PARAM, self.missing[wire])
        except (MismatchError, RecursionError) as error:
            raise _refusal(wire, error) from None
        for name in self.requests:
            arguments[name] = request
        if self.accounts:
            arguments.update(self._introduce(bot))
        if self.rest is not None or strict:
            self._add_rest(params, arguments, strict=strict)
        return arguments

    def _introduce(self, bot: Account | None) -> dict[str, object]:
        if bot is not None:
            return dict.fromkeys(self.accounts, bot)
        if self.needs_bot:
            raise ActionError(WHO_AM_I, "this action needs self")
        return self.without_bot

    def _add_rest(self, params: dict[str, object], arguments: dict[str, object], *, strict: bool) -> None:
        for name, value in params.items():
            if name in self.known:
                continue
            if self.rest is not None and name not in self.taken:
                arguments[name] = _convert_named(_shown(name), self.rest, value)
            elif strict:
                raise ActionError(UNSUPPORTED_PARAM, f"param {_shown(name)} is not supported")


def _convert_named(name: str, convert: Convert, value: object) -> object:
    try:
        return convert(value)
    except (MismatchError, RecursionError) as error:
        raise _refusal(name, error) from None


def _refusal(name: str, error: MismatchError | RecursionError) -> ActionError:
    if isinstance(error, MismatchError):
        return ActionError(error.retcode, f"param {name}{error.where}: {error.reason}")
    return ActionError(BAD_PARAM, f"param {name}: nested too deeply")


def _shown(name: str) -> str:
    return name if len(name) <= MAX_SHOWN and name.isprintable() else "(of a name that is not shown)"
