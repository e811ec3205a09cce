"""Action requests and the responses to them, as plain values: the codec makes bytes of them.

Layer 3, pure. Source: OneBot 12, connect/data-protocol/action-request, action-response.
"""

from dataclasses import dataclass

from rawbot.onebot.messages import Account, decode_account
from rawbot.onebot.retcodes import BAD_REQUEST, OK, ActionError

MAX_ECHO_DEPTH = 100
"""Lists and objects inside each other in an echo. More can be decoded than encoded, and what cannot go back must not
come in: the action would be carried out and its answer get lost."""


@dataclass(slots=True, repr=False)
class ActionRequest:
    """One action that an application asks for."""

    action: str
    params: dict[str, object]
    echo: object | None
    """What the response has to repeat, of any type; None when it has nothing to repeat."""
    bot: Account | None
    """`self`: the bot that shall do it, or None when the request does not say."""

    def __repr__(self) -> str:
        return f"<ActionRequest {self.action}>"  # params stay out of logs


def echo_of(value: object) -> object | None:
    """Return what the response to this decoded value has to repeat, however bad a request the value is.

    None when there is nothing: no echo, null, "" or one nested too deeply to be sent back.
    """
    if not isinstance(value, dict):
        return None
    echo: object = value.get("echo")
    if echo is None or echo == "":
        return None
    if isinstance(echo, _NESTING) and _is_deep(echo):
        return None
    return echo


def decode_request(value: object) -> ActionRequest:
    """Return the request that a decoded value is. Raises `ActionError` (10001).

    The standard has a string for echo; clients send numbers, too, and any type is taken. A null for echo or self counts
    as absent. Unknown fields are ignored.
    """
    if not isinstance(value, dict):
        raise ActionError(BAD_REQUEST, "an action request is an object")
    action, params, named = value.get("action"), value.get("params"), value.get("self")
    if not isinstance(action, str):
        raise ActionError(BAD_REQUEST, "action is not a string" if "action" in value else "action is missing")
    if not isinstance(params, dict):
        raise ActionError(BAD_REQUEST, "params is not an object" if "params" in value else "params is missing")
    echo: object = value.get("echo")
    if isinstance(echo, _NESTING) and _is_deep(echo):
        raise ActionError(BAD_REQUEST, "echo is nested too deeply")
    return ActionRequest(action, params, None if echo == "" else echo, None if named is None else decode_account(named))


def succeeded(data: object, echo: object | None) -> dict[str, object]:
    """Return the response to an action that was carried out. `echo` is what `echo_of` or the request says."""
    if echo is None:
        return {"status": "ok", "retcode": OK, "data": data, "message": ""}
    return {"status": "ok", "retcode": OK, "data": data, "message": "", "echo": echo}


def failed(error: ActionError, echo: object | None) -> dict[str, object]:
    """Return the response to an action that failed. `echo` as in `succeeded`."""
    response = {"status": "failed", "retcode": error.retcode, "data": None, "message": error.message}
    if echo is not None:
        response["echo"] = echo
    return response


_NESTING = (dict, list)


def _is_deep(value: dict[str, object] | list[object]) -> bool:
    """Go through it level by level: as deep as the values are, nothing here is called from within itself."""
    level = [value]
    for _ in range(MAX_ECHO_DEPTH):
        inside = (each.values() if isinstance(each, dict) else each for each in level)
        level = [each for values in inside for each in values if isinstance(each, _NESTING)]
        if not level:
            return False
    return True
