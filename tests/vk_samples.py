"""The platform's side of VK's events, for the tests of this wing: an object for every known type, and envelopes.

Shapes: VK, community events (dev.vk.com/ru/api/community-events/json-schema), and VKCOM/vk-api-schema 5.199 where that
page leaves one open. Ids, words and URLs are made up.
"""

import json

from shared_vectors import shared_vectors

from rawbot.vk.event_types import COMMENTS
from rawbot.vk.messages import Envelope, decode_envelope

GROUP = 191949777
USER = 578716413
CHAT = 2_000_000_001
SECRET = "a-secret-of-this-test"
EVENT_ID = "2e0cd793ca2c4c41b511dd8d97500523a7fc1b16"
T0 = 1_767_225_600
"""2026-01-01, when everything in these samples happens."""

Json = dict[str, object]


def message(text: str = "привет", *, peer_id: int = USER, cmid: int = 304, **more: object) -> Json:
    fields: Json = {"date": T0, "from_id": USER, "id": 0 if peer_id == CHAT else 305, "out": 0, "attachments": []}
    fields |= {"conversation_message_id": cmid, "fwd_messages": [], "important": False, "is_hidden": False}
    return fields | {"peer_id": peer_id, "random_id": 0, "text": text} | more


CLIENT_INFO: Json = {"button_actions": ["text", "callback"], "keyboard": True, "inline_keyboard": True, "lang_id": 0}


def new_message(text: str = "привет", **more: object) -> Json:
    """Return the object of message_new from 5.103 on."""
    return {"message": message(text, **more), "client_info": CLIENT_INFO}


def button(payload: object = None, **more: object) -> Json:
    fields: Json = {"user_id": USER, "peer_id": CHAT, "event_id": "1776a756b921", "conversation_message_id": 130}
    return fields | {"payload": {"command": "week"} if payload is None else payload} | more


PHOTO: Json = {
    "id": 457239018,
    "album_id": -6,
    "owner_id": USER,
    "has_tags": False,
    "sizes": [
        {"type": "m", "url": "https://sun9-1.userapi.com/m.jpg", "width": 130, "height": 98},
        {"type": "z", "url": "https://sun9-1.userapi.com/z.jpg", "width": 1080, "height": 810},
        {"type": "x", "url": "https://sun9-1.userapi.com/x.jpg", "width": 604, "height": 453},
    ],
    "text": "",
    "date": T0,
}

PARENTS = {
    # what a comment's event begins with: the fields that name what it stands under
    "wall_reply": ("post_owner_id", "post_id"),
    "photo_comment": ("photo_owner_id", "photo_id"),
    "video_comment": ("video_owner_id", "video_id"),
    "board_post": ("topic_owner_id", "topic_id"),
    "market_comment": ("market_owner_id", "item_id"),
}


def comment(place: str, text: str = "хорошо") -> Json:
    owner, parent = PARENTS[place]
    return {"id": 9, "from_id": USER, "date": T0, "text": text, owner: -GROUP, parent: 6}


def deleted_comment(place: str) -> Json:
    owner, parent = PARENTS[place]
    owner = owner if place == "board_post" else "owner_id"
    return {owner: -GROUP, "id": 9, "user_id": USER, "deleter_id": 7, parent: 6}


POST: Json = {"id": 28, "from_id": USER, "owner_id": -GROUP, "date": T0, "post_type": "post", "text": "запись"}
VIDEO: Json = {"id": 5, "owner_id": -GROUP, "title": "видео", "duration": 10, "date": T0}
ORDER: Json = {"id": 1, "group_id": GROUP, "user_id": USER, "date": T0, "status": 0, "items_count": 1}
LIKE: Json = {"liker_id": USER, "object_type": "post", "object_owner_id": -GROUP, "object_id": 7, "thread_reply_id": 0}
DONUT: Json = {"amount": 50, "amount_without_fee": 47.5, "user_id": USER}
WITHDRAWAL: Json = {"amount": 50, "amount_without_fee": 49.8}
PRICE_CHANGE: Json = {"user_id": USER, "amount_old": 50, "amount_new": 80, "amount_diff": 30}
SCHEDULED: Json = {"id": 301, "schedule_time": T0 + 3600}

OBJECTS: dict[str, Json] = {
    "confirmation": {},
    "message_new": new_message(),
    "message_edit": message(update_time=T0 + 5),
    "message_reply": message(from_id=-GROUP, out=1, random_id=-1939640752, admin_author_id=7, version=10000864),
    "message_allow": {"user_id": USER, "key": "ключ"},
    "message_deny": {"user_id": USER},
    "message_typing_state": {"state": "typing", "from_id": USER, "to_id": -GROUP},
    "message_read": {"from_id": USER, "peer_id": USER, "read_message_id": 305, "conversation_message_id": 304},
    "message_event": button(),
    "message_reaction_event": {"reacted_id": USER, "peer_id": CHAT, "cmid": 15, "reaction_id": 3},
    "photo_new": PHOTO,
    "audio_new": {"id": 4, "owner_id": -GROUP, "artist": "исполнитель", "title": "песня", "duration": 180},
    "video_new": VIDEO,
    "wall_post_new": POST,
    "wall_repost": POST | {"copy_history": [POST]},
    "wall_schedule_post_new": SCHEDULED,
    "wall_schedule_post_delete": SCHEDULED,
    "market_order_new": ORDER,
    "market_order_edit": ORDER | {"status": 2},
    "poll_vote_new": {"owner_id": -GROUP, "poll_id": 3, "option_id": 8, "user_id": USER},
    "group_join": {"user_id": USER, "join_type": "approved"},
    "group_leave": {"user_id": USER, "self": 1},
    "group_change_settings": {"user_id": USER, "changes": {"title": {"old_value": "a", "new_value": "b"}}},
    "group_change_photo": {"user_id": USER, "photo": PHOTO},
    "group_officers_edit": {"admin_id": 7, "user_id": USER, "level_old": 3, "level_new": 2},
    "user_block": {"admin_id": 7, "user_id": USER, "unblock_date": 0, "reason": 0, "comment": "спам"},
    "user_unblock": {"admin_id": 7, "user_id": USER, "by_end_date": 0},
    "lead_forms_new": {"lead_id": 1, "group_id": GROUP, "user_id": USER, "form_id": 1, "form_name": "ф", "answers": []},
    "like_add": LIKE | {"post_id": 0},
    "like_remove": LIKE,
    "donut_subscription_create": DONUT,
    "donut_subscription_prolonged": DONUT,
    "donut_subscription_cancelled": {"user_id": USER},
    "donut_subscription_price_changed": PRICE_CHANGE,
    "donut_subscription_expired": {"user_id": USER},
    "donut_money_withdraw": WITHDRAWAL,
    "donut_money_withdraw_error": {"reason": "нет средств"},
    "vkpay_transaction": {"from_id": USER, "amount": 100_000, "description": "спасибо", "date": T0},
    "app_payload": {"user_id": USER, "app_id": 6703670, "payload": '{"foo":"bar"}'},
    **{f"{place}_{change}": comment(place) for place in COMMENTS for change in ("new", "edit", "restore")},
    **{f"{place}_delete": deleted_comment(place) for place in COMMENTS},
}


def update(event_type: str = "message_new", value: object = None, **more: object) -> Json:
    """Return an update of Bots Long Poll, with the keys in the order of 5.199."""
    fields: Json = {"group_id": GROUP, "type": event_type, "event_id": EVENT_ID, "v": "5.199"}
    return fields | {"object": OBJECTS[event_type] if value is None else value} | more


def callback(event_type: str = "message_new", value: object = None, **more: object) -> Json:
    """Return the body of a callback before it is encoded; the secret comes last."""
    return update(event_type, value) | {"secret": SECRET} | more


def encode(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def envelope(event_type: str = "message_new", value: object = None, **more: object) -> Envelope:
    return decode_envelope(encode(callback(event_type, value, **more)))


def recorded() -> list[dict]:
    """Return the shared vectors, `{name, source, body}`; none where they are not at hand."""
    found: object = shared_vectors("vk_events")
    return found if isinstance(found, list) else []
