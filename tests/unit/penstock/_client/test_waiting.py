"""Asks that wait, without any clock."""

from penstock._client.waiting import Entry, Waiting


def an_entry(call_id: str, deadline: float) -> Entry:
    """Returns an entry that delivers to nobody."""
    return Entry(call_id, b"wire", lambda verdict: None, deadline)


def test_entries_expire_in_order_and_once() -> None:
    """What is due is returned and gone; the rest names the next deadline."""
    waiting = Waiting()
    for call_id, deadline in [("a", 1.0), ("b", 2.0), ("c", 3.0)]:
        assert waiting.add(an_entry(call_id, deadline))
    assert [entry.call_id for entry in waiting.expired(2.0)] == ["a", "b"]
    assert waiting.get("a") is None
    assert waiting.next_deadline() == 3.0
    assert waiting.expired(2.0) == []


def test_finished_and_pending_entries_never_expire() -> None:
    """A pending entry still waits, without a deadline."""
    waiting = Waiting()
    done, held = an_entry("a", 1.0), an_entry("b", 1.0)
    waiting.add(done)
    waiting.add(held)
    assert waiting.finish("a") is done and done.done
    waiting.hold(held)
    waiting.hold(held)
    assert (len(waiting), waiting.unanswered) == (1, 0)
    assert waiting.expired(9.0) == []
    assert waiting.get("b") is held
    assert waiting.next_deadline() is None
    waiting.add(an_entry("c", 2.0))
    assert waiting.unanswered == 1
    waiting.finish("b")
    assert (len(waiting), waiting.unanswered) == (1, 1)


def test_a_call_id_waits_once() -> None:
    """A second entry is refused while the first waits, and taken afterwards."""
    waiting = Waiting()
    assert waiting.add(an_entry("a", 1.0))
    assert not waiting.add(an_entry("a", 1.0))
    assert len(waiting) == 1
    waiting.finish("a")
    assert waiting.add(an_entry("a", 2.0))
    assert waiting.finish("unknown") is None


def test_all_can_be_taken_at_once() -> None:
    """Oldest first, each marked as done, and nothing is left."""
    waiting = Waiting()
    entries = [an_entry(call_id, 1.0) for call_id in "abc"]
    for entry in entries:
        waiting.add(entry)
    assert waiting.take_all() == entries
    assert all(entry.done for entry in entries)
    assert len(waiting) == 0 and waiting.next_deadline() is None


def test_answered_entries_do_not_pile_up() -> None:
    """The queue of deadlines forgets what was answered in order."""
    waiting = Waiting()
    for number in range(1000):
        waiting.add(an_entry(str(number), float(number)))
        waiting.finish(str(number))
    waiting.add(an_entry("last", 5000.0))
    assert waiting.next_deadline() == 5000.0
