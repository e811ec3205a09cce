"""What a handler writes to when a callback button was pressed: an answer that the user's client waits for.

Layer 3, pure. Source: VK, messages.sendMessageEventAnswer (dev.vk.com/ru/method/messages.sendMessageEventAnswer) and
callback buttons (dev.vk.com/ru/api/bots/development/keyboard). The client waits for a minute; an answer without data
ends the wait, and is sent when the handler has sent none.
"""

from collections.abc import Callable

import orjson

from rawbot.errors import StateError
from rawbot.vk.objects import MessageEvent
from rawbot.vk.posting import Target
from rawbot.vk.replies import Ending, Settled, VKReply
from rawbot.vk.texts import clean

DEADLINE = 60.0
"""Seconds after which nobody waits for the answer to a button."""

MAX_SNACKBAR = 90
"""Characters that a snackbar shows."""

MAX_EVENT_DATA = 1000
"""Characters of an answer in all."""


class ButtonReply(VKReply):
    """The reply to a `message_event`: `snackbar`, `open_link` or `open_app`, one of them and once; and messages, too.

    At `deadline`, Unix time, the user's client gives up. The answer reaches nobody then, and raises `StateError`;
    messages still do.
    """

    __slots__ = ("_clock", "_event", "_has_answered", "deadline")

    def __init__(
        self,
        target: Target | None,
        event: MessageEvent,
        *,
        on_settled: Settled,
        deadline: float,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(target, peer_id=event.peer_id, on_settled=on_settled)
        self.deadline = deadline
        self._clock = clock
        self._event = (event.event_id, event.user_id)
        self._has_answered = False

    @property
    def stale(self) -> bool:
        """Whether the minute is over."""
        return self._clock() >= self.deadline

    def snackbar(self, text: str) -> None:
        """Show a line above the conversation: as much of the text as it holds."""
        if not isinstance(text, str) or not text.strip():
            raise StateError("a snackbar shows words")
        self._answer({"type": "show_snackbar", "text": clean(text)[:MAX_SNACKBAR]})

    def open_link(self, link: str) -> None:
        """Open a page."""
        self._answer({"type": "open_link", "link": link})

    def open_app(self, app_id: int, *, owner_id: int | None = None, hash: str = "") -> None:  # noqa: A002 - the vendor's word
        """Open an app of VK's."""
        data: dict[str, object] = {"type": "open_app", "app_id": app_id, "hash": hash}
        self._answer(data if owner_id is None else data | {"owner_id": owner_id})

    def _end(self, verdict: Ending) -> None:
        """End the wait as well, unless another process is to answer."""
        answered = self.finished or self._has_answered or self._target is None
        if not answered and verdict is not Ending.CUT_OFF and not self.stale:
            self._send_answer({}, matters=False)
        super()._end(verdict)

    def _answer(self, data: dict[str, object]) -> None:
        self._demand_open()
        if self._has_answered:
            raise StateError("this button is answered already")
        if self.stale:
            raise StateError("the minute for the answer to this button is over")
        self._send_answer({"event_data": _encode(data)}, matters=True)

    def _send_answer(self, fields: dict[str, object], *, matters: bool) -> None:
        event_id, user_id = self._event
        call = {"event_id": event_id, "user_id": user_id, "peer_id": self.peer_id, **fields}
        self._has_answered = True
        self._demand_posting().call("messages.sendMessageEventAnswer", call, matters=matters)


def _encode(data: dict[str, object]) -> str:
    """Return the answer as JSON. Raises `StateError` for what cannot be one."""
    try:
        text = orjson.dumps(data).decode()
    except orjson.JSONEncodeError:
        raise StateError("this answer to a button cannot be written as JSON") from None
    if len(text) > MAX_EVENT_DATA:
        raise StateError(f"an answer to a button has at most {MAX_EVENT_DATA} characters")
    return text
