"""rawbot/onebot/file_checks.py: what names and parameters must look like."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawbot.onebot.file_checks import MAX_NAME_BYTES, check_headers, check_sha256, clean_name, demand
from rawbot.onebot.retcodes import BAD_PARAM, UNSUPPORTED_PARAM, ActionError

EMPTY = hashlib.sha256().hexdigest()


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("foo.jpg", "foo.jpg"),
        ("报告 一.pdf", "报告 一.pdf"),
        (".gitignore", ".gitignore"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\evil.exe", "evil.exe"),
        ("C:\\a.txt", "a.txt"),
        ("a\0b\r\nc.txt", "abc.txt"),
        ("  x.txt ", "x.txt"),
        ("\u202egpj.exe", "gpj.exe"),  # right-to-left override: shown as exe.jpg
        ("\ud800.txt", ".txt"),
        ("", ""),
        (".", ""),
        ("..", ""),
        ("a/..", ""),
        ("dir/", ""),
    ],
)
def test_a_name_names_no_place(name: str, clean: str):
    assert clean_name(name) == clean


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("x" * 300 + ".jpg", "x" * 196 + ".jpg"),
        ("图" * 100 + ".jpg", "图" * 65 + ".jpg"),
        ("x." + "y" * 300, "x." + "y" * 198),
        ("." + "y" * 300, "." + "y" * 199),
        ("x" * 300, "x" * 200),
    ],
)
def test_a_long_name_is_cut_before_its_suffix(name: str, clean: str):
    assert clean_name(name) == clean


@given(st.text(st.characters(), max_size=400))
def test_any_name_becomes_one_that_a_file_system_takes(name: str):
    clean = clean_name(name)
    assert len(clean.encode()) <= MAX_NAME_BYTES
    assert clean not in (".", "..")
    assert not set(clean) & set("/\\\0\r\n")
    assert clean_name(clean) == clean.strip()


def test_a_sha256_is_64_lower_case_hexadecimal_digits():
    assert check_sha256(EMPTY) == EMPTY


@pytest.mark.parametrize("digits", ["", EMPTY.upper(), EMPTY[1:], EMPTY + "0", EMPTY[:-1] + "g", EMPTY[:-1] + "\u0660"])
def test_anything_else_is_no_sha256(digits: str):
    with pytest.raises(ActionError) as caught:
        check_sha256(digits)
    assert caught.value.retcode == BAD_PARAM


@pytest.mark.parametrize(
    "headers",
    [{}, {"Cookie": "a=b; c", "X-Empty": ""}, {"Referer": "https://a.example/?b=c"}, {"X": "caf\xe9\tau lait"}],
)
def test_headers_go_as_they_are(headers: dict[str, str]):
    assert check_headers(headers) is headers


@pytest.mark.parametrize("name", ["", "A\n", "A:", "A B", "Ä", "A\0"])
def test_a_header_needs_a_name(name: str):
    with pytest.raises(ActionError) as caught:
        check_headers({"X": "y", name: "b"})
    assert caught.value.retcode == BAD_PARAM


@pytest.mark.parametrize("value", ["b\r\nHost: c", "b\n", "\0", "图", "\x7f", " b", "b "])
def test_a_header_cannot_end_its_line_nor_leave_its_alphabet(value: str):
    with pytest.raises(ActionError) as caught:
        check_headers({"A": value})
    assert caught.value.retcode == BAD_PARAM


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "CONNECTION", "Upgrade", "Expect"])
def test_the_connection_is_not_for_applications_to_say(name: str):
    with pytest.raises(ActionError) as caught:
        check_headers({name: "5"})
    assert caught.value.retcode == UNSUPPORTED_PARAM


@given(name=st.text(st.characters(), max_size=5), value=st.text(st.characters(), max_size=8))
def test_what_passes_can_be_sent(name: str, value: str):
    try:
        check_headers({name: value})
    except ActionError:
        return
    line = name.encode("ascii") + b": " + value.encode("latin-1")
    assert not set(line) & set(b"\r\n\0")


def test_what_must_be_there_may_be_empty_but_not_absent():
    assert demand("", "url") == ""
    assert demand(0, "offset") == 0
    with pytest.raises(ActionError, match="offset is missing"):
        demand(None, "offset")
