"""rawbot/simulate/vk_methods_files.py: what bots upload, by rawbot's own form and by odd ones."""

import orjson
import pytest
from honest_vk import GROUP, PNG, USER, error, request, result, simulate

from rawbot.simulate.vk import VKPlatform
from rawbot.vk.multipart import encode_file
from rawbot.vk.uploads import DOCUMENT, PHOTO, attachment_name, decode_upload

BOUNDARY = b"rawbot-0123"


async def post(url: str, field: str, data: bytes, name: str = "file.png") -> dict:
    body, content_type = encode_file(field, name, "image/png", data, BOUNDARY)
    answer = await request(url, "POST", [(b"content-type", content_type)], body)
    return orjson.loads(answer.body)


def test_a_photo_is_uploaded_saved_sent_and_shown():
    async def use(platform: VKPlatform):
        await platform.say(GROUP, USER, "a picture, please")
        server = await result(platform, "photos.getMessagesUploadServer", peer_id=USER)
        posted = await post(server["upload_url"], "photo", PNG)
        assert decode_upload(200, orjson.dumps(posted), PHOTO.answers) == posted
        saved = await result(platform, "photos.saveMessagesPhoto", **posted)
        name = attachment_name(PHOTO, saved)
        await result(platform, "messages.send", peer_id=USER, random_id=1, attachment=name)
        (message,) = platform.dialog(GROUP, USER).sent
        shown = await request(message.attachments[0]["photo"]["sizes"][0]["url"])
        return name, message.files, shown.body, platform.problems

    name, files, shown, problems = simulate(use)
    assert name.startswith(f"photo-{GROUP}_")
    assert (files, shown, problems) == ([PNG], PNG, [])


@pytest.mark.parametrize("kind", ["doc", "audio_message", "graffiti"])
def test_a_document_is_uploaded_saved_sent_and_shown(kind: str):
    async def use(platform: VKPlatform):
        await platform.say(GROUP, USER, "a document, please")
        server = await result(platform, "docs.getMessagesUploadServer", type=kind, peer_id=USER)
        posted = await post(server["upload_url"], "file", b"\r\n--data", "Bericht ä.txt")
        assert decode_upload(200, orjson.dumps(posted), DOCUMENT.answers) == posted
        saved = await result(platform, "docs.save", title="Report.txt", **posted)
        await result(platform, "messages.send", peer_id=USER, random_id=1, attachment=attachment_name(DOCUMENT, saved))
        (message,) = platform.dialog(GROUP, USER).sent
        return saved["doc"]["title"], saved["doc"]["size"], message.files, platform.problems

    assert simulate(use) == ("Report.txt", 8, [b"\r\n--data"], [])


def test_a_document_without_a_title_keeps_its_name():
    async def use(platform: VKPlatform):
        server = await result(platform, "docs.getMessagesUploadServer", peer_id=USER)
        posted = await post(server["upload_url"], "file", b"data", "Bericht ä.txt")
        return (await result(platform, "docs.save", **posted))["doc"]["title"]

    assert simulate(use) == "Bericht ä.txt"


def test_what_is_no_picture_comes_back_as_an_empty_list():
    async def use(platform: VKPlatform):
        server = await result(platform, "photos.getMessagesUploadServer")
        posted = await post(server["upload_url"], "photo", b"GIF? no")
        return posted["photo"], await error(platform, "photos.saveMessagesPhoto", **posted)

    assert simulate(use) == ("[]", 100)


def test_a_file_is_saved_once():
    async def use(platform: VKPlatform):
        server = await result(platform, "photos.getMessagesUploadServer")
        posted = await post(server["upload_url"], "photo", PNG)
        await result(platform, "photos.saveMessagesPhoto", **posted)
        return await error(platform, "photos.saveMessagesPhoto", **posted)

    assert simulate(use) == 100


@pytest.mark.parametrize("change", [{"hash": "x"}, {"server": 1}, {"photo": "[]"}, {"photo": "{"}])
def test_what_the_upload_server_told_must_come_back_as_it_was(change: dict):
    async def use(platform: VKPlatform):
        server = await result(platform, "photos.getMessagesUploadServer")
        posted = await post(server["upload_url"], "photo", PNG)
        return await error(platform, "photos.saveMessagesPhoto", **(posted | change))

    assert simulate(use) == 100


@pytest.mark.parametrize("file", ["{", "[]", '{"file":7}', '{"file":"unknown"}'])
def test_a_document_that_was_not_uploaded_is_not_saved(file: str):
    async def use(platform: VKPlatform):
        return await error(platform, "docs.save", file=file)

    assert simulate(use) == 100


def test_a_document_is_of_a_known_type_and_for_somebody():
    async def use(platform: VKPlatform):
        method = "docs.getMessagesUploadServer"
        return await error(platform, method, type="film", peer_id=USER), await error(platform, method)

    assert simulate(use) == (100, 100)


FORM = b'--B\r\nContent-Disposition: form-data; name="%s"\r\n\r\ndata\r\n--B--\r\n'


@pytest.mark.parametrize(
    ("method", "content_type", "body"),
    [
        ("GET", b"", b""),
        ("POST", b"", b""),
        ("POST", b"image/png", PNG),
        ("POST", b"multipart/form-data; boundary=B", FORM % b"photo"),
        ("POST", b"multipart/form-data; boundary=C", FORM % b"file"),
        ("POST", b"multipart/form-data; boundary=B", b"--B\r\n\r\n--B--"),
    ],
)
def test_a_form_without_the_file_is_refused(method: str, content_type: bytes, body: bytes):
    async def use(platform: VKPlatform):
        server = await result(platform, "docs.getMessagesUploadServer", peer_id=USER)
        fields = [(b"content-type", content_type)] if content_type else []
        return orjson.loads((await request(server["upload_url"], method, fields, body)).body)["error"]

    assert simulate(use) == "no_file"


def test_a_file_may_lack_a_name_and_stand_among_other_fields():
    async def use(platform: VKPlatform):
        server = await result(platform, "docs.getMessagesUploadServer", peer_id=USER)
        other = b'--B\r\nContent-Disposition: form-data; name="other"\r\n\r\nx\r\n'
        fields = [(b"content-type", b'multipart/form-data; boundary="B"')]
        answer = await request(server["upload_url"], "POST", fields, other + FORM % b"file")
        saved = await result(platform, "docs.save", **orjson.loads(answer.body))
        return saved["doc"]["title"], saved["doc"]["size"]

    assert simulate(use) == ("", 4)


def test_an_unknown_upload_server_is_not_found():
    async def use(platform: VKPlatform):
        return (await request(platform.api_url.replace("method/", "upload/film"), "POST")).status

    assert simulate(use) == 404
