"""rawbot/vk/multipart.py, read back by the standard library (RFC 7578)."""

import email.policy
from email.message import EmailMessage
from email.parser import BytesParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawbot.vk.multipart import draw_boundary, encode_file

BOUNDARY = b"rawbot-0123456789abcdef"


def read(body: bytes, content_type: bytes) -> EmailMessage:
    """Return the only part."""
    head = b"Content-Type: " + content_type + b"\r\n\r\n"
    message = BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    (part,) = message.iter_parts()
    assert isinstance(part, EmailMessage)
    return part


def test_a_file_is_the_form_s_only_field():
    body, content_type = encode_file("photo", "cat.jpg", "image/jpeg", b"\xff\xd8\xff", BOUNDARY)
    assert content_type == b"multipart/form-data; boundary=rawbot-0123456789abcdef"
    assert body == (
        b"--rawbot-0123456789abcdef\r\n"
        b'Content-Disposition: form-data; name="photo"; filename="cat.jpg"\r\n'
        b"Content-Type: image/jpeg\r\n\r\n"
        b"\xff\xd8\xff\r\n"
        b"--rawbot-0123456789abcdef--\r\n"
    )


@pytest.mark.parametrize(
    ("name", "encoded"),
    [
        ('a"b.txt', b'"a%22b.txt"'),
        ("a\r\nX-Evil: 1.txt", b'"a%0D%0AX-Evil: 1.txt"'),
        ("отчёт.pdf", '"отчёт.pdf"'.encode()),
        ("\ud800.txt", b'"?.txt"'),
        ("", b'""'),
    ],
)
def test_a_name_cannot_leave_its_quotes(name: str, encoded: bytes):
    body, _ = encode_file("file", name, "application/pdf", b"x", BOUNDARY)
    assert body.split(b"\r\n")[1] == b'Content-Disposition: form-data; name="file"; filename=' + encoded


@given(st.binary(), st.text(st.characters(codec="ascii", exclude_characters='"\\%', min_codepoint=32), max_size=20))
def test_any_file_comes_back(data: bytes, name: str):
    body, content_type = encode_file("file", f"x{name}x", "application/octet-stream", data, BOUNDARY)
    lines = body.split(b"\r\n\r\n", 1)[1]
    assert lines == data + b"\r\n--" + BOUNDARY + b"--\r\n"
    part = read(body, content_type)
    assert part.get_param("name", header="content-disposition") == "file"
    assert part["content-disposition"].params["filename"].strip() == f"x{name}x".strip()


def test_the_boundary_is_one_that_the_file_does_not_hold():
    draws = iter([b"\0" * 16, b"\1" * 16, b"\2" * 16])
    data = b"--rawbot-" + b"00" * 16 + b"rawbot-" + b"01" * 16
    assert draw_boundary(data, lambda count: next(draws)[:count]) == b"rawbot-" + b"02" * 16
