"""Quick operations: what an application answers an event with, taken apart into requests of OneBot 11.

Layer 3, pure. Source: OneBot 11, event/message and event/request (quick operations), api/hidden
(`.handle_quick_operation`, whose context may be cut down to the few fields read here).
"""

from dataclasses import dataclass

from rawbot.onebot.v11.cq import V11Segment, text_segment
from rawbot.onebot.v11.params import Params, flag, integer, is_absent, read_integer
from rawbot.onebot.v11.segments import read_message

BAN_SECONDS = 30 * 60
"""How long a ban lasts that says nothing of it."""


@dataclass(slots=True)
class QuickRequest:
    """A request of OneBot 11."""

    action: str
    params: Params


def quick_operations(context: Params, operation: Params) -> list[QuickRequest]:
    """List what is to be done, in order; nothing for an event that knows no quick operations.

    Fields that the event does not know are ignored, as are those that ask for nothing (null, false, an empty reply).
    Raises `ActionError` with `BAD_PARAM` for one that cannot be read.
    """
    post_type = context.get("post_type")
    if post_type == "message":
        in_group = context.get("message_type") == "group"
        return _reply(context, operation) + (_moderate(context, operation) if in_group else [])
    if post_type == "request" and not is_absent(operation, "approve"):
        return _decide(context, operation)
    return []


def _reply(context: Params, operation: Params) -> list[QuickRequest]:
    if is_absent(operation, "reply"):
        return []
    message = read_message(operation["reply"], auto_escape=flag(operation, "auto_escape"))
    if not message:
        return []
    if context.get("message_type") != "group":
        return [QuickRequest("send_private_msg", {"user_id": context.get("user_id"), "message": message})]
    if flag(operation, "at_sender", default=True) and _anonymous(context) is None:
        message = [_at(context), text_segment(" "), *message]
    return [QuickRequest("send_group_msg", {"group_id": context.get("group_id"), "message": message})]


def _at(context: Params) -> V11Segment:
    return {"type": "at", "data": {"qq": integer(context, "user_id")}}


def _anonymous(context: Params) -> Params | None:
    anonymous = context.get("anonymous")
    return anonymous if isinstance(anonymous, dict) else None


def _moderate(context: Params, operation: Params) -> list[QuickRequest]:
    anonymous = _anonymous(context)
    member: Params = {"group_id": context.get("group_id"), "user_id": context.get("user_id")}
    requests = []
    if flag(operation, "delete"):
        requests.append(QuickRequest("delete_msg", {"message_id": context.get("message_id")}))
    if flag(operation, "kick") and anonymous is None:
        requests.append(QuickRequest("set_group_kick", {**member, "reject_add_request": False}))
    if flag(operation, "ban"):
        duration = BAN_SECONDS
        if not is_absent(operation, "ban_duration"):
            duration = read_integer(operation["ban_duration"], "ban_duration")
        if anonymous is None:
            requests.append(QuickRequest("set_group_ban", {**member, "duration": duration}))
        else:
            params: Params = {"group_id": context.get("group_id"), "anonymous": anonymous, "duration": duration}
            requests.append(QuickRequest("set_group_anonymous_ban", params))
    return requests


def _decide(context: Params, operation: Params) -> list[QuickRequest]:
    params: Params = {"flag": context.get("flag"), "approve": flag(operation, "approve")}
    if context.get("request_type") == "friend":
        return [QuickRequest("set_friend_add_request", {**params, "remark": operation.get("remark", "")})]
    reason = operation.get("reason", "")
    return [QuickRequest("set_group_add_request", {**params, "sub_type": context.get("sub_type"), "reason": reason})]
