"""rawbot/aio/importing.py: who is imported to be served does not serve meanwhile. The rest is in test_targets.py."""

import pytest

from rawbot.aio.importing import demand_no_import, importing
from rawbot.errors import ConfigError


def test_nothing_is_refused_outside_of_an_import():
    demand_no_import()
    with importing("bot.py"):
        pass
    demand_no_import()


def test_the_target_and_what_it_lacks_are_named_and_the_inner_one_first():
    with importing("outer.py"):
        with (
            importing("inner.py"),
            pytest.raises(ConfigError, match=r"^inner\.py calls rawbot\.run .* `if __name__ =="),
        ):
            demand_no_import()
        with pytest.raises(ConfigError, match=r"^outer\.py calls"):
            demand_no_import()


def test_a_fault_in_the_module_ends_the_import_too():
    with pytest.raises(ZeroDivisionError), importing("bot.py"):
        _ = 1 / 0
    demand_no_import()
