"""Text as WeCom shows it: where to cut it, and whether anything of it can be seen.

Layer 3, pure. A stream's content and a response_url's markdown hold 20,480 bytes each (docs 101031, 101138).
"""

import re
import unicodedata

TEXT_LIMIT = 20_480
"""Bytes of UTF-8 in a stream's content, and in an active reply's markdown."""

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})([^\n]*)$", re.MULTILINE)
_THINK = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_BLANKS = "\u115f\u1160\u2800\u3164\uffa0"
_LONGEST_OPENING = 80
"""Characters of a fence's first line that may be repeated at the start of the tail."""
_BOUNDARIES = ("\n\n", "\n", "。", ". ", " ")
"""Where a text may end, best first: paragraph, line, sentence, word."""


def is_visible(text: str) -> bool:
    """Tell whether a user sees anything of it.

    White space, zero-width and format characters, blanks of other scripts and a `<think>` block (shown folded) do not
    count: a stream that finishes with only these leaves the waiting bubble behind.
    """
    if "<think>" in text:
        text = _THINK.sub("", text)
    return any(not c.isspace() and c not in _BLANKS and unicodedata.category(c)[0] != "C" for c in text)


def clean(text: str) -> str:
    """Return the text with lone surrogates replaced, so that it can be encoded."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def split(text: str, limit: int) -> tuple[str, str]:
    """Cut a text in two, the head at most `limit` bytes of UTF-8.

    The cut falls at the end of a paragraph, else of a line, sentence or word, if one ends in the second half of what
    fits, outside of code fences. Then head and tail together are the text. Where one fence fills that half, it is
    closed at the end of the head and opened again at the start of the tail.
    """
    if len(text) * 4 <= limit or len(text.encode()) <= limit:
        return text, ""
    head = text.encode()[:limit].decode("utf-8", "ignore")
    spans = _fences(head)
    half = len(head) // 2
    for boundary in _BOUNDARIES:
        if (cut := _last_outside(head, boundary, spans, half)) is not None:
            return text[:cut], text[cut:]
    if spans and spans[-1].end == len(head) and len(spans[-1].opening) <= _LONGEST_OPENING:
        return _split_fence(text, spans[-1], limit)
    return head, text[len(head) :]


class _Fence:
    """A code fence: where it begins and ends, its marker and its opening line."""

    __slots__ = ("end", "marker", "opening", "start")

    def __init__(self, start: int, marker: str, opening: str) -> None:
        self.start = start
        self.end = -1
        self.marker = marker
        self.opening = opening


def _fences(text: str) -> list[_Fence]:
    """Find the fences of a text; one that stays open ends with the text."""
    fences: list[_Fence] = []
    for line in _FENCE.finditer(text):
        marker, info = line[1], line[2].strip()
        current = fences[-1] if fences and fences[-1].end < 0 else None
        if current is None:
            fences.append(_Fence(line.start(), marker, line[0]))
        elif not info and marker[0] == current.marker[0] and len(marker) >= len(current.marker):
            current.end = line.end()
    if fences and fences[-1].end < 0:
        fences[-1].end = len(text)
    return fences


def _last_outside(text: str, boundary: str, fences: list[_Fence], least: int) -> int | None:
    """Return the last place behind `boundary`, not before `least`, that lies in no fence."""
    stop = len(text)
    while (found := text.rfind(boundary, least, stop)) >= 0:
        cut = found + len(boundary)
        around = next((f for f in fences if f.start < cut <= f.end), None)
        if around is None:
            return cut
        # a newline that ends the line before the fence stays a candidate
        stop = min(found + len(boundary) - 1, around.start)
    return None


def _split_fence(text: str, fence: _Fence, limit: int) -> tuple[str, str]:
    """Cut inside a fence, at a line's end if there is one, and make both parts whole."""
    closing = f"\n{fence.marker}"
    head = text.encode()[: max(limit - len(closing), 0)].decode("utf-8", "ignore")
    body = fence.start + len(fence.opening) + 1
    newline = head.rfind("\n", max(body, len(head) // 2))
    cut = newline if newline >= 0 else len(head)
    rest = text[cut + 1 :] if newline >= 0 else text[cut:]
    return head[:cut] + closing, f"{fence.opening}\n{rest}"
