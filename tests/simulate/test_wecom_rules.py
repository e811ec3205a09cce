"""rawbot/simulate/wecom_rules.py: the limits of doc 101031 and 101032, from both sides."""

import base64
from hashlib import md5

import pytest
from honest_bot import PNG, stream
from hypothesis import given, settings
from hypothesis import strategies as st

from rawbot.simulate import wecom_rules as rules

OPENING = "stream, template_card, stream_with_template_card"
GOING_ON = "stream, stream_with_template_card"
BAD_ID = "task_id is not 1 to 128 characters out of 0-9 A-Z a-z _ - @"
JPG = b"\xff\xd8\xff\xe0"


def item(data: bytes, **changed: object) -> dict:
    image = {"base64": base64.b64encode(data).decode(), "md5": md5(data).hexdigest()}
    return {"msgtype": "image", "image": image | changed}


@pytest.mark.parametrize(
    "text", ["", " \n\t", "\u200b\u200d\ufeff", "<think></think>", "<think> \n</think>\u200b", "\u3164\u2800", "\ufe0f"]
)
def test_some_text_shows_nothing(text: str):
    assert not rules.is_visible(text)


@pytest.mark.parametrize("text", ["a", "。", "👍", "<think>why</think>", "<think>", "\u200bx"])
def test_all_other_text_shows(text: str):
    assert rules.is_visible(text)


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=5), st.integers(20470, 20490))
def test_what_is_cut_is_the_beginning_and_still_text(text: str, length: int):
    whole = "a" * length + text
    shown = rules.cut(whole)
    assert whole.startswith(shown)
    assert len(shown.encode()) <= 20480
    assert len(shown.encode()) > 20476 or shown == whole


@pytest.mark.parametrize(
    ("reply", "shape"),
    [
        ({}, ""),
        ({"msgtype": "text"}, "text"),
        ({"response_type": "update_template_card"}, "update_template_card"),
        ({"msgtype": 1}, "?"),
    ],
)
def test_the_shape_of_a_reply_is_its_type(reply: dict, shape: str):
    assert rules.reply_shape(reply) == shape


@pytest.mark.parametrize(
    ("row", "shape", "problems"),
    [
        ("message", "stream", []),
        ("message", "template_card", []),
        ("message", "text", ["message was answered with text; allowed: " + OPENING]),
        ("message", "", ["the message got an empty answer: no stream is opened and the user sees nothing"]),
        ("refresh", "stream_with_template_card", []),
        ("refresh", "template_card", ["refresh was answered with template_card; allowed: " + GOING_ON]),
        ("refresh", "", ["a refresh got an empty answer"]),
        ("enter_chat", "text", []),
        ("enter_chat", "stream", ["enter_chat was answered with stream; allowed: text, template_card"]),
        ("template_card_event", "update_template_card", []),
        ("template_card_event", "", []),
        ("feedback_event", "", []),
        ("feedback_event", "text", ["feedback_event was answered with text; allowed: nothing"]),
        ("something_new", "stream", ["something_new was answered with stream; allowed: nothing"]),
    ],
)
def test_each_callback_has_its_answers(row: str, shape: str, problems: list[str]):
    assert rules.judge_shape(row, shape) == problems


def test_an_answer_has_five_seconds():
    assert rules.judge_delay(5.0) == []
    assert rules.judge_delay(6.04) == ["an answer took 6.0 s; the limit is 5 s"]


@pytest.mark.parametrize(
    ("content", "shown", "final", "problems"),
    [
        ("", "", False, []),
        ("a" * 20480, "", True, []),
        ("a" * 20478 + "é", "", False, []),
        ("a" * 20479 + "é", "", False, ["content has 20481 bytes; what is beyond 20480 is cut off"]),
        ("\u200b", "", True, ["content shows nothing at the end: the bubble keeps waiting"]),
        ("", "abc", False, ["text that was shown became empty"]),
        ("", "\u200b", False, []),
        ("ab", "abc", True, []),
    ],
)
def test_text_has_a_limit_and_does_not_vanish(content: str, shown: str, final: bool, problems: list[str]):  # noqa: FBT001 - a row of the table
    assert rules.judge_text(content, shown=shown, final=final) == problems


@pytest.mark.parametrize("feedback_id", ["f", "é" * 128])
def test_a_feedback_id_may_have_256_bytes(feedback_id: str):
    assert rules.judge_feedback(feedback_id) == []


@pytest.mark.parametrize("feedback_id", ["", "é" * 128 + "a", 7, None])
def test_a_feedback_id_may_be_nothing_else(feedback_id: object):
    assert rules.judge_feedback(feedback_id) == ["feedback.id is not a string of 1 to 256 bytes"]


def test_good_images_are_opened():
    assert rules.open_images([item(PNG), item(JPG)]) == ([PNG, JPG], [])


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ("no object", "not of the form {msgtype: image, image: {…}}"),
        ({"msgtype": "file", "file": {}}, "not of the form {msgtype: image, image: {…}}"),
        ({"msgtype": "image"}, "not of the form {msgtype: image, image: {…}}"),
        (item(PNG, base64=None), "base64 or md5 is missing, or no string"),
        (item(PNG, md5=1), "base64 or md5 is missing, or no string"),
        (item(PNG, base64="AAA"), "not base64"),
        (item(PNG, base64="data:image/png;base64,AAAA"), "not base64"),
        (item(PNG, base64="é"), "not base64"),
        (item(b"GIF89a"), "neither JPG nor PNG"),
        (item(PNG, md5="0" * 32), "md5 is not that of the bytes before base64"),
        (item(PNG, md5=md5(base64.b64encode(PNG)).hexdigest()), "md5 is not that of the bytes before base64"),
        (item(PNG + bytes(10 * 2**20)), f"{10 * 2**20 + len(PNG)} bytes before base64; the limit is {10 * 2**20}"),
    ],
    ids=range(12),
)
def test_a_bad_image_is_named_and_the_good_ones_stay(bad: object, problem: str):
    assert rules.open_images([item(PNG), bad]) == ([PNG], [f"image 2: {problem}"])


def test_ten_images_are_shown():
    assert rules.open_images([item(PNG)] * 10) == ([PNG] * 10, [])
    assert rules.open_images([item(PNG)] * 11) == ([PNG] * 10, ["msg_item has 11 images; the limit is 10"])
    assert rules.open_images({}) == ([], ["msg_item is not a list"])


@pytest.mark.parametrize(
    "card",
    [
        {"card_type": "text_notice"},
        {"card_type": "news_notice", "task_id": "aZ09_-@"},
        {"card_type": "button_interaction", "task_id": "x" * 128},
    ],
)
def test_a_card_needs_a_type_and_if_it_can_be_pressed_a_task_id(card: dict):
    assert rules.judge_card(card) == []


@pytest.mark.parametrize(
    ("card", "problem"),
    [
        ({}, "card_type is none of the five"),
        ({"card_type": "poster"}, "card_type is none of the five"),
        ({"card_type": "button_interaction"}, "task_id is missing from a card that can be pressed"),
        ({"card_type": "text_notice", "action_menu": {}}, "task_id is missing from a card that can be pressed"),
        ({"card_type": "text_notice", "task_id": ""}, BAD_ID),
        ({"card_type": "text_notice", "task_id": "é"}, BAD_ID),
        ({"card_type": "text_notice", "task_id": 5}, BAD_ID),
        ({"card_type": "text_notice", "task_id": "x" * 129}, BAD_ID),
    ],
)
def test_a_card_without_them_is_named(card: dict, problem: str):
    assert rules.judge_card(card) == [problem]


@pytest.mark.parametrize(
    ("first", "second", "problem"),
    [
        (stream("a"), {}, "another kind of answer than the first"),
        (stream("a"), stream("a", stream_id="S2"), "another stream id than the first"),
        (stream("a", feedback={"id": "f"}), stream("a"), "another feedback.id than the first"),
        (stream("a", finish=True), stream("a"), "an unfinished stream after a finished one"),
    ],
)
def test_a_repeated_delivery_must_not_get_another_answer(first: dict, second: dict, problem: str):
    assert rules.judge_repeat(first, second) == [f"a repeated delivery got {problem}"]


def test_a_repeated_delivery_may_get_a_newer_answer():
    assert rules.judge_repeat(stream("a"), stream("ab", finish=True)) == []
    assert rules.judge_repeat({"msgtype": "text"}, {"msgtype": "text"}) == []
    assert rules.judge_repeat(stream("ab", finish=True), stream("a"), overlapping=True) == []
