"""rawbot/http/files/media_types.py: the same file has the same type on every machine."""

import re

import pytest

from rawbot.http.files.media_types import CONTENT_TYPES, UNKNOWN, content_type


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"index.html", b"text/html; charset=utf-8"),
        (b"style.css", b"text/css; charset=utf-8"),
        (b"app.js", b"text/javascript; charset=utf-8"),
        (b"app.min.mjs", b"text/javascript; charset=utf-8"),
        (b"notes.txt", b"text/plain; charset=utf-8"),
        (b"data.json", b"application/json"),
        (b"PHOTO.JPG", b"image/jpeg"),
        (b"drawing.svg", b"image/svg+xml"),
        (b"module.wasm", b"application/wasm"),
        (b"font.woff2", b"font/woff2"),
        (b"archive.tar.gz", b"application/gzip"),
        (b"\xe6\x96\x87.pdf", b"application/pdf"),
        (b"Makefile", UNKNOWN),
        (b"html", UNKNOWN),  # a name, not a suffix
        (b"file.", UNKNOWN),
        (b"file.unheard-of", UNKNOWN),
        (b"", UNKNOWN),
        (b".html", b"text/html; charset=utf-8"),
    ],
)
def test_the_end_of_the_name_decides(name: bytes, expected: bytes):
    assert content_type(name) == expected


def test_a_table_of_ones_own_may_be_given():
    assert content_type(b"a.bot", {b"bot": b"text/x-bot"}) == b"text/x-bot"
    assert content_type(b"a.html", {}) == UNKNOWN


def test_every_type_is_one_and_text_alone_has_a_charset():
    for suffix, kind in CONTENT_TYPES.items():
        assert re.fullmatch(rb"[a-z0-9]+", suffix)
        assert re.fullmatch(rb"(application|audio|font|image|text|video)/[a-z0-9.+-]+(; charset=utf-8)?", kind)
        assert kind.startswith(b"text/") == kind.endswith(b"; charset=utf-8")
