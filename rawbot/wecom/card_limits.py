"""What WeCom takes in a template card: one table, and `check_card`, which walks it.

Layer 3, pure. Source: developer.work.weixin.qq.com/document/path/101032 (cards), 101031 (`feedback`). Every limit of a
card stands here and nowhere else; `cards` builds what passes. Only what the page states as a rule is one here: its
advice on length (a title of 26 characters, a button of 10 …) is left to the author. Fields that the table does not
know, or that the page lists for another kind of card, are let through, since the vendor adds to them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import orjson

from rawbot.errors import StateError

Card = dict[str, object]
"""A template card in the vendor's JSON form."""

Part = dict[str, object]
"""A part of a card, such as a button, in the vendor's JSON form."""


class CardError(StateError):
    """The bot's author is to blame: a card breaks a limit. Text and `field` name the place, never its content."""

    def __init__(self, field: str, fault: str) -> None:
        super().__init__(f"{field}: {fault}")
        self.field = field


def check_card(card: Card) -> None:
    """Return if the platform takes this card; raise `CardError`, naming the first fault, if it does not.

    Whether `task_id` was used before is the author's to know: it must be unique per bot.
    """
    if not isinstance(card, dict):
        raise CardError("template_card", "must be an object")
    CARD.check(card, "")
    kind = str(card["card_type"])
    for alternatives in KINDS[kind]:
        _demand(card, alternatives, f"a {kind}")
    if "action_menu" in card:
        _demand(card, ("task_id",), "a card with action_menu")
    try:
        orjson.dumps(card)
    except orjson.JSONEncodeError as error:  # in a field that the table does not know; the text tells types only
        raise CardError("template_card", f"cannot be written as JSON: {error}") from None


def _demand(card: Card, alternatives: tuple[str, ...], holder: str) -> None:
    if not any(_is_filled(card, path) for path in alternatives):
        raise CardError(" or ".join(alternatives), f"must be filled in {holder}")


def _is_filled(card: Card, path: str) -> bool:
    value: object = card
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return bool(value)


# The rules that the table is made of


class Rule(Protocol):
    """What a field's value must be."""

    def check(self, value: object, where: str) -> None:
        """Return if it is that; raise `CardError` for the field `where`, or the one inside it, if it is not."""


@dataclass(frozen=True, slots=True)
class Text:
    """A string of so many bytes of UTF-8, of any characters or only those of `pattern`, described by `alphabet`."""

    min_bytes: int = 0
    max_bytes: int | None = None
    pattern: re.Pattern[str] | None = None
    alphabet: str = ""

    def check(self, value: object, where: str) -> None:
        """See `Rule.check`."""
        if not isinstance(value, str):
            raise CardError(where, "must be a string")
        try:
            size = len(value.encode())
        except UnicodeEncodeError:
            raise CardError(where, "must not hold lone surrogates, which UTF-8 cannot carry") from None
        if size < self.min_bytes:
            raise CardError(where, "must not be empty")
        if self.pattern is not None and not self.pattern.fullmatch(value):
            raise CardError(where, f"characters outside {self.alphabet}")
        if self.max_bytes is not None and size > self.max_bytes:
            raise CardError(where, f"{size} bytes, at most {self.max_bytes}")


@dataclass(frozen=True, slots=True)
class Flag:
    """A JSON boolean."""

    def check(self, value: object, where: str) -> None:
        """See `Rule.check`."""
        if not isinstance(value, bool):
            raise CardError(where, "must be true or false")


@dataclass(frozen=True, slots=True)
class Choice:
    """One of these numbers or words."""

    values: tuple[int | str, ...]

    def check(self, value: object, where: str) -> None:
        """See `Rule.check`."""
        # To Python true is 1 and 1.0 is 1; to a reader of JSON they are not.
        if not isinstance(value, int | str) or isinstance(value, bool) or value not in self.values:
            raise CardError(where, f"must be one of {', '.join(map(str, self.values))}")


@dataclass(frozen=True, slots=True)
class Number:
    """A number in a closed interval."""

    least: float
    most: float

    def check(self, value: object, where: str) -> None:
        """See `Rule.check`."""
        if not isinstance(value, int | float) or isinstance(value, bool) or not self.least <= value <= self.most:
            raise CardError(where, f"must be a number from {self.least} to {self.most}")


@dataclass(frozen=True, slots=True)
class Object:
    """A JSON object. `links` maps values of its `type` to the field that names the target and must then be filled."""

    required: Mapping[str, Rule]
    optional: Mapping[str, Rule] = field(default_factory=dict)
    links: Mapping[int, str] = field(default_factory=dict)

    def check(self, value: object, where: str) -> None:
        """See `Rule.check`."""
        if not isinstance(value, dict):
            raise CardError(where, "must be an object")
        for name in self.required:
            if name not in value:
                raise CardError(_join(where, name), "is missing")
        for name, rule in (*self.required.items(), *self.optional.items()):
            if name in value:
                rule.check(value[name], _join(where, name))
        if self.links:
            kind = value.get("type", 0)
            Choice((0, *self.links)).check(kind, _join(where, "type"))
            target = self.links.get(kind)
            if target is not None and not value.get(target):
                raise CardError(_join(where, target), f"must be filled when type is {kind}")


@dataclass(frozen=True, slots=True)
class Items:
    """A JSON array of so many items, no two of which have the same value in the field `unique`."""

    rule: Rule
    least: int
    most: int
    unique: str | None = None

    def check(self, value: object, where: str) -> None:
        """See `Rule.check`."""
        if not isinstance(value, list | tuple):
            raise CardError(where, "must be a list")
        if not self.least <= len(value) <= self.most:
            raise CardError(where, f"{len(value)} items, {self.least} to {self.most} are allowed")
        seen = set()
        for index, item in enumerate(value):
            self.rule.check(item, f"{where}[{index}]")
            if self.unique is None:
                continue
            if item[self.unique] in seen:
                raise CardError(f"{where}[{index}].{self.unique}", "is the same as that of an earlier item")
            seen.add(item[self.unique])


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


# The table: doc 101032, "结构体说明" (structures), then the fields of a card, then the five kinds

_TEXT = Text()
_FILLED = Text(1)
_KEY = Text(1, 1024)
_LINK_FIELDS = {"url": _TEXT, "appid": _TEXT, "pagepath": _TEXT}
_LINKS = {1: "url", 2: "appid"}

SOURCE = Object({}, {"icon_url": _TEXT, "desc": _TEXT, "desc_color": Choice((0, 1, 2, 3))})
ACTION = Object({"text": _FILLED, "key": _KEY})
ACTION_MENU = Object({"desc": _FILLED, "action_list": Items(ACTION, 1, 3, unique="key")})
HEADING = Object({}, {"title": _TEXT, "desc": _TEXT})
VERTICAL = Object({"title": _FILLED}, {"desc": _TEXT})
QUOTE_AREA = Object({}, {**_LINK_FIELDS, "title": _TEXT, "quote_text": _TEXT}, _LINKS)
HORIZONTAL = Object({"keyname": _FILLED}, {"value": _TEXT, "url": _TEXT, "userid": _TEXT}, {1: "url", 3: "userid"})
JUMP = Object({"title": _FILLED}, {**_LINK_FIELDS, "question": Text(0, 200)}, {**_LINKS, 3: "question"})
CARD_ACTION = Object({}, _LINK_FIELDS, _LINKS)
# The page says "greater than 1.3, less than 2.25", and then gives 1.3 as the default and 2.25 in its samples.
CARD_IMAGE = Object({"url": _FILLED}, {"aspect_ratio": Number(1.3, 2.25)})
IMAGE_TEXT_AREA = Object({"image_url": _FILLED}, {**_LINK_FIELDS, "title": _TEXT, "desc": _TEXT}, _LINKS)
SUBMIT_BUTTON = Object({"text": _FILLED, "key": _KEY})
BUTTON = Object({"text": _FILLED, "key": _KEY}, {"style": Choice((1, 2, 3, 4))})
OPTION = Object({"id": Text(1, 128), "text": _FILLED}, {"is_checked": Flag()})
# A selected_id that names no option is allowed: the page says that the first option is then selected.
SELECT = Object(
    {"question_key": _KEY, "option_list": Items(OPTION, 1, 10, unique="id")},
    {"title": _TEXT, "selected_id": _TEXT, "disable": Flag()},
)
CHECKBOX = Object(
    {"question_key": _KEY, "option_list": Items(OPTION, 1, 20, unique="id")},
    {"mode": Choice((0, 1)), "disable": Flag()},
)

KINDS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "text_notice": (("main_title.title", "sub_title_text"), ("card_action.type",)),
    "news_notice": (("main_title.title",), ("card_image", "image_text_area"), ("card_action.type",)),
    "button_interaction": (("main_title",), ("main_title.title", "sub_title_text"), ("button_list",), ("task_id",)),
    "vote_interaction": (("main_title.title",), ("checkbox",), ("submit_button",), ("task_id",)),
    # The page calls this kind's task_id optional, the one for app messages demands it; no update works without.
    "multiple_interaction": (("main_title.title",), ("select_list",), ("submit_button",), ("task_id",)),
}
"""What each card_type must have, neither empty nor 0; of several names in one bracket, at least one."""

CARD = Object(
    {"card_type": Choice(tuple(KINDS))},
    {
        "source": SOURCE,
        "action_menu": ACTION_MENU,
        "main_title": HEADING,
        "emphasis_content": HEADING,
        "quote_area": QUOTE_AREA,
        "sub_title_text": _TEXT,
        "horizontal_content_list": Items(HORIZONTAL, 0, 6),
        "jump_list": Items(JUMP, 0, 3),
        "card_action": CARD_ACTION,
        "card_image": CARD_IMAGE,
        "image_text_area": IMAGE_TEXT_AREA,
        "vertical_content_list": Items(VERTICAL, 0, 4),
        "button_selection": SELECT,
        "button_list": Items(BUTTON, 1, 6, unique="key"),
        "checkbox": CHECKBOX,
        "select_list": Items(SELECT, 1, 3, unique="question_key"),
        "submit_button": SUBMIT_BUTTON,
        "task_id": Text(0, 128, re.compile(r"[0-9A-Za-z_@-]*"), "0-9 A-Z a-z _ - @"),
        "feedback": Object({}, {"id": Text(0, 256)}),
    },
)
