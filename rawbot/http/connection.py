"""One HTTP/1.1 connection without IO: bytes in, whole requests out, responses to bytes.

Layer 2, pure. Which bytes belong to which part of a request, and what is owed, is decided here; the rules for them
stand beside:

- A common request that is there in one piece is known by `recognizer`. Of all others the head is looked at strictly in
  `heads`, then parsed by h11 unless its fields are known from an earlier one.
- A body whose length the head tells is as many bytes; one in chunks is decoded in `chunks`. Responses are written in
  `responses`.
- The next request is not parsed before the answer to the last one was sent. So pipelined requests are answered in
  order, and what they cost is their bytes in one buffer, which the shell keeps short by not reading on.

        ┌────────────── send ──────────────┐
        ▼     (recognised)                 │
      HEAD ─────────────▶ ANSWER (owed) ───┴─▶ CLOSED
        ├──────▶ BODY ──────▲                  ▲
        └─────────┴── any error: refuse ───────┘
"""

import enum
from collections.abc import Callable

import h11

from rawbot.errors import LimitError, ProtocolError, StateError
from rawbot.exchange import Request, Response
from rawbot.http.chunks import ChunkedBody
from rawbot.http.heads import METHODS, Head, HeadReader
from rawbot.http.limits import Limits
from rawbot.http.recognizer import Recognizer
from rawbot.http.responses import CONTINUE, UPGRADE_REQUIRED, encode_response, refusal


class Phase(enum.IntEnum):  # an Enum is hashed in Python: 0.25 µs for each move
    """What the connection waits for."""

    HEAD = enum.auto()
    BODY = enum.auto()
    ANSWER = enum.auto()
    CLOSED = enum.auto()


# Names of their own: to look into the class costs 0.1 µs each time (CPython 3.11), and a request does so twelve times.
HEAD, BODY, ANSWER, CLOSED = Phase

_MOVES = {
    HEAD: (BODY, ANSWER, CLOSED),
    BODY: (ANSWER, CLOSED),
    ANSWER: (HEAD, CLOSED),
    CLOSED: (),
}


class HttpConnection:
    """The server's side of one connection.

    Call `receive_data` with what came, then `next_request` until it returns None; answer each request with `send`
    before asking for the next. `peer` is put into every request.

    `body_limit` is given a request whose body is still to come, and tells how many bytes that may have; without it
    `limits.max_body_size` holds for all. `hosts`, lower-case names without port, are the ones that are answered for,
    None for any: others get 421. `methods` are all that are known: others get 501. Without a `recognizer` every request
    goes through the strict look and h11.
    """

    __slots__ = (
        "_at", "_body_limit", "_body_size", "_buffer", "_chunks", "_fresh", "_head_only", "_heads", "_keep", "_limits",
        "_peer", "_recognizer", "_request", "_staying", "_waits", "phase",
    )  # fmt: skip

    def __init__(
        self,
        limits: Limits,
        *,
        peer: str = "",
        body_limit: Callable[[Request], int] | None = None,
        hosts: frozenset[bytes] | None = None,
        methods: frozenset[bytes] = METHODS,
        recognizer: Recognizer | None = None,
    ) -> None:
        self.phase = HEAD
        self._limits = limits
        self._peer = peer
        self._body_limit = body_limit
        self._heads = HeadReader(limits, hosts=hosts, methods=methods)
        self._recognizer = recognizer
        self._fresh = b""
        """What came while nothing was there. From `_at` on it is to be recognised, or else goes to the buffer."""
        self._at = 0
        self._buffer = bytearray()
        self._request: Request | None = None
        self._body_size = 0
        self._chunks: ChunkedBody | None = None
        self._head_only = False
        self._keep = False
        self._staying: bytes | None = None
        self._waits = False

    @property
    def buffered(self) -> int:
        """How many bytes wait to be parsed."""
        return len(self._buffer) + len(self._fresh) - self._at

    @property
    def held(self) -> int:
        """How many bytes are held, of a body whose chunks are taken apart among them."""
        # all of what is fresh: it stays in memory till its last request was read
        return len(self._buffer) + len(self._fresh) + (0 if self._chunks is None else self._chunks.size)

    @property
    def idle(self) -> bool:
        """Whether nothing of a request is there and nothing is owed."""
        return self.phase is HEAD and not self._buffer and not self._fresh

    def receive_data(self, data: bytes) -> None:
        """Take in what the peer sent. Behind its last request it is thrown away (RFC 9112, section 9.6)."""
        phase = self.phase
        if phase is HEAD and self._recognizer is not None and not (self._fresh or self._buffer or self._heads.begun):
            self._fresh = data
        elif phase is not CLOSED and (phase is not ANSWER or self._keep):
            self._spill()
            self._buffer += data

    def next_request(self) -> Request | None:
        """Return the next whole request, or None while it is not there or an answer is owed.

        Raises `ProtocolError` or `LimitError`, to be answered with `refuse`.
        """
        if self.phase is HEAD:
            if self._fresh:
                if (request := self._recognize(self._fresh)) is not None:
                    return request
                self._spill()
            if not self._buffer or not self._begin():
                return None
        if self.phase is BODY:
            return self._read_body()
        return None

    def take_interim(self) -> bytes:
        """Return "100 Continue" once when the client waits for it before it sends the body, else b""."""
        if not self._waits or self.phase is not BODY:
            return b""
        self._waits = False
        return CONTINUE

    def send(self, response: Response, now: float, *, close: bool = False) -> bytes:
        """Return the answer that is owed. Afterwards the phase tells whether the connection stays."""
        if self.phase is not ANSWER:
            raise StateError("no answer is owed")
        keep = self._keep and not close
        connection = self._staying if keep else b"close"
        if response.status == UPGRADE_REQUIRED.status:  # RFC 9110, section 7.8: Upgrade is a field of this hop
            connection = b"upgrade" if keep else b"close, upgrade"
        data = encode_response(response, now, head_only=self._head_only, connection=connection)
        self._move(HEAD if keep else CLOSED)
        return data

    def refuse(self, error: ProtocolError, now: float) -> bytes:
        """Return the answer to what `next_request` raised; the connection is over."""
        self._spill()
        if self.phase is HEAD:  # what is refused may be no request yet, but HEAD gets no content in any case
            self._head_only = self._buffer.startswith(b"HEAD ")
        self._move(CLOSED)
        return encode_response(refusal(error), now, head_only=self._head_only, connection=b"close")

    def detach(self) -> bytes:
        """Return what came behind the request that is owed an answer: the connection becomes something else."""
        self._spill()
        rest = bytes(self._buffer)
        self._move(CLOSED)
        return rest

    def _move(self, phase: Phase) -> None:
        if phase not in _MOVES[self.phase]:
            raise StateError(f"a connection cannot go from {self.phase.name} to {phase.name}")
        self.phase = phase
        if phase is CLOSED:
            self._buffer.clear()
            self._fresh, self._at = b"", 0
            self._request = self._chunks = None

    def _recognize(self, fresh: bytes) -> Request | None:
        """Take a common request from what is fresh."""
        if self._recognizer is None or (found := self._recognizer.read(fresh, self._at, self._peer)) is None:
            return None
        request, end = found
        if end == len(fresh):
            self._fresh, self._at = b"", 0
        else:
            self._at = end
        self._head_only = request.method == "HEAD"
        self._keep = True
        self._staying = None
        self._move(ANSWER)
        return request

    def _spill(self) -> None:
        """Let what is fresh go the long way."""
        if self._fresh:
            self._buffer += self._fresh[self._at :]
            self._fresh, self._at = b"", 0

    def _begin(self) -> bool:
        """Parse the head once it is whole. One that is at fault stays in the buffer, where `refuse` looks at it."""
        head = self._heads.read(self._buffer)
        if head is None:
            return False
        section = head.section
        if not section.accepted:
            _ask_h11(head)
            section.accepted = True
        self._request = request = Request(
            head.method.decode("ascii"), head.path, head.query, section.fields, b"", head.version, self._peer
        )
        length = section.length or 0
        if section.chunked or length:
            limit = self._limits.max_body_size if self._body_limit is None else self._body_limit(request)
            if length > limit:
                raise LimitError("the body is too long")
            self._chunks = ChunkedBody(self._limits, limit) if section.chunked else None
        del self._buffer[: len(head.data)]
        self._body_size = length
        self._head_only = request.method == "HEAD"
        self._keep = section.keep
        self._staying = b"keep-alive" if request.http_version == "1.0" else None
        self._waits = section.waits
        self._move(BODY)
        return True

    def _read_body(self) -> Request | None:
        """Take a counted body as it is; a chunked one is decoded as it comes."""
        body: bytes | None = b""
        if self._chunks is not None:
            body = self._chunks.receive(self._buffer)
        elif len(self._buffer) < self._body_size:
            body = None
        elif self._body_size:
            body = bytes(self._buffer[: self._body_size])
            del self._buffer[: self._body_size]
        request = self._request
        if body is None or request is None:
            return None
        request.body = body
        self._request = self._chunks = None
        if not self._keep:
            self._buffer.clear()
        self._move(ANSWER)
        return request


def _ask_h11(head: Head) -> None:
    """Ask h11, which has the last word on whether this is a request; one object for each, used for reading only.

    Its own list of fields is not taken, which would be made anew (1 µs): a property test holds it equal to ours. Lines
    that it has accepted before are not given to it again. The same test shows that it accepts whatever passes the look,
    so nothing passes for having been remembered.
    """
    parser = h11.Connection(h11.SERVER)
    try:
        parser.receive_data(head.data)
        event = parser.next_event()
    except h11.RemoteProtocolError as error:
        # h11's own text quotes the peer's bytes, which may hold a secret
        raise ProtocolError("the request breaks HTTP/1.1", status=error.error_status_hint) from None
    if not isinstance(event, h11.Request):
        raise ProtocolError("not an HTTP request")
