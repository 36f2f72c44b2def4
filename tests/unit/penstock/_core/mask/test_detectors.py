"""The file of detectors: kinds, families, examples, look-alikes, and what every pattern must keep to."""

import re
import uuid
from collections.abc import Callable
from random import Random

import pytest

from penstock._core.mask.checks import CHECKS
from penstock._core.mask.detectors import FAMILIES, Detector, all_detectors, chosen, detector_ids
from penstock._core.mask.finder import Finder
from penstock._core.mask.partial import prefixes, width
from penstock._core.mask.patterns import compiled

ALL = Finder((), frozenset({"all"}))
DETECTORS = pytest.mark.parametrize("detector", all_detectors(), ids=lambda detector: detector.id)
TELLING = [
    "jwt",
    "aws-access-key-id",
    "anthropic-key",
    "stripe-webhook-secret",
    "github-token",
    "gitlab-token",
    "slack-token",
    "google-api-key",
    "google-oauth",
    "npm-token",
    "pypi-token",
    "huggingface-token",
    "sendgrid-key",
    "digitalocean-token",
    "shopify-token",
    "databricks-token",
    "docker-token",
    "grafana-token",
    "atlassian-token",
    "linear-key",
    "newrelic-key",
    "postman-key",
    "vault-token",
    "age-key",
    "penstock-token",
    "authorization",
]
"""Kinds whose beginning is rare in text."""
WIDEST = 1024
"""Bytes that a match may be wide: a stream holds back as much."""


def kinds_in(text: bytes, finder: Finder = ALL) -> set[str]:
    """Returns the kinds of all finds that mask something."""
    return {find.kind for find in finder.look(text)[0] if find.start < find.end}


def test_there_are_many_kinds_and_no_two_share_a_name() -> None:
    """At least 20 kinds; ids are unique and fit for a policy and a token."""
    ids = [detector.id for detector in all_detectors()]
    assert len(ids) >= 20
    assert len(set(ids)) == len(ids)
    assert detector_ids() == set(ids)
    assert all(re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name) for name in ids)
    assert not detector_ids() & FAMILIES


def test_families_are_what_they_say() -> None:
    """Credentials are secrets; data about people is personal; all is both."""
    personal = {detector.id for detector in chosen(["personal"])}
    assert personal == {"email", "card", "iban", "us-ssn", "phone"}
    assert {"private-key", "jwt", "aws-access-key-id"} <= {detector.id for detector in chosen(["secrets"])}
    assert chosen(["secrets", "personal"]) == chosen(["all"]) == all_detectors()


def test_detectors_are_chosen_by_id_and_family_in_the_order_of_the_file() -> None:
    """A detector that is named twice is there once; the order decides which name a find gets."""
    assert [detector.id for detector in chosen(["phone", "jwt", "jwt"])] == ["jwt", "phone"]
    assert chosen(["email", "personal"]) == chosen(["personal"])
    assert chosen([]) == ()


def test_an_unknown_detector_is_refused_by_name() -> None:
    """A policy with a mistyped detector must not pass as one that masks."""
    with pytest.raises(ValueError, match="there is no detector 'emial'"):
        chosen(["email", "emial"])


@DETECTORS
def test_each_detector_keeps_to_the_rules_of_its_file(detector: Detector) -> None:
    """Bounded, no NUL byte, a known check, an end for endless kinds, and an example at the least."""
    assert width(detector.pattern) <= WIDEST
    assert detector.family in FAMILIES - {"all"}
    assert detector.check in {"", *CHECKS}
    assert detector.examples
    assert compiled(prefixes(detector.pattern))
    assert width(detector.until) <= 128 if detector.until else not detector.keep_end
    assert not (detector.until and detector.check)


@DETECTORS
def test_no_match_reaches_over_the_byte_that_parts_texts(detector: Detector) -> None:
    """A NUL byte parts texts that are scanned together: with one in it, no example is one match any more."""
    for example in detector.examples:
        for at in range(len(example)):
            text = example[:at].encode() + b"\0" + example[at + 1 :].encode()
            for find in Finder((), frozenset({detector.id})).look(text)[0]:
                assert find.until is not None or not find.low <= at < find.high


@DETECTORS
def test_each_example_is_found_under_its_own_name(detector: Detector) -> None:
    """Alone, and amid text; with only this detector, and with all."""
    alone = Finder((), frozenset({detector.id}))
    for example in detector.examples:
        for text in (example, f"see {example} there", f'"{example}"', f"\n{example}\n", f"é{example}é"):
            assert detector.id in kinds_in(text.encode(), alone), text
        assert detector.id in kinds_in(f"({example})".encode())


@pytest.mark.parametrize("before", ["\\n", "\\x1b[31m", "_", "%22", "\\u0022", "x"])
@pytest.mark.parametrize("name", TELLING)
def test_a_telling_beginning_needs_no_edge_of_a_word(name: str, before: str) -> None:
    """Escapes that stay escaped, and names that run into a secret, end in a letter, a digit or an underscore."""
    for example in chosen([name])[0].examples:
        assert name in kinds_in(f'"{before}{example}"'.encode()), example


@DETECTORS
def test_nothing_is_found_in_what_only_looks_like_it(detector: Detector) -> None:
    """No detector at all finds anything in a not_example."""
    for text in detector.not_examples:
        assert kinds_in(text.encode()) == set()
        assert kinds_in(f"see {text} there".encode()) == set()


@DETECTORS
def test_a_hint_occurs_wherever_the_pattern_does(detector: Detector) -> None:
    """The quick pattern never hides a find of the true one."""
    hint = compiled(detector.hint or detector.pattern)
    pattern = compiled(detector.pattern)
    texts = [example for other in all_detectors() for example in other.examples + other.not_examples]
    for text in texts:
        if pattern.search(text.encode()):
            assert hint.search(text.encode()), text


def test_an_endless_kind_is_closed_by_its_own_example() -> None:
    """Text behind a closed PEM key or a JWT is not part of it."""
    for detector in all_detectors():
        if detector.until:
            text = detector.examples[0].encode() + b"\nordinary text"
            finds = Finder((), frozenset({detector.id})).look(text)[0]
            assert finds
            assert all(find.closed and text[find.end :].strip() == b"ordinary text" for find in finds)


def test_long_keys_need_no_edge_of_a_word_where_short_ones_do() -> None:
    """Names of functions and resources run on like short keys."""
    random = Random(3)
    digits = "".join(random.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=48))
    assert kinds_in(b"\\nsk_" + b"live_" + digits.encode()[:24]) == {"stripe-key"}
    assert kinds_in(b"\\nsk-" + b"proj-" + digits.encode()) == {"openai-key"}
    assert kinds_in(b"def mask_test_configuration") == kinds_in(b"task-admin-7d9f8b6c5d-x2x4z") == set()


def _lookalikes(random: Random) -> dict[str, Callable[[], str]]:
    def pick(alphabet: str, length: int) -> str:
        return "".join(random.choices(alphabet, k=length))

    def digits(length: int) -> str:
        return pick("0123456789", length)

    def hexed(length: int) -> str:
        return pick("0123456789abcdef", length)

    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    day = lambda: f"20{digits(2)}-0{random.randint(1, 9)}-{random.randint(10, 28)}"  # noqa: E731 # one of a table
    return {
        "uuid": lambda: str(uuid.UUID(int=random.getrandbits(128))),
        "commit": lambda: f"commit {hexed(40)}",
        "short commit": lambda: hexed(7),
        "digest": lambda: f"sha256:{hexed(64)}",
        "date": day,
        "time": lambda: f"{day()}T1{digits(1)}:2{digits(1)}:3{digits(1)}.{digits(3)}+0{random.randint(1, 9)}:00",
        "traceparent": lambda: f"00-{hexed(32)}-{hexed(16)}-01",
        "trace id": lambda: f'"trace_id": "{hexed(32)}"',
        "order number": lambda: random.choice(["ORD-", "#", "INV-2026-", "PO"]) + digits(random.randint(5, 10)),
        "long order number": lambda: f"{digits(3)}-{digits(7)}-{digits(7)}",
        "path": lambda: f"/home/{pick(letters, 6)}/src/{pick(letters, 12)}.py",
        "version": lambda: f"v{digits(1)}.{digits(2)}.{digits(2)}-rc.1+{hexed(7)}",
        "package": lambda: f"@{pick(letters[:26], 5)}/{pick(letters[:26], 8)}@{digits(1)}.{digits(2)}.{digits(1)}",
        "ten digits": lambda: f'"id": {digits(10)}',
        "time in milliseconds": lambda: f'"ts": 17{digits(11)}',
        "time in nanoseconds": lambda: f'"ts": 17{digits(17)}',
        "snowflake": lambda: f'"id": "{digits(18)}"',
        "sixteen digits": lambda: f'"id": {digits(16)}',
        "address": lambda: ".".join(str(random.randint(0, 255)) for _ in range(4)),
        "hardware address": lambda: ":".join(hexed(2) for _ in range(6)),
        "coordinates": lambda: f"[{random.uniform(-180, 180):.6f}, {random.uniform(-90, 90):.6f}]",
        "hunk": lambda: f"@@ -{digits(4)},{digits(2)} +{random.randint(1000, 9999)},{digits(2)} @@",
        "integrity": lambda: f"sha512-{pick(letters, 86)}==",
        "message": lambda: f"msg_01{pick(letters, 22)}",
        "tool call": lambda: f"toolu_01{pick(letters, 22)}",
        "object of a payment service": lambda: random.choice(["cus_", "pi_", "ch_", "evt_"]) + pick(letters, 24),
        "vehicle": lambda: pick("ABCDEFGHJKLMNPRSTUVWXYZ0123456789", 17),
        "book": lambda: f"978-{digits(1)}-{digits(3)}-{digits(5)}-{digits(1)}",
        "token count": lambda: f'"max_tokens": {digits(4)}, "token_count": {digits(9)}',
        "amount": lambda: f"+{random.uniform(1, 1000):.2f}",
        "large amount": lambda: f"+{random.uniform(100_000, 9_999_999):.2f}",
    }


@pytest.mark.parametrize("name", sorted(_lookalikes(Random(0))))
def test_lookalikes_are_left_alone(name: str) -> None:
    """At most a tenth of the identifiers, dates, numbers and paths of one kind is taken for a secret."""
    make = _lookalikes(Random(11))[name]
    texts = [f" {make()}, ".encode() for _ in range(150)]
    flagged = [text for text in texts if kinds_in(text)]
    assert len(flagged) <= len(texts) / 10, flagged[:5]


def test_code_that_speaks_of_secrets_holds_none() -> None:
    """At most a tenth of ordinary lines of code and configuration is taken for a secret."""
    lines = (
        """
password = get_password(user)
api_key: str | None = None
access_token = response.json()['access_token']
const accessToken = await client.getAccessToken();
apiKey: process.env.OPENAI_API_KEY,
password: string;
secret_key = config['SECRET_KEY']
access_key=access_key_value
auth_token=self.auth_token
password == other.password
password=password,
if password != confirm_password:
--password=$(cat /run/secrets/pw)
password: ${{ secrets.DB_PASSWORD }}
password=<your-password>
"client_secret": {"$ref": "#/definitions/secret"}
"api_key": null, "other": 12345678
password_reset_url: https://example.org/reset
Authorization: Bearer <token>
Authorization: Bearer ${TOKEN}
""".strip()
        .encode()
        .splitlines()
    )
    assert len([line for line in lines if kinds_in(line)]) <= len(lines) / 10
