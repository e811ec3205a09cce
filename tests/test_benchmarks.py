"""The benchmarks work, and notice wrong answers. What they measure is no test's business: machines differ."""

from functools import partial
from pathlib import Path

import orjson
import pytest

from benchmarks import callback, crypto
from benchmarks.__main__ import main
from benchmarks.measuring import Series, fitting, interleave
from benchmarks.served import make_answer
from benchmarks.traffic import KEY, MESSAGE_SIZE, TOKEN, Callback, Traffic, check_open_streams
from rawbot.wecom.crypto import WeComCrypto
from rawbot.wecom.envelope import encode_envelope
from rawbot.wecom.messages import encode_stream


@pytest.mark.parametrize("name", ["crypto", "callback", "server"])
def test_each_benchmark_prints_its_figures_and_appends_one_json_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "figures.json"
    file.write_bytes(b"{}\n")
    assert main([name, "--rounds", "2", "--seconds", "0.02", "--json", str(file)]) == 0
    assert f"\n{name}: \n" in capsys.readouterr().out
    _, line = file.read_bytes().splitlines()
    record = orjson.loads(line)
    assert record["benchmark"] == name
    assert record["rounds"] == 2
    assert record["machine"]["cpu"]
    assert record["machine"]["cores"] >= 1
    assert record["versions"].keys() == {"rawbot", "h11", "orjson", "pycryptodome"}
    assert all(median > 0 for median in medians(record["figures"]))


def medians(figures: dict) -> list[float]:
    """Find every median in a record's figures."""
    inner = [value for value in figures.values() if isinstance(value, dict)]
    own = [figures["median"]] if "median" in figures else []
    assert own or inner
    return own + [median for value in inner for median in medians(value)]


@pytest.mark.parametrize("arguments", [["--rounds", "0"], ["--seconds", "0"], ["--seconds", "nan"], ["unknown"]])
def test_settings_that_measure_nothing_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(arguments)
    assert "usage:" in capsys.readouterr().err


def test_contenders_take_turns_and_the_first_one_changes():
    order = []
    turns = {name: partial(take_turn, order, name) for name in "abc"}
    measured = interleave(turns, 3, progress=lambda _: None, prepare=lambda: order.append("|"))
    assert "".join(order) == "|abc|bca|cab"
    assert measured["b"]["turn"].rounds == (2.0, 5.0, 11.0)


def take_turn(order: list[str], name: str) -> dict[str, float]:
    order.append(name)
    return {"turn": float(len(order) - 1)}


def test_a_ratio_is_taken_within_each_round_before_the_median():
    ratio = Series((10.0, 40.0, 30.0)) / Series((5.0, 10.0, 10.0))
    assert ratio.rounds == (2.0, 4.0, 3.0)
    assert ratio.median == 3.0
    assert ratio.format() == "3.00 (2.20–3.80)"
    assert Series((7.0,)).format(".0f") == "7 (7–7)"


def test_a_turn_is_as_long_as_asked_within_bounds():
    assert fitting(0.001, 10.0) == 100
    assert fitting(0.001, 10.0, least=500) == 500
    assert fitting(1e9, 10.0, most=7) == 7


def test_messages_have_the_size_that_is_told_and_are_all_different():
    of_the_bot = WeComCrypto(TOKEN, KEY)
    plaintexts = []
    for message in Traffic().messages(20):
        head, _, body = message.request.partition(b"\r\n\r\n")
        assert b"Content-Length: %d\r\n" % len(body) in head + b"\r\n"
        plaintexts.append(of_the_bot.decrypt(orjson.loads(body)["encrypt"].encode()))
    assert {len(plaintext) for plaintext in plaintexts} == {MESSAGE_SIZE}
    assert len({orjson.loads(plaintext)["msgid"] for plaintext in plaintexts}) == 20


def answer_with(plaintext: bytes, *, nonce: str = "n", status: bytes = b"200 OK", key: str = KEY) -> bytes:
    sealing = WeComCrypto(TOKEN, key)
    encrypted = sealing.encrypt(plaintext)
    body = encode_envelope(encrypted, sealing.sign(b"1", nonce.encode(), encrypted), 1, nonce)
    return b"HTTP/1.1 %b\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)


OPEN = encode_stream("id", "…", finish=False)


def test_a_right_answer_passes():
    check_open_streams([Callback(b"", "n")], [answer_with(OPEN)])


@pytest.mark.parametrize(
    "answer",
    [
        answer_with(OPEN, nonce="another"),
        answer_with(OPEN, status=b"403 Forbidden"),
        answer_with(OPEN, key="AnotherKey000123456789abcdefghijklmnopqrstu"),
        answer_with(OPEN) + b"more",
        answer_with(encode_stream("id", "…", finish=True)),
        answer_with(encode_stream("id", "", finish=False)),
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    ],
    ids=["nonce", "status", "key", "length", "finished", "empty", "silent"],
)
def test_a_wrong_answer_stops_a_benchmark(answer: bytes):
    with pytest.raises((AssertionError, KeyError)):
        check_open_streams([Callback(b"", "n")], [answer])


def test_a_missing_answer_stops_a_benchmark():
    with pytest.raises(AssertionError):
        check_open_streams([Callback(b"", "n")], [])


def test_all_ways_of_crypto_refuse_a_wrong_signature():
    sealed = crypto.seal_messages(100)[0]
    for way in crypto.make_ways().values():
        assert len(way(sealed)) == 100
        with pytest.raises(ValueError, match="signature"):
            way(sealed._replace(signature=b"0" * 40))


def test_the_bare_server_answers_as_many_bytes_as_rawbot():
    head, _, body = make_answer().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert len(body) > 200
    assert callback.NEWS.isascii()
    assert len(callback.NEWS) >= 300
