"""rawbot/onebot/files.py behind the registry of actions: parameters as the standard names them.

Source: OneBot 12, interface/file/actions.
"""

import hashlib
from typing import Any

import pytest
from memory_files import MemoryStore, run

from rawbot.onebot.actions import Actions
from rawbot.onebot.files import Files
from rawbot.onebot.requests import ActionRequest
from rawbot.onebot.retcodes import BAD_PARAM, ActionError

WHAT = hashlib.sha256(b"What").hexdigest()


class Application:
    """Calls actions as an application does."""

    def __init__(self) -> None:
        self.actions = Actions()
        Files(MemoryStore(), clock=lambda: 0.0).register(self.actions)

    def call(self, action: str, **params: object) -> Any:  # noqa: ANN401 - data of any action
        call = self.actions.bind(ActionRequest(action, params, None, None), None, strict=True)
        assert call.is_async
        return run(call())


def test_the_four_actions_are_registered():
    names = ["get_file", "get_file_fragmented", "upload_file", "upload_file_fragmented"]
    assert sorted(Application().actions.names()) == names


def test_data_comes_as_base64_or_as_bytes():
    application = Application()
    for data in ("V2hhdA==", b"What"):
        file_id = application.call("upload_file", type="data", name="a.txt", data=data, sha256=WHAT)["file_id"]
        assert application.call("get_file", file_id=file_id, type="data")["data"] == b"What"


def test_a_file_goes_there_and_back_in_parts():
    call = Application().call
    upload_id = call("upload_file_fragmented", stage="prepare", name="a", total_size=4)["file_id"]
    assert call("upload_file_fragmented", stage="transfer", file_id=upload_id, offset=2, data="YXQ=") is None
    assert call("upload_file_fragmented", stage="transfer", file_id=upload_id, offset=0, data=b"Wh") is None
    file_id = call("upload_file_fragmented", stage="finish", file_id=upload_id, sha256=WHAT)["file_id"]
    head = {"name": "a", "total_size": 4, "sha256": WHAT}
    assert call("get_file_fragmented", stage="prepare", file_id=file_id) == head
    assert call("get_file_fragmented", stage="transfer", file_id=file_id, offset=1, size=2) == {"data": b"ha"}


@pytest.mark.parametrize(
    ("action", "params"),
    [
        ("upload_file", {"name": "a", "data": b""}),
        ("upload_file", {"type": "data", "data": b""}),
        ("upload_file", {"type": "data", "name": "a", "data": "no base64!"}),
        ("upload_file", {"type": "data", "name": "a", "data": [1, 2]}),
        ("upload_file", {"type": "url", "name": "a", "url": "http://a", "headers": {"a": 1}}),
        ("upload_file_fragmented", {"stage": "begin"}),
        ("upload_file_fragmented", {"stage": "prepare", "name": "a", "total_size": "4"}),
        ("upload_file_fragmented", {"stage": "prepare", "name": "a", "total_size": 2**63}),
        ("get_file", {"type": "data"}),
        ("get_file", {"file_id": "x"}),
        ("get_file", {"file_id": 1, "type": "data"}),
        ("get_file_fragmented", {"stage": "finish", "file_id": "x"}),
    ],
)
def test_a_parameter_that_is_missing_or_wrong_is_refused(action: str, params: dict[str, object]):
    with pytest.raises(ActionError) as caught:
        Application().call(action, **params)
    assert caught.value.retcode == BAD_PARAM
