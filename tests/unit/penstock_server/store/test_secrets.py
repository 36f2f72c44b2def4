"""Tests of encrypted secrets as rows."""

from dataclasses import replace

import pytest

from penstock_server.domain.errors import PenstockError
from penstock_server.operations.interfaces import SecretRow
from penstock_server.store import Store

pytestmark = pytest.mark.anyio

ROW = SecretRow("billing-key", 1, ("api.example.com", "[::1]:8080"), b"\x00sealed\xff", b"wrapped", "kek", 7)


async def test_the_newest_version_of_each_secret_is_read(store: Store) -> None:
    """By name, as it was sealed."""
    newer = replace(ROW, version=2, ciphertext=b"other", hosts=("b.example",))
    for row in (ROW, newer, replace(ROW, name="a-key")):
        await store.secrets.put(row)
    assert await store.secrets.all() == [replace(ROW, name="a-key"), newer]


async def test_so_many_newest_versions_are_read(store: Store) -> None:
    """Newest first within each name; a secret with fewer gives what it has."""
    versions = [replace(ROW, version=number) for number in (1, 2, 3)]
    other = replace(ROW, name="other")
    for row in (*versions, other):
        await store.secrets.put(row)
    assert await store.secrets.all(2) == [versions[2], versions[1], other]


async def test_versions_count_up_for_each_name(store: Store) -> None:
    """From one."""
    assert await store.secrets.next_version("billing-key") == 1
    await store.secrets.put(ROW)
    assert await store.secrets.next_version("billing-key") == 2
    assert await store.secrets.next_version("other") == 1
    assert await store.secrets.all() == [ROW]


async def test_a_new_value_bumps_the_epoch(store: Store) -> None:
    """An answer with the former credential does not leave afterwards."""
    before = await store.policies.epoch()
    assert await store.secrets.put(ROW) == before + 1 == await store.policies.epoch()


async def test_a_version_is_never_overwritten(store: Store) -> None:
    """Whoever was second is told so; the value and the epoch stay."""
    epoch = await store.secrets.put(ROW)
    with pytest.raises(PenstockError) as refused:
        await store.secrets.put(replace(ROW, ciphertext=b"mine"))
    assert refused.value.reason == "SECRET_CHANGED"
    assert await store.secrets.all() == [ROW]
    assert await store.policies.epoch() == epoch
