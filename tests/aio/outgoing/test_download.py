"""rawbot/aio/outgoing/download.py: what is kept, where, and that nothing is left behind."""

import stat
import threading
from pathlib import Path

import pytest

from rawbot.aio.outgoing.download import Download
from rawbot.errors import FetchError, ProtocolError, StateError
from rawbot.event import Attachment

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)


class Plain:
    """A decoder that changes nothing, and holds one byte back as ciphers do."""

    held = b""

    def update(self, data: bytes) -> bytes:
        data = self.held + data
        self.held = data[-1:]
        return data[:-1]

    def finish(self) -> bytes:
        if self.held == b"!":
            raise ProtocolError("broken")
        return self.held


class PlainAttachment(Attachment):
    def decoder(self) -> Plain:
        return Plain()


def download(path: str | None = None, max_bytes: int = 1000, **given: str) -> Download:
    return Download(PlainAttachment("image", "https://x.example/", expires_at=0, **given), max_bytes, path)


@pytest.mark.parametrize("step", [1, 5, 1000])
def test_a_file_in_memory_is_the_same_in_all_pieces(step: int):
    whole = download()
    for at in range(0, len(PNG), step):
        whole.take(PNG[at : at + step])
    assert not whole.leaves_traces
    media = whole.finish(b"", b"")
    assert (media.data, media.size, media.content_type, media.path) == (PNG, len(PNG), "image/png", None)


def test_a_file_on_disk_appears_when_it_is_whole(tmp_path: Path):
    path = tmp_path / "a.png"
    whole = download(str(path))
    whole.take(PNG[:20])
    assert whole.leaves_traces
    assert not path.exists()
    media = whole.finish(PNG[20:], b"")
    assert path.read_bytes() == PNG
    assert (media.data, media.size, media.content_type, media.path) == (b"", len(PNG), "image/png", str(path))
    assert not whole.leaves_traces
    whole.discard()
    assert list(tmp_path.iterdir()) == [path]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_empty_file_is_a_file(tmp_path: Path):
    media = download(str(tmp_path / "a")).finish(b"", b"")
    assert (media.size, (tmp_path / "a").read_bytes()) == (0, b"")


def test_a_path_without_a_folder_means_the_present_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    download("a.png").finish(PNG, b"")
    assert list(tmp_path.iterdir()) == [tmp_path / "a.png"]


def test_what_stood_at_the_path_stays_until_the_new_file_is_whole(tmp_path: Path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    half = download(str(path))
    half.take(b"new")
    half.discard()
    assert path.read_bytes() == b"old"
    download(str(path)).finish(b"new", b"")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("given", "disposition", "name"),
    [
        ({"name": "told.png"}, b'attachment; filename="other.png"', "told.png"),
        ({}, b'attachment; filename="other.png"', "other.png"),
        ({}, b"", "image.png"),
    ],
)
def test_the_name_is_the_platforms_or_the_stores_or_made_from_the_type(
    given: dict[str, str], disposition: bytes, name: str
):
    assert download(**given).finish(PNG, disposition).name == name


def test_the_size_counts_what_was_decoded_to_the_last_byte(tmp_path: Path):
    assert download(max_bytes=len(PNG)).finish(PNG, b"").size == len(PNG)
    for path in (None, str(tmp_path / "a")):
        large = download(path, max_bytes=len(PNG) - 1)
        large.take(PNG)
        with pytest.raises(FetchError, match="larger than the 47 bytes"):
            large.finish(b"", b"")
        large.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_broken_file_is_discarded(tmp_path: Path):
    broken = download(str(tmp_path / "a"))
    broken.take(PNG)
    with pytest.raises(ProtocolError):
        broken.finish(b"!", b"")
    broken.discard()
    broken.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_thread_that_comes_after_the_discard_writes_nothing(tmp_path: Path):
    late = download(str(tmp_path / "a"))
    late.discard()
    with pytest.raises(StateError):
        late.take(PNG)
    with pytest.raises(StateError):
        late.finish(PNG, b"")
    assert list(tmp_path.iterdir()) == []


def test_a_discard_waits_for_the_thread_that_is_writing(tmp_path: Path):
    started, go_on = threading.Event(), threading.Event()
    busy = download(str(tmp_path / "a"))
    decode = busy._decoder.update

    def slowly(data: bytes) -> bytes:
        started.set()
        assert go_on.wait(5)
        return decode(data)

    busy._decoder.update = slowly
    writer = threading.Thread(target=busy.take, args=(PNG,))
    writer.start()
    assert started.wait(5)
    remover = threading.Thread(target=busy.discard)
    remover.start()
    assert remover.is_alive()
    go_on.set()
    writer.join()
    remover.join()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    full = download(str(tmp_path / "a"))
    full.take(PNG)
    close = full._file.close

    def fail():
        close()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(full._file, "close", fail)
    with pytest.raises(OSError, match="No space"):
        full.finish(b"", b"")
    full.discard()
    assert list(tmp_path.iterdir()) == []
