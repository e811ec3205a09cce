"""rawbot/vk/entities.py: what was typed comes back, whatever it was."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rawbot.vk.entities import decode_text


def escaped(text: str) -> str:
    """Do what the platform does: the ampersand first, so that nothing is escaped twice."""
    for plain, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("\n", "<br>")):
        text = text.replace(plain, entity)
    return text


@given(st.text(st.sampled_from('&<>"\nabmpqltgu;r')) | st.text())
@example("&quot;")
@example("&amp;lt;")
@example("<br>")
@example("&lt;br&gt;")
def test_what_was_typed_comes_back(text: str):
    assert decode_text(escaped(text)) == text


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("a<br>b", "a\nb"),
        ("&lt;br&gt;", "<br>"),
        ("&amp;quot;", "&quot;"),
        ("&amp;amp;", "&amp;"),
        ("&amp;lt;b&amp;gt;", "&lt;b&gt;"),
        ("&lt;&gt;&amp;&quot;", '<>&"'),
        ("", ""),
        ("привет", "привет"),
        # What the page does not name stays as it is.
        ("&nbsp;&#39;&", "&nbsp;&#39;&"),
        ("<BR><br/>", "<BR><br/>"),
    ],
)
def test_five_words_are_decoded_and_no_others(text: str, typed: str):
    assert decode_text(text) == typed
