"""benchmarks/pools.py: no request twice, and a look into the answers of a sample."""

from collections.abc import Callable

import orjson
import pytest

from benchmarks import pools
from benchmarks.measuring import Failed
from benchmarks.pools import Messages, Polls
from benchmarks.traffic import KEY, TOKEN
from rawbot.wecom.crypto import WeComCrypto
from rawbot.wecom.envelope import encode_envelope
from rawbot.wecom.messages import encode_stream

Serve = Callable[..., int]

SAMPLE, STREAMS = 10, 16


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "SAMPLE", SAMPLE)
    monkeypatch.setattr(pools, "STREAMS", STREAMS)


class Bot:
    """The least that answers rightly; `content` and `finish` are what it says of new streams and of polled ones."""

    def __init__(self, new: tuple[str, bool] = ("…", False), polled: tuple[str, bool] = ("news", True)) -> None:
        self.asked: list[str] = []
        self.polled: list[str] = []
        self._new, self._polled = new, polled
        self._crypto = WeComCrypto(TOKEN, KEY)

    def answer(self, head: bytes, body: bytes) -> bytes:
        message = orjson.loads(self._crypto.decrypt(orjson.loads(body)["encrypt"].encode()))
        self.asked.append(message["msgid"])
        stream_id, (content, finish) = message["msgid"], self._new
        if message["msgtype"] == "stream":
            stream_id, (content, finish) = message["stream"]["id"], self._polled
            self.polled.append(stream_id)
        encrypted = self._crypto.encrypt(encode_stream(stream_id, content, finish=finish))
        nonce = head.partition(b"nonce=")[2][:10]
        envelope = encode_envelope(encrypted, self._crypto.sign(b"1", nonce, encrypted), 1, nonce.decode())
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(envelope), envelope)


def test_messages_are_the_same_for_all_of_a_round_and_new_in_the_next(serve: Serve):
    bot, pool = Bot(), Messages()
    port = serve(bot.answer)
    pool.renew()
    first = pool.take(port, 30, "peer")
    longer = pool.take(port, 40, "rawbot")
    assert longer[:30] == first
    assert sorted(bot.asked[:SAMPLE]) == sorted(bot.asked[SAMPLE:])
    pool.renew()
    assert not {each.request for each in pool.take(port, 30, "peer")} & {each.request for each in longer}
    assert 200 < pool.size < 1000


def test_polls_ask_for_streams_that_were_just_opened(serve: Serve):
    bot, pool = Bot(), Polls()
    polls = pool.take(serve(bot.answer), STREAMS, "peer")
    assert len(polls) == STREAMS
    assert len(bot.asked) == len(set(bot.asked)) == STREAMS + SAMPLE
    assert set(bot.polled) <= set(bot.asked)


def test_who_makes_the_second_poll_wait_gets_one_of_each_stream(serve: Serve):
    bot, pool = Bot(), Polls()
    pool.take(serve(bot.answer), 30, "langbot")
    assert len(bot.asked) == SAMPLE + 30 + SAMPLE


@pytest.mark.parametrize("pool", [Messages(), Polls()])
def test_a_constant_answer_is_not_looked_into(serve: Serve, pool: Messages | Polls):
    port = serve(lambda *_: b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert len(pool.take(port, 5, "limit")) == 5
    with pytest.raises(Failed, match="wrong answer"):
        pool.take(port, 5, "peer")


def test_what_says_too_much_or_too_little_is_wrong(serve: Serve):
    with pytest.raises(Failed, match="finished in its first answer"):
        Messages().take(serve(Bot(new=("all", True)).answer), 1, "peer")
    with pytest.raises(Failed, match="answered with nothing"):
        Polls().take(serve(Bot(polled=("", False)).answer), 1, "peer")
