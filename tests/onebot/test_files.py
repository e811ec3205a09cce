"""rawbot/onebot/files.py: the four file actions, and the same files for the bot's own code.

Source: OneBot 12, interface/file/actions.
"""

import asyncio
import errno
import hashlib
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any

import pytest
from memory_files import MemoryStore, run

from rawbot.errors import ConfigError, FetchError, MissingExtraError
from rawbot.media import Media
from rawbot.onebot.files import Files
from rawbot.onebot.retcodes import (
    BAD_PARAM,
    FILE_MISMATCH,
    FILE_NOT_FOUND,
    FILE_TOO_LARGE,
    FILESYSTEM_ERROR,
    NETWORK_ERROR,
    TIRED,
    UNSUPPORTED_PARAM,
    ActionError,
)
from rawbot.stores.spilling import SpillingStore

T0 = 1_700_000_000.0
URL = "https://files.example/secret-path?sig=secret"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)
TEXT = b"What is in this file is secret."
SHA256 = hashlib.sha256(TEXT).hexdigest()
WRONG = hashlib.sha256(b"else").hexdigest()


class Service:
    """The file service on a memory store, with a clock that the test moves."""

    def __init__(self, **settings: object) -> None:
        self.now = T0
        self.store = MemoryStore()
        self.files = Files(self.store, clock=lambda: self.now, **settings)

    def upload(self, data: bytes = TEXT, name: str = "a.txt", **params: object) -> str:
        return run(self.files.upload_file(kind="data", name=name, data=data, **params))["file_id"]

    def get(self, file_id: str, kind: str = "data") -> dict[str, Any]:
        return run(self.files.get_file(file_id=file_id, kind=kind))

    def prepare(self, size: int = len(TEXT), name: str = "a.txt") -> str:
        answer = run(self.files.upload_file_fragmented(stage="prepare", name=name, total_size=size))
        assert answer is not None
        return answer["file_id"]

    def transfer(self, file_id: str, offset: int, data: bytes) -> None:
        stage = self.files.upload_file_fragmented(stage="transfer", file_id=file_id, offset=offset, data=data)
        assert run(stage) is None

    def finish(self, file_id: str, sha256: str = SHA256) -> str:
        answer = run(self.files.upload_file_fragmented(stage="finish", file_id=file_id, sha256=sha256))
        assert answer is not None
        return answer["file_id"]

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.files.tick(self.now)

    def figure(self, name: str) -> float:
        return next(figure.value for figure in self.files.figures() if figure.name == name)


def refused(retcode: int, work: Coroutine[Any, Any, object]) -> str:
    """Run what must fail; return what the application is told."""
    with pytest.raises(ActionError) as caught:
        run(work)
    assert caught.value.retcode == retcode
    message = caught.value.message
    assert message
    assert not any(word in message for word in ("secret", "example", "/tmp", "/share", "a.txt"))
    return message


# upload_file and get_file


def test_what_was_uploaded_is_given_back():
    service = Service()
    file_id = service.upload()
    assert service.get(file_id) == {"name": "a.txt", "data": TEXT, "sha256": SHA256}
    assert service.get(file_id) == service.get(file_id)


def test_an_empty_file_is_a_file():
    service = Service()
    answer = service.get(service.upload(b""))
    assert (answer["data"], answer["sha256"]) == (b"", hashlib.sha256().hexdigest())


def test_ids_come_from_chance_and_are_long():
    service = Service(entropy=lambda size: bytes(range(size)))
    assert service.upload() == "000102030405060708090a0b0c0d0e0f"
    assert len({Service().upload() for _ in range(10)}) == 10


def test_a_name_that_says_a_place_is_shortened_to_what_may_be_used():
    service = Service()
    assert service.get(service.upload(name="../../etc/passwd"))["name"] == "passwd"
    assert service.get(service.upload(PNG, name=".."))["name"] == "file.png"


def test_the_hash_is_checked_where_it_is_given():
    service = Service()
    assert service.get(service.upload(sha256=SHA256))["data"] == TEXT
    upload = service.files.upload_file
    refused(FILE_MISMATCH, upload(kind="data", name="x", data=TEXT, sha256=WRONG))
    refused(BAD_PARAM, upload(kind="data", name="x", data=TEXT, sha256=SHA256.upper()))
    refused(BAD_PARAM, upload(kind="data", name="x", data=TEXT, sha256=""))
    assert len(service.store.held) == 1


def test_a_file_that_is_too_large_is_refused_before_it_is_held():
    service = Service(max_size=10)
    assert "10 bytes" in refused(FILE_TOO_LARGE, service.files.upload_file(kind="data", name="x", data=bytes(11)))
    assert not service.store.blobs
    assert service.get(service.upload(bytes(10)))["data"] == bytes(10)


def test_a_file_that_is_too_large_for_one_answer_is_given_in_parts_only():
    service = Service(max_inline=10)
    file_id = service.upload()
    assert "get_file_fragmented" in refused(FILE_TOO_LARGE, service.files.get_file(file_id=file_id, kind="data"))
    part = run(service.files.get_file_fragmented(stage="transfer", file_id=file_id, offset=0, size=100))
    assert part == {"data": TEXT}


@pytest.mark.parametrize(("kind", "missing"), [("data", "data"), ("url", "url"), ("path", "path")])
def test_each_type_of_upload_has_a_parameter_that_must_be_there(kind: str, missing: str):
    service = Service(folder="/share")
    assert refused(BAD_PARAM, service.files.upload_file(kind=kind, name="x")) == f"{missing} is missing"


def test_types_that_are_not_known_are_refused():
    service = Service()
    refused(UNSUPPORTED_PARAM, service.files.upload_file(kind="qq.cloud", name="x"))
    refused(UNSUPPORTED_PARAM, service.files.get_file(file_id=service.upload(), kind="qq.cloud"))


@pytest.mark.parametrize("kind", ["data", "url", "path"])
def test_an_unknown_id_finds_nothing(kind: str):
    service = Service(folder="/share", link=lambda file_id: f"https://bot.example/{file_id}")
    refused(FILE_NOT_FOUND, service.files.get_file(file_id="0" * 32, kind=kind))


# type url


class Web:
    """Stands for the client: what the one URL leads to."""

    def __init__(self, result: Media | Exception) -> None:
        self.result = result
        self.asked: list[tuple[str, Mapping[str, str], int]] = []

    async def __call__(self, url: str, headers: Mapping[str, str], max_bytes: int) -> Media:
        self.asked.append((url, headers, max_bytes))
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def media(data: bytes = TEXT, name: str = "theirs.txt") -> Media:
    return Media(name, "text/plain", len(data), data)


def test_a_url_is_downloaded_with_the_headers_told():
    web = Web(media())
    service = Service(fetch=web, max_size=1000)
    upload = service.files.upload_file(kind="url", name="a.txt", url=URL, headers={"Referer": "x"}, sha256=SHA256)
    file_id = run(upload)["file_id"]
    assert web.asked == [(URL, {"Referer": "x"}, 1000)]
    assert service.get(file_id) == {"name": "a.txt", "data": TEXT, "sha256": SHA256}
    assert service.figure("onebot_file_downloads") == 1


def test_a_download_on_disk_is_taken_over():
    service = Service(fetch=Web(Media("x", "text/plain", len(TEXT), path="/tmp/part")))
    service.store.disk[None, "/tmp/part"] = TEXT
    file_id = run(service.files.upload_file(kind="url", name="a.txt", url=URL))["file_id"]
    assert service.get(file_id)["data"] == TEXT
    assert not service.store.disk


def test_a_download_that_is_larger_than_it_said_is_refused():
    service = Service(fetch=Web(media(bytes(11))), max_size=10)
    refused(FILE_TOO_LARGE, service.files.upload_file(kind="url", name="x", url=URL))
    service = Service(fetch=Web(Media("x", "", 0, path="/tmp/part")), max_size=10)
    service.store.disk[None, "/tmp/part"] = bytes(11)
    refused(FILE_TOO_LARGE, service.files.upload_file(kind="url", name="x", url=URL))


def test_a_downloaded_file_of_another_hash_is_not_kept():
    service = Service(fetch=Web(media()))
    refused(FILE_MISMATCH, service.files.upload_file(kind="url", name="x", url=URL, sha256=WRONG))
    assert not service.store.held


@pytest.mark.parametrize(
    ("error", "retcode"),
    [
        (FetchError("files.example: answered 404"), NETWORK_ERROR),
        (TimeoutError(), NETWORK_ERROR),
        (ConnectionResetError("files.example"), NETWORK_ERROR),
        (MissingExtraError("client", "making requests"), UNSUPPORTED_PARAM),
    ],
)
def test_what_goes_wrong_with_a_download_is_told_without_its_host(error: Exception, retcode: int):
    service = Service(fetch=Web(error))
    refused(retcode, service.files.upload_file(kind="url", name="x", url=URL))


@pytest.mark.parametrize("url", ["", "file:///etc/passwd", "ftp://a.b/c", "/etc/passwd", "data:,x"])
def test_only_http_urls_are_downloaded(url: str):
    web = Web(media())
    refused(BAD_PARAM, Service(fetch=web).files.upload_file(kind="url", name="x", url=url))
    assert not web.asked


def test_a_header_with_a_line_break_is_refused():
    web = Web(media())
    upload = Service(fetch=web).files.upload_file(kind="url", name="x", url=URL, headers={"A": "b\r\nC: d"})
    refused(BAD_PARAM, upload)
    assert not web.asked


def test_without_a_client_no_url_is_taken():
    refused(UNSUPPORTED_PARAM, Service().files.upload_file(kind="url", name="x", url=URL))


def test_the_url_that_a_file_came_from_is_given_back():
    service = Service(fetch=Web(media()))
    file_id = run(service.files.upload_file(kind="url", name="a.txt", url=URL))["file_id"]
    assert service.get(file_id, "url") == {"name": "a.txt", "url": URL, "sha256": SHA256}


def test_a_url_that_needed_headers_is_not_given_to_others():
    service = Service(fetch=Web(media()))
    upload = service.files.upload_file(kind="url", name="a", url=URL, headers={"Authorization": "Bearer secret"})
    refused(UNSUPPORTED_PARAM, service.files.get_file(file_id=run(upload)["file_id"], kind="url"))


def test_other_files_have_a_url_only_where_somebody_serves_them():
    service = Service()
    refused(UNSUPPORTED_PARAM, service.files.get_file(file_id=service.upload(), kind="url"))
    service = Service(link=lambda file_id: f"https://bot.example/files/{file_id}")
    file_id = service.upload()
    assert service.get(file_id, "url")["url"] == f"https://bot.example/files/{file_id}"


# type path


def test_paths_are_off_by_default():
    service = Service()
    service.store.disk[None, "/tmp/a"] = service.store.disk["/share", "/tmp/a"] = TEXT
    refused(UNSUPPORTED_PARAM, service.files.upload_file(kind="path", name="x", path="/tmp/a"))
    refused(UNSUPPORTED_PARAM, service.files.get_file(file_id=service.upload(), kind="path"))


def test_a_path_is_looked_for_in_the_folder_only():
    service = Service(folder=Path("/share"))
    service.store.disk["/share", "a.txt"] = TEXT
    service.store.disk[None, "b.txt"] = TEXT
    file_id = run(service.files.upload_file(kind="path", name="a.txt", path="a.txt", sha256=SHA256))["file_id"]
    assert service.get(file_id)["data"] == TEXT
    refused(FILE_NOT_FOUND, service.files.upload_file(kind="path", name="x", path="b.txt"))


def test_a_path_to_a_file_that_is_too_large_is_refused():
    service = Service(folder="/share", max_size=10)
    service.store.disk["/share", "big"] = bytes(11)
    refused(FILE_TOO_LARGE, service.files.upload_file(kind="path", name="x", path="big"))


def test_a_file_is_handed_out_as_a_copy_in_the_folder():
    service = Service(folder="/share")
    file_id = service.upload()
    answer = service.get(file_id, "path")
    assert (answer["name"], answer["sha256"]) == ("a.txt", SHA256)
    folder, _, name = answer["path"].rpartition("/")
    assert folder == "/share"
    assert name.endswith("-a.txt")
    assert file_id not in name  # whoever may list the folder need not know the id
    assert service.get(file_id, "path") == answer
    assert service.store.held[0].exports == {("/share", name): TEXT}


def test_a_copy_in_the_folder_counts_like_a_file_and_goes_with_it():
    service = Service(folder="/share", max_size=100, max_total=150)
    other, file_id = service.upload(bytes(60)), service.upload(bytes(70))
    assert service.figure("onebot_file_bytes") == 130
    service.get(file_id, "path")
    assert service.figure("onebot_file_bytes") == 140
    refused(FILE_NOT_FOUND, service.files.get_file(file_id=other, kind="data"))
    service.get(file_id, "path")  # once is enough
    assert service.figure("onebot_file_bytes") == 140
    service.pass_time(3600)
    assert service.figure("onebot_file_bytes") == 0
    assert not service.store.held


def test_there_may_be_no_room_for_a_copy_in_the_folder():
    service = Service(folder="/share", max_size=100, max_total=150)
    file_id = service.upload(bytes(80))
    refused(TIRED, service.files.get_file(file_id=file_id, kind="path"))
    assert service.get(file_id)["data"] == bytes(80)


# The disk


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_fails_is_told_of_without_its_path(number: int):
    service = Service(folder="/share")
    file_id = service.upload()
    error = OSError(number, "failed", "/tmp/secret")
    service.store.fails = service.store.held[0].fails = error
    name = errno.errorcode[number]
    assert name in refused(FILESYSTEM_ERROR, service.files.upload_file(kind="data", name="x", data=b"x"))
    for kind in ("data", "path"):
        assert name in refused(FILESYSTEM_ERROR, service.files.get_file(file_id=file_id, kind=kind))
    part = service.files.get_file_fragmented(stage="transfer", file_id=file_id, offset=0, size=1)
    refused(FILESYSTEM_ERROR, part)
    refused(FILESYSTEM_ERROR, service.files.upload_file_fragmented(stage="prepare", name="x", total_size=5))
    assert service.figure("onebot_file_bytes_reserved") == 0


# get_file_fragmented


def test_a_file_is_given_in_parts():
    service = Service(max_part=10)
    file_id = service.upload()
    head = run(service.files.get_file_fragmented(stage="prepare", file_id=file_id))
    assert head == {"name": "a.txt", "total_size": len(TEXT), "sha256": SHA256}
    parts = [
        run(service.files.get_file_fragmented(stage="transfer", file_id=file_id, offset=offset, size=10))["data"]
        for offset in range(0, len(TEXT), 10)
    ]
    assert b"".join(parts) == TEXT
    assert len(parts[-1]) == len(TEXT) % 10  # only the last is shorter than asked for


@pytest.mark.parametrize(
    ("offset", "size", "told"),
    [
        (0, 11, "from 0 to 10"),
        (0, -1, "from 0 to 10"),
        (-1, 5, "offset is not within"),
        (len(TEXT) + 1, 5, "offset is not within"),
        (2**63 - 1, 10, "offset is not within"),
        (None, 5, "offset is missing"),
        (0, None, "size is missing"),
    ],
)
def test_a_part_that_cannot_be_given_is_refused(offset: int | None, size: int | None, told: str):
    service = Service(max_part=10)
    part = service.files.get_file_fragmented(stage="transfer", file_id=service.upload(), offset=offset, size=size)
    assert told in refused(BAD_PARAM, part)


def test_at_the_very_end_of_a_file_there_is_an_empty_part():
    service = Service()
    part = service.files.get_file_fragmented(stage="transfer", file_id=service.upload(), offset=len(TEXT), size=5)
    assert run(part) == {"data": b""}


# upload_file_fragmented (more of it in test_uploads)


def test_a_file_comes_in_parts():
    service = Service()
    upload_id = service.prepare(name="dir/a.txt")
    service.transfer(upload_id, 10, TEXT[10:])
    service.transfer(upload_id, 0, TEXT[:10])
    file_id = service.finish(upload_id)
    assert file_id != upload_id
    assert service.get(file_id) == {"name": "a.txt", "data": TEXT, "sha256": SHA256}


def test_the_id_of_an_upload_is_good_for_the_upload_only():
    service = Service(folder="/share", link=lambda _: URL)
    upload_id = service.prepare()
    service.transfer(upload_id, 0, TEXT)
    for kind in ("data", "path", "url"):
        refused(FILE_NOT_FOUND, service.files.get_file(file_id=upload_id, kind=kind))
    refused(FILE_NOT_FOUND, service.files.get_file_fragmented(stage="prepare", file_id=upload_id))
    refused(FILE_NOT_FOUND, service.files.read(upload_id))
    service.finish(upload_id)
    refused(FILE_NOT_FOUND, service.files.get_file(file_id=upload_id, kind="data"))


def test_the_id_of_a_file_is_no_upload():
    service = Service()
    file_id = service.upload()
    fragmented = service.files.upload_file_fragmented
    refused(FILE_NOT_FOUND, fragmented(stage="transfer", file_id=file_id, offset=0, data=b"x"))
    refused(FILE_NOT_FOUND, fragmented(stage="finish", file_id=file_id, sha256=SHA256))


@pytest.mark.parametrize(
    ("params", "missing"),
    [
        ({"stage": "prepare", "name": "x"}, "total_size"),
        ({"stage": "prepare", "total_size": 1}, "name"),
        ({"stage": "transfer", "offset": 0, "data": b""}, "file_id"),
        ({"stage": "transfer", "file_id": "x", "data": b""}, "offset"),
        ({"stage": "transfer", "file_id": "x", "offset": 0}, "data"),
        ({"stage": "finish", "sha256": SHA256}, "file_id"),
        ({"stage": "finish", "file_id": "x"}, "sha256"),
    ],
)
def test_each_stage_has_parameters_that_must_be_there(params: dict[str, Any], missing: str):
    assert refused(BAD_PARAM, Service().files.upload_file_fragmented(**params)) == f"{missing} is missing"


def test_the_hash_at_the_end_is_to_be_a_hash():
    refused(BAD_PARAM, Service().files.upload_file_fragmented(stage="finish", file_id="x", sha256="0"))


# For the bot's side


def test_the_bot_adds_and_reads_files():
    service = Service()
    file_id = run(service.files.add(PNG))
    assert run(service.files.read(file_id)) == Media("file.png", "image/png", len(PNG), PNG)
    assert service.get(file_id)["data"] == PNG
    assert run(service.files.read(service.upload())).name == "a.txt"


def test_the_bot_adds_a_file_from_any_path():
    service = Service()
    service.store.disk[None, "/home/bot/logo.png"] = PNG
    assert run(service.files.read(run(service.files.add("/home/bot/logo.png")))).name == "logo.png"
    assert run(service.files.read(run(service.files.add(Path("/home/bot/logo.png"), "b.png")))).name == "b.png"
    assert (None, "/home/bot/logo.png") in service.store.disk
    refused(FILE_NOT_FOUND, service.files.add("/home/bot/none.png"))


class Platform:
    """A platform's attachment: counts how often it is downloaded."""

    def __init__(self, *results: Media | Exception) -> None:
        self.results = list(results)
        self.reads = 0

    async def read(self) -> Media:
        self.reads += 1
        result = self.results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result


def test_an_attachment_is_downloaded_when_an_application_asks_and_once():
    service, platform = Service(), Platform(media(PNG, ""))
    file_id = service.files.offer("", "image", platform.read)
    assert platform.reads == 0
    assert service.figure("onebot_files_offered") == 1
    assert service.get(file_id)["name"] == "image.png"
    assert service.get(file_id)["data"] == PNG
    assert run(service.files.get_file_fragmented(stage="prepare", file_id=file_id))["total_size"] == len(PNG)
    assert (platform.reads, service.figure("onebot_files_offered"), service.figure("onebot_files_held")) == (1, 0, 1)


def test_the_name_of_an_attachment_is_the_one_told_with_the_message():
    service = Service()
    told = service.files.offer("told.txt", "file", Platform(media()).read)
    downloaded = service.files.offer("", "file", Platform(media()).read)
    assert [service.get(file_id)["name"] for file_id in (told, downloaded)] == ["told.txt", "theirs.txt"]


def test_an_attachment_on_disk_is_taken_over():
    service = Service()
    service.store.disk[None, "/tmp/part"] = TEXT
    file_id = service.files.offer("x", "file", Platform(Media("x", "", 0, path="/tmp/part")).read)
    assert service.get(file_id)["data"] == TEXT
    assert not service.store.disk


def test_an_attachment_that_could_not_be_downloaded_is_tried_again():
    service, platform = Service(), Platform(FetchError("wecom.example: not done"), media())
    file_id = service.files.offer("", "file", platform.read)
    refused(NETWORK_ERROR, service.files.get_file(file_id=file_id, kind="data"))
    assert service.get(file_id)["data"] == TEXT
    assert platform.reads == 2


def test_an_attachment_is_not_downloaded_to_learn_that_it_has_no_url():
    service, platform = Service(), Platform(media())
    file_id = service.files.offer("", "file", platform.read)
    refused(UNSUPPORTED_PARAM, service.files.get_file(file_id=file_id, kind="url"))
    refused(UNSUPPORTED_PARAM, service.files.get_file(file_id=file_id, kind="path"))
    assert platform.reads == 0


def test_an_attachment_that_is_too_large_is_refused():
    service = Service(max_size=10)
    file_id = service.files.offer("", "file", Platform(media()).read)
    refused(FILE_TOO_LARGE, service.files.get_file(file_id=file_id, kind="data"))
    assert not service.store.held


def test_an_attachment_for_which_there_is_no_room_is_not_kept():
    service = Service(max_size=40, max_total=40)
    service.prepare(40)
    file_id = service.files.offer("", "file", Platform(media()).read)
    refused(TIRED, service.files.get_file(file_id=file_id, kind="data"))
    assert len(service.store.held) == 1


def test_what_a_bug_in_the_bot_raises_comes_through():
    file_id = (service := Service()).files.offer("", "file", Platform(ZeroDivisionError()).read)
    with pytest.raises(ZeroDivisionError):
        service.get(file_id)


def test_two_that_ask_at_once_cause_one_download():
    async def scenario() -> None:
        reads = 0
        ready = asyncio.Event()

        async def read() -> Media:
            nonlocal reads
            reads += 1
            await ready.wait()
            return media()

        async with SpillingStore() as store:
            files = Files(store, clock=lambda: T0)
            file_id = files.offer("a", "file", read)
            asking = [asyncio.create_task(files.get_file(file_id=file_id, kind="data")) for _ in range(3)]
            await asyncio.sleep(0)
            ready.set()
            assert [answer["data"] for answer in await asyncio.gather(*asking)] == [TEXT] * 3
        assert reads == 1

    asyncio.run(scenario())


# How much, how long


def test_files_and_offers_live_for_a_time():
    service = Service(ttl=100)
    file_id, offered = service.upload(), service.files.offer("", "file", Platform(media()).read)
    service.pass_time(99.9)
    assert service.get(file_id)["data"] == TEXT
    service.now += 0.1  # no tick: it is over all the same
    for over in (file_id, offered):
        refused(FILE_NOT_FOUND, service.files.get_file(file_id=over, kind="data"))
    service.files.tick(service.now)
    assert not service.store.held
    assert [service.figure(f"onebot_{name}") for name in ("files_held", "files_offered", "file_bytes")] == [0, 0, 0]
    assert service.figure("onebot_files_crowded_out") == 0


def test_an_attachment_lives_anew_from_its_download():
    service = Service(ttl=100)
    file_id = service.files.offer("", "file", Platform(media()).read)
    service.pass_time(99)
    service.get(file_id)
    service.pass_time(99)
    assert service.get(file_id)["data"] == TEXT


def test_the_oldest_files_make_room_for_new_ones():
    service = Service(max_size=100, max_total=100)
    ids = [service.upload(bytes(40)) for _ in range(3)]
    refused(FILE_NOT_FOUND, service.files.get_file(file_id=ids[0], kind="data"))
    assert [len(service.get(file_id)["data"]) for file_id in ids[1:]] == [40, 40]
    assert service.figure("onebot_files_crowded_out") == 1
    assert service.figure("onebot_file_bytes") == 80


def test_there_are_only_so_many_files_and_so_many_offers():
    service = Service(max_files=2)
    uploaded = [service.upload() for _ in range(2)]
    offers = [service.files.offer("", "file", Platform(media()).read) for _ in range(3)]
    assert [service.get(file_id)["data"] for file_id in uploaded] == [TEXT, TEXT]  # offers crowd out no files
    refused(FILE_NOT_FOUND, service.files.get_file(file_id=offers[0], kind="data"))
    service.upload()
    refused(FILE_NOT_FOUND, service.files.get_file(file_id=uploaded[0], kind="data"))
    assert service.figure("onebot_files_crowded_out") == 2
    assert len(service.store.held) == 2


def test_uploads_under_way_are_not_dropped_for_the_sake_of_others():
    service = Service(max_size=100, max_total=100)
    file_id, upload_id = service.upload(bytes(30)), service.prepare(70)
    refused(TIRED, service.files.upload_file(kind="data", name="x", data=bytes(31)))
    assert len(service.get(file_id)["data"]) == 30
    assert len(service.store.held) == 2
    service.upload(bytes(30))
    refused(FILE_NOT_FOUND, service.files.get_file(file_id=file_id, kind="data"))
    service.transfer(upload_id, 0, bytes(70))


@pytest.mark.parametrize(
    "settings",
    [
        {"max_size": 0},
        {"max_size": 11, "max_total": 10},
        {"max_inline": 0},
        {"max_part": 0},
        {"max_files": 0},
        {"max_uploads": 0},
        {"ttl": 0},
        {"transfer_timeout": 0},
    ],
)
def test_limits_that_let_nothing_through_are_refused_at_once(settings: dict[str, float]):
    with pytest.raises(ConfigError):
        Service(**settings)


# On a real disk


def test_files_go_to_the_disk_and_through_the_folder_and_back(tmp_path: Path):
    share = tmp_path / "share"
    share.mkdir()
    (share / "in.txt").write_bytes(TEXT)
    (tmp_path / "outside.txt").write_bytes(TEXT)
    (share / "link.txt").symlink_to(tmp_path / "outside.txt")
    copies: list[Path] = []

    def contents() -> list[bytes]:
        assert all(copy.parent == share for copy in copies)
        return [copy.read_bytes() for copy in copies]

    async def scenario() -> None:
        async with SpillingStore(spill_above=8) as store:
            files = Files(store, clock=lambda: T0, folder=share)
            upload = files.upload_file
            file_id = str((await upload(kind="path", name="a.txt", path=str(share / "in.txt")))["file_id"])
            answer = await files.get_file(file_id=file_id, kind="path")
            copies.append(Path(str(answer["path"])))
            assert (contents(), answer["sha256"]) == ([TEXT], SHA256)
            for path in ("link.txt", "../outside.txt", str(tmp_path / "outside.txt"), f"{share}/../outside.txt"):
                with pytest.raises(ActionError) as caught:
                    await upload(kind="path", name="a.txt", path=path)
                assert caught.value.retcode == FILE_NOT_FOUND
            files.tick(T0 + 3600)

    asyncio.run(scenario())
    assert sorted(path.name for path in share.iterdir()) == ["in.txt", "link.txt"]
