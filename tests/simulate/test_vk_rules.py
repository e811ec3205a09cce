"""rawbot/simulate/vk_rules.py."""

import orjson
import pytest

from rawbot.exchange import Response
from rawbot.simulate.vk_rules import (
    ApiError,
    Verdict,
    check_keyboard,
    judge_answer,
    judge_confirmation,
    parse_version,
)

NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


def judge(body: bytes = b"", status: int = 200, **fields: bytes) -> Verdict:
    headers = [(name.replace("_", "-").encode(), value) for name, value in fields.items()]
    return judge_answer(Response(status, body, b"text/plain", headers), NOW)


def test_ok_is_two_bytes():
    assert judge(b"ok").means == "ok"


@pytest.mark.parametrize("body", [b"", b"OK", b"ok\n", b" ok", b'"ok"', b"okay", b"\xef\xbb\xbfok", b"handled"])
def test_anything_else_is_a_failure(body: bytes):
    verdict = judge(body)
    assert (verdict.means, "and not ok" in verdict.reason) == ("failed", True)


@pytest.mark.parametrize("status", [201, 204, 301, 400, 403, 404, 410, 429, 500, 503])
def test_other_statuses_are_failures_whatever_the_body(status: int):
    assert judge(b"ok", status) == Verdict("failed", f"an answer's status is {status}")


def test_a_long_answer_is_quoted_in_part():
    assert judge(b"x" * 1000).reason == f"an answer is '{'x' * 40}'… and not ok"


def test_remove_and_version_are_commands():
    assert judge(b"remove") == Verdict("remove")
    assert judge(b"version 5.199") == Verdict("version", version="5.199")
    assert judge(b"version 5.81").means == "version"


@pytest.mark.parametrize("body", [b"version  5.199", b"version 5", b"version", b"Version 5.199", b"version 5.80"])
def test_other_commands_are_none(body: bytes):
    assert judge(body).means == "failed"


@pytest.mark.parametrize("status", [410, 429, 503])
def test_three_statuses_put_vk_off(status: int):
    assert judge(b"busy", status, retry_after=b"120") == Verdict("later", delay=120.0)


def test_a_date_puts_vk_off_counted_from_the_answers_own():
    date = {"retry_after": b"Tue, 14 Nov 2023 22:23:20 GMT"}
    assert judge(b"", 503, **date) == Verdict("later", delay=600.0)
    assert judge(b"", 503, **date, date=b"Tue, 14 Nov 2023 22:22:20 GMT") == Verdict("later", delay=60.0)


@pytest.mark.parametrize("told", [b"10800", b"soon", b"-1", b"", b"1.5", b"Tue, 14 Nov 2023 21:13:20 GMT"])
def test_what_is_three_hours_or_no_time_does_not(told: bytes):
    assert judge(b"", 503, retry_after=told).means == "failed"


def test_with_another_status_nobody_asks_when():
    assert judge(b"", 500, retry_after=b"5").reason == "an answer's status is 500"


def test_a_confirmation_is_the_string_and_nothing_else():
    assert judge_confirmation(Response(200, b"abc"), "abc") == ""
    assert "'abd'" in judge_confirmation(Response(200, b"abd"), "abc")
    assert "'ok'" in judge_confirmation(Response(200, b"ok"), "abc")
    assert "status 403" in judge_confirmation(Response(403, b"abc"), "abc")


@pytest.mark.parametrize(
    ("text", "version"),
    [("5.199", (5, 199)), ("5.81", (5, 81)), ("5", None), ("", None), ("5.199.1", None), ("v5.199", None)],
)
def test_a_version_is_two_numbers(text: str, version: tuple[int, int] | None):
    assert parse_version(text) == version


def test_versions_are_compared_as_numbers():
    assert parse_version("5.103") > parse_version("5.81")


def button(**action: object) -> dict:
    return {"action": {"type": "text", "label": "A"} | action}


def keyboard(*rows: list, **more: object) -> str:
    return orjson.dumps({"buttons": list(rows)} | more).decode()


@pytest.mark.parametrize(
    "text",
    [
        keyboard(),
        keyboard([button()] * 5, one_time=True),
        keyboard(*[[button()] * 4] * 10),
        keyboard(*[[button()] * 5] * 2, inline=True),
        keyboard([button(payload={"a": 1}) | {"color": "negative"}]),
        keyboard([{"action": {"type": "location", "payload": "{}"}}]),
    ],
)
def test_a_good_keyboard_is_taken(text: str):
    assert check_keyboard(text) == orjson.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"buttons": [{}]}',
        keyboard([]),
        keyboard([button()] * 6),
        keyboard(*[[button()]] * 11),
        keyboard(*[[button()] * 5] * 9),
        keyboard(*[[button()]] * 7, inline=True),
        keyboard(*[[button()] * 4] * 3, inline=True),
        keyboard([button()], inline=True, one_time=True),
        keyboard([{}]),
        keyboard([button(type="dance")]),
        keyboard([button(label="")]),
        keyboard([button(label="x" * 41)]),
        keyboard([button(payload="x" * 256)]),
        keyboard([button() | {"color": "pink"}]),
    ],
)
def test_a_bad_keyboard_is_911(text: str):
    with pytest.raises(ApiError) as caught:
        check_keyboard(text)
    assert caught.value.code == 911


def test_no_keyboard_is_none():
    assert check_keyboard("") is None


def test_an_error_says_vks_sentence_and_what_is_behind_it():
    assert str(ApiError(9)) == "Flood control"
    assert str(ApiError(100, "peer_id is undefined")).endswith("missing or invalid: peer_id is undefined")
    assert str(ApiError(4711)) == "Error"
    assert ApiError(14, more={"captcha_sid": "1"}).more == {"captcha_sid": "1"}
