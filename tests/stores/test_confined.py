"""rawbot/stores/confined.py: nothing outside of the folder is opened, whatever is asked for."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawbot.stores.confined import create_in, open_below, open_regular


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "a").write_bytes(b"inside")
    (folder / "deep" / "er" / "b").write_bytes(b"inside")
    (tmp_path / "a").write_bytes(b"outside")
    (tmp_path / "folder2").mkdir()
    (tmp_path / "folder2" / "a").write_bytes(b"outside")
    (folder / "link").symlink_to(tmp_path / "a")
    (folder / "inner").symlink_to("a")
    (folder / "up").symlink_to("..")
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "fifo")
    return folder


def content(opened: tuple[int, int]) -> bytes:
    descriptor, size = opened
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
        data = file.read()
    assert size == len(data)
    return data


@pytest.mark.parametrize("path", ["a", "./a", ".//a", "deep/er/b", "deep//er/./b"])
def test_a_path_is_relative_to_the_folder(path: str, folder: Path):
    assert content(open_below(str(folder), path)) == b"inside"
    assert content(open_below(str(folder) + "/", path)) == b"inside"


def test_an_absolute_path_is_within_the_folder(folder: Path):
    assert content(open_below(str(folder), str(folder / "deep" / "er" / "b"))) == b"inside"


def test_the_folder_itself_may_be_a_link(folder: Path, tmp_path: Path):
    link = tmp_path / "shared"
    link.symlink_to(folder)
    for path in ("a", str(link / "a"), str(folder / "a")):
        assert content(open_below(str(link), path)) == b"inside"


def test_the_folder_may_be_told_relative_to_where_we_are(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(folder.parent)
    for path in ("a", str(folder / "a")):
        assert content(open_below("folder", path)) == b"inside"
    with pytest.raises(FileNotFoundError):
        open_below("folder", "folder/a")


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "/",
        "..",
        "../a",
        "deep/../a",
        "deep/../../a",
        "../folder/a",
        "../folder2/a",
        "link",
        "inner",
        "up/a",
        "up/folder/a",
        "loop",
        "fifo",
        "deep",
        "deep/er/",
        "a/b",
        "none",
        "a\0",
        "\ud800",
        "x" * 5000,
        "/etc/passwd",
        "/proc/self/environ",
        "~/a",
        "file:a",
    ],
)
def test_what_is_not_a_file_of_the_folder_is_not_there(path: str, folder: Path):
    with pytest.raises(FileNotFoundError):
        open_below(str(folder), path)


@pytest.mark.parametrize("path", ["..", "../a", "../folder2/a", "", "/../a", "2/a"])
def test_an_absolute_path_gets_no_further(path: str, folder: Path):
    for start in (f"{folder}/", str(folder)):
        with pytest.raises(FileNotFoundError):
            open_below(str(folder), start + path)


def test_the_whole_tree_may_be_shared(folder: Path):
    assert content(open_below("/", str(folder / "a"))) == b"inside"


@given(parts=st.lists(st.sampled_from(["..", ".", "", "up", "link", "folder", "deep", "er", "a", "b"]), max_size=6))
def test_no_path_leads_out(parts: list[str], folder_of_all: Path):
    try:
        opened = open_below(str(folder_of_all), "/".join(parts))
    except FileNotFoundError:
        return
    assert content(opened) == b"inside"


@pytest.fixture(scope="module")
def folder_of_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    top = tmp_path_factory.mktemp("all")
    (top / "folder" / "deep" / "er").mkdir(parents=True)
    for path in ("folder/a", "folder/deep/b", "folder/deep/er/a"):
        (top / path).write_bytes(b"inside")
    (top / "a").write_bytes(b"outside")
    (top / "folder" / "link").symlink_to("../a")
    (top / "folder" / "deep" / "up").symlink_to("../..")
    return top / "folder"


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO])
def test_a_machine_that_fails_is_not_taken_for_a_missing_file(
    number: int, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object, **__: object) -> int:
        raise OSError(number, "failed")

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(OSError, match="failed") as caught:
        open_below(str(folder), "a")
    assert caught.value.errno == number


def test_no_descriptor_is_left_open(folder: Path):
    before = len(list(Path("/proc/self/fd").iterdir()))
    for path in ("deep/er/none", "link", "fifo", "deep", "none/a", "up/a"):
        with pytest.raises(FileNotFoundError):
            open_below(str(folder), path)
    with pytest.raises(FileExistsError):
        create_in(str(folder), "a")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_any_regular_file_is_opened_for_those_who_may(folder: Path):
    assert content(open_regular(str(folder / "link"))) == b"outside"
    for name in ("fifo", "deep", "none"):
        with pytest.raises(FileNotFoundError):
            open_regular(str(folder / name))


def test_a_new_file_replaces_nothing(folder: Path):
    with open(create_in(str(folder), "new"), "wb") as file:  # noqa: PTH123 - a descriptor
        file.write(b"x")
    assert (folder / "new").read_bytes() == b"x"
    for name in ("new", "a", "link", "loop"):
        with pytest.raises(FileExistsError):
            create_in(str(folder), name)
