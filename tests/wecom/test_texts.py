"""rawbot/wecom/texts.py: what rawbot itself says can always be seen."""

from dataclasses import fields, replace

import pytest

from rawbot.errors import ConfigError
from rawbot.wecom.texts import CHINESE, LONGEST_TEXT, WeComTexts

NAMES = [field.name for field in fields(WeComTexts)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", ["", " \n", "\u200b", "<think>hm</think>", "x" * (LONGEST_TEXT + 1)])
def test_a_sentence_that_shows_nothing_or_fills_the_bubble_is_refused_by_name(name: str, text: str):
    with pytest.raises(ConfigError, match=name):
        WeComTexts(**{name: text})


@pytest.mark.parametrize("name", NAMES)
def test_a_sentence_may_be_changed(name: str):
    assert getattr(replace(CHINESE, **{name: "x" * LONGEST_TEXT}), name) == "x" * LONGEST_TEXT


@pytest.mark.parametrize("name", [name for name in NAMES if name != "attached"])
def test_every_sentence_has_a_chinese_one(name: str):
    assert any("\u4e00" <= c <= "\u9fff" for c in getattr(CHINESE, name))
    assert not any("\u4e00" <= c <= "\u9fff" for c in getattr(WeComTexts(), name))
