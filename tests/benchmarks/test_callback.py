"""benchmarks/callback.py: what a stream has to say is as long as is told."""

from benchmarks.callback import NEWS


def test_the_news_have_300_bytes():
    assert NEWS.isascii()
    assert len(NEWS) >= 300
