"""Shows a simulated conversation in the terminal while it happens: who says what, and when.

Layer 4. It prints lines and draws nothing over them, so its output can be piped and read by a screen reader.
"""

import sys
from typing import Any, TextIO

from rawbot.simulate.wecom_conversation import Conversation, Frame

Json = dict[str, Any]

_SHOWN = 72
"""Characters of a snapshot that are shown: its end, where it grows."""

_STYLES = {"user": "1", "bot": "36", "good": "32", "bad": "31", "dim": "2"}


class Transcript:
    """Prints to a stream, in colour when it is a terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._colour = self._stream.isatty()

    def note(self, text: str = "") -> None:
        """Print a line of our own."""
        self._print(text, "dim")

    def say(self, who: str, text: str) -> None:
        """Print what a user does."""
        self._print(f"\n{who:>12} │ {text}", "user")

    def frame(self, conversation: Conversation, frame: Frame) -> None:
        """Print a snapshot of the bot's bubble, with the time since the message."""
        if frame.finish and not frame.content and frame.card is None:
            return
        repeated = len(conversation.frames) > 1 and conversation.frames[-2].content == frame.content
        if repeated and not frame.finish and frame.card is None:
            return
        end = " ✔" if frame.finish else ""
        extra = f" [{frame.msg_items} picture(s)]" if frame.msg_items else ""
        extra += " [card]" if frame.card is not None else ""
        size = f" ({frame.size:,} bytes)" if frame.size > _SHOWN else ""
        self._print(f"{_time(frame.at):>12} │ {_tail(frame.content)}{size}{extra}{end}", "bot")

    def active(self, _conversation: Conversation, message: Json) -> None:
        """Print what came through response_url, as a message of its own."""
        markdown = message.get("markdown")
        text = markdown.get("content", "") if isinstance(markdown, dict) else "[card]"
        self._print(f"{'+ message':>12} │ {_tail(text)} ({len(text.encode()):,} bytes)", "bot")

    def verdict(self, text: str, *, good: bool) -> None:
        """Print whether it was right."""
        self._print(f"{'✔' if good else '✘':>12} │ {text}", "good" if good else "bad")

    def _print(self, text: str, style: str) -> None:
        if self._colour:
            text = f"\x1b[{_STYLES[style]}m{text}\x1b[0m"
        print(text, file=self._stream, flush=True)


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _tail(text: str) -> str:
    """Return one line of a text, without control characters: its end if it is long."""
    line = "".join(c if c.isprintable() else " " for c in text).strip()
    if line == "<think></think>":
        return "· · ·"
    return line if len(line) <= _SHOWN else f"…{line[-_SHOWN:]}"
