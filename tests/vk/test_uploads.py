"""rawbot/vk/uploads.py: three steps, each of which may be the last.

The answers have the shapes of dev.vk.com/ru/api/upload, photos.saveMessagesPhoto and docs.save.
"""

import pytest
from vk_calling import NOW, FakeShell, answer, error, fields_of, method_of, result

from rawbot.errors import StateError
from rawbot.exchange import OutgoingRequest, Response
from rawbot.vk.errors import AccessError, AnswerError, CallTimeoutError, UploadError, VKError
from rawbot.vk.traffic import GRACE
from rawbot.vk.uploads import DOCUMENT, PHOTO, attachment_name, decode_upload

JPEG = b"\xff\xd8\xff\xe0 a photo"
SERVER = {"upload_url": "https://pu.vk.example/c1/ss2/upload.php?hash=cafe", "album_id": -64, "user_id": 0}
POSTED = {"server": 626627, "photo": '[{"markers_restarted":true}]', "hash": "581d7a4ffc81e2bfe90016d8b35c288d"}
SAVED = [{"id": 457239017, "owner_id": -5441, "access_key": "84ba5ef", "sizes": []}]
DOC = {"type": "doc", "doc": {"id": 5, "owner_id": 12, "title": "report.pdf"}}
SCRAWL = {"type": "graffiti", "graffiti": {"id": 7, "owner_id": 12, "width": 64}}
VOICE = {"type": "audio_message", "audio_message": {"id": 6, "owner_id": 12, "access_key": "k"}}


def photo(**settings: float) -> FakeShell:
    shell = FakeShell(**settings)
    shell.api.upload(PHOTO, JPEG, "cat.jpg", {"peer_id": 7}, shell.outcomes.append)
    return shell


def posting(shell: FakeShell) -> OutgoingRequest:
    """Go on to the post, and return it."""
    shell.reply(result(SERVER))
    assert shell.request.url == SERVER["upload_url"]
    return shell.request


def outcome(shell: FakeShell) -> VKError:
    """Return the error that is the end."""
    assert not shell.sending
    (error,) = shell.outcomes
    assert isinstance(error, VKError)
    return error


def test_a_photo_is_asked_for_posted_and_saved():
    shell = photo()
    assert method_of(shell.request) == "photos.getMessagesUploadServer"
    assert fields_of(shell.request) == {"peer_id": "7", "v": "5.199"}
    request = posting(shell)
    assert request.method == "POST"
    assert [name for name, _ in request.headers] == [b"content-type"]  # no token for that server
    assert b'name="photo"; filename="cat.jpg"\r\nContent-Type: image/jpeg\r\n\r\n' + JPEG + b"\r\n" in request.body
    shell.reply(answer(POSTED))
    assert method_of(shell.request) == "photos.saveMessagesPhoto"
    assert fields_of(shell.request) == {**POSTED, "server": "626627", "v": "5.199"}
    shell.reply(result(SAVED))
    assert shell.outcomes == ["photo-5441_457239017_84ba5ef"]


@pytest.mark.parametrize(
    ("kind", "saved", "name"),
    [("doc", DOC, "doc12_5"), ("audio_message", VOICE, "doc12_6_k"), ("graffiti", SCRAWL, "doc12_7")],
)
def test_a_document_goes_the_same_way(kind: str, saved: object, name: str):
    shell = FakeShell()
    promise = shell.api.upload_document(b"%PDF-1.7", name="report.pdf", peer_id=7, kind=kind)
    assert method_of(shell.request) == "docs.getMessagesUploadServer"
    assert fields_of(shell.request) == {"peer_id": "7", "type": kind, "v": "5.199"}
    assert b'name="file"; filename="report.pdf"\r\nContent-Type: application/pdf\r\n\r\n' in posting(shell).body
    shell.reply(answer({"file": "12|0|-1|998"}))
    assert fields_of(shell.request) == {"file": "12|0|-1|998", "title": "report.pdf", "v": "5.199"}
    shell.reply(result(saved))
    assert promise.outcome == name


def test_a_photo_can_be_awaited():
    shell = FakeShell()
    promise = shell.api.upload_photo(JPEG)
    assert fields_of(shell.request) == {"v": "5.199"}
    posting(shell)
    shell.reply(answer(POSTED))
    shell.reply(result(SAVED))
    assert promise.outcome == "photo-5441_457239017_84ba5ef"


@pytest.mark.parametrize("data", [b"", "text", None, bytearray(), memoryview(b"")])
def test_what_is_no_file_is_refused_at_once(data: bytes):
    shell = FakeShell()
    with pytest.raises(StateError):
        shell.api.upload_photo(data)
    assert not shell.sending


def test_a_document_of_no_kind_is_refused_at_once():
    shell = FakeShell()
    with pytest.raises(StateError, match="audio_message"):
        shell.api.upload_document(b"x", name="x", kind="photo")
    assert not shell.sending


@pytest.mark.parametrize("data", [bytearray(JPEG), memoryview(JPEG)])
def test_bytes_of_any_kind_are_a_file(data: bytes):
    shell = FakeShell()
    shell.api.upload_photo(data)
    assert JPEG in posting(shell).body


# Ends before the end


def test_an_error_of_vk_s_ends_it_at_once():
    shell = photo()
    shell.reply(error(15))
    assert type(outcome(shell)) is AccessError


@pytest.mark.parametrize(
    "server",
    [
        [],
        {},
        {"upload_url": 7},
        {"upload_url": ""},
        {"upload_url": "pu.vk.example/upload.php"},
        {"upload_url": "http://pu.vk.example/upload.php"},  # the API is one by https
        {"upload_url": "file:///etc/passwd"},
        {"upload_url": "https://[::1/"},
        {"upload_url": "https:///upload.php"},
    ],
)
def test_a_server_that_is_none_ends_it(server: object):
    shell = photo()
    shell.reply(result(server))
    assert str(outcome(shell)) == "photos.getMessagesUploadServer: VK names no upload server"


def test_where_the_api_is_without_tls_its_upload_server_may_be_too():
    shell = FakeShell(url="http://127.0.0.1:8000/method/")
    shell.api.upload_photo(JPEG)
    shell.reply(result({"upload_url": "http://127.0.0.1:8000/upload"}))
    assert shell.request.url == "http://127.0.0.1:8000/upload"


@pytest.mark.parametrize(
    ("response", "told"),
    [
        (answer({"server": 1, "photo": "[]", "hash": "x"}), "upload: the server did not take the file"),
        (answer({"error": "ERR_UPLOAD_BAD_IMAGE_SIZE"}), "upload: ERR_UPLOAD_BAD_IMAGE_SIZE"),
        (answer([]), "upload: the server did not take the file"),
        (answer({"server": {}, "photo": "x", "hash": "x"}), "upload: the server did not take the file"),
        (Response(413, b"<html>"), "upload: HTTP 413"),
        (Response(302), "upload: HTTP 302"),
    ],
)
def test_a_file_that_is_not_taken_ends_it(response: Response, told: str):
    shell = photo()
    posting(shell)
    shell.reply(response)
    assert isinstance(outcome(shell), UploadError)
    assert str(outcome(shell)) == told


def test_an_error_at_the_end_ends_it():
    shell = photo()
    posting(shell)
    shell.reply(answer(POSTED))
    shell.reply(error(118, "Invalid server"))
    assert str(outcome(shell)) == "photos.saveMessagesPhoto: 118 Invalid server"


@pytest.mark.parametrize(
    "saved", [[], {}, [None], [{"id": 1}], [{"owner_id": 1}], 1, {"type": "doc"}, {"type": "doc", "doc": 1}]
)
def test_what_was_saved_must_be_told(saved: object):
    shell = photo()
    posting(shell)
    shell.reply(answer(POSTED))
    shell.reply(result(saved))
    assert str(outcome(shell)) == "photos.saveMessagesPhoto: VK did not say what it saved"


# Repetition


@pytest.mark.parametrize("response", [None, Response(504), Response(200, b"<html>")])
def test_a_post_of_which_nothing_is_known_is_made_again(response: Response | None):
    shell = photo()
    body = posting(shell).body
    shell.reply(response)
    shell.wait(2)
    assert shell.request.body == body
    shell.reply(answer(POSTED))
    assert method_of(shell.request) == "photos.saveMessagesPhoto"


def test_a_photo_is_not_saved_twice():
    shell = photo()
    posting(shell)
    shell.reply(answer(POSTED))
    shell.reply(Response(504))
    assert isinstance(outcome(shell), AnswerError)
    assert outcome(shell).uncertain


def test_a_post_has_more_time_than_a_call():
    shell = photo(timeout=5)
    assert shell.request.expires_at == NOW + 5 + GRACE
    assert posting(shell).expires_at == NOW + 120 + GRACE
    shell.wait(120)
    (late,) = shell.outcomes
    assert isinstance(late, CallTimeoutError)


def test_an_upload_that_nobody_waits_for_goes_no_further():
    shell = FakeShell()
    promise = shell.api.upload_photo(JPEG)
    promise.cancel()
    shell.reply(result(SERVER))
    assert not shell.sending
    assert shell.api.waiting() == 0


# The pieces


def test_an_upload_server_s_answer_is_read_by_its_fields():
    assert decode_upload(200, b'{"file":"x","more":1}', DOCUMENT.answers) == {"file": "x"}
    with pytest.raises(AnswerError):
        decode_upload(200, b"", PHOTO.answers)


def test_a_name_without_a_key_is_one_as_well():
    assert attachment_name(PHOTO, {"id": 1, "owner_id": -2, "access_key": ""}) == "photo-2_1"
    assert attachment_name(DOCUMENT, {"type": "other", "id": 1, "owner_id": 2}) == "doc2_1"
    assert attachment_name(DOCUMENT, {"id": "1", "owner_id": 2}) == ""
