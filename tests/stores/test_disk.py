"""rawbot/stores/disk.py: all bytes or an error, and nothing left behind."""

import io
import os
from pathlib import Path

import pytest

from rawbot.stores.disk import Rollback, copy_bytes, write_all


def test_what_the_disk_takes_in_parts_is_written_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, offset: pwrite(descriptor, data[:3], offset))
    path = tmp_path / "a"
    path.write_bytes(bytes(12))
    with path.open("r+b", buffering=0) as file:
        write_all(file.fileno(), 1, b"0123456789")
        write_all(file.fileno(), 5, b"")
    assert path.read_bytes() == b"\x000123456789\x00"


@pytest.mark.parametrize(("size", "copied"), [(0, b""), (3, b"012"), (10, b"0123456789"), (99, b"0123456789")])
def test_no_more_is_copied_than_asked_for(size: int, copied: bytes):
    target = io.BytesIO()
    copy_bytes(io.BytesIO(b"0123456789"), target, size)
    assert target.getvalue() == copied


def test_large_files_are_copied_in_pieces(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("rawbot.stores.disk._PIECE", 4)
    target = io.BytesIO()
    copy_bytes(io.BytesIO(b"0123456789"), target, 9)
    assert target.getvalue() == b"012345678"


def test_a_file_stays_unless_what_is_inside_fails(tmp_path: Path):
    path = tmp_path / "a"
    with Rollback(str(path)):
        path.write_bytes(b"")
    assert path.exists()
    with pytest.raises(ZeroDivisionError), Rollback(str(path)):
        raise ZeroDivisionError
    assert not path.exists()
    with pytest.raises(ZeroDivisionError), Rollback(str(path)):  # it was never made
        raise ZeroDivisionError
