"""rawbot/wecom/frames.py says what `encode_stream` says."""

from hypothesis import given
from hypothesis import strategies as st

from rawbot.wecom.frames import encode_waiting, encode_words, prepare_waiting
from rawbot.wecom.messages import encode_stream

IDS = st.from_regex(r"\A[0-9a-f]{12}-[0-9a-f]{1,8}\Z")
TEXTS = st.text(st.characters(exclude_categories=("Cs",)))


@given(IDS, TEXTS, st.booleans())
def test_words_are_framed_as_by_encode_stream(stream_id: str, content: str, finish: bool):  # noqa: FBT001
    assert encode_words(stream_id, content, finish=finish) == encode_stream(stream_id, content, finish=finish)


@given(IDS, TEXTS)
def test_a_stream_that_waits_is_framed_as_by_encode_stream(stream_id: str, content: str):
    prepared = prepare_waiting(content)
    assert encode_waiting(stream_id, prepared) == encode_stream(stream_id, content, finish=False)
