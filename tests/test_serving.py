"""rawbot/serving.py: what a worker of several is given, and how long its end may take."""

import os

import pytest

from rawbot import serving
from rawbot.aio.settings import Timeouts


def test_a_worker_is_not_killed_before_all_its_own_time_outs_are_over():
    timeouts = Timeouts(graceful=100, settle=20, hooks=3, linger=0)
    assert serving.longest_end(timeouts) == 2 * 100 + 2 * 20 + 3 + serving.EXTRA_GRACE


def test_what_was_inherited_is_closed():
    descriptors = os.pipe()
    serving._release(descriptors, None)
    for descriptor in descriptors:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)


@pytest.mark.parametrize(
    ("target", "folders"),
    [
        ("bot.py", [".", "."]),
        ("../there/bot.py", [".", "../there"]),
        ("there/bot.py:app", [".", "there"]),
        ("package.module:app", ["."]),
        ("module", ["."]),
    ],
)
def test_changes_are_looked_for_here_and_beside_the_target(target: str, folders: list[str]):
    assert serving._folders(target) == folders
