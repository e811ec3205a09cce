"""rawbot/wecom/figures.py: what metrics show of a bot's streams and of refused callbacks."""

from open_streams import make_table, opened, pass_time
from wecom_callbacks import T0

from rawbot.wecom.figures import gather_figures


def test_streams_are_counted_as_they_open_end_and_expire():
    table = make_table()
    opened(table, msgid="m1").finish()
    opened(table, msgid="m2")
    pass_time(table, T0 + 331)
    opened(table, msgid="m3").write("four")
    shown = {figure.name: (figure.kind, figure.value) for figure in gather_figures(table, {})}
    assert shown == {
        "wecom_streams_open": ("gauge", 1),
        "wecom_streams_held": ("gauge", 3),
        "wecom_streams_unfetched": ("gauge", 3),
        "wecom_stream_bytes": ("gauge", table.bytes_held),
        "wecom_streams_finished": ("counter", 1),
        "wecom_streams_expired": ("counter", 1),
    }


def test_an_overdue_handler_that_ends_is_counted_once():
    table = make_table()
    stream = opened(table)
    pass_time(table, T0 + 331)
    stream.finish()
    assert (table.finished, table.expired) == (0, 1)


def test_failures_are_shown_by_the_vendors_code():
    figures = gather_figures(make_table(), {-40001: 2, 0: 1})
    counted = {figure.labels: figure.value for figure in figures if figure.name == "wecom_failures"}
    assert counted == {(("code", "-40001"),): 2, (("code", "0"),): 1}
