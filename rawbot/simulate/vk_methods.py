"""The API: POST /method/NAME, a form in, JSON out. Faults can be ordered, each for so many calls of a method.

Layer 3 (simulate). Sources: dev.vk.com/ru/api/api-requests, dev.vk.com/ru/reference/errors.
"""

import inspect
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import parse_qsl

import orjson

from rawbot.exchange import Request, Response
from rawbot.simulate import vk_methods_files as files
from rawbot.simulate import vk_methods_groups as groups
from rawbot.simulate import vk_methods_messages as messages
from rawbot.simulate.vk_call import Call
from rawbot.simulate.vk_callbacks import CallbackSender
from rawbot.simulate.vk_execute import parse_code
from rawbot.simulate.vk_rules import FAULTS_OF_CALLERS, ApiError, JsonObject, parse_version
from rawbot.simulate.vk_world import Account, Party, World

PREFIX = "/method/"
COMMUNITY_RATE = 20
USER_RATE = 3
"""Calls a second, real seconds."""

_FORM = b"application/x-www-form-urlencoded"
_JSON = b"application/json; charset=utf-8"

Method = Callable[[Call], object]


@dataclass(frozen=True, slots=True)
class Fault:
    """What a call is answered in place of the truth: an error of VK's, an HTTP answer, or nothing (`hang_up`).

    With `carried_out` the call has its effect all the same, and its result gets lost.
    """

    code: int = 0
    response: Response | None = None
    hang_up: bool = False
    carried_out: bool = False
    more: Mapping[str, object] = field(default_factory=dict)
    """Further fields of the error: captcha_sid, captcha_img."""


@dataclass(frozen=True, slots=True)
class Called:
    """A call that came."""

    method: str
    params: dict[str, str] = field(repr=False)
    """Without the token."""
    error: int = 0
    """The code that it was answered; 0 for a result."""


class ApiServer:
    """Carries out calls. `clock` gives real seconds, for rates; with `limit_rates` false nothing is too fast."""

    def __init__(
        self,
        world: World,
        sender: CallbackSender,
        *,
        limit_rates: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.calls: list[Called] = []
        self.faults: dict[str, deque[Fault]] = {}
        """By method, `*` for any."""
        self._world = world
        self._clock = clock
        self._limits = limit_rates
        self._recent: dict[int, deque[float]] = {}
        self._methods = METHODS | {
            "groups.addCallbackServer": partial(groups.add_server, sender=sender),
            "groups.editCallbackServer": partial(groups.edit_server, sender=sender),
        }

    async def receive(self, request: Request) -> Response | None:
        """Answer a request for a path that begins with `PREFIX`; None hangs up."""
        method = request.path.removeprefix(PREFIX)
        params = _read_params(request)
        token = _read_token(request, params)
        fault = self._next_fault(method)
        if fault is not None and not fault.carried_out:
            self._note(Called(method, params, fault.code))
            return self._spoiled(fault, method, params)
        reply, code = await self._reply(method, params, token)
        self._note(Called(method, params, code))
        if fault is not None:
            return self._spoiled(fault, method, params)
        return Response(200, orjson.dumps(reply), _JSON)

    def _note(self, called: Called) -> None:
        self.calls.append(called)
        self._world.called.ring()

    def _next_fault(self, method: str) -> Fault | None:
        for name in (method, "*"):
            if waiting := self.faults.get(name):
                return waiting.popleft()
        return None

    def _spoiled(self, fault: Fault, method: str, params: dict[str, str]) -> Response | None:
        if fault.code:
            error = ApiError(fault.code, more=fault.more)
            return Response(200, orjson.dumps({"error": _error(error, method, params)}), _JSON)
        return None if fault.hang_up else fault.response

    async def _reply(self, method: str, params: dict[str, str], token: str) -> tuple[JsonObject, int]:
        """Return the reply, and the code of its error."""
        try:
            caller = self._admit(token)
            if method == "execute":
                return await self._execute(params, caller), 0
            return {"response": await self._call(method, params, caller)}, 0
        except ApiError as error:
            if error.code in FAULTS_OF_CALLERS:
                self._world.blame(f"{method}: {error.code} {error}")
            return {"error": _error(error, method, params)}, error.code

    async def _execute(self, params: dict[str, str], caller: Party) -> JsonObject:
        version = self._version(params)
        calls, bundled = parse_code(params.get("code", ""))
        results: list[object] = []
        errors: list[JsonObject] = []
        for method, fields in calls:
            try:
                results.append(await self._call(method, {"v": params["v"]} | fields, caller, version))
            except ApiError as error:
                if error.code in FAULTS_OF_CALLERS:
                    self._world.blame(f"execute, {method}: {error.code} {error}")
                results.append(False)
                errors.append({"method": method, "error_code": error.code, "error_msg": str(error)})
        reply: JsonObject = {"response": results if bundled else results[0]}
        return reply | {"execute_errors": errors} if errors else reply

    async def _call(
        self,
        method: str,
        params: dict[str, str],
        caller: Party,
        version: tuple[int, int] | None = None,
    ) -> object:
        carry_out = self._methods.get(method)
        if carry_out is None:
            raise ApiError(3)
        result = carry_out(Call(method, params, version or self._version(params), caller, self._world))
        return await result if inspect.isawaitable(result) else result

    def _version(self, params: Mapping[str, str]) -> tuple[int, int]:
        version = parse_version(params.get("v", ""))
        if version is None:
            raise ApiError(8)
        return version

    def _admit(self, token: str) -> Party:
        """Return who calls. Raises `ApiError` (5, 6)."""
        caller = self._world.caller(token)
        if caller is None:
            raise ApiError(5)
        rate = USER_RATE if isinstance(caller, Account) else COMMUNITY_RATE
        recent = self._recent.setdefault(id(caller), deque(maxlen=rate))
        now = self._clock()
        if self._limits and len(recent) == rate and now - recent[0] < _PERIOD:
            raise ApiError(6)
        recent.append(now)
        return caller


_PERIOD = 0.9
"""Seconds in which calls are counted: a tenth is left for those that the network has pushed together."""

METHODS: dict[str, Method] = {
    "docs.getMessagesUploadServer": files.get_document_server,
    "docs.save": files.save_document,
    "groups.deleteCallbackServer": groups.delete_server,
    "groups.getById": groups.get_by_id,
    "groups.getCallbackConfirmationCode": groups.get_confirmation_code,
    "groups.getCallbackServers": groups.get_servers,
    "groups.getCallbackSettings": groups.get_settings,
    "groups.getLongPollServer": groups.get_long_poll_server,
    "groups.getLongPollSettings": groups.get_long_poll_settings,
    "groups.setCallbackSettings": groups.set_settings,
    "groups.setLongPollSettings": groups.set_long_poll_settings,
    "messages.edit": messages.edit,
    "messages.getLongPollHistory": groups.get_long_poll_history,
    "messages.getLongPollServer": groups.get_user_long_poll_server,
    "messages.send": messages.send,
    "messages.sendMessageEventAnswer": messages.send_event_answer,
    "photos.getMessagesUploadServer": files.get_photo_server,
    "photos.saveMessagesPhoto": files.save_photo,
    "users.get": groups.get_users,
}


def _read_params(request: Request) -> dict[str, str]:
    """Return the fields of query and form; JSON is not looked at."""
    content_type = (request.header(b"content-type") or b"").partition(b";")[0].strip().lower()
    form = request.body.decode("utf-8", "replace") if content_type == _FORM else ""
    pairs = [*parse_qsl(request.query, keep_blank_values=True), *parse_qsl(form, keep_blank_values=True)]
    return dict(pairs)


def _read_token(request: Request, params: dict[str, str]) -> str:
    """Take the token out of the parameters, or of its header."""
    told = params.pop("access_token", "")
    kind, _, token = (request.header(b"authorization") or b"").partition(b" ")
    return token.decode("latin-1").strip() if kind.lower() == b"bearer" else told


def _error(error: ApiError, method: str, params: Mapping[str, str]) -> JsonObject:
    """Return the error as it is told, with what was asked."""
    asked = [{"key": "method", "value": method}, {"key": "oauth", "value": "1"}]
    asked += [{"key": name, "value": value} for name, value in params.items()]
    return {"error_code": error.code, "error_msg": str(error), **error.more, "request_params": asked}
