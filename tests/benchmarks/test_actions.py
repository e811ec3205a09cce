"""benchmarks/actions.py: no action twice, and no wrong answer passes."""

from collections.abc import Callable
from itertools import count

import orjson
import pytest

from benchmarks import actions
from benchmarks.actions import (
    ECHO_TEXT,
    GET_STATUS,
    TEXT_SIZE,
    Action,
    Actions,
    check_frames,
    check_responses,
    make_action,
)
from benchmarks.generators import Load, builtin
from benchmarks.measuring import Failed

Serve = Callable[..., int]

SAMPLE = 10
STATUS = {"good": True, "bots": [{"self": {"platform": "bench", "user_id": "1"}, "online": True}]}


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "SAMPLE", SAMPLE)


class Bot:
    """The least that answers rightly, over HTTP; `change` is what it says otherwise."""

    def __init__(self, **change: object) -> None:
        self.asked: list[dict] = []
        self._change = change

    def answer(self, _head: bytes, body: bytes) -> bytes:
        request = orjson.loads(body)
        self.asked.append(request)
        data = request["params"] if request["action"] == ECHO_TEXT else STATUS
        said = {"status": "ok", "retcode": 0, "data": data, "message": "", "echo": request["echo"]} | self._change
        return response(orjson.dumps(said))


def response(body: bytes, content_type: bytes = b"application/json") -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (content_type, len(body), body)


@pytest.mark.parametrize("way", ["kept", "new"])
def test_actions_are_the_same_for_all_of_a_round_and_new_in_the_next(serve: Serve, way: actions.Way):
    bot, pool = Bot(), Actions(ECHO_TEXT, way)
    port = serve(bot.answer)
    pool.renew()
    first = pool.take(port, 30, "peer")
    longer = pool.take(port, 40, "rawbot")
    assert longer[:30] == first
    echoes = [each["echo"] for each in bot.asked]
    assert sorted(echoes[:SAMPLE]) == sorted(echoes[SAMPLE:])
    pool.renew()
    assert not {each.request for each in pool.take(port, 30, "peer")} & {each.request for each in longer}
    assert not {each.echo for each in longer} & set(echoes)
    assert pool.size == len(Bot().answer(b"", longer[0].request.partition(b"\r\n\r\n")[2]))


def test_an_action_is_sent_as_applications_send_them(serve: Serve):
    bot = Bot()
    (text,) = Actions(ECHO_TEXT, "kept").take(serve(bot.answer), 1, "peer")
    head, _, body = text.request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST / HTTP/1.1\r\n")
    assert head.endswith(b"\r\nContent-Length: %d" % len(body))
    said = orjson.loads(body)
    assert said.keys() == {"action", "params", "echo", "self"}
    assert len(said["params"]["text"].encode()) == TEXT_SIZE
    assert (said["params"], said["echo"]) == (text.data, text.echo)
    assert len({each["params"]["text"] for each in bot.asked}) == SAMPLE
    assert len({each["echo"] for each in bot.asked}) == SAMPLE


def test_a_status_is_asked_for_without_parameters(serve: Serve):
    bot = Bot()
    (status,) = Actions(GET_STATUS, "kept").take(serve(bot.answer), 1, "peer")
    assert status.data == STATUS
    assert bot.asked[0]["params"] == {}


def test_a_turn_with_a_connection_each_is_shorter():
    assert Actions(ECHO_TEXT, "new").most < Actions(ECHO_TEXT, "kept").most == Actions(ECHO_TEXT, "websocket").most


WRONG = [
    ({"status": "failed"}, "status is 'failed' in place of 'ok'"),
    ({"retcode": 10001}, "retcode is 10001 in place of 0"),
    ({"data": {"text": ""}}, "data is"),
    ({"data": None}, "data is None"),
    ({"echo": "another"}, "echo is 'another'"),
    ({"echo": None}, "echo is None"),
]


@pytest.mark.parametrize(("change", "said"), WRONG)
def test_a_server_that_answers_wrongly_is_found_out_before_the_load(serve: Serve, change: dict, said: str):
    with pytest.raises(Failed, match=f"a wrong answer: {said}"):
        Actions(ECHO_TEXT, "kept").take(serve(Bot(**change).answer), 1, "peer")


def test_each_answer_under_load_is_looked_into(serve: Serve):
    pool, right, wrong = Actions(ECHO_TEXT, "kept"), Bot(), Bot(data=None)
    numbers = count()

    def answer(head: bytes, body: bytes) -> bytes:
        bot = wrong if next(numbers) == SAMPLE + 33 else right
        return bot.answer(head, body)

    port = serve(answer)
    asked = pool.take(port, 50, "peer")
    with (
        builtin.started_builtin(None) as generator,
        pytest.raises(Failed, match="a wrong answer: data is None"),
    ):
        generator.carry_out(Load(port, asked, 4, pool.way, pool.check), int)
    assert (len(right.asked), len(wrong.asked)) == (SAMPLE + 49, 1)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "a wrong answer: b''"),
        (b"[]", "a wrong answer"),
        (b'{"status":"ok"}', "retcode is None"),
        (b'{"status":"ok","retcode":0,"data":1,"echo":"e"', "a wrong answer"),
    ],
)
def test_what_is_no_response_is_wrong_on_each_way(body: bytes, said: str):
    for way, check, answer in (("kept", check_responses, response(body)), ("websocket", check_frames, body)):
        asked = [make_action("any", {}, 1, echo="e", way=way)]
        with pytest.raises(Failed, match=said):
            check(asked, [answer])


def test_a_right_response_passes_on_each_way():
    body = b'{"status":"ok","retcode":0,"data":1,"message":null,"echo":"e"}'
    asked = [Action(b"", "e", 1)]
    check_frames(asked, [body])
    check_responses(asked, [response(body)])
    check_responses(asked, [response(body, b"application/json; charset=utf-8")])
    with pytest.raises(Failed, match="not said to be JSON"):
        check_responses(asked, [response(body, b"text/plain")])
