"""Keeps the asks that wait for a verdict, the batches that they went out in, and their deadlines."""

from collections import deque
from collections.abc import Callable

from penstock._core.verdict import Verdict

__all__ = ["Batch", "Entry", "Waiting"]


class Batch:
    """Counts as outstanding until the first answer to one of its asks, until none is wanted, or until it is old.

    wanted: how many of its asks were not withdrawn.
    """

    __slots__ = ("open", "sent_at", "wanted")

    def __init__(self, sent_at: float) -> None:
        self.open = True
        self.wanted = 0
        self.sent_at = sent_at


class Entry:
    """Holds one ask's way back. wire: the encoded ask until it is sent. done: nothing is to be delivered any more."""

    __slots__ = ("batch", "call_id", "deadline", "deliver", "done", "pending", "wire")

    def __init__(self, call_id: str, wire: bytes, deliver: Callable[[Verdict], None], deadline: float) -> None:
        self.call_id = call_id
        self.wire = wire
        self.deliver = deliver
        self.deadline = deadline
        self.batch: Batch | None = None
        self.done = False
        self.pending = False


class Waiting:
    """Finds entries by call id and by deadline; all entries wait equally long, so that a queue orders them."""

    def __init__(self) -> None:
        self._by_id: dict[str, Entry] = {}
        self._by_deadline: deque[Entry] = deque()
        self._pending = 0

    @property
    def unanswered(self) -> int:
        """Number of entries without any answer; a pending one has one."""
        return len(self._by_id) - self._pending

    def __len__(self) -> int:
        return len(self._by_id)

    def add(self, entry: Entry) -> bool:
        """Adds an entry whose deadline is not before the last one's; returns False if its call id waits already."""
        if self._by_id.setdefault(entry.call_id, entry) is not entry:
            return False
        queue = self._by_deadline
        while queue and (queue[0].done or queue[0].pending):
            queue.popleft()
        queue.append(entry)
        return True

    def get(self, call_id: str) -> Entry | None:
        """Returns the entry of that call id if it still waits."""
        return self._by_id.get(call_id)

    def hold(self, entry: Entry) -> None:
        """Marks an entry that waits as pending."""
        if not entry.pending:
            entry.pending = True
            self._pending += 1

    def finish(self, call_id: str) -> Entry | None:
        """Removes and returns the entry; None if it does not wait."""
        entry = self._by_id.pop(call_id, None)
        if entry is not None:
            entry.done = True
            self._pending -= entry.pending
        return entry

    def expired(self, now: float) -> list[Entry]:
        """Removes and returns what has waited too long; a pending entry has its answer and never expires."""
        late: list[Entry] = []
        queue = self._by_deadline
        while queue and (queue[0].done or queue[0].pending or queue[0].deadline <= now):
            entry = queue.popleft()
            if not entry.done and not entry.pending:
                self.finish(entry.call_id)
                late.append(entry)
        return late

    def next_deadline(self) -> float | None:
        """Returns when to call `expired` next; None if nothing can expire."""
        return self._by_deadline[0].deadline if self._by_deadline else None

    def take_all(self) -> list[Entry]:
        """Removes and returns every entry, oldest first."""
        entries = list(self._by_id.values())
        for entry in entries:
            entry.done = True
        self._pending = 0
        self._by_id.clear()
        self._by_deadline.clear()
        return entries
