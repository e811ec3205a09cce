"""rawbot/wecom/phases.py: the table has every phase, and its end is an end."""

from rawbot.wecom.phases import CLOSED, MOVES, OPEN, OVERDUE, Phase


def test_the_names_are_the_phases():
    assert (OPEN, OVERDUE, CLOSED) == (Phase.OPEN, Phase.OVERDUE, Phase.CLOSED)


def test_every_phase_has_its_moves_and_the_last_has_none():
    assert set(MOVES) == set(Phase)
    assert MOVES[CLOSED] == ()
    assert all(CLOSED in following for phase, following in MOVES.items() if phase is not CLOSED)
