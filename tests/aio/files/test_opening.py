"""rawbot/aio/files/opening.py: nothing outside of the directory is opened, whatever stands in it and whatever moves."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from descriptors import open_descriptors

from rawbot.aio.files.opening import OpenFile, Root, open_file, open_gzip
from rawbot.errors import ConfigError

SECRET = b"secret"


@pytest.fixture(autouse=True)
def no_descriptor_is_left() -> Iterator[None]:
    before = open_descriptors()
    yield
    assert open_descriptors() == before


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Make a directory to serve, and beside it what must not be."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(SECRET)
    root = tmp_path / "root"
    (root / "sub" / "deeper").mkdir(parents=True)
    (root / "a").write_bytes(b"file a")
    (root / "sub" / "b").write_bytes(b"file b")
    (root / "sub" / "deeper" / "c").write_bytes(b"file c")
    return root


def read(root: Root, *names: bytes) -> bytes | None:
    """Return what is in the file, or None for a directory."""
    parent, name = root.open_parent(names)
    try:
        file = open_file(parent, name)
    finally:
        os.close(parent)
    if file is None:
        return None
    with os.fdopen(file.descriptor, "rb") as reader:
        return reader.read()


each_way = pytest.mark.parametrize("follow", [False, True])


@each_way
def test_files_are_found_at_every_depth(tree: Path, follow: bool):  # noqa: FBT001
    root = Root(tree, follow_symlinks=follow)
    assert read(root, b"a") == b"file a"
    assert read(root, b"sub", b"b") == b"file b"
    assert read(root, b"sub", b"deeper", b"c") == b"file c"
    assert read(root, b"sub") is None
    assert read(root) is None


@each_way
@pytest.mark.parametrize(
    "names", [(b"nothing",), (b"sub", b"nothing"), (b"nothing", b"a"), (b"a", b"b"), (b"a" * 300,), (b"sub", b"a")]
)
def test_what_is_not_there_is_an_error_of_the_system(tree: Path, names: tuple[bytes, ...], follow: bool):  # noqa: FBT001
    with pytest.raises(OSError, match=r"directory|long"):
        read(Root(tree, follow_symlinks=follow), *names)


def test_what_is_known_of_a_file_is_what_the_system_says(tree: Path):
    status = (tree / "a").stat()
    parent, name = Root(tree).open_parent((b"a",))
    file = open_file(parent, name)
    os.close(parent)
    assert file == OpenFile(file.descriptor, 6, status.st_mtime_ns, status.st_ctime_ns)
    os.close(file.descriptor)


# Links


LINKS = [
    ("absolute", "{outside}/secret", (b"absolute",)),
    ("relative", "../outside/secret", (b"relative",)),
    ("folder", "../outside", (b"folder", b"secret")),
    ("above", "..", (b"above", b"outside", b"secret")),
    ("top", "/", (b"top", b"etc", b"passwd")),
    ("sub/deeper/up", "../../../outside/secret", (b"sub", b"deeper", b"up")),
]


@each_way
@pytest.mark.parametrize(("link", "target", "names"), LINKS)
def test_no_link_leads_out(tree: Path, link: str, target: str, names: tuple[bytes, ...], follow: bool):  # noqa: FBT001
    """CVE-2024-23334."""
    (tree / link).symlink_to(target.format(outside=tree.parent / "outside"))
    assert SECRET in (tree / link / "secret" if link == "folder" else tree.parent / "outside" / "secret").read_bytes()
    with pytest.raises(OSError, match=r"symbolic|directory"):
        read(Root(tree, follow_symlinks=follow), *names)


def test_a_directory_that_begins_with_the_same_name_is_outside(tree: Path):
    (tree.parent / "root-private").mkdir()
    (tree.parent / "root-private" / "secret").write_bytes(SECRET)
    (tree / "link").symlink_to("../root-private")
    with pytest.raises(FileNotFoundError):
        read(Root(tree, follow_symlinks=True), b"link", b"secret")


def test_links_within_are_followed_when_that_is_asked_for(tree: Path):
    (tree / "file").symlink_to("sub/deeper/c")
    (tree / "folder").symlink_to("sub/deeper")
    (tree / "self").symlink_to(".")
    (tree / "sub" / "back").symlink_to("../a")
    (tree / "chain").symlink_to("file")
    following, strict = Root(tree, follow_symlinks=True), Root(tree)
    for names, expected in [
        ((b"file",), b"file c"),
        ((b"folder", b"c"), b"file c"),
        ((b"folder",), None),
        ((b"self",), None),
        ((b"self", b"self", b"a"), b"file a"),
        ((b"sub", b"back"), b"file a"),
        ((b"chain",), b"file c"),
    ]:
        assert read(following, *names) == expected
        with pytest.raises(OSError, match=r"symbolic|Not a directory"):
            read(strict, *names)


def test_files_as_kubernetes_mounts_them_are_found(tree: Path):
    """A ConfigMap's files are links to a link to a hidden directory, which is exchanged as a whole."""
    (tree / "..2026_11_20").mkdir()
    (tree / "..2026_11_20" / "config.json").write_bytes(b"{}")
    (tree / "..data").symlink_to("..2026_11_20")
    (tree / "config.json").symlink_to("..data/config.json")
    assert read(Root(tree, follow_symlinks=True), b"config.json") == b"{}"


@each_way
def test_links_in_a_circle_end(tree: Path, follow: bool):  # noqa: FBT001
    (tree / "one").symlink_to("two")
    (tree / "two").symlink_to("one")
    (tree / "loop").symlink_to("loop")
    for names in ((b"one",), (b"loop",), (b"loop", b"a")):
        with pytest.raises(OSError, match=r"symbolic|directory"):
            read(Root(tree, follow_symlinks=follow), *names)


@each_way
def test_the_directory_itself_may_be_a_link_and_is_looked_up_each_time(tree: Path, follow: bool):  # noqa: FBT001
    """As deployments do it: `current` is moved from one release to the next in one step."""
    (tree.parent / "next").mkdir()
    (tree.parent / "next" / "a").write_bytes(b"next a")
    current = tree.parent / "current"
    current.symlink_to("root")
    root = Root(current, follow_symlinks=follow)
    assert read(root, b"a") == b"file a"
    (tree.parent / "new").symlink_to("next")
    (tree.parent / "new").rename(current)
    assert read(root, b"a") == b"next a"


def test_the_top_of_the_file_system_may_be_served():
    root = Root("/", follow_symlinks=True)
    assert read(root, b"proc") is None
    assert read(root, b"proc", b"self", b"comm")  # /proc/self is a link


@each_way
def test_whatever_is_exchanged_between_the_steps_nothing_outside_is_read(tree: Path, follow: bool):  # noqa: FBT001
    """The race between check and use: a folder turns into a link outside and back, all the time."""
    (tree / "folder").mkdir()
    (tree / "folder" / "secret").write_bytes(b"public")
    (tree / "link").symlink_to("../outside")
    root = Root(tree, follow_symlinks=follow)
    stop = threading.Event()

    def exchange():
        while not stop.is_set():
            (tree / "folder").rename(tree / "aside")
            (tree / "link").rename(tree / "folder")
            (tree / "folder").rename(tree / "link")
            (tree / "aside").rename(tree / "folder")

    thread = threading.Thread(target=exchange)
    thread.start()
    seen: set[bytes | None] = set()
    end = time.monotonic() + 5
    try:
        while time.monotonic() < end and not seen >= {b"public", b"refused"}:
            seen.update(attempt(root) for _ in range(1000))
    finally:
        stop.set()
        thread.join()
    assert seen == {b"public", b"refused"}


def attempt(root: Root) -> bytes | None:
    try:
        return read(root, b"folder", b"secret")
    except OSError:
        return b"refused"


# What is no file


def test_a_fifo_is_refused_without_waiting_for_its_writer(tree: Path):
    os.mkfifo(tree / "fifo")
    with pytest.raises(FileNotFoundError):
        read(Root(tree), b"fifo")


def test_a_socket_is_refused(tree: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tree)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        with pytest.raises(OSError, match="No such device"):
            read(Root(tree), b"socket")


def test_a_device_is_refused():
    with pytest.raises(FileNotFoundError):
        read(Root("/dev"), b"null")


def test_a_directory_that_may_only_be_passed_through_is_enough(tree: Path):
    (tree / "sub").chmod(0o111)
    try:
        assert read(Root(tree), b"sub", b"b") == b"file b"
    finally:
        (tree / "sub").chmod(0o755)


def test_a_directory_that_is_not_there_is_the_operators_fault(tree: Path):
    for directory in (tree / "nothing", tree / "a", str(tree / "a" / "b")):
        with pytest.raises(ConfigError, match=f"no directory {directory}"):
            Root(directory)


def test_a_directory_is_remembered_when_the_process_moves(tree: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tree.parent)
    root = Root("root")
    monkeypatch.chdir("/")
    assert read(root, b"a") == b"file a"


# The gzip beside a file


def find_gzip(tree: Path) -> bytes | None:
    parent, name = Root(tree).open_parent((b"a",))
    plain = open_file(parent, name)
    assert plain is not None
    found = open_gzip(parent, name, plain)
    os.close(parent)
    os.close(plain.descriptor)
    if found is None:
        return None
    with os.fdopen(found.descriptor, "rb") as reader:
        return reader.read()


@pytest.mark.parametrize(("age", "expected"), [(-1, b"zipped"), (0, b"zipped"), (1, None), (10**9, None)])
def test_a_gzip_counts_when_it_is_not_older(tree: Path, age: int, expected: bytes | None):
    (tree / "a.gz").write_bytes(b"zipped")
    changed = (tree / "a").stat().st_mtime_ns
    os.utime(tree / "a.gz", ns=(changed - age, changed - age))
    assert find_gzip(tree) == expected


def test_a_gzip_that_is_no_file_or_a_link_does_not_count(tree: Path):
    assert find_gzip(tree) is None
    (tree / "a.gz").mkdir()
    assert find_gzip(tree) is None
    (tree / "a.gz").rmdir()
    (tree / "a.gz").symlink_to("../outside/secret")
    assert find_gzip(tree) is None
