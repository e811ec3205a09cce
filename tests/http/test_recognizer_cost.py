"""rawbot/http/recognizer.py: what a look costs grows with the length of what is looked at, however hostile that is."""

from collections.abc import Callable, Iterator
from re import _constants as opcodes
from re import _parser as parser
from time import process_time

import pytest
from fuzz_recognizer import NOW
from http_corpus import A_GET, HOST, post

from rawbot.exchange import Response
from rawbot.http import recognizer as module
from rawbot.http.connection import HttpConnection
from rawbot.http.limits import Limits
from rawbot.http.recognizer import Recognizer

WIDE = Limits(max_target_size=1 << 23, max_header_size=1 << 24, max_header_count=1 << 20, max_body_size=1 << 24)
RECOGNIZER = Recognizer(WIDE, body_limit=1 << 24)
KILO = 1024
START = A_GET[:-2]
CUT = {True: b"\r\n", False: b""}

Make = Callable[[int], bytes]


def many(line: bytes) -> Make:
    """Make heads of as many such lines as fit, without an end."""
    return lambda n: START + line * (n // len(line))


HOSTILE: dict[str, Make] = {
    "a long path": lambda n: b"GET /" + b"a" * n + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "a path without an end": lambda n: b"GET /" + b"a" * n,
    "a path of question marks": lambda n: b"GET /" + b"?" * n + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "a query without an end": lambda n: b"GET /?" + b"a?" * (n // 2),
    "a target of what may be a version": lambda n: b"GET /" + b" HTTP/1.1" * (n // 9),
    "a method without an end": lambda n: b"G" * n,
    "blanks before a target": lambda n: b"GET " + b" " * n + b"/",
    "a long value": lambda n: START + b"A: " + b"a" * n + b"\r\n\r\n",
    "a value without an end": lambda n: START + b"A: " + b"a" * n,
    "a value with a NUL at its end": lambda n: START + b"A: " + b"a" * n + b"\x00\r\n\r\n",
    "a value of blanks": lambda n: START + b"A:" + b" \t" * (n // 2) + b"\r\n\r\n",
    "a long name": lambda n: START + b"a" * n + b": b\r\n\r\n",
    "a name without a colon": lambda n: START + b"a" * n + b"\r\n\r\n",
    "a name without an end": lambda n: START + b"a" * n,
    "a long host": lambda n: b"GET / HTTP/1.1\r\nHost: " + b"a." * (n // 2) + b"\r\n\r\n",
    "a long host that is none": lambda n: b"GET / HTTP/1.1\r\nHost: " + b"a" * n + b"/\r\n\r\n",
    "a long port": lambda n: b"GET / HTTP/1.1\r\nHost: x:" + b"1" * n + b"\r\n\r\n",
    "ports behind ports": lambda n: b"GET / HTTP/1.1\r\nHost: x" + b":1" * (n // 2) + b"\r\n\r\n",
    "blanks before a host": lambda n: b"GET / HTTP/1.1\r\nHost:" + b" " * n + b"/\r\n\r\n",
    "blanks behind a host": lambda n: b"GET / HTTP/1.1\r\nHost: x" + b"\t " * (n // 2) + b"/\r\n\r\n",
    "a long length": lambda n: START + b"Content-Length: " + b"9" * n + b"\r\n\r\n",
    "zeros before a length": lambda n: START + b"Content-Length: " + b"0" * n + b"1\r\n\r\n",
    "blanks around a length": lambda n: (
        START + b"Content-Length:" + b" " * (n // 2) + b"1" + b" " * (n // 2) + b"x\r\n\r\n"
    ),
    "blanks around keep-alive": lambda n: START + b"Connection:" + b" " * n + b"keep-alive" + b"\t" * n + b",\r\n\r\n",
    "many fields": lambda n: many(b"A: b\r\n")(n) + b"\r\n",
    "many fields without an end": many(b"A: b\r\n"),
    "many fields without Host": lambda n: b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * (n // 6) + b"\r\n",
    "many fields and a broken one": lambda n: many(b"A: b\r\n")(n) + b"A : b\r\n\r\n",
    "many fields and a bare CR": lambda n: many(b"A: b\r\n")(n) + b"A: b\r\r\n",
    "many empty values": many(b"A:\r\n"),
    "many that say keep-alive": many(b"Connection: keep-alive\r\n"),
    "many that say keep-alive and one that does not": lambda n: (
        many(b"Connection: keep-alive\r\n")(n) + b"Connection: x\r\n"
    ),
    "many that begin like Content-Length": many(b"Content-Lengt: 1\r\n"),
    "many that go on behind Content-Length": many(b"Content-Length-: 1\r\n"),
    "many that begin like Transfer-Encoding": many(b"Transfer-Encodin: x\r\n"),
    "many that begin like Host": many(b"Hos: x\r\n"),
    "many that begin like several": many(b"te-trailer-expect-upgrade: x\r\n"),
    "a name of special ones": lambda n: START + b"content-length-" * (n // 15) + b": 1\r\n\r\n",
    "many special values": many(b"A: Content-Length: 1, Transfer-Encoding: chunked\r\n"),
    "a body of what could be heads": lambda n: post(b"Content-Length: %d\r\n" % n, (A_GET * n)[:n]),
    "a body that is still coming": lambda n: post(b"Content-Length: %d\r\n" % (n + 1), b"\r\n" * (n // 2)),
    "empty lines": lambda n: b"\r\n" * (n // 2) + A_GET,
}


def least_time(look: Callable[[], object]) -> float:
    """Return the CPU seconds of four looks, the least of five."""
    took = []
    for _ in range(5):
        began = process_time()
        for _ in range(4):
            look()
        took.append(process_time() - began)
    return min(took)


@pytest.mark.parametrize("cut", CUT)
@pytest.mark.parametrize("name", HOSTILE)
def test_eight_times_the_length_costs_about_eight_times_as_much(name: str, *, cut: bool):
    """Were it quadratic, it would cost sixty-four times as much. Whole, and with its last two bytes missing."""
    short, long = ((HOSTILE[name](size) + CUT[cut])[: None if cut else -2] for size in (8 * KILO, 64 * KILO))
    little = least_time(lambda: RECOGNIZER.read(short, 0, ""))
    assert least_time(lambda: RECOGNIZER.read(long, 0, "")) < 8 * 2.5 * max(little, 0.00002)


def converse(data: bytes) -> int:
    """Return how many requests a connection finds that answers at once."""
    connection, count = HttpConnection(WIDE, recognizer=RECOGNIZER), 0
    connection.receive_data(data)
    while connection.next_request():
        connection.send(Response(200), NOW)
        count += 1
    return count


ROWS = {
    "common ones": A_GET,
    "common ones with bodies": post(b"Content-Length: 2\r\n", b"ab"),
    "others": A_GET.replace(b"1.1", b"1.2"),
    "both in turns": A_GET + A_GET.replace(b"1.1", b"1.2"),
}


@pytest.mark.parametrize("end", [b"", b"GET / HTTP/1.1\r\nHost: "])
@pytest.mark.parametrize("name", ROWS)
def test_a_row_of_requests_costs_in_proportion_to_their_number(name: str, end: bytes):
    """Were each looked at up to the end of all, or all behind each copied, it would be quadratic."""
    short, long = (ROWS[name] * (size // len(ROWS[name])) + end for size in (8 * KILO, 64 * KILO))
    assert least_time(lambda: converse(long)) < 8 * 2.5 * least_time(lambda: converse(short))
    assert converse(short) == short.count(b" HTTP/") - bool(end)


# How the expression is made

GREEDY = (opcodes.MAX_REPEAT, opcodes.MIN_REPEAT)
ONE = (opcodes.IN, opcodes.LITERAL)
FEW = 4


def can_give_back(items: parser.SubPattern, *, atomic: bool = False) -> bool:
    """Tell whether something may give back more than a few bytes, or is possessive without being a set.

    Only a repetition that is all of an atomic group may be greedy. Possessive groups are read wrongly by CPython before
    3.11.5 (gh-106052).
    """
    for operator, argument in items:
        if operator in GREEDY and argument[1] > FEW and not (atomic and len(items) == 1):
            return True
        if operator is opcodes.POSSESSIVE_REPEAT and [one for one, _ in argument[2] if one in ONE] != [
            argument[2][0][0]
        ]:
            return True
        if any(can_give_back(inner, atomic=operator is opcodes.ATOMIC_GROUP) for inner in subpatterns(argument)):
            return True
    return False


def subpatterns(argument: object) -> Iterator[parser.SubPattern]:
    if isinstance(argument, parser.SubPattern):
        yield argument
    elif isinstance(argument, tuple | list):
        for one in argument:
            yield from subpatterns(one)


def test_nothing_in_the_expression_gives_back_what_it_took():
    assert not can_give_back(parser.parse(module._REQUEST.pattern))


def test_who_looks_at_expressions_knows_the_bad_ones():
    for good in (rb"(?>(?:ab)+)", rb"a*+[bc]++", rb"(?:ab?c)?", rb"(?:(?>a*)|b)x", rb"(?i:a{1,9}+)(?(1)b)"):
        assert not can_give_back(parser.parse(rb"()" + good))
    for bad in (
        rb"a*",
        rb"(?:ab)*+",
        rb"(?:a*)b",
        rb"a*?",
        rb"(?>a*b)",
        rb"(?>(?:a|b+)+)",
        rb"(?!a+)",
        rb"(?(1)b*)",
        rb"a{5}",
    ):
        assert can_give_back(parser.parse(rb"()" + bad))
