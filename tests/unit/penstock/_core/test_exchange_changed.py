"""Tests of exchanges around which policy or secrets change: nothing goes where it was not judged to go, or unmasked."""

from dataclasses import replace

import pytest

from penstock._core.mounts import Route
from penstock._core.verdict import KnownValue, Outcome
from unit.penstock._core.fake_sides import CREDENTIAL, Stage

JSON = ("content-type", "application/json")
HOSTS = ("billing.example",)
NEW = KnownValue("billing-key", CREDENTIAL[1])


@pytest.mark.parametrize(
    "change",
    [
        {"url": "http://billing.example/other"},
        {"url": "https://billing.example"},
        {"url": "http://other.example"},
        {"private_addresses": True},
        {"token_from": ("x-other",)},
        {"dialect": "anthropic"},
        {"mount": "/elsewhere"},
    ],
)
def test_an_upstream_that_changed_meanwhile_is_asked_about_again(change: dict[str, object]) -> None:
    """The head was read for another place, or by another rule, than the one that was judged."""
    stage = Stage()
    stage.send()
    stage.route = Route.of(replace(stage.request.route.upstream, **change))  # type: ignore[arg-type]
    stage.decide(Outcome.ALLOW)
    assert (stage.party.status, stage.links.wanted) == (503, [])
    assert b"changed while this was decided" in stage.party.written


def test_an_upstream_that_is_gone_is_refused() -> None:
    """Also if the allow was on its way."""
    stage = Stage()
    stage.send()
    stage.route = None
    stage.decide(Outcome.ALLOW)
    assert (stage.party.status, stage.links.wanted) == (503, [])


def test_a_secret_that_was_replaced_while_the_request_waited_is_masked() -> None:
    """The answer is masked with the values of the verdict's time, not of the head's."""
    stage = Stage()
    stage.send()
    stage.route = Route.of(replace(stage.request.route.upstream, known_values=(NEW,)))
    stage.decide(Outcome.ALLOW, credential=CREDENTIAL, credential_hosts=HOSTS)
    link = stage.connect()
    assert CREDENTIAL[1] in link.sent
    stage.answer(200, [JSON, ("X-Echo", CREDENTIAL[1].decode())], b'{"key":"%b"}' % CREDENTIAL[1])
    assert CREDENTIAL[1] not in stage.party.written and "«billing-key:".encode() in stage.party.written
    assert CREDENTIAL[1] not in stage.recorder.everything()


def test_a_credential_that_nothing_here_could_mask_goes_nowhere() -> None:
    """The verdict came before the configuration that tells the new secret."""
    stage = Stage()
    stage.send()
    stage.route = Route.of(replace(stage.request.route.upstream, known_values=(KnownValue("old", b"old-" * 5),)))
    stage.decide(Outcome.ALLOW, credential=CREDENTIAL, credential_hosts=HOSTS)
    assert (stage.party.status, stage.links.wanted) == (503, [])
    assert CREDENTIAL[1] not in stage.party.written
