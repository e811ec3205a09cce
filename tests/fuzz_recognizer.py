"""Whether the recogniser ever reads what h11 or the strict look refuse, or reads it otherwise.

    python tests/fuzz_recognizer.py --seconds 600

looks at drawn and mangled requests until the time is up or Ctrl-C, prints what it counted, and each fault as the bytes
that show it; then it ends with status 1. `--seed` repeats a run. The suite asks the same questions of fewer requests.
"""

import argparse
import contextlib
import random
import runpy
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import h11
from fuzz_requests import RARELY, SOMETIMES, draw_cuts, draw_stream, mangle
from http_corpus import CORPUS, single, tear

from rawbot.errors import ProtocolError
from rawbot.exchange import Request, Response
from rawbot.http.connection import HttpConnection, Phase
from rawbot.http.limits import Limits
from rawbot.http.recognizer import Recognizer

NOW = 1_700_000_000.0
PEER = "192.0.2.1"
CONFORMANCE = Path(__file__).parent / "conformance"
OWED = (False, True)
"""Whether an answer is still owed when more comes in, or is given at once."""


class Reading(NamedTuple):
    """What a reader takes the first request for, and where it sees its end."""

    method: str
    path: str
    query: str
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes
    end: int


@dataclass(frozen=True)
class Setting:
    """How much is taken in, and for whom. `small` is what the body of a request for `/small` may have."""

    limits: Limits = field(default_factory=Limits)
    hosts: frozenset[bytes] | None = None
    small: int = 64 * 1024

    def body_limit(self, request: Request) -> int:
        return self.small if request.path == "/small" else self.limits.max_body_size

    def connection(self, recognizer: Recognizer | None) -> HttpConnection:
        options = {"body_limit": self.body_limit, "hosts": self.hosts, "recognizer": recognizer}
        return HttpConnection(self.limits, peer=PEER, **options)

    def recognizer(self, kind: type[Recognizer] = Recognizer) -> Recognizer:
        return kind(self.limits, body_limit=self.small, ask=self.body_limit, hosts=self.hosts)


TIGHT = Limits(max_target_size=40, max_header_size=150, max_header_count=4, max_body_size=35)
SETTINGS = (
    Setting(),
    Setting(TIGHT, small=3),
    Setting(hosts=frozenset({b"x", b"bot.example", b"[::1]"})),
)


def streams() -> list[bytes]:
    """Return what the corpus and the conformance suite send on their connections."""
    cases = [
        case for path in sorted(CONFORMANCE.glob("test_*.py")) for case in runpy.run_path(str(path))["CASES"].values()
    ]
    return [data for data, _ in CORPUS.values()] + [case.data for case in cases]


# Readers


def recognize(recognizer: Recognizer, data: bytes) -> Reading | None:
    """Return what the recogniser reads at the front, if it reads anything."""
    found = recognizer.read(data, 0, PEER)
    if found is None:
        return None
    request, end = found
    return Reading(request.method, request.path, request.query, tuple(request.headers), request.body, end)


def ask_h11(data: bytes) -> Reading | None:
    """Return what h11 alone reads at the front; None when it refuses that, or waits for more."""
    parser = h11.Connection(h11.SERVER)
    try:
        parser.receive_data(data)
        head = parser.next_event()
        if not isinstance(head, h11.Request) or head.http_version != b"1.1":
            return None
        body = b""
        while isinstance(event := parser.next_event(), h11.Data):
            body += event.data
    except h11.RemoteProtocolError:
        return None
    if not isinstance(event, h11.EndOfMessage):
        return None
    path, _, query = head.target.decode("ascii").partition("?")
    end = len(data) - len(parser.trailing_data[0])
    return Reading(head.method.decode("ascii"), path, query, tuple(head.headers), body, end)


def ask_strictly(data: bytes, setting: Setting) -> Reading | None:
    """Return what a connection without recogniser reads at the front and stays for; None when it does not."""
    connection = setting.connection(None)
    connection.receive_data(data)
    try:
        request = connection.next_request()
    except ProtocolError:
        return None
    if request is None or request.http_version != "1.1" or connection.take_interim():
        return None
    end = len(data) - connection.buffered
    connection.send(Response(200), NOW)
    if connection.phase is not Phase.HEAD:
        return None
    return Reading(request.method, request.path, request.query, tuple(request.headers), request.body, end)


def disagreement(recognizer: Recognizer, data: bytes, setting: Setting) -> str:
    """Return who does not read the front as the recogniser does; "" when all do, or it leaves it to them."""
    reading = recognize(recognizer, data)
    if reading is None:
        return ""
    if reading != ask_h11(data):
        return "h11"
    return "" if reading == ask_strictly(data, setting) else "the strict look"


# Conversations


def converse(pieces: Iterable[bytes], connection: HttpConnection, *, owes: bool) -> list[object]:
    """Return all that is to be seen of a connection: requests, answers and refusals as bytes, what is left, the phase.

    It answers at once; or else, as long as it `owes`, one request a time and only when the next piece has come.
    """
    said: list[object] = []
    for piece in (*pieces, b"", b"", b"", b""):
        connection.receive_data(piece)
        if connection.phase is Phase.ANSWER:
            said.append(connection.send(Response(200, b"late"), NOW))
        while (event := next_event(connection)) is not None:
            said.append(event)
            if owes or connection.phase is Phase.CLOSED:
                break
            said.append(connection.send(Response(200, b"now"), NOW))
        said.append((connection.take_interim(), connection.buffered, connection.idle, connection.phase))
    return said


def next_event(connection: HttpConnection) -> object:
    """Return the next request with all that it says, or the refusal; None when there is nothing."""
    try:
        request = connection.next_request()
    except ProtocolError as error:
        return error.status, str(error), connection.refuse(error, NOW)
    if request is None:
        return None
    start = (request.method, request.path, request.query, request.http_version, request.peer, request.scheme)
    return *start, tuple(request.headers), request.body


def differ(pieces: list[bytes], setting: Setting, recognizer: Recognizer, *, owes: bool) -> bool:
    """Tell whether a connection with the recogniser says anything else than one without."""
    with_it, without = (converse(pieces, setting.connection(one), owes=owes) for one in (recognizer, None))
    return with_it != without


# The run


@dataclass
class Count:
    """What a run has come to."""

    streams: int = 0
    recognized: int = 0
    left: int = 0
    faults: int = 0

    def __str__(self) -> str:
        requests = f"{self.recognized:,} requests recognised, {self.left:,} times left to the others"
        return f"{self.streams:,} streams, {requests}, {self.faults:,} faults"


def look(data: bytes, pieces: list[bytes], setting: Setting, count: Count, *, owes: bool) -> str:
    """Compare the readings of one stream, request after request, then the conversations; return what is at fault."""
    recognizer, rest = setting.recognizer(), data
    count.streams += 1
    while (reading := recognize(recognizer, rest)) is not None:
        count.recognized += 1
        if fault := disagreement(recognizer, rest, setting):
            return f"{fault} reads {rest!r} otherwise, under {setting}"
        rest = rest[reading.end :]
    count.left += bool(rest)
    if differ(pieces, setting, recognizer, owes=owes):
        return f"a connection without recogniser says something else to {pieces!r}, {owes=}, under {setting}"
    return ""


def run(chance: random.Random, seconds: float, count: Count) -> None:
    """Look at streams until the time is up, and print each fault."""
    known = streams()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        data = chance.choice(known) if chance.choice(SOMETIMES) else draw_stream(chance.choice)
        if chance.choice(SOMETIMES):
            data = mangle(chance.choice, data)
        pieces = single(data) if chance.choice(RARELY) else tear(data, draw_cuts(chance.choice, data))
        if chance.choice(SOMETIMES):
            pieces = [data]
        owes = chance.choice(OWED)
        try:
            fault = look(data, pieces, chance.choice(SETTINGS), count, owes=owes)
        except Exception as error:  # noqa: BLE001 - nothing that is sent may raise anything
            fault = f"{error!r} is raised for {data!r} in {pieces!r}"
        if fault:
            count.faults += 1
            sys.stdout.write(f"{fault}\n")


def main(arguments: list[str] | None = None) -> int:
    """Return 1 when there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=600.0, help="how long it looks (default: 600)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32), help="repeats a run")
    options = parser.parse_args(arguments)
    sys.stdout.write(f"seed {options.seed}, Python {sys.version.split()[0]}, h11 {h11.__version__}\n")
    count = Count()
    with contextlib.suppress(KeyboardInterrupt):
        run(random.Random(options.seed), options.seconds, count)
    sys.stdout.write(f"{count}\n")
    return 1 if count.faults else 0


if __name__ == "__main__":
    sys.exit(main())
