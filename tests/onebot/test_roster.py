"""rawbot/onebot/roster.py: which bots there are, how they are, and which one is meant.

OneBot 12, interface/meta/actions (get_status), connect/data-protocol/action-request (self).
"""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rawbot.errors import ConfigError
from rawbot.onebot.messages import Account
from rawbot.onebot.retcodes import UNKNOWN_SELF, WHO_AM_I, ActionError
from rawbot.onebot.roster import Roster

ONE, OTHER = Account("loop", "1"), Account("loop", "2")


def code_of(roster: Roster, named: Account | None) -> int:
    with pytest.raises(ActionError) as raised:
        roster.find(named)
    return raised.value.retcode


def test_the_only_bot_need_not_be_named():
    roster = Roster([ONE])
    assert roster.find(None) is ONE
    assert roster.find(Account("loop", "1")) is ONE


def test_of_several_bots_one_must_be_named():
    roster = Roster([ONE, OTHER])
    assert code_of(roster, None) == WHO_AM_I
    assert roster.find(Account("loop", "2")) is OTHER


def test_without_any_bot_nobody_can_be_meant():
    assert code_of(Roster([]), None) == WHO_AM_I
    assert code_of(Roster([]), ONE) == UNKNOWN_SELF


@pytest.mark.parametrize(
    "stranger", [Account("loop", "3"), Account("other", "1"), Account("", ""), Account("1", "loop")]
)
def test_a_stranger_is_refused_also_where_there_is_one_bot_only(stranger: Account):
    assert code_of(Roster([ONE]), stranger) == UNKNOWN_SELF
    assert code_of(Roster([ONE, OTHER]), stranger) == UNKNOWN_SELF


def test_a_bot_that_is_given_twice_is_refused():
    with pytest.raises(ConfigError, match="'1' is given twice"):
        Roster([ONE, Account("loop", "1")])
    assert len(Roster([ONE, Account("other", "1")])) == 2


def test_the_status_tells_all_bots_in_their_order_with_what_they_have_besides():
    extended = Account("loop", "2", {"loop.name": "x"})
    roster = Roster([extended, ONE])
    assert roster.status() == {
        "good": True,
        "bots": [
            {"self": {"platform": "loop", "user_id": "2", "loop.name": "x"}, "online": True},
            {"self": {"platform": "loop", "user_id": "1"}, "online": True},
        ],
    }


def test_the_status_of_some_leaves_the_others_out_but_counts_them():
    roster = Roster([ONE, OTHER])
    roster.set(OTHER, online=False)
    assert roster.status([ONE]) == {"good": False, "bots": [{"self": ONE.encode(), "online": True}]}
    assert roster.status([]) == {"good": False, "bots": []}
    assert roster.status([Account("loop", "3")]) == {"good": False, "bots": []}


def test_without_bots_all_is_well():
    assert Roster([]).status() == {"good": True, "bots": []}


def test_an_implementation_that_is_not_well_says_so_whatever_its_bots_do():
    roster = Roster([ONE])
    roster.good = False
    assert roster.status() == {"good": False, "bots": [{"self": ONE.encode(), "online": True}]}


def test_a_bot_that_changes_what_it_has_besides_is_known_by_the_newest():
    roster = Roster([ONE])
    newer = Account("loop", "1", {"name": "x"})
    assert roster.set(newer, online=True) is False
    assert roster.find(None) is newer
    assert roster.remove(ONE) is newer


class RosterMachine(RuleBasedStateMachine):
    """Bots come and go; a plain dict knows as much."""

    bots = st.sampled_from([Account("loop", "1"), Account("loop", "2"), Account("other", "1")])

    def __init__(self) -> None:
        super().__init__()
        self.roster = Roster([])
        self.model: dict[Account, bool] = {}

    @rule(bot=bots, online=st.booleans())
    def set(self, bot: Account, online: bool) -> None:  # noqa: FBT001 - drawn
        assert self.roster.set(bot, online=online) is (self.model.get(bot) is not online)
        self.model[bot] = online

    @rule(bot=bots)
    def remove(self, bot: Account) -> None:
        known = self.model.pop(bot, None) is not None
        assert (self.roster.remove(bot) == bot) is known

    @rule(bot=bots)
    def find(self, bot: Account) -> None:
        if bot in self.model:
            assert self.roster.find(bot) == bot
        else:
            assert code_of(self.roster, bot) == UNKNOWN_SELF

    @invariant()
    def it_knows_what_the_model_knows(self) -> None:
        assert list(self.roster) == list(self.model)
        assert len(self.roster) == len(self.model)
        bots = [{"self": bot.encode(), "online": online} for bot, online in self.model.items()]
        assert self.roster.status() == {"good": all(self.model.values()), "bots": bots}
        if len(self.model) == 1:
            assert self.roster.find(None) in self.model
        else:
            assert code_of(self.roster, None) == WHO_AM_I


RosterMachine.TestCase.settings = settings(deadline=None, max_examples=40, stateful_step_count=25)
test_bots_come_and_go_as_in_the_model = RosterMachine.TestCase
