"""Text as WeCom shows it: where to cut it, how to end it, and whether anything of it can be seen.

Layer 3, pure. A stream's content and a response_url's markdown hold 20,480 bytes each (docs 101031, 101138).
"""

import re
import unicodedata

TEXT_LIMIT = 20_480
"""Bytes of UTF-8 in a stream's content, and in an active reply's markdown."""

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})([^\n]*)$", re.MULTILINE)
_THINK = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_TAGS = re.compile("</?think>")
_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Zs", "Zl", "Zp", "Mn", "Me"))
"""Unicode categories: controls, formats, surrogates, blanks, and marks that need a letter. What is merely unassigned
(Cn) may be an emoji younger than this Python, and is seen."""
_BLANKS = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters by category, blank on the screen: Hangul fillers and the empty Braille pattern."""
_LONGEST_OPENING = 80
"""Characters of a fence's first line that may be repeated where the fence is opened again."""
_BELOW = _LONGEST_OPENING + 3
"""Bytes that `with_notice` may put between a text and the notice: a closing fence and three line breaks."""
_BOUNDARIES = ("\n\n", "\n", "。", ". ", " ")
"""Where a text may end, best first: paragraph, line, sentence, word."""


def is_visible(text: str) -> bool:
    """Tell whether a user sees anything of it.

    White space, zero-width and format characters, blanks of other scripts and a `<think>` block (shown folded) do not
    count: a stream that finishes with only these leaves the waiting bubble behind.
    """
    if "<think>" in text:
        text = _THINK.sub("", text)
    return not is_blank(text)


def is_blank(text: str) -> bool:
    """Tell whether not even a bubble that is still open would show anything: here thoughts count, if there are any."""
    if "think>" in text:
        text = _TAGS.sub("", text)
    for c in text:  # noqa: SIM110 - as a rule it ends at the first character: 0.2 µs, `all` with its generator 0.6
        if c not in _BLANKS and unicodedata.category(c) not in _UNSEEN:
            return False
    return True


def clean(text: str) -> str:
    """Return the text with lone surrogates replaced, so that it can be encoded."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def prefix(text: str, limit: int) -> str:
    """Return the front of a text: as many whole characters as `limit` bytes of UTF-8 hold."""
    return text[:limit].encode()[:limit].decode("utf-8", "ignore")


def without_thought(text: str) -> str:
    """Return the text without the think block that it begins with; nothing is left of one that is still open."""
    body = text.lstrip()
    return body.partition("</think>")[2].lstrip() if body.startswith("<think>") else text


def open_block(text: str) -> tuple[str, str]:
    """Return what closes the think block or code fence that a text leaves open and what opens it again, or "" twice."""
    if text.rfind("<think>") > text.rfind("</think>"):
        return "</think>", "<think>"
    fences = _fences(text)
    if fences and fences[-1].open and len(fences[-1].opening) <= _LONGEST_OPENING:
        return f"\n{fences[-1].marker}", f"{fences[-1].opening}\n"
    return "", ""


def with_notice(text: str, notice: str) -> str:
    """Return the text with a sentence of ours below it, outside of the block that the text may leave open."""
    if not notice:
        return text
    return notice if is_blank(text) else f"{text}{open_block(text)[0]}\n\n{notice}"


def shorten(text: str, notice: str) -> tuple[str, str]:
    """Return as much of the text's front as `TEXT_LIMIT` holds with a notice below it, and what it does not hold.

    Thoughts are the first to go when there is too little room.
    """
    room = TEXT_LIMIT - len(notice.encode()) - _BELOW
    if len(text.encode()) > room:
        text = without_thought(text)
    head, tail = split(text, room)
    return with_notice(head.rstrip(), notice), tail


def unseen(text: str, shown: str, cut_off: str) -> str:
    """Return what of a text is not among what was `shown` of it, after which `cut_off` was left out.

    All of it, save thoughts, when it does not begin with that any more.
    """
    text = without_thought(text)
    if not text.startswith(shown):
        return text
    new = text[len(shown) :]
    if is_blank(new) or cut_off:
        return cut_off + new
    return open_block(shown)[1] + new


def split(text: str, limit: int) -> tuple[str, str]:
    """Cut a text in two, the head at most `limit` bytes of UTF-8.

    The cut falls at the end of a paragraph, else of a line, sentence or word, if one ends in the second half of what
    fits, outside of code fences. Then head and tail together are the text. Where one fence fills that half, it is
    closed at the end of the head and opened again at the start of the tail.
    """
    if len(text) * 4 <= limit or len(text.encode()) <= limit:
        return text, ""
    head = prefix(text, limit)
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

    __slots__ = ("end", "marker", "open", "opening", "start")

    def __init__(self, start: int, end: int, marker: str, opening: str) -> None:
        self.start = start
        self.end = end
        self.open = True
        self.marker = marker
        self.opening = opening


def _fences(text: str) -> list[_Fence]:
    """Find the fences of a text; one that stays open ends with the text."""
    fences: list[_Fence] = []
    for line in _FENCE.finditer(text):
        marker, info = line[1], line[2].strip()
        if not fences or not fences[-1].open:
            fences.append(_Fence(line.start(), len(text), marker, line[0]))
        elif not info and marker.startswith(fences[-1].marker):
            fences[-1].end = line.end()
            fences[-1].open = False
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
    head = prefix(text, max(limit - len(closing), 0))
    body = fence.start + len(fence.opening) + 1
    newline = head.rfind("\n", max(body, len(head) // 2))
    cut = newline if newline >= 0 else len(head)
    rest = text[cut + 1 :] if newline >= 0 else text[cut:]
    return head[:cut] + closing, f"{fence.opening}\n{rest}"
