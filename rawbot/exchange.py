"""The hall: the few types that cross between a platform's wing and the asyncio shell.

Layer 1. The wings do not know asyncio and the shell does not know platforms; both know this file. Nothing here does
IO, reads a clock or logs: time comes in as `now`, Unix seconds.

The shell gives a `Request` to an `Endpoint` and gets an exchange back: an `Answer` to write now, or a `Pending` to
write when the bot has spoken or the deadline has come. Either may carry an `Event` for the bot, which the shell starts
after the write. What has to be sent out by ourselves waits in a `Source`, and a WebSocket that is to be opened by
ourselves is a `Dial`. What has any of these is a `Service`; an `Endpoint` is a service that answers on a path.
"""

import math
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal, NamedTuple, Protocol

from rawbot.errors import ProtocolError, StateError
from rawbot.event import Event, Fetch, Handlers

Headers = Sequence[tuple[bytes, bytes]]
"""Header fields in the order of arrival, names in lower case."""


@dataclass(slots=True)
class Request:
    """One whole HTTP request, body included."""

    method: str
    path: str
    """The path as sent: neither percent-decoded nor normalised."""
    query: str = ""
    """What stood behind the first `?`, not decoded."""
    headers: Headers = ()
    body: bytes = b""
    http_version: str = "1.1"
    peer: str = ""
    """The client's address: the connection's, or what a trusted proxy tells; empty for a Unix socket."""
    scheme: str = "http"
    """`http` or `https`, as the client spoke it."""
    certificate: Mapping[str, object] | None = None
    """The client's certificate when it showed one under TLS, as `ssl.SSLSocket.getpeercert` gives it."""

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.path}>"  # query and body are the peer's secrets

    def header(self, name: bytes) -> bytes | None:
        """Return the first value of a field, asked for in lower case, or None."""
        first: Callable[[bytes], bytes | None] | None = getattr(self.headers, "first", None)
        if first is not None:
            return first(name)
        for key, value in self.headers:
            if key == name:
                return value
        return None


@dataclass(slots=True)
class FileRegion:
    """A part of an open file, as the body of a response. Whoever got the response closes the file."""

    file: BinaryIO
    offset: int
    count: int
    """Bytes from `offset` on."""

    def close(self) -> None:
        """Close the file."""
        self.file.close()


@dataclass(slots=True)
class Response:
    """One HTTP response. The shell adds Date, Content-Length and, where due, Connection."""

    status: int
    body: bytes = b""
    content_type: bytes = b"text/plain; charset=utf-8"
    headers: Headers = ()
    region: FileRegion | None = None
    """The body, in place of `body`, when it is a file's: sent by `loop.sendfile` where the transport can."""

    def __repr__(self) -> str:
        return f"<Response {self.status}, {len(self.body)} bytes>"


@dataclass(slots=True)
class Answer:
    """Say this now, then tell the bot."""

    response: Response
    event: Event | None = None
    error: ProtocolError | None = None
    """Why the request was refused: for the log, never for the peer."""


class Pending:
    """Not yet: `respond(now)` makes the response once the bot has called `wake`, or at `deadline`.

    The shell calls `attach` once and, when told that it is ready or when the deadline has come, `answer`. A peer that
    went away is reported with `abandon`; waking it afterwards does nothing.
    """

    __slots__ = ("_deliver", "_over", "_ready", "_respond", "deadline", "event", "needs_reader")

    def __init__(
        self, event: Event | None, deadline: float, respond: Callable[[float], Response], *, needs_reader: bool = False
    ) -> None:
        self.event = event
        self.deadline = deadline
        self.needs_reader = needs_reader
        """Whether a client that closes its side of the connection is taken for gone: for an answer that takes something
        away, since of those who close their side nearly all have gone wholly."""
        self._respond = respond
        self._deliver: Callable[[], None] | None = None
        self._ready = False
        self._over = False

    @property
    def over(self) -> bool:
        """Whether it was answered or abandoned."""
        return self._over

    def attach(self, deliver: Callable[[], None]) -> None:
        """Name whom to tell, at once if `wake` came first."""
        self._deliver = deliver
        if self._ready and not self._over:
            deliver()

    def wake(self) -> None:
        """Tell the shell, in this very call, that the answer is there."""
        if self._ready or self._over:
            return
        self._ready = True
        if self._deliver is not None:
            self._deliver()

    def answer(self, now: float) -> Response:
        """Make the response. Called once."""
        if self._over:
            raise StateError("this request was answered or abandoned before")
        self._over = True
        self._deliver = None
        return self._respond(now)

    def abandon(self) -> None:
        """Forget it: nobody waits for the answer any more."""
        self._over = True
        self._deliver = None


class EncodedText(bytes):
    """A message of a WebSocket that is text, in UTF-8 already: one encoding serves any number of channels."""

    __slots__ = ()


class Channel:
    """Both ways at any time: a WebSocket after its handshake, whoever dialled. Subclass it; only `receive` must be.

    The shell calls `opened` once, `receive` for each whole message, `closed` once at the end, and takes what is to be
    sent with `to_send` after each of these calls and whenever the channel has called `on_ready`. Where the handshake is
    refused, neither `opened` nor `closed` is called: so a channel registers itself in `opened` only.
    """

    on_ready: Callable[[], None] | None = None
    """Set by the shell. Call it, outside of the shell's calls, when something is to be sent or `closing` was set."""
    closing: tuple[int, str] | None = None
    """Set by the channel to end it: the WebSocket close code and a reason; what waits to be sent goes out before."""
    patient = False
    """Whether it keeps what is to be sent until the peer reads, and bounds that by itself: then `to_send` is asked only
    while the peer reads, and what it yields is taken one by one. Else all is taken at once and bounded by the shell."""
    hears_on = False
    """Whether a patient one takes messages while the peer does not read; it bounds what it owes for them by itself."""

    def opened(self, now: float) -> None:
        """Begin."""

    def receive(self, message: bytes | str, now: float) -> Sequence[Event]:
        """Take a message, text as str; return what the bot is to be told."""
        raise NotImplementedError

    def to_send(self) -> Iterable[bytes | str]:
        """Give the messages that are to be sent now, each once."""
        return ()

    def closed(self, code: int, now: float) -> None:
        """Be told that it is over: the close code of RFC 6455, section 7.4; 1006 when the connection just broke."""


@dataclass(slots=True)
class Upgrade:
    """From here on the connection is a WebSocket; a request that asked for none is answered 426 by the shell."""

    channel: Channel
    subprotocol: str | None = None
    """The one chosen of those that the request offers."""
    headers: Headers = ()
    """More fields for the handshake's answer."""
    max_size: int | None = None
    """Bytes that a message may have, in place of what the app's settings say."""


Exchange = Answer | Pending | Upgrade
"""What an endpoint makes of a request."""


class Figure(NamedTuple):
    """A number that an endpoint shows to metrics."""

    name: str
    """In lower case with underscores; of counters without "_total"."""
    kind: Literal["gauge", "counter"]
    value: float
    help: str
    labels: tuple[tuple[str, str], ...] = ()


class Promise(Protocol):
    """A result that is still to come, and can be awaited: a future of the loop's."""

    def __await__(self) -> Generator[Any, None, Any]:
        """Wait for it."""

    def done(self) -> bool:
        """Tell whether it is there, or nobody waits for it any more."""

    def set_result(self, result: Any, /) -> None:  # noqa: ANN401 - whatever it is
        """Let it be this."""

    def set_exception(self, exception: BaseException, /) -> None:
        """Let whoever waits for it get this raised."""


@dataclass(slots=True)
class OutgoingRequest:
    """An HTTP request that we make."""

    method: str
    url: str
    body: bytes
    headers: Headers
    expires_at: float
    """Unix time after which sending it is useless."""
    tries: int = 0
    """How often it was sent in vain."""
    read_timeout: float | None = None
    """Seconds of silence after which the peer is given up, in place of the client's: for a long poll."""
    max_response: int | None = None
    """Bytes kept of the answer's body, in place of the client's."""
    disposable: bool = False
    """Whether nothing is lost when the end cuts it off: it only waits for news."""

    def __repr__(self) -> str:
        return f"<OutgoingRequest {self.method}>"


class Source:
    """Outgoing requests of a wing, sent by the shell, any number at a time."""

    enabled = False
    """Set by the shell while it sends what is here. As long as it is not, the wing must not count on being heard."""
    on_ready: Callable[[], None] | None = None
    """Set by the shell: called when `next_request` has something new."""
    deadline = math.inf
    """Unix time at which `next_request` is to be asked again without `on_ready` having been called."""
    trusted = False
    """Whether its URLs are the operator's own: they may lead anywhere, by http as well. Those of peers may not."""

    def waiting(self) -> int:
        """Count what waits to be sent, for the first time or again."""
        return 0

    def next_request(self, now: float) -> OutgoingRequest | None:
        """Return the next request to send, or None."""
        raise NotImplementedError

    def receive(self, request: OutgoingRequest, response: Response | None, now: float) -> bool:
        """Take the response, or None when the request surely never reached the peer and may be tried again.

        Returns False when what was to be said is lost by this: for the log.
        """
        raise NotImplementedError


class Dial:
    """A WebSocket that we open: at once, and again whenever it has ended, for as long as the app runs."""

    def __init__(
        self,
        url: str,
        *,
        headers: Headers = (),
        subprotocols: Sequence[str] = (),
        interval: float = 5.0,
        max_size: int | None = None,
    ) -> None:
        self.url = url
        """`ws://` or `wss://`; the operator's own, so it may lead anywhere."""
        self.headers = headers
        """More fields for the handshake's request."""
        self.subprotocols = subprotocols
        """What is offered; the server need not choose any."""
        self.interval = interval
        """Seconds from an end, or a failure, to the next try."""
        self.max_size = max_size
        """Bytes that a message may have, in place of what the app's settings say."""

    def __repr__(self) -> str:
        return "<Dial>"  # URL and fields may hold a token

    def open(self) -> Channel:
        """Return the channel for one connection, asked for when its handshake has been accepted."""
        raise NotImplementedError


class Service:
    """What takes part in an app's life: it has something to send, to open, to do as time passes, or to hear."""

    sources: Sequence[Source] = ()
    dials: Sequence[Dial] = ()
    handlers: Handlers | None = None
    """Who hears of its events, when that is not a bot of the app's."""
    needs_bot = False
    """Whether it ever has something to tell a bot of the app's."""
    hears = False
    """Whether `hear` is to be called."""
    deadline = math.inf
    """Unix time at which `tick` is called, be it before its second is over. It is looked at after each tick, so one
    that is set in between is kept to the second."""
    fetch: Fetch | None = None
    """Set by the shell: how to download."""
    promise: Callable[[], Promise] | None = None
    """Set by the shell: makes something that can be awaited."""
    dispatch: Callable[[Event], None] | None = None
    """Set by the shell: tells the handlers of an event, outside of the calls that return one."""
    keeps_state = False
    """Whether requests must reach the process that got the earlier ones; then it cannot run in several workers."""

    def start(self, now: float) -> None:
        """Take on work, for the first time or again after `drain`: a shell begins."""

    def tick(self, now: float) -> None:
        """Do what time alone brings about: time-outs, forgetting. Called about once a second, and at `deadline`."""

    def drain(self, now: float) -> None:
        """Take on nothing new, but go on answering for what is open."""

    def hear(self, event: Event) -> None:
        """Be told of an event of any endpoint of the app's, before its handler is."""

    def figures(self) -> Iterable[Figure]:
        """Return the numbers to be watched from outside."""
        return ()

    def unsettled(self) -> int:
        """Count the conversations whose end the peer has not fetched yet; shutdown waits for them a little."""
        return 0


class Endpoint(Service):
    """A platform's door: subclass it for a new platform. Only `receive` must be written."""

    methods: tuple[str, ...] = ("GET", "POST")
    """What is let in; anything else is answered 405 by the shell."""
    below = False
    """Whether it also answers for every path below the one that it is added with."""
    needs_bot = True
    max_body_size: int | None = None
    """Bytes that a request's body may have, in place of what the app's limits say."""
    mounted_at = ""
    """The path that it was added with; set by the shell."""

    def receive(self, request: Request, now: float) -> Exchange:
        """Answer a request. Bad input is an `Answer` too, made with `refuse`; nothing is raised for it."""
        raise NotImplementedError


REFUSED = b"request refused\n"
"""The body of every refusal by an endpoint: which step failed is for the log."""


def refuse(error: ProtocolError) -> Answer:
    """Turn blame on the peer into an answer: its status, and a body that tells nothing."""
    error.__traceback__ = error.__context__ = None  # they hold frames, which hold this answer: a cycle for each refusal
    return Answer(Response(error.status, REFUSED, headers=error.headers), error=error)
