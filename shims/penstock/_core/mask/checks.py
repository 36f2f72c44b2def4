"""Tells what a pattern alone cannot: check digits, word-like values, file names.

In: what comes before the secret in a match, and the secret. Out: how many of its bytes are masked, 0 for none. Sums are
demanded of data about people only: a credential is masked whatever it sums to.
"""

import re
from collections.abc import Callable, Mapping

__all__ = ["CHECKS", "assigned", "email", "iban", "luhn", "mixed", "phone"]

_IBAN_LENGTHS = {
    text[at : at + 2].encode(): int(text[at + 2 : at + 4])
    for text in (
        "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24FI18FK18FO18FR27"
        "GB22GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22"
        "MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28"
        "TL23TN24TR26UA29VA22VG24XK20YE30",
    )
    for at in range(0, len(text), 4)
}
"""Characters of a bank account number by country: SWIFT IBAN registry, release 98."""
_PHONE_DIGITS = range(8, 16)
"""Digits with the country code: E.164 allows 15; fewer than 8 are not worth their false finds."""
_NOT_TOP_LEVEL = frozenset(
    b"png jpg jpeg gif svg webp avif ico css scss js mjs ts tsx jsx map json yaml yml toml html py rb rs go java "
    b"service socket timer target mount slice scope path swap device local txt md sh lock tgz".split()
)
"""Endings of files and units that stand where an address has its top-level domain, as in icon@2x.png."""
_NOT_PEOPLE = frozenset({b"git", b"hg", b"svn"})
"""Users under which a forge serves repositories: git@example.org is no person's address."""

_DISTINCT = 4
_PATH = re.compile(rb"(?:~|\.{1,2})?/(?:[A-Za-z0-9_.-]+/)*[A-Za-z0-9_-]+\.[A-Za-z0-9]{1,5}|(?:~|\.{1,2})/.*")
_SYSTEM_PATH = re.compile(rb"/(?:etc|home|var|usr|run|opt|tmp|mnt|root|srv|dev|proc|sys|app|data|secrets)/.*")
_NAME = re.compile(
    rb"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)+|[A-Za-z]+(?:[-_][A-Za-z]+)*|[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+"
)
_WORD = re.compile(rb"[a-z]{1,12}|[A-Z]+(?:_[A-Z]+)+")
_OWN_TOKEN = re.compile(rb"[A-Z2-7]{10}")
_AMOUNT = re.compile(rb"\+[0-9]+\.[0-9]{1,2}")
_VARIABLE = re.compile(rb"\$[A-Za-z_][A-Za-z0-9_]*|%[A-Z_]+%")


def luhn(before: bytes, secret: bytes) -> int:
    """Accepts digits that pass the check of card numbers (ISO/IEC 7812-1)."""
    total = 0
    for place, digit in enumerate(reversed([byte - 48 for byte in secret if 48 <= byte <= 57])):
        doubled = digit * 2 if place % 2 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return len(secret) if total % 10 == 0 else 0


def iban(before: bytes, secret: bytes) -> int:
    """Accepts as much as the country's numbers have, if it passes the check (ISO 13616) or is written in groups."""
    length = _IBAN_LENGTHS.get(secret[:2], 0)
    ends = [at for at, byte in enumerate(secret, 1) if byte != 32]
    if not length or len(ends) < length:
        return 0
    end = ends[length - 1]
    if secret[end : end + 1].isalnum():
        return 0
    number = secret[:end]
    compact = number.replace(b" ", b"").decode("ascii")
    if int("".join(str(int(c, 36)) for c in compact[4:] + compact[:4])) % 97 == 1:
        return end
    groups = number.split(b" ")
    return end if len(groups) > 2 and all(len(group) == 4 for group in groups[:-1]) else 0


def phone(before: bytes, secret: bytes) -> int:
    """Accepts a plausible count of digits that is no amount, such as +1234567.89."""
    if _AMOUNT.fullmatch(secret):
        return 0
    return len(secret) if sum(48 <= byte <= 57 for byte in secret) in _PHONE_DIGITS else 0


def email(before: bytes, secret: bytes) -> int:
    """Accepts what is no file name, no unit name and no repository."""
    name, _, host = secret.partition(b"@")
    is_other = host.rpartition(b".")[2].lower() in _NOT_TOP_LEVEL or name in _NOT_PEOPLE
    return 0 if is_other else len(secret)


def mixed(before: bytes, secret: bytes) -> int:
    """Accepts what looks drawn at random: digits, or capitals amid small letters; words and class names do not."""
    has_digit = any(48 <= byte <= 57 for byte in secret)
    is_camel = not secret[1:].islower() and not secret.isupper()
    return len(secret) if has_digit or (is_camel and b"-" not in secret and b"/" not in secret) else 0


def assigned(before: bytes, secret: bytes) -> int:
    """Accepts what stands behind a telling name, unless it is a path, a variable, a name, or a word."""
    if len(set(secret)) < _DISTINCT or any(p.fullmatch(secret) for p in (_PATH, _SYSTEM_PATH, _VARIABLE)):
        return 0
    if before.endswith(b":") and _OWN_TOKEN.fullmatch(secret):
        return 0  # such as «db-password:AAAAAAAAAA», which masking has put there before
    is_quoted = before.endswith((b'"', b"'"))
    return 0 if (_WORD if is_quoted else _NAME).fullmatch(secret) else len(secret)


CHECKS: Mapping[str, Callable[[bytes, bytes], int]] = {
    check.__name__: check for check in (luhn, iban, phone, email, mixed, assigned)
}
"""By the names that detectors.toml uses."""
