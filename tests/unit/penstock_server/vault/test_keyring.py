"""Tests of sealing and opening secrets."""

from dataclasses import replace
from pathlib import Path

import pytest

from penstock_server.domain.errors import PenstockError
from penstock_server.domain.principal import Principal
from penstock_server.operations.interfaces import SecretRow
from penstock_server.vault import Keyring

VALUE = b"orig" + b"in-key-0123"


def _sealed(keyring: Keyring) -> SecretRow:
    return keyring.seal(name="origin-key", version=3, hosts=("api.example.com",), value=VALUE, now_ms=7)


def test_a_sealed_secret_opens_again_and_does_not_show() -> None:
    """The value is in neither the row nor a repr."""
    keyring = Keyring(bytes(range(32)))
    row = _sealed(keyring)
    assert VALUE not in row.ciphertext + row.wrapped_key
    opened = keyring.open(row)
    assert (opened.value, opened.hosts, opened.version) == (VALUE, ("api.example.com",), 3)
    assert VALUE.decode() not in repr(opened)
    assert _sealed(keyring).ciphertext != row.ciphertext


@pytest.mark.parametrize(
    "change",
    [{"name": "other"}, {"version": 4}, {"hosts": ("evil.example",)}, {"ciphertext": bytes(60)}, {"wrapped_key": b""}],
)
def test_a_row_that_was_changed_in_the_database_does_not_open(change: dict[str, object]) -> None:
    """Names, versions and hosts are bound to the value."""
    keyring = Keyring(bytes(range(32)))
    with pytest.raises(PenstockError, match="was changed"):
        keyring.open(replace(_sealed(keyring), **change))  # type: ignore[arg-type] # the parameters name fields


def test_another_key_does_not_open_and_the_refusal_says_so(tmp_path: Path) -> None:
    """It names both key ids, which are hashes."""
    row = _sealed(Keyring(bytes(range(32))))
    with pytest.raises(PenstockError, match=f"needs key {row.kek_id}"):
        Keyring.open_folder(tmp_path).open(row)


def test_mask_keys_differ_by_upstream_and_principal_and_stay(tmp_path: Path) -> None:
    """A restart on the same key file gives the same tokens."""
    ann, bob = Principal("i", "ann"), Principal("i", "bob")
    first, again = Keyring.open_folder(tmp_path), Keyring.open_folder(tmp_path)
    keys = {first.mask_key("a", ann), first.mask_key("b", ann), first.mask_key("a", bob)}
    assert len(keys) == 3
    assert first.mask_key("a", ann) == again.mask_key("a", ann)
