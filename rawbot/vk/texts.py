"""Texts as VK takes them: of bounded length, encodable, and with something to be seen.

Layer 3, pure. Source: VK, messages.send (dev.vk.com/ru/method/messages.send).
"""

MAX_TEXT = 9000
"""Characters of one message; a longer text goes out as several."""


def clean(text: str) -> str:
    """Return the text with halves of surrogate pairs put together, or replaced, so that it can be encoded."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def split(text: str) -> list[str]:
    """Cut a text into messages: at the end of a line, else of a word, where one ends in the second half.

    A part of blanks alone is left out, since VK takes no such message.
    """
    parts = []
    while len(text) > MAX_TEXT:
        at = _last(text, "\n") or _last(text, " ") or MAX_TEXT
        parts.append(text[:at].rstrip())
        text = text[at:]
    return [part for part in (*parts, text) if part.strip()]


def _last(text: str, boundary: str) -> int:
    """Return where the text behind the last boundary of the second half begins, 0 when there is none."""
    return text.rfind(boundary, MAX_TEXT // 2, MAX_TEXT) + 1
