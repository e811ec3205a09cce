"""benchmarks/deliveries.py: no event twice, no answer but `ok`, and each event handled once."""

from collections import Counter
from collections.abc import Callable
from itertools import count
from threading import Timer

import orjson
import pytest

from benchmarks import deliveries
from benchmarks.deliveries import BODY_SIZE, Deliveries, Delivery, ask_handled, check_ok
from benchmarks.generators import Load, builtin
from benchmarks.generators.load import Way
from benchmarks.measuring import Failed
from benchmarks.peers.community import GROUP_ID, SECRET
from rawbot.vk.messages import decode_envelope, decode_object
from rawbot.vk.objects import VKMessage

Serve = Callable[..., int]

SAMPLE = 10


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "SAMPLE", SAMPLE)
    monkeypatch.setattr(deliveries, "PATIENCE", 0.3)


class Community:
    """The least that answers rightly; `says` is its answer, `times` how often it handles an event."""

    def __init__(self, says: bytes = b"ok", times: int = 1, already: int = 0) -> None:
        self.asked: list[bytes] = []
        self.handled = already
        self._says, self._times = says, times

    def answer(self, head: bytes, body: bytes) -> bytes:
        if head.startswith(b"GET /handled "):
            return response(b"%d" % self.handled)
        assert head.startswith(b"POST /webhook ")
        self.asked.append(body)
        self.handled += self._times
        return response(self._says)


def response(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def event_ids(bodies: list[bytes]) -> list[str]:
    return [orjson.loads(body)["event_id"] for body in bodies]


def body_of(delivery: Delivery) -> bytes:
    return delivery.request.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("way", ["kept", "new"])
def test_events_are_the_same_for_all_of_a_round_and_new_in_the_next(serve: Serve, way: Way):
    community, pool = Community(), Deliveries(way)
    port = serve(community.answer)
    pool.renew()
    first = pool.take(port, 30, "peer")
    longer = pool.take(port, 40, "rawbot")
    assert longer[:30] == first
    sent = Counter(event_ids(community.asked))
    assert (len(sent), set(sent.values())) == (SAMPLE, {2})
    pool.renew()
    following = pool.take(port, 30, "peer")
    ids = [*event_ids([body_of(each) for each in (*longer, *following)]), *event_ids(community.asked[-SAMPLE:]), *sent]
    assert len(ids) == len(set(ids)) == 40 + 30 + SAMPLE + SAMPLE
    assert pool.size == len(response(b"ok"))


def test_an_event_is_what_the_platform_sends_with_the_secret_behind_the_object(serve: Serve):
    community = Community()
    one, other = Deliveries("kept").take(serve(community.answer), 2, "peer")
    head, _, body = one.request.partition(b"\r\n\r\n")
    assert head.endswith(b"\r\nContent-Length: %d" % BODY_SIZE)
    assert {len(each) for each in (body, body_of(other), *community.asked)} == {BODY_SIZE}
    assert list(orjson.loads(body)) == ["group_id", "type", "event_id", "v", "object", "secret"]
    envelope = decode_envelope(body)
    assert (envelope.type, envelope.group_id, envelope.secret) == ("message_new", GROUP_ID, SECRET)
    assert len(bytes.fromhex(envelope.event_id)) == 20
    message = decode_object(envelope)
    assert isinstance(message, VKMessage)
    assert message.sender == message.peer_id
    assert message.text.startswith("Привет! x")
    assert message.peer_id != orjson.loads(body_of(other))["object"]["message"]["peer_id"]


def test_a_turn_with_a_connection_each_is_shorter():
    assert Deliveries("new").most < Deliveries("kept").most


@pytest.mark.parametrize("says", [b"OK", b"ok\n", b" ok", b"", b"remove", b'"ok"'])
def test_a_server_that_says_anything_but_ok_is_found_out_before_the_load(serve: Serve, says: bytes):
    with pytest.raises(Failed, match="in place of ok"):
        Deliveries("kept").take(serve(Community(says).answer), 1, "peer")


def test_each_answer_under_load_is_looked_into(serve: Serve):
    pool, right, wrong = Deliveries("kept"), Community(), Community(b"OK")
    numbers = count()

    def answer(head: bytes, body: bytes) -> bytes:
        odd = head.startswith(b"POST") and next(numbers) == SAMPLE + 33
        return (wrong if odd else right).answer(head, body)

    port = serve(answer)
    asked = pool.take(port, 50, "peer")
    with builtin.started_builtin(None) as generator, pytest.raises(Failed, match="answered with b'OK'"):
        generator.carry_out(Load(port, asked, 4, pool.way, pool.check), int)
    assert (len(right.asked), len(wrong.asked)) == (SAMPLE + 49, 1)


def send_all(pool: Deliveries, port: int) -> None:
    builtin.ask(port, pool.take(port, 20, "peer"), 4, way=pool.way, check=pool.check)


def test_events_that_are_handled_once_each_pass_whatever_was_handled_before(serve: Serve):
    pool, port = Deliveries("kept"), serve(Community(already=1000).answer)
    for _ in range(2):
        send_all(pool, port)
        pool.conclude(port)
        pool.renew()


@pytest.mark.parametrize(("times", "handled"), [(0, 0), (2, 2 * (SAMPLE + 20))])
def test_events_that_are_lost_or_handled_twice_are_told(serve: Serve, times: int, handled: int):
    pool, port = Deliveries("kept"), serve(Community(times=times).answer)
    send_all(pool, port)
    with pytest.raises(Failed, match=f"^{handled} events are handled in place of {SAMPLE + 20}$"):
        pool.conclude(port)


def test_events_that_are_handled_a_moment_later_are_waited_for(serve: Serve):
    community, pool = Community(), Deliveries("kept")
    port = serve(community.answer)
    send_all(pool, port)
    community.handled -= 1
    later = Timer(0.1, setattr, (community, "handled", community.handled + 1))
    later.start()
    pool.conclude(port)
    later.join()


@pytest.mark.parametrize("said", [b"", b"many", b"-1", b"1.5"])
def test_a_server_that_does_not_tell_what_it_has_handled_is_told(serve: Serve, said: bytes):
    with pytest.raises(Failed, match="the number of handled events"):
        ask_handled(serve(lambda *_: response(said)))


def test_answers_that_are_missing_are_no_right_ones():
    check_ok([Delivery(b"")], [response(b"ok")])
    with pytest.raises(ValueError, match="shorter"):
        check_ok([Delivery(b""), Delivery(b"")], [response(b"ok")])
