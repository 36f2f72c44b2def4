"""Tests of enrolments as rows."""

from dataclasses import replace

import pytest

from penstock_server.domain.errors import PenstockError
from penstock_server.operations.interfaces import ShimRow
from penstock_server.store import Store

pytestmark = pytest.mark.anyio

ROW = ShimRow("one", bytes(range(32)), ("billing", "mail"), ("agents",), 5)
OTHER = ShimRow("a-first", bytes(32), ("*",), ("*",), 6)


async def test_a_shim_is_known_by_its_credential(store: Store) -> None:
    """And by nothing else; all are listed by name."""
    for row in (ROW, OTHER):
        await store.shims.add(row)
    assert await store.shims.by_token_hash(ROW.token_hash) == ROW
    assert await store.shims.by_token_hash(b"\x01" * 32) is None
    assert await store.shims.all() == [OTHER, ROW]


@pytest.mark.parametrize("second", [replace(OTHER, name="one"), replace(OTHER, token_hash=ROW.token_hash)])
async def test_neither_name_nor_credential_is_given_twice(store: Store, second: ShimRow) -> None:
    """A revoked shim's name is not free again either."""
    await store.shims.add(ROW)
    await store.shims.revoke("one", 9)
    with pytest.raises(PenstockError) as refused:
        await store.shims.add(second)
    assert refused.value.reason == "SHIM_EXISTS"


async def test_a_revocation_bumps_the_epoch_and_keeps_its_first_time(store: Store) -> None:
    """The credential is still known, as one that was revoked."""
    await store.shims.add(ROW)
    epoch = await store.policies.epoch()
    assert await store.shims.revoke("one", 9) == replace(ROW, revoked_at_ms=9)
    assert await store.policies.epoch() == epoch + 1
    assert await store.shims.revoke("one", 99) == replace(ROW, revoked_at_ms=9)
    assert await store.shims.by_token_hash(ROW.token_hash) == replace(ROW, revoked_at_ms=9)


async def test_an_unknown_shim_cannot_be_revoked(store: Store) -> None:
    """And nothing changes."""
    epoch = await store.policies.epoch()
    with pytest.raises(PenstockError) as refused:
        await store.shims.revoke("two", 9)
    assert refused.value.reason == "SHIM_NOT_FOUND"
    assert await store.policies.epoch() == epoch
