"""rawbot/onebot/v11/face.py: one bot's number, its ids, the last messages, and the format of messages."""

import pytest
from v11_face import BOT, face

from rawbot.errors import ConfigError
from rawbot.onebot.messages import Account
from rawbot.onebot.retcodes import BAD_PARAM, PLATFORM_UNKNOWN_TARGET, ActionError
from rawbot.onebot.v11.cq import text_segment
from rawbot.onebot.v11.face import Face, Ids, RecentMessages


def test_a_bot_with_a_number_keeps_it():
    assert face().self_id == 10001000


def test_a_bot_without_a_number_gets_one_that_stays():
    named = Account("wecom", "aib-x")
    assert face(named).self_id == face(named).self_id >= 2**52


def test_bots_may_share_the_ids():
    ids = Ids()
    first, second = face(ids=ids), face(Account("wecom", "other"), ids=ids)
    number = first.ids.users.encode("alice")
    assert second.ids.user_id(number) == "alice"


def test_nobody_known_is_told_from_no_message_known():
    ids = Ids()
    for read, number, retcode in (
        (ids.user_id, 2**52 + 1, PLATFORM_UNKNOWN_TARGET),
        (ids.user_id, -1, PLATFORM_UNKNOWN_TARGET),
        (ids.message_id, 2**30 + 1, BAD_PARAM),
        (ids.message_id, 0, BAD_PARAM),
    ):
        with pytest.raises(ActionError) as caught:
            read(number)
        assert caught.value.retcode == retcode


def test_messages_are_written_in_the_format_of_the_face():
    segments = [text_segment("a[b")]
    assert face().write_message(segments) == segments
    assert face(message_format="string").write_message(segments) == "a&#91;b"


def test_only_the_last_messages_are_remembered():
    recent = RecentMessages(2)
    for number in (1, 2, 1, 3):
        recent.add(number, {"time": number}, [])
    assert len(recent) == 2
    assert recent.get(2) is None
    assert recent.get(1) == ({"time": 1}, [])


def test_none_need_be_remembered():
    recent = RecentMessages(0)
    recent.add(1, {}, [])
    assert len(recent) == 0
    assert recent.get(1) is None


def test_settings_that_cannot_work_are_refused():
    with pytest.raises(ConfigError):
        RecentMessages(-1)
    with pytest.raises(ConfigError):
        Face(BOT, actions=(), status=dict, message_format="xml")  # type: ignore[arg-type]
