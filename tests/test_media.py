"""rawbot/media.py: types by first bytes, names from Content-Disposition, data URLs."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawbot.errors import StateError
from rawbot.media import MAGIC_BYTES, OCTETS, Media, decode_filename, default_name, sniff_type

# source of the first bytes: the formats' own specifications, as collected in mimesniff.spec.whatwg.org and file(1)
HEADS = [
    (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "image/png", "png"),
    (b"\xff\xd8\xff\xe0\x00\x10JFIF", "image/jpeg", "jpg"),
    (b"GIF87a\x01\x00", "image/gif", "gif"),
    (b"GIF89a\x01\x00", "image/gif", "gif"),
    (b"RIFF\x24\x00\x00\x00WEBPVP8 ", "image/webp", "webp"),
    (b"BM\x46\x00\x00\x00\x00\x00\x00\x00\x36\x00", "image/bmp", "bmp"),
    (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00", "image/heic", "heic"),
    (b"%PDF-1.7\n", "application/pdf", "pdf"),
    (b"PK\x03\x04\x14\x00", "application/zip", "zip"),
    (b"\x1f\x8b\x08\x00", "application/gzip", "gz"),
    (b"Rar!\x1a\x07\x01\x00", "application/vnd.rar", "rar"),
    (b"7z\xbc\xaf\x27\x1c\x00\x04", "application/x-7z-compressed", "7z"),
    (b"ID3\x04\x00", "audio/mpeg", "mp3"),
    (b"OggS\x00\x02", "audio/ogg", "ogg"),
    (b"RIFF\x24\x00\x00\x00WAVEfmt ", "audio/wav", "wav"),
    (b"#!AMR\n", "audio/amr", "amr"),
    (b"RIFF\x24\x00\x00\x00AVI LIST", "video/x-msvideo", "avi"),
    (b"\x1aE\xdf\xa3\x9f\x42\x86\x81", "video/webm", "webm"),
    (b"\x00\x00\x00\x14ftypqt  \x00\x00\x00\x00", "video/quicktime", "mov"),
    (b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00", "video/mp4", "mp4"),
    (b"RIFF\x24\x00\x00\x00ABCD", OCTETS, "bin"),
    (b"BM is how this text begins", OCTETS, "bin"),
    (b"plain text", OCTETS, "bin"),
    (b"", OCTETS, "bin"),
]


@pytest.mark.parametrize(("head", "content_type", "extension"), HEADS)
def test_the_first_bytes_tell_the_type_and_the_type_names_the_file(head: bytes, content_type: str, extension: str):
    assert sniff_type(head[:MAGIC_BYTES]) == content_type
    assert default_name("image", content_type) == f"image.{extension}"


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        # source: RFC 6266, section 5
        (b"Attachment; filename=example.html", "example.html"),
        (b'INLINE; FILENAME= "an example.html"', "an example.html"),
        (b"attachment; filename*= UTF-8''%e2%82%ac%20rates", "€ rates"),
        (b"attachment; filename=\"EURO rates\"; filename*=utf-8''%e2%82%ac%20rates", "€ rates"),
        # source: what stores send for a name of Chinese characters: the extended form, percent-encoded, raw UTF-8
        (b"attachment; filename*=UTF-8'zh-CN'%E6%8A%A5%E5%91%8A.pdf;x=1", "报告.pdf"),
        (b'attachment; filename="%E6%8A%A5%E5%91%8A.pdf"', "报告.pdf"),
        ('attachment; filename="报告.pdf"'.encode(), "报告.pdf"),
        ("attachment; filename=报告.pdf".encode(), "报告.pdf"),
        (rb'attachment; filename="a \"quoted\" name.txt"', 'a "quoted" name.txt'),
        (b"attachment", ""),
        (b"", ""),
    ],
)
def test_the_name_is_found(disposition: bytes, name: str):
    assert decode_filename(disposition) == name


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        (b'attachment; filename="../../etc/passwd"', "passwd"),
        (b"attachment; filename*=UTF-8''..%2F..%5C.bashrc", "bashrc"),
        (b'attachment; filename=".. /.. .x"', "x"),
        (b'attachment; filename=".."', ""),
        ('attachment; filename="a\u202egpj.exe\x00\r\n"'.encode(), "agpj.exe"),
        (b"attachment; filename*=UTF-8''%ff%fe.txt", "\ufffd\ufffd.txt"),
    ],
)
def test_a_name_can_neither_leave_its_folder_nor_hide(disposition: bytes, name: str):
    assert decode_filename(disposition) == name


def test_a_long_name_is_cut_between_characters():
    name = decode_filename(b'attachment; filename="' + "报".encode() * 200 + b'"')
    assert name == "报" * 85  # 255 bytes


@settings(deadline=None, max_examples=200)
@given(st.one_of(st.binary(), st.text().map(lambda text: f'attachment; filename="{text}"'.encode("utf-8", "replace"))))
def test_whatever_is_declared_the_name_is_fit_for_a_folder(disposition: bytes):
    name = decode_filename(disposition)
    assert not set(name) & {"/", "\\", "\0", "\n"}
    assert name == name.strip(" ")
    assert not name.startswith(".")
    assert len(name.encode()) <= 255


def test_a_data_url_holds_type_and_bytes():
    media = Media("dot.gif", "image/gif", 6, b"GIF89a")
    assert media.data_url() == "data:image/gif;base64," + base64.b64encode(b"GIF89a").decode()


def test_a_file_on_disk_has_no_data_url_rather_than_an_empty_one():
    with pytest.raises(StateError, match="read"):
        Media("dot.gif", "image/gif", 6, path="/tmp/dot.gif").data_url()


def test_a_log_line_shows_neither_content_nor_name():
    assert repr(Media("secret.png", "image/png", 3, b"abc")) == "<Media image/png 3 bytes>"
