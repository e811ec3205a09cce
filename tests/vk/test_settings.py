"""rawbot/vk/settings.py: what a community may be, and what is refused when it is made."""

import pytest

from rawbot.bot import Bot
from rawbot.errors import ConfigError
from rawbot.vk.settings import MAX_SECRET, VKGroup


def test_a_community_without_settings_takes_every_senders_word_and_answers_nothing():
    group = VKGroup()
    assert group.secrets == ()
    assert (group.confirmation, group.token, group.stream, group.bot) == (None, None, "final", None)


def test_one_secret_or_several_are_valid_at_once():
    assert VKGroup(secret="a").secrets == ("a",)
    assert VKGroup(secret=["old", "new"]).secrets == ("old", "new")


@pytest.mark.parametrize("secret", ["", [], (), [""], ["a", ""], "x" * (MAX_SECRET + 1), [1], b"a", 5, "a\ud800", "\n"])
def test_a_secret_that_is_set_but_empty_or_no_secret_is_refused(secret: object):
    with pytest.raises(ConfigError, match="secret"):
        VKGroup(secret=secret)


def test_a_secret_of_fifty_characters_is_one():
    assert VKGroup(secret="x" * MAX_SECRET).secrets == ("x" * MAX_SECRET,)


@pytest.mark.parametrize("confirmation", ["", 5, b"abc", ["abc"], "код"])
def test_a_confirmation_string_that_cannot_be_is_refused(confirmation: object):
    with pytest.raises(ConfigError, match="confirmation"):
        VKGroup(confirmation=confirmation)


@pytest.mark.parametrize("options", [{"token": ""}, {"common_name": ""}, {"stream": "often"}, {"stream": ""}])
def test_other_settings_that_cannot_work_are_refused(options: dict[str, str]):
    with pytest.raises(ConfigError):
        VKGroup(**options)


def test_settings_stay_as_they_were_checked():
    with pytest.raises(AttributeError):
        VKGroup(secret="a").secret = ""


def test_nothing_secret_is_in_the_repr():
    group = VKGroup(secret="geheim", confirmation="12ab", token="vk1.a.x", bot=Bot())
    assert repr(group) == "VKGroup(stream='final', common_name=None)"
