"""The builders, held against the complete samples of developer.work.weixin.qq.com/document/path/101032."""

import inspect
from collections.abc import Callable

import pytest

from rawbot.errors import StateError
from rawbot.wecom import cards

ICON = "https://wework.qpic.cn/wwpic/252813_jOfDHtcISzuodLa_1629280209/0"
PICTURE = "https://wework.qpic.cn/wwpic/354393_4zpkKXd7SrGMvfg_1629280616/0"
SITE = "https://work.weixin.qq.com/?from=openApi"

# Written by hand, as in the samples: they give type 1 an appid and a pagepath besides its url.
QUOTE = {
    "type": 1,
    "url": SITE,
    "appid": "APPID",
    "pagepath": "PAGEPATH",
    "title": "引用文本标题",
    "quote_text": "Jack：企业微信真的很好用~\nBalian：超级好的一款软件！",
}
CLICK = {"type": 1, "url": SITE, "appid": "APPID", "pagepath": "PAGEPATH"}

SOURCE = {"icon_url": ICON, "desc": "企业微信", "desc_color": 0}
MENU = {
    "desc": "消息气泡副交互辅助文本说明",
    "action_list": [{"text": "接收推送", "key": "action_key1"}, {"text": "不再推送", "key": "action_key2"}],
}
TITLE = {"title": "欢迎使用企业微信", "desc": "您的好友正在邀请您加入企业微信"}
LINES = [
    {"keyname": "邀请人", "value": "张三"},
    {"keyname": "企微官网", "value": "点击访问", "type": 1, "url": SITE},
    {"keyname": "企微下载", "value": "企业微信.apk", "type": 1, "url": SITE},
]
JUMPS = [
    {"type": 1, "url": SITE, "title": "企业微信官网"},
    {"type": 2, "appid": "APPID", "pagepath": "PAGEPATH", "title": "跳转小程序"},
    {"type": 3, "title": "企业微信官网", "question": "如何登录企业微信官网"},
]


def menu() -> cards.Part:
    return cards.action_menu(
        "消息气泡副交互辅助文本说明",
        [cards.action("接收推送", "action_key1"), cards.action("不再推送", "action_key2")],
    )


def title() -> cards.Part:
    return cards.heading("欢迎使用企业微信", "您的好友正在邀请您加入企业微信")


def lines() -> list[cards.Part]:
    return [
        cards.horizontal("邀请人", "张三"),
        cards.horizontal("企微官网", "点击访问", url=SITE),
        cards.horizontal("企微下载", "企业微信.apk", url=SITE),
    ]


def jumps() -> list[cards.Part]:
    return [
        cards.jump("企业微信官网", url=SITE),
        cards.jump("跳转小程序", appid="APPID", pagepath="PAGEPATH"),
        cards.jump("企业微信官网", question="如何登录企业微信官网"),
    ]


def test_a_text_notice_is_the_vendors_sample():
    built = cards.text_notice(
        source=cards.source(icon_url=ICON, desc="企业微信", desc_color=0),
        action_menu=menu(),
        main_title=title(),
        emphasis_content=cards.heading("100", "数据含义"),
        quote_area=QUOTE,
        sub_title_text="下载企业微信还能抢红包！",
        horizontal_content_list=lines(),
        jump_list=jumps(),
        card_action=CLICK,
        task_id="task_id",
    )
    assert built == {
        "card_type": "text_notice",
        "source": SOURCE,
        "action_menu": MENU,
        "main_title": TITLE,
        "emphasis_content": {"title": "100", "desc": "数据含义"},
        "quote_area": QUOTE,
        "sub_title_text": "下载企业微信还能抢红包！",
        "horizontal_content_list": LINES,
        "jump_list": JUMPS,
        "card_action": CLICK,
        "task_id": "task_id",
    }


def test_a_news_notice_is_the_vendors_sample():
    built = cards.news_notice(
        source=cards.source(icon_url=ICON, desc="企业微信", desc_color=0),
        action_menu=menu(),
        main_title=title(),
        card_image=cards.card_image(PICTURE, aspect_ratio=2.25),
        image_text_area=cards.image_text_area(
            PICTURE, title="欢迎使用企业微信", desc="您的好友正在邀请您加入企业微信", url="https://work.weixin.qq.com"
        ),
        quote_area=QUOTE,
        vertical_content_list=[cards.heading("惊喜红包等你来拿", "下载企业微信还能抢红包！")],
        horizontal_content_list=lines(),
        jump_list=jumps(),
        card_action=CLICK,
        task_id="task_id",
    )
    assert built == {
        "card_type": "news_notice",
        "source": SOURCE,
        "action_menu": MENU,
        "main_title": TITLE,
        "card_image": {"url": PICTURE, "aspect_ratio": 2.25},
        "image_text_area": {"type": 1, "url": "https://work.weixin.qq.com", **TITLE, "image_url": PICTURE},
        "quote_area": QUOTE,
        "vertical_content_list": [{"title": "惊喜红包等你来拿", "desc": "下载企业微信还能抢红包！"}],
        "horizontal_content_list": LINES,
        "jump_list": JUMPS,
        "card_action": CLICK,
        "task_id": "task_id",
    }


def test_a_button_interaction_is_the_vendors_sample():
    options = [cards.option("button_selection_id1", "企业负责人"), cards.option("button_selection_id2", "企业用户")]
    built = cards.button_interaction(
        source=cards.source(icon_url=ICON, desc="企业微信", desc_color=0),
        action_menu=menu(),
        main_title=title(),
        quote_area=QUOTE,
        sub_title_text="下载企业微信还能抢红包！",
        horizontal_content_list=lines(),
        button_selection=cards.select(
            "button_selection_key1", options, title="你的身份", selected_id="button_selection_id1", disable=False
        ),
        button_list=[cards.button("按钮1", "BUTTONKEYONE", style=4), cards.button("按钮2", "BUTTONKEYTWO")],
        card_action=CLICK,
        task_id="task_id",
    )
    assert built == {
        "card_type": "button_interaction",
        "source": SOURCE,
        "action_menu": MENU,
        "main_title": TITLE,
        "quote_area": QUOTE,
        "sub_title_text": "下载企业微信还能抢红包！",
        "horizontal_content_list": LINES,
        "button_selection": {
            "question_key": "button_selection_key1",
            "title": "你的身份",
            "disable": False,
            "option_list": [
                {"id": "button_selection_id1", "text": "企业负责人"},
                {"id": "button_selection_id2", "text": "企业用户"},
            ],
            "selected_id": "button_selection_id1",
        },
        "button_list": [
            {"text": "按钮1", "style": 4, "key": "BUTTONKEYONE"},
            {"text": "按钮2", "style": 1, "key": "BUTTONKEYTWO"},
        ],
        "card_action": CLICK,
        "task_id": "task_id",
    }


def test_a_vote_interaction_is_the_vendors_sample():
    options = [cards.option("id_one", "选择题选项1"), cards.option("id_two", "选择题选项2", is_checked=True)]
    built = cards.vote_interaction(
        source=cards.source(icon_url=ICON, desc="企业微信"),
        main_title=title(),
        checkbox=cards.checkbox("question_key", options, mode=1, disable=False),
        submit_button=cards.submit_button("提交", "submit_key"),
        task_id="task_id",
    )
    assert built == {
        "card_type": "vote_interaction",
        "source": {"icon_url": ICON, "desc": "企业微信"},
        "main_title": TITLE,
        "checkbox": {
            "question_key": "question_key",
            "option_list": [
                {"id": "id_one", "text": "选择题选项1"},
                {"id": "id_two", "text": "选择题选项2", "is_checked": True},
            ],
            "disable": False,
            "mode": 1,
        },
        "submit_button": {"text": "提交", "key": "submit_key"},
        "task_id": "task_id",
    }


def test_a_multiple_interaction_is_the_vendors_sample():
    first = [cards.option("id_one", "选择器选项1"), cards.option("id_two", "选择器选项2")]
    second = [cards.option("id_three", "选择器选项3"), cards.option("id_four", "选择器选项4")]
    built = cards.multiple_interaction(
        source=cards.source(icon_url=ICON, desc="企业微信"),
        main_title=title(),
        select_list=[
            cards.select("question_key_one", first, title="选择标签1", disable=False, selected_id="id_one"),
            cards.select("question_key_two", second, title="选择标签2", selected_id="id_three"),
        ],
        submit_button=cards.submit_button("提交", "submit_key"),
        task_id="task_id",
    )
    assert built == {
        "card_type": "multiple_interaction",
        "source": {"icon_url": ICON, "desc": "企业微信"},
        "main_title": TITLE,
        "select_list": [
            {
                "question_key": "question_key_one",
                "title": "选择标签1",
                "disable": False,
                "selected_id": "id_one",
                "option_list": [{"id": "id_one", "text": "选择器选项1"}, {"id": "id_two", "text": "选择器选项2"}],
            },
            {
                "question_key": "question_key_two",
                "title": "选择标签2",
                "selected_id": "id_three",
                "option_list": [{"id": "id_three", "text": "选择器选项3"}, {"id": "id_four", "text": "选择器选项4"}],
            },
        ],
        "submit_button": {"text": "提交", "key": "submit_key"},
        "task_id": "task_id",
    }


def test_every_kind_takes_a_feedback_id():
    feedback = {"id": "f1"}
    click, head = cards.card_action(url=SITE), cards.heading("t")
    submit = cards.submit_button("Send", "s")
    choice = [cards.option("a", "A")]
    built = [
        cards.text_notice(main_title=head, card_action=click, feedback=feedback),
        cards.news_notice(main_title=head, card_image=cards.card_image(PICTURE), card_action=click, feedback=feedback),
        cards.button_interaction(
            main_title=head, button_list=[cards.button("Yes", "y")], task_id="t", feedback=feedback
        ),
        cards.vote_interaction(
            main_title=head, checkbox=cards.checkbox("q", choice), submit_button=submit, task_id="t", feedback=feedback
        ),
        cards.multiple_interaction(
            main_title=head,
            select_list=[cards.select("q", choice)],
            submit_button=submit,
            task_id="t",
            feedback=feedback,
        ),
    ]
    assert [card["feedback"] for card in built] == [feedback] * 5


def test_what_is_not_given_is_left_out():
    card = cards.text_notice(sub_title_text="Deployed", card_action=cards.card_action(url=SITE))
    assert card == {
        "card_type": "text_notice",
        "sub_title_text": "Deployed",
        "card_action": {"type": 1, "url": SITE},
    }


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (cards.horizontal("Owner"), {"keyname": "Owner"}),
        (cards.horizontal("Owner", userid="zhangsan"), {"keyname": "Owner", "type": 3, "userid": "zhangsan"}),
        (cards.jump("Nowhere"), {"title": "Nowhere"}),
        (cards.card_action(appid="wx1"), {"type": 2, "appid": "wx1"}),
        (cards.quote_area("words"), {"quote_text": "words"}),
        (cards.quote_area("words", title="T", url=SITE), {"quote_text": "words", "title": "T", "type": 1, "url": SITE}),
        (cards.image_text_area(PICTURE, appid="wx1"), {"image_url": PICTURE, "type": 2, "appid": "wx1"}),
    ],
)
def test_the_type_of_a_link_follows_from_its_target(part: cards.Part, expected: cards.Part):
    assert part == expected


def test_two_targets_for_one_click_are_refused():
    with pytest.raises(cards.CardError, match=r"^jump: url and question exclude each other$"):
        cards.jump("Where?", url=SITE, question="where")


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: cards.source(desc_color=4), "source.desc_color: must be one of 0, 1, 2, 3"),
        (lambda: cards.action("", "k"), "action.text: must not be empty"),
        (lambda: cards.action_menu("d", []), "action_menu.action_list: 0 items, 1 to 3 are allowed"),
        (lambda: cards.heading(1), "heading.title: must be a string"),
        (lambda: cards.quote_area("q", url=""), "quote_area.url: must be filled when type is 1"),
        (lambda: cards.horizontal(""), "horizontal.keyname: must not be empty"),
        (lambda: cards.jump("j", question="好" * 67), "jump.question: 201 bytes, at most 200"),
        (lambda: cards.card_action(appid=""), "card_action.appid: must be filled when type is 2"),
        (lambda: cards.card_image("u", aspect_ratio=1), "card_image.aspect_ratio: must be a number from 1.3 to 2.25"),
        (lambda: cards.image_text_area(""), "image_text_area.image_url: must not be empty"),
        (lambda: cards.button("b", ""), "button.key: must not be empty"),
        (lambda: cards.option("i" * 129, "o"), "option.id: 129 bytes, at most 128"),
        (lambda: cards.select("q", []), "select.option_list: 0 items, 1 to 10 are allowed"),
        (lambda: cards.checkbox("q", [cards.option("i", "o")], mode=2), "checkbox.mode: must be one of 0, 1"),
        (lambda: cards.submit_button(None, "k"), "submit_button.text: is missing"),
    ],
)
def test_a_part_is_refused_where_it_is_made(build: Callable[[], cards.Part], text: str):
    with pytest.raises(cards.CardError) as refused:
        build()
    assert str(refused.value) == text


def test_a_builder_refuses_a_part_that_was_written_by_hand():
    buttons = [cards.button("Yes", "y"), cards.button("No", "n"), {"text": "", "key": "m"}]
    with pytest.raises(cards.CardError, match=r"^button_list\[2\]\.text: must not be empty$") as refused:
        cards.button_interaction(main_title=cards.heading("Sure?"), button_list=buttons, task_id="t")
    assert refused.value.field == "button_list[2].text"


def test_a_menu_makes_the_task_id_of_a_notice_necessary():
    with pytest.raises(cards.CardError, match=r"^task_id: must be filled in a card with action_menu$"):
        cards.text_notice(main_title=title(), action_menu=menu(), card_action=cards.card_action(url=SITE))


def test_the_blame_is_on_our_side():
    assert issubclass(cards.CardError, StateError)


def test_the_kinds_take_keywords_only_and_ask_for_what_is_needed():
    needed = {
        "text_notice": {"card_action"},
        "news_notice": {"main_title", "card_action"},
        "button_interaction": {"task_id", "main_title", "button_list"},
        "vote_interaction": {"task_id", "main_title", "checkbox", "submit_button"},
        "multiple_interaction": {"task_id", "main_title", "select_list", "submit_button"},
    }
    for kind, names in needed.items():
        parameters = inspect.signature(getattr(cards, kind)).parameters.values()
        assert {p.kind for p in parameters} == {inspect.Parameter.KEYWORD_ONLY}
        assert {p.name for p in parameters if p.default is inspect.Parameter.empty} == names
