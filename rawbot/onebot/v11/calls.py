"""A request of OneBot 11 on its way through OneBot 12: decoded, carried out step by step, answered.

Layer 3, pure: `performing` takes each step and decides what waits for what. Source: OneBot 11, api (suffixes,
response), communication/http (status codes), communication/ws (retcodes, echo).
"""

from collections.abc import Callable
from dataclasses import dataclass

from rawbot.errors import StateError
from rawbot.onebot.requests import ActionRequest, echo_of
from rawbot.onebot.retcodes import BAD_HANDLER, BAD_REQUEST, UNSUPPORTED_ACTION, ActionError
from rawbot.onebot.v11.actions import QUICK_OPERATION, Steps, find_action
from rawbot.onebot.v11.face import Face, Json

V11_OK = 0
V11_ASYNC = 1
V11_BAD_REQUEST = 1400
V11_NOT_FOUND = 1404

_RETCODES = {BAD_REQUEST: V11_BAD_REQUEST, UNSUPPORTED_ACTION: V11_NOT_FOUND}
"""What 11 has its own number for; the others are told as they are."""

_HTTP_STATUS = {1400: 400, 1401: 401, 1403: 403, 1404: 404}

ASYNC_SUFFIX = "_async"
RATE_LIMITED_SUFFIX = "_rate_limited"

_ABSENT = object()


@dataclass(slots=True)
class Echo:
    """What comes back with the answer: a value of any type, null too, or nothing at all."""

    value: object = _ABSENT

    def put(self, response: Json) -> Json:
        """Return the response with the echo in it."""
        return response if self.value is _ABSENT else response | {"echo": self.value}


def failed(error: ActionError, echo: Echo | None = None) -> Json:
    """Return the response to what failed. `message` is no field of the standard's: it is for those who read logs."""
    retcode = _RETCODES.get(error.retcode, error.retcode)
    if retcode in (V11_OK, V11_ASYNC):
        retcode = BAD_HANDLER  # a failure with a number that means success
    response: Json = {"status": "failed", "retcode": retcode, "data": None, "message": error.message}
    return response if echo is None else echo.put(response)


def http_status(response: Json) -> int:
    """Return the status with which HTTP tells this response; 200 for nearly all of them."""
    retcode = response["retcode"]
    return _HTTP_STATUS.get(retcode, 200) if isinstance(retcode, int) else 200


class V11Call:
    """One request. While `request` is there, it waits to be performed, and its response to come to `receive`.

    When `request` is None, `response` is the answer: at once, for what fails before anything is done. With
    `is_async` or `is_rate_limited`, `accepted` is to be answered, and the call goes on without anybody listening.
    """

    __slots__ = ("_echo", "_response", "_steps", "action", "is_async", "is_rate_limited", "request")

    def __init__(
        self, action: str, steps: Steps, echo: Echo, *, is_async: bool = False, is_rate_limited: bool = False
    ) -> None:
        self.action = action
        self.is_async = is_async
        self.is_rate_limited = is_rate_limited
        self.request: ActionRequest | None = None
        self._steps = steps
        self._echo = echo
        self._response: Json | None = None
        self._advance(lambda: next(steps))

    def __repr__(self) -> str:
        return f"<V11Call {self.action}>"

    @property
    def response(self) -> Json:
        """Return the answer. Raises `StateError` while there is still a request to perform."""
        if self._response is None:
            raise StateError("the call is still under way")
        return self._response

    @property
    def accepted(self) -> Json:
        """Return what is said in place of an answer that nobody waits for."""
        return self._echo.put({"status": "async", "retcode": V11_ASYNC, "data": None})

    def encode(self, encode: Callable[[object], bytes]) -> bytes:
        """Return the answer as bytes, by the codec's `encode`; when it refuses, an answer that says so (20001)."""
        return self._encode(encode, self.response)

    def encode_accepted(self, encode: Callable[[object], bytes]) -> bytes:
        """Return `accepted` as bytes, as `encode` does the answer."""
        return self._encode(encode, self.accepted)

    def refuse(self, error: ActionError) -> None:
        """Let this be the answer; what is still to be done is not."""
        self._steps.close()
        self.request = None
        self._response = failed(error, self._echo)

    def _encode(self, encode: Callable[[object], bytes], response: Json) -> bytes:
        try:
            return encode(response)
        except ActionError as error:
            bad = ActionError(BAD_HANDLER, error.message)
        try:
            return encode(failed(bad, self._echo))
        except ActionError:  # an echo that came in can be so deep, or so large a number, that it cannot go out
            return encode(failed(bad))

    def receive(self, response: Json) -> None:
        """Take the response of OneBot 12 to `request`, and go on to the next request or to the answer."""
        if self.request is None:
            raise StateError("no request of this call is under way")
        if response.get("status") == "ok":
            data = response.get("data")
            self._advance(lambda: self._steps.send(data))
            return
        retcode = response.get("retcode")
        error = ActionError(retcode if isinstance(retcode, int) else BAD_HANDLER, str(response.get("message", "")))
        self._advance(lambda: self._steps.throw(error))

    def _advance(self, resume: Callable[[], ActionRequest]) -> None:
        self.request = None
        try:
            self.request = resume()
        except StopIteration as end:
            self._response = self._echo.put({"status": "ok", "retcode": V11_OK, "data": end.value})
        except ActionError as error:
            self._response = failed(error, self._echo)


def translate_request(value: object, face: Face) -> V11Call:
    """Return what a decoded request sets going. A bad one is a call that has its answer already; nothing is raised."""
    echo = Echo(value["echo"]) if isinstance(value, dict) and "echo" in value else Echo()
    if not isinstance(value, dict) or not isinstance(action := value.get("action"), str):
        return V11Call("", _fail(BAD_REQUEST, "a request is an object with an action, a string"), echo)
    if isinstance(echo.value, list | dict) and echo_of(value) is None:  # what cannot go back must not come in
        return V11Call(action, _fail(BAD_REQUEST, "echo is nested too deeply"), Echo())
    params = {} if value.get("params") is None else value["params"]
    if not isinstance(params, dict):
        return V11Call(action, _fail(BAD_REQUEST, "params has to be an object"), echo)
    name, is_async, is_rate_limited = _split_suffix(action, face)
    run = find_action(name, face.actions)
    steps = _fail(UNSUPPORTED_ACTION, "there is no such action") if run is None else run(params, face)
    return V11Call(name, steps, echo, is_async=is_async, is_rate_limited=is_rate_limited)


def _split_suffix(action: str, face: Face) -> tuple[str, bool, bool]:
    """Take the suffix off, unless an action has it as part of its name."""
    if find_action(action, face.actions) is None:
        if action.endswith(ASYNC_SUFFIX):
            return action.removesuffix(ASYNC_SUFFIX), True, False
        if action.endswith(RATE_LIMITED_SUFFIX):
            return action.removesuffix(RATE_LIMITED_SUFFIX), False, True
    return action, False, False


def _fail(retcode: int, message: str) -> Steps:
    yield from ()
    raise ActionError(retcode, message)


def translate_quick_operation(event: object, operation: object, face: Face) -> V11Call:
    """Return the call for the body with which a posted-to server answered an event."""
    return translate_request({"action": QUICK_OPERATION, "params": {"context": event, "operation": operation}}, face)
