"""rawbot/onebot/v11/quick.py: each field of an answer, as OneBot 11, event/message and event/request say."""

import pytest

from rawbot.onebot.retcodes import BAD_PARAM, ActionError
from rawbot.onebot.v11.quick import BAN_SECONDS, QuickRequest, quick_operations

PRIVATE = {"post_type": "message", "message_type": "private", "user_id": 5, "message_id": 9}
GROUP = {
    "post_type": "message",
    "message_type": "group",
    "user_id": 5,
    "group_id": 6,
    "message_id": 9,
    "anonymous": None,
}
ANONYMOUS = GROUP | {"anonymous": {"id": 1, "name": "n", "flag": "f"}}
FRIEND = {"post_type": "request", "request_type": "friend", "user_id": 5, "flag": "f"}
JOIN = {"post_type": "request", "request_type": "group", "sub_type": "add", "user_id": 5, "group_id": 6, "flag": "f"}

HI = {"type": "text", "data": {"text": "hi"}}
FACE = {"type": "face", "data": {"id": "1"}}
AT = [{"type": "at", "data": {"qq": 5}}, {"type": "text", "data": {"text": " "}}]


def names(context: dict[str, object], operation: dict[str, object]) -> list[str]:
    return [request.action for request in quick_operations(context, operation)]


@pytest.mark.parametrize("reply", ["hi", HI, [HI]])
def test_a_private_message_is_replied_to(reply: object):
    expected = [QuickRequest("send_private_msg", {"user_id": 5, "message": [HI]})]
    assert quick_operations(PRIVATE, {"reply": reply, "at_sender": True}) == expected


def test_a_group_message_is_replied_to_with_a_mention():
    expected = [QuickRequest("send_group_msg", {"group_id": 6, "message": [*AT, HI]})]
    assert quick_operations(GROUP, {"reply": "hi"}) == expected
    assert quick_operations(GROUP, {"reply": "hi", "at_sender": None}) == expected


@pytest.mark.parametrize("no", [False, 0, "false", "no"])
def test_the_mention_can_be_left_out(no: object):
    (request,) = quick_operations(GROUP, {"reply": "hi", "at_sender": no})
    assert request.params == {"group_id": 6, "message": [HI]}


def test_nobody_anonymous_is_mentioned():
    (request,) = quick_operations(ANONYMOUS, {"reply": "hi"})
    assert request.params["message"] == [HI]


def test_a_reply_has_cq_codes_unless_told_otherwise():
    (coded,) = quick_operations(PRIVATE, {"reply": "[CQ:face,id=1]"})
    assert coded.params["message"] == [FACE]
    (plain,) = quick_operations(PRIVATE, {"reply": "[CQ:face,id=1]", "auto_escape": True})
    assert plain.params["message"] == [{"type": "text", "data": {"text": "[CQ:face,id=1]"}}]


@pytest.mark.parametrize("operation", [{}, {"reply": None}, {"reply": ""}, {"reply": []}, {"delete": False}, {"x": 1}])
def test_what_asks_for_nothing_does_nothing(operation: dict[str, object]):
    assert quick_operations(GROUP, operation) == []


def test_a_group_message_can_be_moderated():
    operation = {"reply": "hi", "delete": True, "kick": True, "ban": True, "ban_duration": "60"}
    reply, delete, kick, ban = quick_operations(GROUP, operation)
    assert reply.action == "send_group_msg"
    assert delete == QuickRequest("delete_msg", {"message_id": 9})
    assert kick == QuickRequest("set_group_kick", {"group_id": 6, "user_id": 5, "reject_add_request": False})
    assert ban == QuickRequest("set_group_ban", {"group_id": 6, "user_id": 5, "duration": 60})


def test_a_ban_lasts_half_an_hour_unless_told_otherwise():
    (ban,) = quick_operations(GROUP, {"ban": True})
    assert ban.params["duration"] == BAN_SECONDS == 1800


def test_nobody_anonymous_is_kicked_but_may_be_banned():
    (ban,) = quick_operations(ANONYMOUS, {"kick": True, "ban": True})
    assert ban.action == "set_group_anonymous_ban"
    assert ban.params == {"group_id": 6, "anonymous": ANONYMOUS["anonymous"], "duration": 1800}


def test_a_private_message_is_not_moderated():
    assert quick_operations(PRIVATE, {"delete": True, "kick": True, "ban": True}) == []


def test_a_friends_request_is_decided():
    (decided,) = quick_operations(FRIEND, {"approve": True, "remark": "r"})
    assert decided == QuickRequest("set_friend_add_request", {"flag": "f", "approve": True, "remark": "r"})


def test_a_groups_request_is_decided():
    (decided,) = quick_operations(JOIN, {"approve": False, "reason": "no"})
    params = {"flag": "f", "approve": False, "sub_type": "add", "reason": "no"}
    assert decided == QuickRequest("set_group_add_request", params)


def test_without_a_decision_a_request_stays_open():
    assert names(FRIEND, {}) == names(FRIEND, {"approve": None}) == names(JOIN, {"reason": "no"}) == []


@pytest.mark.parametrize("post_type", ["notice", "meta_event", None, 5])
def test_other_events_know_no_quick_operations(post_type: object):
    assert names({"post_type": post_type}, {"reply": "hi", "approve": True}) == []


@pytest.mark.parametrize(
    "operation",
    [
        {"reply": 5},
        {"reply": "hi", "at_sender": "perhaps"},
        {"reply": "hi", "auto_escape": []},
        {"delete": "perhaps"},
        {"ban": True, "ban_duration": "long"},
    ],
)
def test_what_cannot_be_read_is_refused(operation: dict[str, object]):
    with pytest.raises(ActionError) as caught:
        quick_operations(GROUP, operation)
    assert caught.value.retcode == BAD_PARAM
