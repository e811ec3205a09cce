"""The text of user Long Poll, which is HTML of five words, and back to what was typed.

Layer 3, pure. Source: VK, User Long Poll API (dev.vk.com/ru/api/user-long-poll/getting-started). Community events have
plain text and need none of this.
"""

import re

_MEANINGS = {"<br>": "\n", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&amp;": "&"}
_WORDS = re.compile("|".join(_MEANINGS))


def decode_text(text: str) -> str:
    """Return what was typed.

    Each character is read once, so that `&amp;quot;` is `&quot;`, which somebody has typed, and no quotation mark.
    """
    if "&" not in text and "<" not in text:
        return text
    return _WORDS.sub(lambda found: _MEANINGS[found[0]], text)
