"""The hub and the configuration of a shim, without a socket."""

import logging
import re
import tempfile
from pathlib import Path

import pytest

from penstock._core.environment import Environment
from penstock._core.limits import Limits
from penstock._core.verdict import ShimConfig, Upstream
from penstock.http.client_side import ClientConnection
from penstock.http.shim import HttpShim, Hub
from unit.penstock._core.fake_sides import FakeDecider, FakeRecorder, Stage, a_config, an_upstream


def a_shim(limits: Limits | None = None) -> tuple[HttpShim, FakeDecider]:
    """Returns a shim that does not listen, and its decider."""
    decider = FakeDecider([], None)
    return HttpShim(decider, FakeRecorder(), limits), decider


def found(shim: HttpShim, path: str) -> str:
    """Returns the name of the upstream at a path, "" if there is none."""
    mounts = shim._hub.mounts
    route = mounts.find(path) if mounts is not None else None
    return route[0].upstream.name if route is not None else ""


def test_a_hub_counts_connections_up_to_its_limit() -> None:
    """A place is free again when one has left; while draining there is none."""
    hub = Hub(Stage(limits=Limits(max_connections=2)).env)
    connections = [ClientConnection(hub) for _ in range(3)]
    assert [hub.joined(each) for each in connections] == [True, True, False]
    hub.left(connections[0])
    hub.left(connections[2])
    assert hub.joined(connections[2]) and not hub.joined(connections[0])
    hub.left(connections[1])
    hub.draining = True
    assert not hub.joined(connections[1])


def test_a_shim_follows_the_configuration() -> None:
    """The last one counts, whole."""
    shim, decider = a_shim()
    assert shim._hub.mounts is None
    decider.push(a_config())
    assert found(shim, "/billing/x") == "billing"
    decider.push(a_config(an_upstream("mail")))
    assert (found(shim, "/billing/x"), found(shim, "/mail")) == ("", "mail")


@pytest.mark.parametrize("url", ["ftp://up.example", "http://", "http://up.example:99999", "http://[::1"])
def test_a_configuration_that_cannot_be_used_takes_the_former_one_away(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is served by rules that are not in force any more; the log says so."""
    shim, decider = a_shim()
    decider.push(a_config())
    with caplog.at_level(logging.ERROR):
        decider.push(ShimConfig(2, (an_upstream(), Upstream("broken", url, "/broken"))))
    assert found(shim, "/billing/x") == ""
    assert "cannot be used" in caplog.text
    decider.push(a_config())
    assert found(shim, "/billing/x") == "billing"


def test_a_lost_service_leaves_the_configuration() -> None:
    """Requests are refused by the decider's own state; what is under way may go on for a while."""
    shim, decider = a_shim()
    decider.push(a_config())
    decider.push(None)
    assert found(shim, "/billing/x") == "billing"


def test_call_ids_are_unique_for_ever() -> None:
    """32 hexadecimal digits, never the same within a run or in two runs."""
    runs: list[Environment] = [a_shim()[0]._hub.env for _ in range(3)]
    ids = [env.new_call_id() for env in runs for _ in range(1000)]
    assert len(set(ids)) == 3000
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in ids)


def test_each_shim_has_a_key_and_a_spool_of_its_own() -> None:
    """Mask tokens of two shims say nothing about each other."""
    one, two = a_shim(Limits(max_spooled_bytes=10))[0]._hub.env, a_shim()[0]._hub.env
    assert one.key != two.key and len(one.key) >= 32
    assert one.spool.take(10) and not one.spool.take(1) and two.spool.take(11)
    assert one.now_ms() > 1_600_000_000_000


def is_empty(folder: str) -> bool:
    """Returns whether nothing is in the folder."""
    return not any(Path(folder).iterdir())


@pytest.mark.anyio
async def test_a_shim_that_cannot_listen_everywhere_listens_nowhere() -> None:
    """The error names the address; what was open before it is closed, and its file removed."""
    shim, _ = a_shim()
    with tempfile.TemporaryDirectory(prefix="pst-") as folder:
        with pytest.raises(OSError) as refused:
            await shim.start(f"unix:{folder}/s", "127.0.0.1:0", f"unix:{folder}/absent/s")
        assert refused.value.filename == f"unix:{folder}/absent/s"
        assert is_empty(folder)
        urls = await shim.start(f"unix:{folder}/s", "127.0.0.1:0")
        assert urls[0] == f"unix:{folder}/s" and urls[1].startswith("http://127.0.0.1:")
        await shim.close(0)
        assert is_empty(folder)
