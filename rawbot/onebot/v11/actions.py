"""What each action of OneBot 11 means in OneBot 12: a generator that yields requests of 12 and returns data of 11.

Layer 3, pure. Source: OneBot 11, api/public and api/hidden; OneBot 12, interface/*/actions. Who runs a generator sends
in the data of each request that went well, and throws in the `ActionError` of one that did not (see `calls`).

What 12 cannot say (a member's age, a group's size) gets the standard's empty value, unless the handler adds a field of
that name to its answer. An action that both have under one name is 11's.
"""

import math
from collections.abc import Callable, Container, Generator, Mapping
from dataclasses import dataclass

from rawbot.onebot.messages import Message, encode_message
from rawbot.onebot.requests import ActionRequest
from rawbot.onebot.retcodes import (
    BAD_HANDLER,
    BAD_PARAM,
    PLATFORM_UNABLE,
    UNSUPPORTED_ACTION,
    UNSUPPORTED_PARAM,
    ActionError,
)
from rawbot.onebot.v11.cq import encode_value
from rawbot.onebot.v11.events import encode_status
from rawbot.onebot.v11.face import Face, Json
from rawbot.onebot.v11.params import Params, flag, integer, record, text
from rawbot.onebot.v11.quick import quick_operations
from rawbot.onebot.v11.segments import MEDIA_TO_V11, decode_segments, encode_segments, read_message, upload_params

Steps = Generator[ActionRequest, object, object]
Run = Callable[[Params, Face], Steps]

QUICK_OPERATION = ".handle_quick_operation"
PROTOCOL_VERSION = "v11"

_OTHER_WAYS_ONLY = frozenset(("get_latest_events",))
"""OneBot 12's polling: there is none in 11."""


@dataclass(slots=True)
class V11Action:
    """An action of OneBot 11: the generator, and the action of 12 without which it does not exist ("" for none)."""

    run: Run
    needs: str = ""


def find_action(name: str, known: Container[str]) -> Run | None:
    """Return what an action does, given the names of OneBot 12's that can be called; None when there is none.

    A name that only 12 has leads to that action, unchanged.
    """
    action = ACTIONS.get(name)
    if action is not None:
        return action.run if not action.needs or action.needs in known else None
    if name in known and name not in _OTHER_WAYS_ONLY:
        return lambda params, face: _forward(name, params, face)
    return None


def _request(face: Face, action: str, params: Params | None = None) -> ActionRequest:
    return ActionRequest(action, {} if params is None else params, None, face.bot)


def _forward(action: str, params: Params, face: Face) -> Steps:
    """Call an action of 12 under its own name. Its ids are strings; an integer in their place can only be one of 11.

    `self_id` is left out: aiocqhttp chooses its connection by it, and sends it along.
    """
    ours = {name: value for name, value in params.items() if name != "self_id"}
    for name in ("user_id", "group_id"):
        if type(number := ours.get(name)) is int:
            ours[name] = face.ids.user_id(number)
    if type(number := ours.get("message_id")) is int:
        ours["message_id"] = face.ids.message_id(number)
    return (yield _request(face, action, ours))


def _user(params: Params, face: Face, name: str = "user_id") -> str:
    return face.ids.user_id(integer(params, name))


def _record(data: object) -> Mapping[str, object]:
    if not isinstance(data, dict):
        raise ActionError(BAD_HANDLER, "the handler's answer is no object")
    return data


def _records(data: object) -> list[Mapping[str, object]]:
    if not isinstance(data, list):
        raise ActionError(BAD_HANDLER, "the handler's answer is no list")
    return [_record(item) for item in data]


def _said(data: Mapping[str, object], name: str, default: str | None = None) -> str:
    value = data.get(name, default)
    if not isinstance(value, str):
        raise ActionError(BAD_HANDLER, f"the handler's answer has no {name}")
    return value


def _filled(data: Mapping[str, object], empty: Json) -> Json:
    """Return the fields that 12 does not have: the handler's, where it gives one of the right kind."""
    return {name: data[name] if isinstance(data.get(name), type(value)) else value for name, value in empty.items()}


# Messages


def _send_private(params: Params, face: Face) -> Steps:
    return (yield from _send(params, face, "private", {"user_id": _user(params, face)}))


def _send_group(params: Params, face: Face) -> Steps:
    return (yield from _send(params, face, "group", {"group_id": _user(params, face, "group_id")}))


def _send_msg(params: Params, face: Face) -> Steps:
    kind = params.get("message_type")
    if kind in (None, ""):
        kind = "private" if params.get("group_id") in (None, "", 0, "0") else "group"
    if kind not in ("private", "group"):
        raise ActionError(BAD_PARAM, "message_type has to be private or group")
    return (yield from (_send_private if kind == "private" else _send_group)(params, face))


def _send(params: Params, face: Face, kind: str, target: Params) -> Steps:
    if params.get("message") is None:
        raise ActionError(BAD_PARAM, "message is missing")
    segments = read_message(params["message"], auto_escape=flag(params, "auto_escape"))
    message = decode_segments(segments, face.ids)
    yield from _upload(message, face)
    wanted: Params = {"detail_type": kind, **target, "message": encode_message(message)}
    data = _record((yield _request(face, "send_message", wanted)))
    message_id = face.ids.messages.encode(_said(data, "message_id"))
    facts: Json = {
        "time": _seconds(data.get("time")),
        "message_type": kind,
        "message_id": message_id,
        "real_id": message_id,
        "sender": {"user_id": face.self_id, "nickname": face.bot.user_id, "sex": "unknown", "age": 0},
    }
    face.recent.add(message_id, facts, encode_segments(message, face.ids))
    return {"message_id": message_id}


def _seconds(time: object) -> int:
    whole = isinstance(time, int) or (isinstance(time, float) and math.isfinite(time))
    return int(time) if isinstance(time, int | float) and whole else 0


def _upload(message: Message, face: Face) -> Steps:
    """Let 12 have the files first: where 11 sends a URL, a path or the bytes, 12 sends an id."""
    for segment in message:
        if segment.type not in MEDIA_TO_V11:
            continue
        wanted = upload_params(segment.type, str(segment.data.get("file_id")))
        if wanted is not None:
            segment.data["file_id"] = _said(_record((yield _request(face, "upload_file", wanted))), "file_id")
    return None


def _delete_msg(params: Params, face: Face) -> Steps:
    message_id = face.ids.message_id(integer(params, "message_id"))
    yield _request(face, "delete_message", {"message_id": message_id})
    return None


def _get_msg(params: Params, face: Face) -> Steps:
    yield from ()
    found = face.recent.get(integer(params, "message_id"))
    if found is None:
        raise ActionError(BAD_PARAM, "no message of this number is remembered")
    facts, segments = found
    return facts | {"message": face.write_message(segments)}


# Users and groups


def _get_login_info(_params: Params, face: Face) -> Steps:
    data = _record((yield _request(face, "get_self_info")))
    return {"user_id": face.self_id, "nickname": _said(data, "user_name")}


def _get_stranger_info(params: Params, face: Face) -> Steps:
    data = _record((yield _request(face, "get_user_info", {"user_id": _user(params, face)})))
    return _person(data, face) | _filled(data, {"sex": "unknown", "age": 0})


def _get_friend_list(_params: Params, face: Face) -> Steps:
    friends = _records((yield _request(face, "get_friend_list")))
    return [_person(friend, face) | {"remark": _said(friend, "user_remark", "")} for friend in friends]


def _person(data: Mapping[str, object], face: Face) -> Json:
    return {"user_id": face.ids.users.encode(_said(data, "user_id")), "nickname": _said(data, "user_name")}


def _get_group_info(params: Params, face: Face) -> Steps:
    wanted: Params = {"group_id": _user(params, face, "group_id")}
    return _group(_record((yield _request(face, "get_group_info", wanted))), face)


def _get_group_list(_params: Params, face: Face) -> Steps:
    return [_group(group, face) for group in _records((yield _request(face, "get_group_list")))]


def _group(data: Mapping[str, object], face: Face) -> Json:
    group: Json = {"group_id": face.ids.users.encode(_said(data, "group_id")), "group_name": _said(data, "group_name")}
    return group | _filled(data, {"member_count": 0, "max_member_count": 0})


def _get_group_member_info(params: Params, face: Face) -> Steps:
    group = _user(params, face, "group_id")
    wanted: Params = {"group_id": group, "user_id": _user(params, face)}
    return _member(_record((yield _request(face, "get_group_member_info", wanted))), group, face)


def _get_group_member_list(params: Params, face: Face) -> Steps:
    group = _user(params, face, "group_id")
    members = _records((yield _request(face, "get_group_member_list", {"group_id": group})))
    return [_member(member, group, face) for member in members]


_MEMBER: Json = {
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


def _member(data: Mapping[str, object], group: str, face: Face) -> Json:
    head: Json = {"group_id": face.ids.users.encode(group)}
    return head | _person(data, face) | {"card": _said(data, "user_displayname", "")} | _filled(data, _MEMBER)


def _set_group_name(params: Params, face: Face) -> Steps:
    wanted: Params = {"group_id": _user(params, face, "group_id"), "group_name": text(params, "group_name")}
    yield _request(face, "set_group_name", wanted)
    return None


def _set_group_leave(params: Params, face: Face) -> Steps:
    if flag(params, "is_dismiss"):
        raise ActionError(UNSUPPORTED_PARAM, "a group can be left, not dissolved")
    yield _request(face, "leave_group", {"group_id": _user(params, face, "group_id")})
    return None


# Files and the implementation itself


def _get_file(file_id: str, face: Face) -> Generator[ActionRequest, object, tuple[Json, str]]:
    """Ask for a file as a path, which is what 11 means; as a URL, or as the bytes, where no paths are given out.

    Return the data for 11, and the file's name.
    """
    for kind in ("path", "url"):
        try:
            data = _record((yield _request(face, "get_file", {"file_id": file_id, "type": kind})))
        except ActionError:
            continue
        return {"file": _said(data, kind), kind: data[kind]}, _said(data, "name", "")
    data = _record((yield _request(face, "get_file", {"file_id": file_id, "type": "data"})))
    content = data.get("data")
    encoded = encode_value(content) if isinstance(content, bytes) else "base64://" + _said(data, "data")
    return {"file": encoded}, _said(data, "name", "")


def _get_image(params: Params, face: Face) -> Steps:
    answer, _ = yield from _get_file(text(params, "file"), face)
    return answer


def _get_record(params: Params, face: Face) -> Steps:
    wanted = text(params, "out_format", "").lower()
    answer, name = yield from _get_file(text(params, "file"), face)
    if wanted and name.rpartition(".")[2].lower() != wanted:
        raise ActionError(PLATFORM_UNABLE, "the recording is of another format, and is not converted")
    return answer


def _get_status(_params: Params, face: Face) -> Steps:
    return encode_status((yield _request(face, "get_status")), face)


def _get_version_info(_params: Params, face: Face) -> Steps:
    data = _record((yield _request(face, "get_version")))
    return {
        "app_name": _said(data, "impl"),
        "app_version": _said(data, "version"),
        "protocol_version": PROTOCOL_VERSION,
    }


def _can_send_files(_params: Params, face: Face) -> Steps:
    yield from ()
    return {"yes": "send_message" in face.actions and "upload_file" in face.actions}


def _handle_quick_operation(params: Params, face: Face) -> Steps:
    """Do all that can be done; the first failure is the answer."""
    failure: ActionError | None = None
    for request in quick_operations(record(params, "context"), record(params, "operation")):
        try:
            yield from _run(request.action, request.params, face)
        except ActionError as error:
            failure = failure or error
    if failure is not None:
        raise failure
    return None


def _run(action: str, params: Params, face: Face) -> Steps:
    run = find_action(action, face.actions)
    if run is None:
        raise ActionError(UNSUPPORTED_ACTION, f"the action {action} is not available")
    return (yield from run(params, face))


ACTIONS: dict[str, V11Action] = {
    "send_private_msg": V11Action(_send_private, "send_message"),
    "send_group_msg": V11Action(_send_group, "send_message"),
    "send_msg": V11Action(_send_msg, "send_message"),
    "delete_msg": V11Action(_delete_msg, "delete_message"),
    "get_msg": V11Action(_get_msg),
    "get_login_info": V11Action(_get_login_info, "get_self_info"),
    "get_stranger_info": V11Action(_get_stranger_info, "get_user_info"),
    "get_friend_list": V11Action(_get_friend_list, "get_friend_list"),
    "get_group_info": V11Action(_get_group_info, "get_group_info"),
    "get_group_list": V11Action(_get_group_list, "get_group_list"),
    "get_group_member_info": V11Action(_get_group_member_info, "get_group_member_info"),
    "get_group_member_list": V11Action(_get_group_member_list, "get_group_member_list"),
    "set_group_name": V11Action(_set_group_name, "set_group_name"),
    "set_group_leave": V11Action(_set_group_leave, "leave_group"),
    "get_image": V11Action(_get_image, "get_file"),
    "get_record": V11Action(_get_record, "get_file"),
    "can_send_image": V11Action(_can_send_files),
    "can_send_record": V11Action(_can_send_files),
    "get_status": V11Action(_get_status, "get_status"),
    "get_version_info": V11Action(_get_version_info, "get_version"),
    QUICK_OPERATION: V11Action(_handle_quick_operation),
}
"""All that is translated. Of 11's other public actions, those that an implementation registers by their names exist."""
