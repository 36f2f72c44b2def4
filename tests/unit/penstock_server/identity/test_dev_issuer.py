"""Tests of the development issuer."""

from pathlib import Path

from penstock_server.identity import DEV_ISSUER, DevIssuer, Verifier

NOW = 1_700_000_000_000


def test_an_issued_token_names_its_subject_groups_and_owner(tmp_path: Path) -> None:
    """What goes in comes out of a verifier with the same key."""
    issuer = DevIssuer.open(tmp_path)
    token = issuer.issue(subject="ci-7", groups=["b", "a", "a"], owner="ann", ttl_s=60, now_ms=NOW)
    found = Verifier(issuer.key).verify(token, NOW)
    assert (found.issuer, found.subject, found.groups, found.owner) == (DEV_ISSUER, "ci-7", {"a", "b"}, "ann")
    assert found.expires_at_ms == NOW + 60_000
    assert found.session


def test_the_key_survives_a_restart(tmp_path: Path) -> None:
    """A token of the first start verifies after the second."""
    token = DevIssuer.open(tmp_path).issue(subject="a", groups=[], owner="", ttl_s=60, now_ms=NOW)
    assert Verifier(DevIssuer.open(tmp_path).key).verify(token, NOW).subject == "a"
    assert (tmp_path / "issuer.key").stat().st_mode & 0o777 == 0o600
