"""VK behind its API, played by the test: dialogs that remember a random_id, buttons that wait, files, and faults."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import orjson
from vk_samples import GROUP, SECRET, USER, Json, encode

from rawbot.event import Event
from rawbot.exchange import Answer, Pending, Promise, Request, Response
from rawbot.vk.endpoint import VKEndpoint
from rawbot.vk.errors import PeerError, ShutdownError, VKError
from rawbot.vk.settings import VKGroup
from rawbot.vk.uploads import Kind

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
JPG = b"\xff\xd8\xff\xe0" + bytes(40)
NOW = 1_767_225_600.0

OnDone = Callable[[object], None]


@dataclass(eq=False)
class Call:
    """A call that was made, and who waits for its answer."""

    method: str
    params: Json
    on_done: OnDone = field(repr=False)
    answered: bool = False


@dataclass
class Shown:
    """A message as the user sees it."""

    text: str
    random_id: int
    edits: int = 0
    attachment: object = None
    keyboard: object = None


class FakeApi:
    """An API client without a network. Calls are answered at once, or with `held` when the test does.

    `faults` are what the next calls of a method are answered in place of the truth.
    """

    deadline = float("inf")
    promise: Callable[[], Promise] | None = None

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.held = False
        self.closed = False
        self.queued = 0
        """What `waiting` tells."""
        self.dialogs: dict[int, list[Shown]] = {}
        self.answers: list[Json] = []
        """What buttons were answered."""
        self.files: list[tuple[str, bytes]] = []
        self.faults: dict[str, list[object]] = {}
        self.code: object = {"code": "12ab34cd"}
        self.replies: dict[str, Callable[[Json], object]] = {}
        """What other methods are answered."""

    # What the endpoint does with it

    def start(self) -> None:
        self.closed = False

    def tick(self, now: float) -> None:
        pass

    def figures(self) -> list[object]:
        return []

    def waiting(self) -> int:
        return self.queued

    def submit(self, method: str, params: Mapping[str, object], on_done: OnDone) -> None:
        orjson.dumps(dict(params))  # whatever cannot be sent must not come
        call = Call(method, dict(params), on_done)
        self.calls.append(call)
        if self.closed:
            self.answer(call, ShutdownError(0, "closed", method))
        elif not self.held:
            self.answer(call)

    def upload(self, kind: Kind, data: bytes, name: str, params: Mapping[str, object], on_done: OnDone) -> None:
        self.submit("upload " + kind.field, {**params, "name": name, "data": data.decode("latin-1")}, on_done)

    # What the test does with it

    @property
    def open(self) -> list[Call]:
        return [call for call in self.calls if not call.answered]

    @property
    def methods(self) -> list[str]:
        return [call.method for call in self.calls]

    def answer(self, call: Call | None = None, outcome: object = None) -> None:
        """Answer a call, the oldest that is open, with the truth or with this."""
        call = call or self.open[0]
        assert not call.answered
        call.answered = True
        faults = self.faults.get(call.method)
        if outcome is None:
            outcome = faults.pop(0) if faults else self._carry_out(call.method, call.params)
        call.on_done(outcome)

    def answer_all(self) -> None:
        while self.open:
            self.answer()

    def close(self) -> None:
        """End all that is open, as the shell does at last."""
        self.closed = True
        for call in self.open:
            self.answer(call, ShutdownError(0, "closed", call.method))

    def texts(self, peer_id: int = USER) -> list[str]:
        return [shown.text for shown in self.dialogs.get(peer_id, [])]

    def _carry_out(self, method: str, params: Json) -> object:
        if method == "messages.send":
            return self._send(params)
        if method == "messages.edit":
            shown = self.dialogs[params["peer_id"]][params["conversation_message_id"] - 1]
            shown.text, shown.edits = params["message"], shown.edits + 1
            shown.attachment, shown.keyboard = params.get("attachment"), params.get("keyboard")
            return 1
        if method == "messages.sendMessageEventAnswer":
            self.answers.append(params)
            return 1
        if method.startswith("upload"):
            self.files.append((params["name"], params["data"].encode("latin-1")))
            return f"photo-{GROUP}_{len(self.files)}"
        if method == "groups.getCallbackConfirmationCode":
            return self.code
        return self.replies[method](params)

    def _send(self, params: Json) -> object:
        dialog = self.dialogs.setdefault(params["peer_ids"], [])
        text = params.get("message", "")
        assert text.strip() or params.get("attachment")
        assert len(text) <= 9000
        found = [shown for shown in dialog if shown.random_id == params["random_id"]]
        if not found:
            dialog.append(Shown(text, params["random_id"], 0, params.get("attachment"), params.get("keyboard")))
            found = dialog[-1:]
        number = dialog.index(found[0]) + 1
        return [{"peer_id": params["peer_ids"], "message_id": 100 + number, "conversation_message_id": number}]


def refused(code: int = 901, peer_id: int = USER) -> list[object]:
    """Return the answer of messages.send to one dialog that it does not reach."""
    error = PeerError(code, "no permission", "messages.send")
    error.peer_id = peer_id
    return [error]


def failed(code: int = 10) -> VKError:
    return VKError(code, "it is so")


def request(body: bytes | Json, *, tries: int = 0, method: str = "POST") -> Request:
    """Return a callback as VK sends it."""
    fields = [(b"host", b"bot.example"), (b"content-type", b"application/json")]
    if tries:
        fields.append((b"x-retry-counter", b"%d" % tries))
    return Request(method, "/webhook", headers=fields, body=body if isinstance(body, bytes) else encode(body))


class Door:
    """An endpoint with a fake API, whose bot is the test: events are kept in `events` till it handles them."""

    def __init__(self, **options: object) -> None:
        groups = options.pop("groups", None) or {
            GROUP: VKGroup(secret=SECRET, confirmation="12ab34cd", **_own(options))
        }
        self.api = options.pop("api", None) or FakeApi()
        apis = options.pop("apis", {GROUP: self.api})
        self.endpoint = VKEndpoint(groups, apis=apis, **options)
        self.now = NOW
        self.events: list[Event] = []
        self.endpoint.dispatch = self.events.append
        self.endpoint.start(self.now)

    def post(self, body: bytes | Json, *, tries: int = 0) -> Response:
        exchange = self.endpoint.receive(request(body, tries=tries), self.now)
        if isinstance(exchange, Pending):
            exchange.attach(lambda: None)
            return exchange.answer(self.now)
        assert isinstance(exchange, Answer)
        if exchange.event is not None:
            self.events.append(exchange.event)
        return exchange.response

    def take(self, body: bytes | Json, *, tries: int = 0) -> Event:
        """Post what is to be taken on."""
        before = len(self.events)
        response = self.post(body, tries=tries)
        assert (response.status, response.body) == (200, b"ok")
        (event,) = self.events[before:]
        return event

    def repeat(self, body: bytes | Json, *, tries: int = 1) -> None:
        """Post what is to be acknowledged and not to be handled again."""
        before = len(self.events)
        response = self.post(body, tries=tries)
        assert (response.status, response.body) == (200, b"ok")
        assert len(self.events) == before

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.endpoint.tick(self.now)


def _own(options: dict[str, object]) -> dict[str, object]:
    return {name: options.pop(name) for name in ("stream",) if name in options}
