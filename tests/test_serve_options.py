"""rawbot/serve_options.py: what `rawbot serve` is told, and what an app and its sockets are given for it."""

import argparse
from dataclasses import fields, replace
from pathlib import Path

import pytest

from rawbot.aio.app import App
from rawbot.aio.listening.listen import Listen
from rawbot.aio.listening.tls import TLS
from rawbot.aio.settings import Capacity, Timeouts
from rawbot.aio.watching.access_log import AccessLog
from rawbot.aio.watching.metrics import Metrics
from rawbot.errors import ConfigError
from rawbot.http.limits import Limits
from rawbot.serve_options import (
    BOUNDS,
    KEY_PASSWORD,
    Bound,
    add_serve_options,
    configure,
    read_admin,
    read_listens,
    worker_arguments,
)
from rawbot.websocket.settings import WebSocketSettings

TLS_OPTIONS = "--ssl-certfile c.pem --ssl-keyfile k.pem --ssl-ca-certs ca.pem --ssl-cert-reqs optional"


def read(line: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_serve_options(parser)
    return parser.parse_args(line.split())


@pytest.mark.parametrize(
    ("line", "places"),
    [
        ("", [Listen(host=("127.0.0.1",))]),
        ("--host ::1 --port 80", [Listen(host=("::1",), port=80)]),
        ("--host ::1 --host 192.0.2.1", [Listen(host=("::1", "192.0.2.1"))]),
        ("--port 0 --reuse-port --backlog 7", [Listen(host=("127.0.0.1",), port=0, reuse_port=True, backlog=7)]),
        ("--uds /run/x --uds-mode 660", [Listen(uds="/run/x", uds_mode=0o660)]),
        ("--uds @x", [Listen(uds="@x")]),
        ("--fd 3 --fd 4", [Listen(fd=3), Listen(fd=4)]),
        ("--systemd", [Listen(systemd=True)]),
        ("--uds /run/x --port 81", [Listen(uds="/run/x"), Listen(host=("127.0.0.1",), port=81)]),
        (
            "--proxy-protocol --forwarded-allow-ips 10.0.0.0/8,unix",
            [Listen(host=("127.0.0.1",), proxy_protocol=True, forwarded_allow_ips="10.0.0.0/8,unix")],
        ),
        (
            "--ssl-certfile c.pem --ssl-handshake-timeout 2.5",
            [Listen(host=("127.0.0.1",), tls=TLS("c.pem", ssl_handshake_timeout=2.5))],
        ),
        (
            TLS_OPTIONS,
            [Listen(host=("127.0.0.1",), tls=TLS("c.pem", "k.pem", ca_certs="ca.pem", cert_reqs="optional"))],
        ),
    ],
)
def test_places_to_listen_at(line: str, places: list[Listen]):
    assert read_listens(read(line)) == places


def test_the_password_of_a_key_comes_from_the_environment_where_no_process_list_shows_it(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv(KEY_PASSWORD, "sesame")
    assert read_listens(read(TLS_OPTIONS))[0].tls.keyfile_password == "sesame"


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("--uds-mode 660", "--uds-mode goes with --uds"),
        ("--ssl-keyfile k", "--ssl-keyfile goes with --ssl-certfile"),
        ("--ssl-handshake-timeout 3", "--ssl-handshake-timeout goes with --ssl-certfile"),
        ("--ssl-certfile c --ssl-handshake-timeout 0", r"tls\.ssl_handshake_timeout must be"),
        ("--port 99999", "ports are 0 to 65535"),
        ("--proxy-protocol", "forwarded_allow_ips"),
        ("--backlog 0", "backlog"),
    ],
)
def test_places_that_cannot_be_are_refused(line: str, what: str):
    with pytest.raises(ConfigError, match=what):
        read_listens(read(line))


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("", None),
        ("--admin 9090", Listen(port=9090)),
        ("--admin 192.0.2.1:9090", Listen(host="192.0.2.1", port=9090)),
        ("--admin [::1]:9090", Listen(host="::1", port=9090)),
        ("--admin /run/admin", Listen(uds="/run/admin")),
    ],
)
def test_the_admin_address(line: str, place: Listen | None):
    assert read_admin(read(line)) == place


@pytest.mark.parametrize("line", ["--metrics", "--admin here", "--admin 192.0.2.1", "--admin x:"])
def test_an_admin_address_that_is_none_is_refused(line: str):
    with pytest.raises(ConfigError, match="--admin"):
        read_admin(read(line))


def test_without_options_an_app_keeps_its_own_bounds():
    app = App(limits=Limits(max_body_size=5), timeouts=Timeouts(keep_alive=1), capacity=Capacity(max_connections=7))
    before = app.settings
    configure(app, read(""))
    assert app.settings == before


@pytest.mark.parametrize("bound", BOUNDS, ids=[bound.flag for bound in BOUNDS])
def test_a_bound_that_is_given_takes_the_place_of_the_apps(bound: Bound):
    app = App()
    configure(app, read(f"{bound.flag} 16000"))
    changed = getattr(app.settings, bound.section)
    assert getattr(changed, bound.field) == 16_000
    usual = replace(changed, **{bound.field: getattr(type(changed)(), bound.field)})
    assert usual == type(changed)()


def test_every_timeout_and_capacity_has_its_option():
    ours = {(bound.section, bound.field) for bound in BOUNDS}
    wanted = {("timeouts", field.name) for field in fields(Timeouts)}
    wanted |= {("capacity", field.name) for field in fields(Capacity) if field.name != "retry_after"}
    assert wanted <= ours


def test_compression_is_turned_on_by_its_option():
    app = App()
    configure(app, read("--ws-per-message-deflate"))
    assert app.settings.websocket == WebSocketSettings(per_message_deflate=True)


@pytest.mark.parametrize("own", [True, False])
def test_the_fast_path_can_be_turned_off_and_not_on(*, own: bool):
    app = App(fast_path=own)
    configure(app, read(""))
    assert app.settings.fast_path is own
    configure(app, read("--no-fast-path"))
    assert app.settings.fast_path is False


def test_a_bound_that_cannot_be_is_refused():
    with pytest.raises(ConfigError, match=r"timeouts\.keep_alive"):
        configure(App(), read("--timeout-keep-alive nan"))


def test_an_access_log_and_metrics_watch_beside_the_apps_own_observers(tmp_path: Path):
    mine = AccessLog(tmp_path / "mine")
    app = App(observers=[mine])
    configure(app, read(f"--access-log {tmp_path}/log --access-log-format json --metrics --admin 0"))
    assert [type(observer) for observer in app.settings.observers] == [AccessLog, AccessLog, Metrics]
    assert app.settings.observers[0] is mine
    for observer in app.settings.observers:
        observer.close()


def test_a_worker_is_given_what_concerns_it_and_not_where_to_listen_or_how_many_to_start():
    line = f"--host ::1 --port 1 --workers 4 --access-log a --limit-body 5 --loop uvloop --proxy-protocol {TLS_OPTIONS}"
    line += " --ws-per-message-deflate --ssl-handshake-timeout 2.5 --no-paced-gc --no-fast-path"
    options = read(" ".join(worker_arguments(read(line))))
    assert (options.host, options.port, options.workers) == (None, None, 1)
    assert (options.access_log, options.limit_body, options.loop) == ("a", 5, "uvloop")
    assert options.ws_per_message_deflate
    assert options.no_paced_gc
    assert options.no_fast_path
    assert (options.proxy_protocol, options.ssl_certfile, options.ssl_cert_reqs) == (True, "c.pem", "optional")
    assert (options.ssl_handshake_timeout, options.timeout_header) == (2.5, None)
