"""Tests of token verification: what is not exactly right is refused."""

import base64
import json
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey

from penstock_server.domain.errors import PenstockError
from penstock_server.identity import DEV_ISSUER, DevIssuer, Verifier

NOW = 1_700_000_000_000
ISSUER = DevIssuer(bytes(range(32)))


def _token(header: dict[str, Any] | None = None, key: OKPKey | None = None, **changes: Any) -> str:
    claims: dict[str, Any] = {
        "iss": DEV_ISSUER,
        "aud": "penstock",
        "sub": "ci",
        "groups": ["agents"],
        "iat": NOW // 1000,
        "exp": NOW // 1000 + 60,
    }
    claims.update(changes)
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode({"alg": "Ed25519", **(header or {})}, claims, key or ISSUER.key, algorithms=["Ed25519"])


def _reason(token: str, now: int = NOW) -> str:
    with pytest.raises(PenstockError) as refused:
        Verifier(ISSUER.key).verify(token, now)
    assert not token or token not in str(refused.value)
    return refused.value.reason


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "urn:penstock:other"},
        {"aud": "other"},
        {"aud": ["penstock", "other"]},
        {"sub": ""},
        {"sub": None},
        {"sub": 7},
        {"groups": "agents"},
        {"groups": [1]},
        {"owner": ["x"]},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": True},
        {"iat": None},
        {"iat": NOW // 1000 + 3600},
        {"nbf": NOW // 1000 + 3600},
    ],
)
def test_a_claim_that_is_not_exactly_right_is_refused(changes: dict[str, Any]) -> None:
    """Issuer, audience, subject, groups, owner and times are each checked."""
    assert _reason(_token(**changes)) == "TOKEN_INVALID"


def test_an_expired_token_is_refused_also_when_it_was_verified_before() -> None:
    """The memory of verified tokens does not outlive them."""
    verifier, token = Verifier(ISSUER.key), _token()
    assert verifier.verify(token, NOW).subject == "ci"
    with pytest.raises(PenstockError) as refused:
        verifier.verify(token, NOW + 60_000)
    assert refused.value.reason == "TOKEN_EXPIRED"


def test_a_foreign_key_is_refused_even_if_the_header_brings_it() -> None:
    """Neither jwk nor jku nor kid of a token is trusted."""
    foreign = DevIssuer(bytes(range(1, 33))).key
    assert _reason(_token(key=foreign)) == "TOKEN_INVALID"
    assert _reason(_token({"jwk": foreign.as_dict(private=False)}, foreign)) == "TOKEN_INVALID"


def test_the_algorithm_is_fixed_by_the_key() -> None:
    """None and HMAC over the public key are refused."""
    claims = {"iss": DEV_ISSUER, "aud": "penstock", "sub": "ci", "iat": NOW // 1000, "exp": NOW // 1000 + 60}

    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    assert _reason(f"{part({'alg': 'none'})}.{part(claims)}.") == "TOKEN_INVALID"
    public = OctKey.import_key(ISSUER.key.as_pem(private=False).replace(b"-----", b"====="))
    assert _reason(jwt.encode({"alg": "HS256"}, claims, public, algorithms=["HS256"])) == "TOKEN_INVALID"


@pytest.mark.parametrize("token", ["x", "a.b.c", "..", "é", "a" * 9000])
def test_what_is_no_token_is_refused(token: str) -> None:
    """Garbage raises nothing but the refusal."""
    assert _reason(token) == "TOKEN_INVALID"


def test_no_token_is_its_own_refusal() -> None:
    """The agent is told to send one."""
    assert _reason("") == "TOKEN_MISSING"
