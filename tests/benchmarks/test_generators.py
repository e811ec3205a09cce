"""benchmarks/generators/: every request once, every answer counted, and nothing wrong passes."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from threading import Event

import pytest

from benchmarks.generators import GENERATORS, Generator, Load, builtin, generating, wrk
from benchmarks.measuring import Failed
from benchmarks.traffic import Callback

Serve = Callable[..., int]

RIGHT = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood"
WRONG = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"


def make_callbacks(number: int) -> list[Callback]:
    head = b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
    bodies = [b"x" * (each % 7) for each in range(number)]
    return [Callback(head % (each, len(body)) + body, str(each)) for each, body in enumerate(bodies)]


@pytest.fixture(params=GENERATORS, scope="module")
def generator(request: pytest.FixtureRequest) -> Iterator[Generator]:
    if request.param == "wrk" and not shutil.which("wrk"):
        pytest.skip("wrk is not installed")
    with generating(request.param, None) as made:
        yield made


@pytest.mark.parametrize(("number", "connections"), [(1, 1), (5, 8), (300, 1), (300, 8)])
def test_each_request_is_sent_once(serve: Serve, generator: Generator, number: int, connections: int):
    heard = Counter()

    def answer(head: bytes, body: bytes) -> bytes:
        heard[head.split()[1], len(body)] += 1
        return RIGHT

    callbacks = make_callbacks(number)
    readings = count(step=500)
    outcome = generator.carry_out(Load(serve(answer), callbacks, connections), lambda: next(readings))
    assert heard == Counter((b"/%d" % each, each % 7) for each in range(number))
    assert outcome.size == len(RIGHT)
    assert outcome.server_ns == 500
    assert 0 < outcome.elapsed < 10
    assert 0 < outcome.p50 <= outcome.p99 < 10


def test_a_status_that_is_not_right_is_told_and_the_next_load_is_carried_out(serve: Serve, generator: Generator):
    number = count()
    bad = serve(lambda *_: WRONG if next(number) == 20 else RIGHT)
    with pytest.raises(Failed, match=r"status: 1|500 Internal Server Error"):
        generator.carry_out(Load(bad, make_callbacks(50), 4), int)
    assert generator.carry_out(Load(serve(lambda *_: RIGHT), make_callbacks(9), 4), int).size == len(RIGHT)


def test_a_connection_that_is_closed_is_told(serve: Serve, generator: Generator):
    number = count()
    port = serve(lambda *_: None if next(number) == 10 else RIGHT)
    with pytest.raises(Failed, match=r"read: 1|closed in place of answer"):
        generator.carry_out(Load(port, make_callbacks(50), 4), int)


def test_a_server_that_is_not_there_is_told(generator: Generator):
    with pytest.raises(Failed, match=r"wrk says: unable to connect|no connection"):
        generator.carry_out(Load(1, make_callbacks(5), 2), int)


def test_a_way_that_a_generator_does_not_know_is_refused_before_anything_is_sent(generator: Generator):
    with pytest.raises(Failed, match=r"wrk keeps its connections|no connection"):
        generator.carry_out(Load(1, make_callbacks(5), 2, "websocket"), int)


def test_a_server_that_is_gone_when_it_is_measured_is_told(serve: Serve, generator: Generator):
    def gone() -> int:
        raise Failed("it has ended")

    with pytest.raises(Failed, match="it has ended"):
        generator.carry_out(Load(serve(lambda *_: RIGHT), make_callbacks(5), 2), gone)
    assert generator.carry_out(Load(serve(lambda *_: RIGHT), make_callbacks(5), 2), int).elapsed > 0


def test_answers_come_back_in_the_order_of_the_requests(serve: Serve):
    port = serve(lambda head, _: b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n%4d" % int(head.split()[1][1:]))
    answers = builtin.ask(port, make_callbacks(40), 3)
    assert [int(answer[-4:]) for answer in answers] == list(range(40))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", "no Content-Length"),
        (RIGHT + b"x", "more is said"),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", "204 No Content"),
    ],
)
def test_an_answer_that_is_no_answer_is_told(serve: Serve, answer: bytes, said: str):
    with pytest.raises(Failed, match=said):
        builtin.ask(serve(lambda *_: answer), make_callbacks(1))


def test_silence_is_not_waited_for_without_end(serve: Serve, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(builtin, "SILENCE", 0.1)
    ended = Event()
    with pytest.raises(Failed, match="3 answers are owed after"):
        builtin.ask(serve(lambda *_: None if ended.wait(5) else RIGHT), make_callbacks(3))
    ended.set()


def test_a_pool_is_a_line_with_the_size_before_each_request(tmp_path: Path):
    wrk.write_pool(tmp_path / "pool", [Callback(b"GET /", ""), Callback(b"", "")])
    assert (tmp_path / "pool").read_bytes() == b"5\nGET /0\n"


SAID = (
    b'Running 30s test\ndrained\noutcome {"answered":10,"elapsed":2.0,"cpu":0.5,"p50":0.1,"p99":0.2,"bytes":440,'
    b'"errors":{"connect":0,"read":0,"write":0,"timeout":0,"status":0}}\n'
)


def test_what_the_script_says_is_read():
    outcome = wrk.read_outcome(SAID, 10)
    assert outcome[:5] == (2.0, 0.5, 0.1, 0.2, 44.0)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"unable to connect\n", "wrk says: unable to connect"),
        (SAID.replace(b'"timeout":0', b'"timeout":3'), "timeout: 3"),
        (SAID.replace(b'"answered":10', b'"answered":7'), "3 of 10 answers"),
    ],
)
def test_what_went_wrong_is_told(said: bytes, told: str):
    with pytest.raises(Failed, match=told):
        wrk.read_outcome(said, 10)


def test_a_program_that_is_not_installed_is_told():
    with pytest.raises(Failed, match="not installed"):
        wrk.version("/no/such/wrk")
