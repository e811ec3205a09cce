"""Every limit of a card: reached, and passed by one. Source: developer.work.weixin.qq.com/document/path/101032."""

import contextlib
import copy
import functools
import operator
import re
from collections.abc import Iterator

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawbot.wecom.card_limits import KINDS, Card, CardError, check_card

SITE = "https://work.weixin.qq.com/"
LINK = {"type": 2, "url": SITE, "appid": "wx1", "pagepath": "index"}


def options(count: int) -> list[dict]:
    return [{"id": f"{n:0128}", "text": f"option {n}", "is_checked": n == 1} for n in range(count)]


def keyed(count: int) -> list[dict]:
    return [{"text": f"text {n}", "key": f"{n:01024}"} for n in range(count)]


def selects(count: int) -> list[dict]:
    return [
        {"question_key": f"{n:01024}", "title": "T", "disable": True, "selected_id": "?", "option_list": options(10)}
        for n in range(count)
    ]


FULL = {
    "source": {"icon_url": SITE, "desc": "d", "desc_color": 3},
    "action_menu": {"desc": "menu", "action_list": keyed(3)},
    "main_title": {"title": "a title of more than the 26 characters that are advised", "desc": "d"},
    "emphasis_content": {"title": "100", "desc": "d"},
    "quote_area": {**LINK, "title": "t", "quote_text": "q"},
    "sub_title_text": "s" * 2000,
    "horizontal_content_list": [
        {"keyname": "k", "value": "v", "type": n, "url": SITE, "userid": "u"} for n in (0, 1, 3, 0, 1, 3)
    ],
    "jump_list": [{**LINK, "type": n, "title": "t", "question": "好" * 66 + "ok"} for n in (1, 2, 3)],
    "card_action": LINK,
    "card_image": {"url": SITE, "aspect_ratio": 1.3},
    "image_text_area": {**LINK, "title": "t", "desc": "d", "image_url": SITE},
    "vertical_content_list": [{"title": "t", "desc": "d"} for _ in range(4)],
    "button_selection": selects(1)[0],
    "button_list": [{**item, "style": 4} for item in keyed(6)],
    "checkbox": {"question_key": "q" * 1024, "mode": 1, "disable": False, "option_list": options(20)},
    "select_list": selects(3),
    "submit_button": {"text": "Send", "key": "k" * 1024},
    "task_id": ("0aA_-@" * 22)[:128],
    "feedback": {"id": "f" * 256},
}
"""All fields at their limits: more than any kind shows, and so all limits can be tried on every kind."""

ABSENT = object()


def changed(field: str, value: object, kind: str = "button_interaction") -> Card:
    """Return a copy of the full card with one field set, or taken out if the value is ABSENT."""
    card = {"card_type": kind, **copy.deepcopy(FULL)}
    *way, last = [int(step) if step.isdigit() else step for step in re.findall(r"\w+", field)]
    holder = functools.reduce(operator.getitem, way, card)
    if value is ABSENT:
        del holder[last]
    else:
        holder[last] = value
    return card


def refusal(card: Card) -> str:
    with pytest.raises(CardError) as refused:
        check_card(card)
    return str(refused.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_card_at_all_its_limits_passes(kind: str):
    check_card({"card_type": kind, **FULL})


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ("card_type", "video_notice", f"must be one of {', '.join(KINDS)}"),
        ("card_type", ["text_notice"], f"must be one of {', '.join(KINDS)}"),
        ("card_type", ABSENT, "is missing"),
        ("source", "WeCom", "must be an object"),
        ("source.desc", None, "must be a string"),
        ("source.desc_color", 4, "must be one of 0, 1, 2, 3"),
        ("source.desc_color", True, "must be one of 0, 1, 2, 3"),
        ("source.desc_color", 1.0, "must be one of 0, 1, 2, 3"),
        ("action_menu.desc", ABSENT, "is missing"),
        ("action_menu.desc", "", "must not be empty"),
        ("action_menu.action_list", {}, "must be a list"),
        ("action_menu.action_list", [], "0 items, 1 to 3 are allowed"),
        ("action_menu.action_list", keyed(4), "4 items, 1 to 3 are allowed"),
        ("action_menu.action_list[1].key", "k" * 1025, "1025 bytes, at most 1024"),
        ("action_menu.action_list[2].key", "0" * 1024, "is the same as that of an earlier item"),
        ("main_title.title", "\ud800", "must not hold lone surrogates, which UTF-8 cannot carry"),
        ("emphasis_content.title", 100, "must be a string"),
        ("quote_area.type", 3, "must be one of 0, 1, 2"),
        ("quote_area.appid", ABSENT, "must be filled when type is 2"),
        ("sub_title_text", b"s", "must be a string"),
        ("horizontal_content_list", [{"keyname": "k"}] * 7, "7 items, 0 to 6 are allowed"),
        ("horizontal_content_list[4].keyname", "", "must not be empty"),
        ("horizontal_content_list[1].url", "", "must be filled when type is 1"),
        ("horizontal_content_list[2].userid", ABSENT, "must be filled when type is 3"),
        ("horizontal_content_list[0].type", 2, "must be one of 0, 1, 3"),  # 2 is for group robots, doc 91770
        ("jump_list", [{"title": "t"}] * 4, "4 items, 0 to 3 are allowed"),
        ("jump_list[0].title", ABSENT, "is missing"),
        ("jump_list[1].title", "", "must not be empty"),
        ("jump_list[0].url", ABSENT, "must be filled when type is 1"),
        ("jump_list[1].appid", "", "must be filled when type is 2"),
        ("jump_list[2].question", ABSENT, "must be filled when type is 3"),
        ("jump_list[2].question", "好" * 67, "201 bytes, at most 200"),
        ("jump_list[2].type", 4, "must be one of 0, 1, 2, 3"),
        ("card_action.type", 3, "must be one of 0, 1, 2"),
        ("card_image.url", "", "must not be empty"),
        ("card_image.aspect_ratio", 1.29, "must be a number from 1.3 to 2.25"),
        ("card_image.aspect_ratio", 2.26, "must be a number from 1.3 to 2.25"),
        ("card_image.aspect_ratio", float("nan"), "must be a number from 1.3 to 2.25"),
        ("card_image.aspect_ratio", "2", "must be a number from 1.3 to 2.25"),
        ("card_image.aspect_ratio", True, "must be a number from 1.3 to 2.25"),
        ("image_text_area.image_url", ABSENT, "is missing"),
        ("image_text_area.appid", "", "must be filled when type is 2"),
        ("vertical_content_list", [{"title": "t"}] * 5, "5 items, 0 to 4 are allowed"),
        ("vertical_content_list[3].title", "", "must not be empty"),
        ("button_selection.question_key", "", "must not be empty"),
        ("button_selection.option_list", options(11), "11 items, 1 to 10 are allowed"),
        ("button_list", [], "0 items, 1 to 6 are allowed"),
        ("button_list", keyed(7), "7 items, 1 to 6 are allowed"),
        ("button_list[2]", "Yes", "must be an object"),
        ("button_list[2].text", "", "must not be empty"),
        ("button_list[2].key", ABSENT, "is missing"),
        ("button_list[2].key", "k" * 1025, "1025 bytes, at most 1024"),
        ("button_list[5].key", "0" * 1024, "is the same as that of an earlier item"),
        ("button_list[0].style", 0, "must be one of 1, 2, 3, 4"),
        ("checkbox.question_key", "q" * 1025, "1025 bytes, at most 1024"),
        ("checkbox.mode", 2, "must be one of 0, 1"),
        ("checkbox.disable", 0, "must be true or false"),
        ("checkbox.option_list", [], "0 items, 1 to 20 are allowed"),
        ("checkbox.option_list", options(21), "21 items, 1 to 20 are allowed"),
        ("checkbox.option_list[7].id", "i" * 129, "129 bytes, at most 128"),
        ("checkbox.option_list[7].id", "0" * 128, "is the same as that of an earlier item"),
        ("checkbox.option_list[7].is_checked", "yes", "must be true or false"),
        ("select_list", [], "0 items, 1 to 3 are allowed"),
        ("select_list", selects(4), "4 items, 1 to 3 are allowed"),
        ("select_list[1].question_key", "0" * 1024, "is the same as that of an earlier item"),
        ("select_list[1].question_key", "q" * 1025, "1025 bytes, at most 1024"),
        ("select_list[0].option_list", options(11), "11 items, 1 to 10 are allowed"),
        ("select_list[0].option_list", [], "0 items, 1 to 10 are allowed"),
        ("select_list[0].option_list[9].id", "0" * 128, "is the same as that of an earlier item"),
        ("select_list[0].option_list[9].text", "", "must not be empty"),
        ("submit_button.text", "", "must not be empty"),
        ("submit_button.key", "好" * 342, "1026 bytes, at most 1024"),
        ("task_id", "t" * 129, "129 bytes, at most 128"),
        ("task_id", "task 1", "characters outside 0-9 A-Z a-z _ - @"),
        ("task_id", "task1\n", "characters outside 0-9 A-Z a-z _ - @"),
        ("task_id", "任务", "characters outside 0-9 A-Z a-z _ - @"),
        ("task_id", 7, "must be a string"),
        ("feedback.id", "f" * 257, "257 bytes, at most 256"),
    ],
)
def test_one_step_past_a_limit_is_refused_by_the_name_of_the_field(field: str, value: object, fault: str):
    assert refusal(changed(field, value)) == f"{field}: {fault}"


TITLE_OR_TEXT = "main_title.title or sub_title_text: must be filled in a {}"


@pytest.mark.parametrize(
    ("kind", "without", "text"),
    [
        ("text_notice", ["main_title", "sub_title_text"], TITLE_OR_TEXT),
        ("text_notice", ["card_action"], "card_action.type: must be filled in a {}"),
        ("news_notice", ["main_title"], "main_title.title: must be filled in a {}"),
        ("news_notice", ["card_image", "image_text_area"], "card_image or image_text_area: must be filled in a {}"),
        ("news_notice", ["card_action"], "card_action.type: must be filled in a {}"),
        ("button_interaction", ["main_title"], "main_title: must be filled in a {}"),
        ("button_interaction", ["button_list"], "button_list: must be filled in a {}"),
        ("button_interaction", ["task_id"], "task_id: must be filled in a {}"),
        ("vote_interaction", ["main_title"], "main_title.title: must be filled in a {}"),
        ("vote_interaction", ["checkbox"], "checkbox: must be filled in a {}"),
        ("vote_interaction", ["submit_button"], "submit_button: must be filled in a {}"),
        ("vote_interaction", ["task_id"], "task_id: must be filled in a {}"),
        ("multiple_interaction", ["main_title"], "main_title.title: must be filled in a {}"),
        ("multiple_interaction", ["select_list"], "select_list: must be filled in a {}"),
        ("multiple_interaction", ["submit_button"], "submit_button: must be filled in a {}"),
        ("multiple_interaction", ["task_id"], "task_id: must be filled in a {}"),
    ],
)
def test_each_kind_demands_its_own_fields(kind: str, without: list[str], text: str):
    card = {name: value for name, value in FULL.items() if name not in without}
    assert refusal({"card_type": kind, **card}) == text.format(kind)


@pytest.mark.parametrize("kind", ["text_notice", "news_notice"])
def test_a_click_on_a_notice_must_lead_somewhere(kind: str):
    assert refusal(changed("card_action.type", 0, kind)) == f"card_action.type: must be filled in a {kind}"
    assert refusal(changed("card_action.type", ABSENT, kind)) == f"card_action.type: must be filled in a {kind}"
    check_card(changed("card_action.type", 0))  # on a card with buttons it need not


@pytest.mark.parametrize(
    ("kind", "without"),
    [
        ("text_notice", "main_title"),
        ("text_notice", "sub_title_text"),
        ("news_notice", "card_image"),
        ("news_notice", "image_text_area"),
        ("button_interaction", "sub_title_text"),
    ],
)
def test_of_two_alternatives_one_is_enough(kind: str, without: str):
    check_card(changed(without, ABSENT, kind))


def test_a_title_may_be_empty_where_there_is_a_text():
    check_card(changed("main_title.title", ""))
    card = changed("main_title.title", "")
    del card["sub_title_text"]
    assert refusal(card) == TITLE_OR_TEXT.format("button_interaction")


@pytest.mark.parametrize("kind", ["text_notice", "news_notice"])
def test_a_notice_needs_a_task_id_only_for_its_menu(kind: str):
    card = changed("task_id", ABSENT, kind)
    assert refusal(card) == "task_id: must be filled in a card with action_menu"
    del card["action_menu"]
    check_card(card)


@pytest.mark.parametrize("name", ["horizontal_content_list", "jump_list", "vertical_content_list"])
def test_the_lists_of_contents_may_be_empty(name: str):
    check_card(changed(name, []))


@pytest.mark.parametrize("field", ["task_id", "feedback.id", "jump_list[0].question", "source.icon_url"])
def test_a_text_that_is_not_needed_may_be_empty(field: str):
    card = changed(field, "", "text_notice")
    del card["action_menu"]
    check_card(card)


def test_a_list_may_be_a_tuple():
    check_card(changed("button_list", tuple(keyed(6))))


def test_both_ends_of_the_aspect_ratio_are_allowed():
    for ratio in (1.3, 2, 2.25):
        check_card(changed("card_image.aspect_ratio", ratio))


@pytest.mark.parametrize("field", ["new_field", "main_title.new_field", "button_list[0].type"])
def test_fields_that_are_not_known_are_let_through(field: str):
    check_card(changed(field, {"anything": [1, None]}))


@pytest.mark.parametrize("value", [object(), {1: 2}, 2**64, {"deep": "\ud800"}])
def test_what_json_cannot_carry_is_refused_even_in_an_unknown_field(value: object):
    assert refusal(changed("new_field", value)).startswith("template_card: cannot be written as JSON: ")


@pytest.mark.parametrize("card", [None, [], "text_notice"])
def test_a_card_is_an_object(card: Card):
    assert refusal(card) == "template_card: must be an object"


def test_an_error_names_the_field_and_shows_nothing_of_its_content():
    with pytest.raises(CardError) as refused:
        check_card(changed("task_id", "customer 4711"))
    assert refused.value.field == "task_id"
    assert "4711" not in str(refused.value)


def fields(value: object, where: str = "") -> Iterator[str]:
    """Name everything inside a card."""
    if isinstance(value, dict):
        inside = [(f"{where}.{name}".lstrip("."), inner) for name, inner in value.items()]
    else:
        inside = [(f"{where}[{index}]", inner) for index, inner in enumerate(value)] if isinstance(value, list) else []
    for name, inner in inside:
        yield name
        yield from fields(inner, name)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(alphabet=st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=6,
)


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(sorted(KINDS)), st.sampled_from(list(fields(FULL))), JSON | st.just(ABSENT))
def test_whatever_stands_anywhere_in_a_card_it_is_refused_or_can_be_sent(kind: str, field: str, value: object):
    card = changed(field, value, kind)
    with contextlib.suppress(CardError):
        check_card(card)
        orjson.dumps(card)
