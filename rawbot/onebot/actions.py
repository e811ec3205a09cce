"""Actions: which handler answers which action, and a request made ready to be answered.

Layer 3, pure: whether a call runs at once or as a task is the shell's matter. Source: OneBot 12,
connect/data-protocol/action-request and interface/rules. What a handler's signature may say is in `handlers`.
"""

from rawbot.errors import ConfigError
from rawbot.onebot.handlers import plan_for
from rawbot.onebot.messages import Account
from rawbot.onebot.plans import Handler, Plan
from rawbot.onebot.requests import ActionRequest
from rawbot.onebot.retcodes import UNSUPPORTED_ACTION, ActionError


class Call:
    """One action to be carried out: the handler with its arguments."""

    __slots__ = ("_arguments", "_handler", "is_async", "name")

    def __init__(self, name: str, handler: Handler, arguments: dict[str, object], *, is_async: bool) -> None:
        self.name = name
        self.is_async = is_async
        self._handler = handler
        self._arguments = arguments

    def __call__(self) -> object:
        """Call the handler: what comes back is the data, or a coroutine that returns it when `is_async`.

        Whatever the handler raises comes through.
        """
        return self._handler(**self._arguments)

    def __repr__(self) -> str:
        return f"<Call {self.name}>"  # what users wrote stays out of logs


class Actions:
    """The registry. All that can be known of a handler is found out when it is registered.

    A parameter takes the param of its name, or of the name in `Annotated[int, "extra.param"]`, converted by its type
    hint; without a hint, whatever came. One that is annotated `Account` gets the bot, one annotated `ActionRequest` the
    request, and `**params` all params that no other takes. A default makes a param optional, and a default of None
    lets it be null.
    """

    __slots__ = ("_plans",)

    def __init__(self) -> None:
        self._plans: dict[str, Plan] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._plans

    def register(self, name: str, handler: Handler, *, replace: bool = False) -> None:
        """Let the handler answer this action; `replace` allows that another did.

        Raises `ConfigError` for a name that is taken, and for a handler whose parameters cannot come over the wire.
        """
        if not isinstance(name, str) or not name:
            raise ConfigError("an action's name is a str that is not empty")
        if name in self._plans and not replace:
            raise ConfigError(f"the action {name!r} has a handler already")
        try:
            self._plans[name] = plan_for(handler)
        except ConfigError as error:
            raise ConfigError(f"the handler of {name!r} cannot be used: {error}") from error.__cause__

    def names(self) -> list[str]:
        """Return the names of all actions, in the order in which they were registered."""
        return list(self._plans)

    def bind(self, request: ActionRequest, bot: Account | None, *, strict: bool = False) -> Call:
        """Return the call that this request asks for, on behalf of `bot`; what follows cannot fail on its params.

        Raises `ActionError`: 10002 for an unknown action, and what `Plan.arguments` says of params. Unknown params are
        ignored, or 10004 when `strict`.
        """
        plan = self._plans.get(request.action)
        if plan is None:
            raise ActionError(UNSUPPORTED_ACTION, "the action is not supported")
        return Call(request.action, plan.handler, plan.arguments(request, bot, strict=strict), is_async=plan.is_async)
