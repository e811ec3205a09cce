"""What the tests of sending share: files to send, and a look at what is left behind."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from descriptors import open_descriptors
from sending import LARGE, pattern


@pytest.fixture
def nothing_is_left(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Compare what is open before and after each test; a test that expects log lines clears them."""
    before = open_descriptors()
    yield
    assert open_descriptors() == before
    assert not [record for record in caplog.get_records("call") if record.levelno >= logging.WARNING]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "large"
    path.write_bytes(pattern(LARGE))
    return path


@pytest.fixture
def changing(tmp_path: Path) -> Path:
    """Write a file that the test may change."""
    path = tmp_path / "large"
    path.write_bytes(pattern(LARGE))
    return path
