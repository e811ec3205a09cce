"""rawbot/onebot/v11/actions.py: what is asked of OneBot 12 for each action, and what is told of its answer.

Parameters and fields: OneBot 11, api/public; OneBot 12, interface/*/actions.
"""

import base64

import pytest
from v11_face import BOT, STANDARD, STATUS, Data, ask, face, no, ok, run

from rawbot.onebot.requests import ActionRequest
from rawbot.onebot.retcodes import (
    BAD_HANDLER,
    BAD_PARAM,
    BAD_SEGMENT_DATA,
    PLATFORM_UNABLE,
    PLATFORM_UNKNOWN_TARGET,
    UNSUPPORTED_PARAM,
)
from rawbot.onebot.v11.actions import ACTIONS
from rawbot.onebot.v11.calls import translate_request

HI = [{"type": "text", "data": {"text": "hi"}}]
SENT = ok({"message_id": "m-1", "time": 1632847927.5})


def request(action: str, **params: object) -> ActionRequest:
    return ActionRequest(action, params, None, BOT)


def sent(kind: str, target: str, message: object = HI) -> ActionRequest:
    name = "user_id" if kind == "private" else "group_id"
    return request("send_message", detail_type=kind, **{name: target}, message=message)


@pytest.mark.parametrize(
    ("action", "params", "asked"),
    [
        ("send_private_msg", {"user_id": 5}, sent("private", "5")),
        ("send_private_msg", {"user_id": "5", "group_id": 6}, sent("private", "5")),
        ("send_group_msg", {"group_id": "6"}, sent("group", "6")),
        ("send_msg", {"message_type": "private", "user_id": 5, "group_id": 6}, sent("private", "5")),
        ("send_msg", {"message_type": "group", "user_id": 5, "group_id": 6}, sent("group", "6")),
        ("send_msg", {"user_id": 5}, sent("private", "5")),
        ("send_msg", {"user_id": 5, "group_id": None, "message_type": None}, sent("private", "5")),
        ("send_msg", {"user_id": 5, "group_id": 0}, sent("private", "5")),
        ("send_msg", {"group_id": 6}, sent("group", "6")),
        ("send_msg", {"user_id": 5, "group_id": 6}, sent("group", "6")),
    ],
)
def test_messages_are_sent_where_they_belong(action: str, params: Data, asked: ActionRequest):
    its_face = face()
    requests, answer = ask(its_face, action, params | {"message": "hi"}, SENT)
    assert requests == [asked]
    assert answer["data"] == {"message_id": its_face.ids.messages.encode("m-1")}


def test_a_message_goes_to_whom_a_number_stands_for():
    its_face = face()
    number = its_face.ids.users.encode("alice")
    requests, _ = ask(its_face, "send_private_msg", {"user_id": number, "message": "hi"}, SENT)
    assert requests == [sent("private", "alice")]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"message": "a[CQ:at,qq=all]"},
            [{"type": "text", "data": {"text": "a"}}, {"type": "mention_all", "data": {}}],
        ),
        ({"message": HI[0]}, HI),
        ({"message": HI}, HI),
        ({"message": "[CQ:at,qq=all]", "auto_escape": "true"}, [{"type": "text", "data": {"text": "[CQ:at,qq=all]"}}]),
        ({"message": ""}, []),
    ],
)
def test_a_message_may_be_written_in_several_ways(params: Data, message: object):
    requests, _ = ask(face(), "send_private_msg", {"user_id": 5, **params}, SENT)
    assert requests == [sent("private", "5", message)]


def test_files_are_uploaded_before_the_message_that_has_them():
    message = [
        {"type": "image", "data": {"file": "base64://aGk="}},
        {"type": "image", "data": {"file": "known"}},
        {"type": "record", "data": {"file": "http://x.org/a.mp3"}},
    ]
    requests, answer = ask(
        face(),
        "send_private_msg",
        {"user_id": 5, "message": message},
        ok({"file_id": "f1"}),
        ok({"file_id": "f2"}),
        SENT,
    )
    uploaded = [
        {"type": "image", "data": {"file_id": "f1"}},
        {"type": "image", "data": {"file_id": "known"}},
        {"type": "voice", "data": {"file_id": "f2"}},
    ]
    assert requests == [
        request("upload_file", type="data", name="image.bin", data=b"hi"),
        request("upload_file", type="url", name="a.mp3", url="http://x.org/a.mp3"),
        sent("private", "5", uploaded),
    ]
    assert answer["status"] == "ok"


def test_without_its_file_a_message_is_not_sent():
    params = {"user_id": 5, "message": "[CQ:image,file=file:///etc/passwd]"}
    requests, answer = ask(face(), "send_private_msg", params, no(10004, "no paths"))
    assert [asked.action for asked in requests] == ["upload_file"]
    assert (answer["retcode"], answer["message"]) == (10004, "no paths")


@pytest.mark.parametrize(
    ("params", "retcode"),
    [
        ({"message": "hi"}, BAD_PARAM),
        ({"user_id": 5}, BAD_PARAM),
        ({"user_id": 5, "message": None}, BAD_PARAM),
        ({"user_id": 5, "message": 5}, BAD_PARAM),
        ({"user_id": "alice", "message": "hi"}, BAD_PARAM),
        ({"user_id": 2**52 + 7, "message": "hi"}, PLATFORM_UNKNOWN_TARGET),
        ({"user_id": -5, "message": "hi"}, PLATFORM_UNKNOWN_TARGET),
        ({"message_type": "discuss", "user_id": 5, "message": "hi"}, BAD_PARAM),
        ({"user_id": 5, "message": "[CQ:image,file=base64://x]"}, BAD_SEGMENT_DATA),
        ({"user_id": 5, "message": "hi", "auto_escape": "perhaps"}, BAD_PARAM),
    ],
)
def test_what_cannot_be_sent_is_refused_at_once(params: Data, retcode: int):
    requests, answer = ask(face(), "send_msg", params)
    assert requests == []
    assert answer["retcode"] == retcode


def test_a_message_is_deleted():
    its_face = face()
    number = its_face.ids.messages.encode("m-1")
    requests, answer = ask(its_face, "delete_msg", {"message_id": str(number)}, ok())
    assert requests == [request("delete_message", message_id="m-1")]
    assert answer == {"status": "ok", "retcode": 0, "data": None}
    assert ask(face(), "delete_msg", {"message_id": number})[1]["retcode"] == BAD_PARAM


def test_a_message_that_was_sent_can_be_looked_up():
    its_face = face()
    params = {"group_id": 6, "message": "hi[CQ:image,file=base64://aGk=]"}
    _, answer = ask(its_face, "send_group_msg", params, ok({"file_id": "f1"}), SENT)
    _, found = ask(its_face, "get_msg", answer["data"])  # type: ignore[arg-type]
    number = its_face.ids.messages.encode("m-1")
    assert found["data"] == {
        "time": 1632847927,
        "message_type": "group",
        "message_id": number,
        "real_id": number,
        "sender": {"user_id": 10001000, "nickname": "10001000", "sex": "unknown", "age": 0},
        "message": [*HI, {"type": "image", "data": {"file": "f1"}}],
    }


def test_a_message_that_nobody_remembers_is_not_found():
    _, answer = ask(face(), "get_msg", {"message_id": 5})
    assert answer["retcode"] == BAD_PARAM


USER = {"user_id": "7", "user_name": "Alice", "user_displayname": "A.", "user_remark": "friend"}
GROUP = {"group_id": "6", "group_name": "G"}
MEMBER = {
    "group_id": 6,
    "user_id": 7,
    "nickname": "Alice",
    "card": "A.",
    "sex": "unknown",
    "age": 0,
    "area": "",
    "join_time": 0,
    "last_sent_time": 0,
    "level": "",
    "role": "member",
    "unfriendly": False,
    "title": "",
    "title_expire_time": 0,
    "card_changeable": False,
}
GROUP_INFO = {"group_id": 6, "group_name": "G", "member_count": 0, "max_member_count": 0}


@pytest.mark.parametrize(
    ("action", "params", "asked", "answer", "told"),
    [
        (
            "get_login_info",
            {"self_id": 5},  # aiocqhttp sends it with everything
            request("get_self_info"),
            {"user_id": "10001000", "user_name": "Bot", "user_displayname": ""},
            {"user_id": 10001000, "nickname": "Bot"},
        ),
        (
            "get_stranger_info",
            {"user_id": 7, "no_cache": True},
            request("get_user_info", user_id="7"),
            USER,
            {"user_id": 7, "nickname": "Alice", "sex": "unknown", "age": 0},
        ),
        (
            "get_friend_list",
            {},
            request("get_friend_list"),
            [USER],
            [{"user_id": 7, "nickname": "Alice", "remark": "friend"}],
        ),
        ("get_group_info", {"group_id": "6"}, request("get_group_info", group_id="6"), GROUP, GROUP_INFO),
        (
            "get_group_list",
            {},
            request("get_group_list"),
            [GROUP | {"member_count": 3, "max_member_count": "many"}],
            [GROUP_INFO | {"member_count": 3}],
        ),
        (
            "get_group_member_info",
            {"group_id": 6, "user_id": 7},
            request("get_group_member_info", group_id="6", user_id="7"),
            USER | {"role": "admin", "age": "old"},
            MEMBER | {"role": "admin"},
        ),
        ("get_group_member_list", {"group_id": 6}, request("get_group_member_list", group_id="6"), [USER], [MEMBER]),
        (
            "set_group_name",
            {"group_id": 6, "group_name": "N"},
            request("set_group_name", group_id="6", group_name="N"),
            None,
            None,
        ),
        ("set_group_leave", {"group_id": 6, "is_dismiss": "false"}, request("leave_group", group_id="6"), None, None),
        ("get_status", {}, request("get_status"), STATUS, {"online": True, "good": True}),
        (
            "get_version_info",
            {},
            request("get_version"),
            {"impl": "rawbot", "version": "1.2", "onebot_version": "12"},
            {"app_name": "rawbot", "app_version": "1.2", "protocol_version": "v11"},
        ),
    ],
)
def test_each_action_asks_and_tells_as_it_should(
    action: str, params: Data, asked: ActionRequest, answer: object, told: object
):
    requests, response = ask(face(), action, params, ok(answer))
    assert requests == [asked]
    assert response == {"status": "ok", "retcode": 0, "data": told}


@pytest.mark.parametrize(
    ("action", "params"),
    [
        ("send_msg", {"user_id": 5, "message": "hi"}),
        ("get_login_info", {}),
        ("get_stranger_info", {"user_id": 7}),
        ("get_friend_list", {}),
        ("get_group_info", {"group_id": 6}),
        ("get_group_list", {}),
        ("get_group_member_info", {"group_id": 6, "user_id": 7}),
        ("get_group_member_list", {"group_id": 6}),
        ("get_version_info", {}),
        ("get_status", {}),
    ],
)
@pytest.mark.parametrize("data", [None, 5, "x", {}, {"user_id": 5}, [5], [{}]])
def test_a_handlers_wrong_answer_is_a_failure(action: str, params: Data, data: object):
    _, response = ask(face(), action, params, ok(data))
    assert response["retcode"] == BAD_HANDLER


def test_a_group_is_left_and_not_dissolved():
    requests, response = ask(face(), "set_group_leave", {"group_id": 6, "is_dismiss": True})
    assert requests == []
    assert response["retcode"] == UNSUPPORTED_PARAM


def test_a_file_is_given_by_path_or_url_or_bytes():
    def of(kind: str) -> ActionRequest:
        return request("get_file", file_id="f1", type=kind)

    params = {"file": "f1"}
    requests, response = ask(face(), "get_image", params, ok({"name": "a.png", "path": "/x/a.png"}))
    assert requests == [of("path")]
    assert response["data"] == {"file": "/x/a.png", "path": "/x/a.png"}
    requests, response = ask(face(), "get_image", params, no(10004), ok({"name": "a.png", "url": "http://x/"}))
    assert requests == [of("path"), of("url")]
    assert response["data"] == {"file": "http://x/", "url": "http://x/"}
    for data in (b"hi", base64.b64encode(b"hi").decode()):
        answers = no(10004), no(10004), ok({"name": "a.png", "data": data})
        requests, response = ask(face(), "get_image", params, *answers)
        assert requests == [of("path"), of("url"), of("data")]
        assert response["data"] == {"file": "base64://aGk="}


def test_a_file_that_is_not_there_is_not_there():
    _, response = ask(face(), "get_image", {"file": "f1"}, no(32001), no(32001), no(32001, "none"))
    assert (response["retcode"], response["message"]) == (32001, "none")
    assert ask(face(), "get_image", {})[1]["retcode"] == BAD_PARAM


@pytest.mark.parametrize(
    ("name", "out_format", "status"),
    [
        ("a.mp3", "mp3", "ok"),
        ("a.MP3", "mp3", "ok"),
        ("a.mp3", "", "ok"),
        ("a.amr", "mp3", "failed"),
        ("a", "mp3", "failed"),
    ],
)
def test_a_recording_is_given_in_its_own_format(name: str, out_format: str, status: str):
    answer = ok({"name": name, "path": "/x"})
    _, response = ask(face(), "get_record", {"file": "f1", "out_format": out_format}, answer)
    assert response["status"] == status
    assert status == "ok" or response["retcode"] == PLATFORM_UNABLE


@pytest.mark.parametrize("action", ["can_send_image", "can_send_record"])
def test_files_can_be_sent_where_they_can_be_uploaded(action: str):
    assert ask(face(), action)[1]["data"] == {"yes": True}
    assert ask(face(actions=STANDARD - {"upload_file"}), action)[1]["data"] == {"yes": False}


def test_an_action_that_only_12_has_is_reached_by_its_name():
    its_face = face(actions=STANDARD | {"wecom.stream"})
    alice, message = its_face.ids.users.encode("alice"), its_face.ids.messages.encode("m-1")
    params = {"user_id": alice, "message_id": message, "group_id": "as it is", "text": "x", "n": 5}
    requests, response = ask(its_face, "wecom.stream", params, ok({"user_id": "alice"}))
    expected = {"user_id": "alice", "message_id": "m-1", "group_id": "as it is", "text": "x", "n": 5}
    assert requests == [request("wecom.stream", **expected)]
    assert response["data"] == {"user_id": "alice"}
    assert params["user_id"] == alice  # what came in is not changed


def test_the_number_by_which_aiocqhttp_chooses_its_connection_is_not_forwarded():
    requests, _ = ask(face(actions=frozenset(("wecom.stream",))), "wecom.stream", {"self_id": 10001000, "n": 5}, ok())
    assert requests == [request("wecom.stream", n=5)]


def test_what_a_number_does_not_stand_for_is_not_forwarded():
    its_face = face(actions=frozenset(("set_group_kick",)))
    assert ask(its_face, "set_group_kick", {"user_id": 2**52 + 9})[1]["retcode"] == PLATFORM_UNKNOWN_TARGET


CONTEXT = {"post_type": "message", "message_type": "group", "user_id": 5, "group_id": 6, "message_id": 9}


def test_quick_operations_are_done_one_after_the_other():
    params = {"context": CONTEXT, "operation": {"reply": "hi", "delete": True}}
    requests, response = ask(face(), ".handle_quick_operation", params, SENT, ok())
    message = [{"type": "mention", "data": {"user_id": "5"}}, {"type": "text", "data": {"text": " "}}, *HI]
    assert requests == [sent("group", "6", message), request("delete_message", message_id="9")]
    assert response["data"] is None


def test_the_first_quick_operation_that_fails_is_told_and_the_others_are_done():
    params = {"context": CONTEXT, "operation": {"reply": "hi", "kick": True, "delete": True}}
    requests, response = ask(face(), ".handle_quick_operation_async", params, no(34001, "unable"), ok())
    assert [asked.action for asked in requests] == ["send_message", "delete_message"]
    assert response["retcode"] == 34001
    _, response = ask(face(), ".handle_quick_operation", params, SENT, ok())
    assert response["retcode"] == 1404  # nobody can be kicked


def test_an_implementation_may_have_more_of_11s_actions():
    params = {"context": CONTEXT, "operation": {"kick": True}}
    its_face = face(actions=STANDARD | {"set_group_kick"})
    requests, response = ask(its_face, ".handle_quick_operation", params, ok())
    assert requests == [request("set_group_kick", group_id="6", user_id="5", reject_add_request=False)]
    assert response["status"] == "ok"


def test_every_request_names_the_bot():
    for name, action in ACTIONS.items():
        message = {"user_id": 5, "group_id": 6, "message_id": 9, "message": "hi", "file": "f", "group_name": "g"}
        call = translate_request({"action": name, "params": message}, face())
        assert call.request is None or call.request.bot == BOT
        assert not action.needs or action.needs in STANDARD


def test_a_sent_message_of_odd_segments_is_remembered_all_the_same():
    its_face = face()
    deep: object = 1
    for _ in range(400):
        deep = [deep]
    message = [{"type": "mention", "data": {}}, {"type": "x.y", "data": {"deep": deep}}]
    call = translate_request({"action": "send_msg", "params": {"user_id": 5, "message": message}}, its_face)
    run(call, SENT)
    assert call.response["status"] == "ok"
    assert len(its_face.recent) == 1


@pytest.mark.parametrize("at", [None, "now", float("nan"), float("inf"), 10**400])
def test_a_message_sent_at_no_known_time_is_remembered_all_the_same(at: object):
    its_face = face()
    _, response = ask(its_face, "send_msg", {"user_id": 5, "message": "hi"}, ok({"message_id": "7", "time": at}))
    assert response["data"] == {"message_id": 7}
    assert its_face.recent.get(7) is not None
