"""Builders of WeCom's template cards: five kinds, and the parts that they are made of.

Layer 3, pure. Source: developer.work.weixin.qq.com/document/path/101032. Cards and parts are plain dicts in the
vendor's JSON form, with the vendor's names; a part may as well be written by hand. Whatever is None is left out. Each
builder refuses what breaks a limit with `CardError`, naming the field; the limits themselves stand in `card_limits`.
"""

from collections.abc import Sequence

from rawbot.wecom import card_limits
from rawbot.wecom.card_limits import Card, CardError, Part, check_card

__all__ = [
    "Card",
    "CardError",
    "Part",
    "action",
    "action_menu",
    "button",
    "button_interaction",
    "card_action",
    "card_image",
    "check_card",
    "checkbox",
    "heading",
    "horizontal",
    "image_text_area",
    "jump",
    "multiple_interaction",
    "news_notice",
    "option",
    "quote_area",
    "select",
    "source",
    "submit_button",
    "text_notice",
    "vote_interaction",
]


# The five kinds


def text_notice(
    *,
    card_action: Part,
    main_title: Part | None = None,
    sub_title_text: str | None = None,
    source: Part | None = None,
    action_menu: Part | None = None,
    emphasis_content: Part | None = None,
    quote_area: Part | None = None,
    horizontal_content_list: Sequence[Part] | None = None,
    jump_list: Sequence[Part] | None = None,
    task_id: str | None = None,
    feedback: Part | None = None,
) -> Card:
    """Return a card of text that leads somewhere when it is clicked.

    It needs a title or a sub_title_text and, with an action_menu, a task_id. Raises `CardError`.
    """
    return _card(
        "text_notice",
        source=source,
        action_menu=action_menu,
        main_title=main_title,
        emphasis_content=emphasis_content,
        quote_area=quote_area,
        sub_title_text=sub_title_text,
        horizontal_content_list=horizontal_content_list,
        jump_list=jump_list,
        card_action=card_action,
        task_id=task_id,
        feedback=feedback,
    )


def news_notice(
    *,
    main_title: Part,
    card_action: Part,
    card_image: Part | None = None,
    image_text_area: Part | None = None,
    source: Part | None = None,
    action_menu: Part | None = None,
    quote_area: Part | None = None,
    vertical_content_list: Sequence[Part] | None = None,
    horizontal_content_list: Sequence[Part] | None = None,
    jump_list: Sequence[Part] | None = None,
    task_id: str | None = None,
    feedback: Part | None = None,
) -> Card:
    """Return a card with a picture that leads somewhere when it is clicked.

    It needs a card_image or an image_text_area and, with an action_menu, a task_id. Raises `CardError`.
    """
    return _card(
        "news_notice",
        source=source,
        action_menu=action_menu,
        main_title=main_title,
        card_image=card_image,
        image_text_area=image_text_area,
        quote_area=quote_area,
        vertical_content_list=vertical_content_list,
        horizontal_content_list=horizontal_content_list,
        jump_list=jump_list,
        card_action=card_action,
        task_id=task_id,
        feedback=feedback,
    )


def button_interaction(
    *,
    task_id: str,
    main_title: Part,
    button_list: Sequence[Part],
    sub_title_text: str | None = None,
    button_selection: Part | None = None,
    source: Part | None = None,
    action_menu: Part | None = None,
    quote_area: Part | None = None,
    horizontal_content_list: Sequence[Part] | None = None,
    card_action: Part | None = None,
    feedback: Part | None = None,
) -> Card:
    """Return a card with buttons; pressing one brings a `template_card_event` with its key. Raises `CardError`."""
    return _card(
        "button_interaction",
        source=source,
        action_menu=action_menu,
        main_title=main_title,
        quote_area=quote_area,
        sub_title_text=sub_title_text,
        horizontal_content_list=horizontal_content_list,
        button_selection=button_selection,
        button_list=button_list,
        card_action=card_action,
        task_id=task_id,
        feedback=feedback,
    )


def vote_interaction(
    *,
    task_id: str,
    main_title: Part,
    checkbox: Part,
    submit_button: Part,
    source: Part | None = None,
    feedback: Part | None = None,
) -> Card:
    """Return a card with one question to tick; submitting brings a `template_card_event`. Raises `CardError`."""
    return _card(
        "vote_interaction",
        source=source,
        main_title=main_title,
        checkbox=checkbox,
        submit_button=submit_button,
        task_id=task_id,
        feedback=feedback,
    )


def multiple_interaction(
    *,
    task_id: str,
    main_title: Part,
    select_list: Sequence[Part],
    submit_button: Part,
    source: Part | None = None,
    feedback: Part | None = None,
) -> Card:
    """Return a card with up to three drop-down lists; submitting brings a `template_card_event`. Raises `CardError`."""
    return _card(
        "multiple_interaction",
        source=source,
        main_title=main_title,
        select_list=select_list,
        submit_button=submit_button,
        task_id=task_id,
        feedback=feedback,
    )


# The parts, in the order in which a card shows them


def source(*, desc: str | None = None, icon_url: str | None = None, desc_color: int | None = None) -> Part:
    """Return the line above the title; desc_color is 0 grey, 1 black, 2 red or 3 green. Raises `CardError`."""
    return _part(card_limits.SOURCE, "source", icon_url=icon_url, desc=desc, desc_color=desc_color)


def action_menu(desc: str, action_list: Sequence[Part]) -> Part:
    """Return the menu at the card's top right: one to three actions. Raises `CardError`."""
    return _part(card_limits.ACTION_MENU, "action_menu", desc=desc, action_list=action_list)


def action(text: str, key: str) -> Part:
    """Return an entry of an action_menu; its choice brings a `template_card_event` with the key. Raises `CardError`."""
    return _part(card_limits.ACTION, "action", text=text, key=key)


def heading(title: str, desc: str | None = None) -> Part:
    """Return a main_title, an emphasis_content or an entry of vertical_content_list. Raises `CardError`."""
    return _part(card_limits.HEADING, "heading", title=title, desc=desc)


def quote_area(
    quote_text: str,
    *,
    title: str | None = None,
    url: str | None = None,
    appid: str | None = None,
    pagepath: str | None = None,
) -> Part:
    """Return a quotation; with a url or a mini program's appid it can be clicked. Raises `CardError`."""
    return _part(
        card_limits.QUOTE_AREA,
        "quote_area",
        title=title,
        quote_text=quote_text,
        url=url,
        appid=appid,
        pagepath=pagepath,
    )


def horizontal(keyname: str, value: str | None = None, *, url: str | None = None, userid: str | None = None) -> Part:
    """Return a line "name  value"; it leads to the url or to the profile of userid. Raises `CardError`."""
    return _part(card_limits.HORIZONTAL, "horizontal", keyname=keyname, value=value, url=url, userid=userid)


def jump(
    title: str,
    *,
    url: str | None = None,
    appid: str | None = None,
    pagepath: str | None = None,
    question: str | None = None,
) -> Part:
    """Return an entry of jump_list: to a url, to a mini program, or asking the bot the question. Raises `CardError`."""
    return _part(card_limits.JUMP, "jump", title=title, url=url, appid=appid, pagepath=pagepath, question=question)


def card_action(*, url: str | None = None, appid: str | None = None, pagepath: str | None = None) -> Part:
    """Return where a click on the card leads: to a url or to a mini program. Raises `CardError`."""
    return _part(card_limits.CARD_ACTION, "card_action", url=url, appid=appid, pagepath=pagepath)


def card_image(url: str, *, aspect_ratio: float | None = None) -> Part:
    """Return the picture of a news_notice; width by height is 1.3 to 2.25, 1.3 if not given. Raises `CardError`."""
    return _part(card_limits.CARD_IMAGE, "card_image", url=url, aspect_ratio=aspect_ratio)


def image_text_area(
    image_url: str,
    *,
    title: str | None = None,
    desc: str | None = None,
    url: str | None = None,
    appid: str | None = None,
    pagepath: str | None = None,
) -> Part:
    """Return a picture with text to its right; with a url or an appid it can be clicked. Raises `CardError`."""
    return _part(
        card_limits.IMAGE_TEXT_AREA,
        "image_text_area",
        image_url=image_url,
        title=title,
        desc=desc,
        url=url,
        appid=appid,
        pagepath=pagepath,
    )


def button(text: str, key: str, *, style: int = 1) -> Part:
    """Return an entry of button_list; style is 1 to 4, as pictured on the vendor's page. Raises `CardError`."""
    return _part(card_limits.BUTTON, "button", text=text, key=key, style=style)


def option(option_id: str, text: str, *, is_checked: bool = False) -> Part:
    """Return an option of a select or, where alone it can be is_checked, of a checkbox. Raises `CardError`."""
    return _part(card_limits.OPTION, "option", id=option_id, text=text, is_checked=is_checked or None)


def select(
    question_key: str,
    option_list: Sequence[Part],
    *,
    title: str | None = None,
    selected_id: str | None = None,
    disable: bool | None = None,
) -> Part:
    """Return a drop-down list: a button_selection or an entry of select_list. Raises `CardError`.

    Without a selected_id the first option is selected. `disable` has its effect in updates of a card only.
    """
    return _part(
        card_limits.SELECT,
        "select",
        question_key=question_key,
        title=title,
        disable=disable,
        selected_id=selected_id,
        option_list=option_list,
    )


def checkbox(
    question_key: str, option_list: Sequence[Part], *, mode: int | None = None, disable: bool | None = None
) -> Part:
    """Return a vote's question: mode 0, or none, takes one answer, 1 several. Raises `CardError`.

    `disable` has its effect in updates of a card only.
    """
    return _part(
        card_limits.CHECKBOX, "checkbox", question_key=question_key, option_list=option_list, disable=disable, mode=mode
    )


def submit_button(text: str, key: str) -> Part:
    """Return the button under a vote or a multiple choice. Raises `CardError`."""
    return _part(card_limits.SUBMIT_BUTTON, "submit_button", text=text, key=key)


def _card(card_type: str, **fields: object) -> Card:
    card: Card = {"card_type": card_type, **_present(fields)}
    check_card(card)
    return card


def _part(rule: card_limits.Object, name: str, **fields: object) -> Part:
    """Make a part of the fields that are given, its `type` following from the target among them."""
    part = _present(fields)
    types = [kind for kind, target in rule.links.items() if target in part]
    if len(types) > 1:
        raise CardError(name, f"{' and '.join(rule.links[kind] for kind in types)} exclude each other")
    if types:
        part["type"] = types[0]
    rule.check(part, name)
    return part


def _present(fields: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}
