"""rawbot/onebot/fetching.py: a file of `upload_file` is downloaded by the shell, just as its URL gives it."""

import math
from collections.abc import Awaitable

import pytest
from memory_files import run

from rawbot.errors import StateError
from rawbot.event import Attachment
from rawbot.exchange import Service
from rawbot.media import Media
from rawbot.onebot.fetching import fetch_by

URL = "https://h.example/file?capability"


class Shell:
    """Downloads what it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[Attachment, int, str | None]] = []

    def fetch(self, attachment: Attachment, max_bytes: int, path: str | None) -> Awaitable[Media]:
        self.asked.append((attachment, max_bytes, path))
        return self._download(attachment)

    async def _download(self, attachment: Attachment) -> Media:
        decoder = attachment.decoder()
        return Media("", "", 6, decoder.update(b"\x00bytes") + decoder.finish())


def in_app(shell: Shell) -> Service:
    service = Service()
    service.fetch = shell.fetch
    return service


def test_the_bytes_are_left_as_they_are():
    shell = Shell()
    media = run(fetch_by([in_app(shell)])(URL, {"X-Key": "w\xe9rt"}, 77))
    assert media.data == b"\x00bytes"
    ((attachment, max_bytes, path),) = shell.asked
    assert (attachment.url, attachment.kind, attachment.expires_at) == (URL, "file", math.inf)
    assert (max_bytes, path, attachment.headers) == (77, None, [(b"X-Key", b"w\xe9rt")])
    assert URL not in repr(attachment)


def test_the_first_that_belongs_to_an_app_downloads():
    shells = Shell(), Shell()
    services = [Service()]
    fetch = fetch_by(services)
    services += map(in_app, shells)  # whoever comes later counts, too
    run(fetch(URL, {}, 1))
    assert [len(shell.asked) for shell in shells] == [1, 0]


@pytest.mark.parametrize("services", [[], [Service()]])
def test_outside_of_an_app_nothing_can_download(services: list[Service]):
    with pytest.raises(StateError, match="no running app"):
        fetch_by(services)(URL, {}, 1)
