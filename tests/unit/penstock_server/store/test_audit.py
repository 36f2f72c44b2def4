"""Tests of the audit log over SQL."""

import asyncio
from dataclasses import replace

import pytest

from penstock_server.domain.audit import AuditEvent
from penstock_server.domain.principal import Principal
from penstock_server.store import Store, open_store
from unit.penstock_server.store.test_group_commit import event
from unit.penstock_server.store.test_policies import bump

pytestmark = pytest.mark.anyio


async def test_an_entry_comes_back_as_it_was_written(store: Store) -> None:
    """Every field of the event survives."""
    written = AuditEvent(
        id="evt_1",
        kind="decision",
        at_ms=5,
        actor=Principal("iss", "ann", frozenset({"a", "b"}), "owner", "delegator"),
        upstream="billing",
        method="POST",
        resource="/v1/é",
        effect="allow",
        decision_id="dec_1",
        call_id="c" * 32,
        rules=("one", "two"),
        reason="because",
        approval="apr_1",
        grant="grt_1",
        policy_revision=3,
        details={"query": "a=b", "n": 1},
    )
    position = await store.audit.append(written)
    (entry,) = await store.audit.entries()
    assert (entry.log, entry.seq, entry.event) == (position.log, 1, written)
    assert len(entry.leaf_hash) == len(entry.chain_hash) == 32


async def test_entries_are_selected_by_place_kind_and_call(store: Store) -> None:
    """Pages ascend; newest gives the last ones, ascending too."""
    events = [replace(event(n), kind="a" if n % 2 else "b", call_id=str(n)) for n in range(1, 11)]
    await store.audit.append_many(events)
    assert [e.seq for e in await store.audit.entries(after=4, limit=3)] == [5, 6, 7]
    assert [e.seq for e in await store.audit.entries(limit=2, newest=True)] == [9, 10]
    assert [e.seq for e in await store.audit.entries(kind="a")] == [1, 3, 5, 7, 9]
    assert [e.seq for e in await store.audit.entries(call_id="6")] == [6]


async def test_the_epoch_of_the_same_transaction_comes_with_the_position(store: Store) -> None:
    """A bump before the append shows."""
    before = (await store.audit.append(event(1))).epoch
    bumped = await bump(store)
    assert bumped == before + 1
    assert (await store.audit.append(event(2))).epoch == bumped


async def test_all_who_wait_wake_at_the_next_entry(store: Store) -> None:
    """And at the timeout without one."""
    waiting = [asyncio.create_task(store.audit.wait(0, 30.0)) for _ in range(3)]
    await asyncio.sleep(0)
    await store.audit.append(event(1))
    await asyncio.wait_for(asyncio.gather(*waiting), 10)
    await store.audit.wait(1, 0.01)


async def test_a_waiter_waits_for_an_entry_after_its_number(store: Store) -> None:
    """One that is there already is not waited for, and an earlier one does not wake."""
    await store.audit.append(event(1))
    await asyncio.wait_for(store.audit.wait(0, 3600.0), 10)
    waiting = asyncio.create_task(store.audit.wait(2, 3600.0))
    await store.audit.append(event(2))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not waiting.done()
    await store.audit.append(event(3))
    await asyncio.wait_for(waiting, 10)


async def test_concurrent_appends_and_a_reopened_store_leave_no_gap(database_url: str) -> None:
    """The numbers are 1..n after two runs."""
    for _ in range(2):
        store = await open_store(database_url)
        await asyncio.gather(*(store.audit.append(event(n)) for n in range(150)))
        await store.close()
    store = await open_store(database_url)
    assert [e.seq for e in await store.audit.entries(limit=1000)] == list(range(1, 301))
    await store.close()
