"""The names of VK's community events. A table and nothing else: who handles what is decided elsewhere.

Layer 3, pure. Source: VK, community events (dev.vk.com/ru/api/community-events/json-schema);
groups.setCallbackSettings and groups.setLongPollSettings (dev.vk.com/ru/method/groups.setCallbackSettings).
"""

CONFIRMATION = "confirmation"
"""What the Callback API asks before it sends anything to a server."""

CHANGES = ("new", "edit", "restore", "delete")
"""What can happen to a comment: the last part of its event's name."""

COMMENTS = ("wall_reply", "photo_comment", "video_comment", "board_post", "market_comment")
"""The first part of it: where the comment stands."""

MESSAGES = frozenset({"message_new", "message_edit", "message_reply"})
"""The events whose object is, or holds, a message."""

SETTABLE: frozenset[str] = MESSAGES.union(
    (f"{place}_{change}" for place in COMMENTS for change in CHANGES),
    (
        "message_allow",
        "message_deny",
        "message_typing_state",
        "message_read",
        "message_event",
        "message_reaction_event",
        "photo_new",
        "audio_new",
        "video_new",
        "wall_post_new",
        "wall_repost",
        "wall_schedule_post_new",
        "wall_schedule_post_delete",
        "market_order_new",
        "market_order_edit",
        "poll_vote_new",
        "group_join",
        "group_leave",
        "group_change_settings",
        "group_change_photo",
        "group_officers_edit",
        "user_block",
        "user_unblock",
        "lead_forms_new",
        "like_add",
        "like_remove",
        "donut_subscription_create",
        "donut_subscription_prolonged",
        "donut_subscription_cancelled",
        "donut_subscription_price_changed",
        "donut_subscription_expired",
        "donut_money_withdraw",
        "donut_money_withdraw_error",
    ),
)
"""What can be switched on and off for a callback server; an event that is off never comes."""

LONG_POLL_SETTABLE: frozenset[str] = SETTABLE - {
    "lead_forms_new",
    "market_order_new",
    "market_order_edit",
    "wall_schedule_post_new",
    "wall_schedule_post_delete",
}
"""The same for Bots Long Poll, which does not know the others."""

ALWAYS_SENT = frozenset({"vkpay_transaction", "app_payload"})
"""What comes in any case: there is no switch for it."""

EVENT_TYPES: frozenset[str] = SETTABLE | ALWAYS_SENT | {CONFIRMATION}
"""All known names. An unknown one is no error: the platform adds some from time to time."""
