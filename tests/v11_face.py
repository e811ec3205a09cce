"""A bot as OneBot 11 sees it, and an implementation of OneBot 12 that answers from a table."""

from collections.abc import Callable

from rawbot.onebot.messages import Account
from rawbot.onebot.requests import ActionRequest
from rawbot.onebot.v11.calls import V11Call, translate_request
from rawbot.onebot.v11.face import Face, Ids, MessageFormat, RecentMessages

BOT = Account("wecom", "10001000")
STATUS = {"good": True, "bots": [{"self": {"platform": "wecom", "user_id": "10001000"}, "online": True}]}

STANDARD = frozenset(
    (
        "send_message",
        "delete_message",
        "get_self_info",
        "get_user_info",
        "get_friend_list",
        "get_group_info",
        "get_group_list",
        "get_group_member_info",
        "get_group_member_list",
        "set_group_name",
        "leave_group",
        "upload_file",
        "get_file",
        "get_status",
        "get_version",
        "get_supported_actions",
    )
)

Data = dict[str, object]


def ok(data: object = None) -> Data:
    return {"status": "ok", "retcode": 0, "data": data, "message": ""}


def no(retcode: int, message: str = "") -> Data:
    return {"status": "failed", "retcode": retcode, "data": None, "message": message}


def face(
    bot: Account = BOT,
    *,
    actions: frozenset[str] = STANDARD,
    status: object = STATUS,
    ids: Ids | None = None,
    message_format: MessageFormat = "array",
    recent: RecentMessages | None = None,
) -> Face:
    return Face(
        bot,
        actions=actions,
        status=lambda: status,
        ids=ids,
        message_format=message_format,
        recent=recent,
    )


def run(call: V11Call, *responses: Data | Callable[[ActionRequest], Data]) -> list[ActionRequest]:
    """Answer one request after the other, and return them."""
    requests = []
    for response in responses:
        assert call.request is not None, "it asks for less"
        requests.append(call.request)
        call.receive(response(call.request) if callable(response) else response)
    assert call.request is None, "it asks for more"
    return requests


def ask(its_face: Face, action: str, params: Data | None = None, *responses: Data) -> tuple[list[ActionRequest], Data]:
    """Run an action; return what was asked of OneBot 12, and the answer of OneBot 11."""
    call = translate_request({"action": action, "params": params}, its_face)
    return run(call, *responses), call.response
