"""Stores what passed through a shim; masked there, and once more here with every stored secret."""

import asyncio
from collections.abc import Iterator

from penstock_server.domain.errors import Code, PenstockError
from penstock_server.operations.active import ActiveState
from penstock_server.operations.environment import Vault
from penstock_server.operations.interfaces import FrameStore, SentFrames, ShimRow
from penstock_server.operations.judge import NOBODY

__all__ = ["Recordings"]

STEP_BYTES = 65536
"""Bytes that are scanned at a time."""


class Recordings:
    """Takes frames of enrolled shims."""

    def __init__(self, store: FrameStore, active: ActiveState, vault: Vault) -> None:
        self._store = store
        self._active = active
        self._vault = vault

    def begin(self, shim: ShimRow) -> None:
        """Notes that the shim has opened a stream, perhaps after it recorded elsewhere."""
        self._store.forget(shim.name)

    async def take(self, shim: ShimRow, run_id: str, batch: SentFrames) -> int:
        """Returns the highest sequence number up to which the run is on disk without a gap.

        Raises INVALID, and UNAUTHENTICATED once the shim is revoked, also on a stream that it opened before.
        """
        if shim.name in self._active.current.revoked:
            raise PenstockError(
                Code.UNAUTHENTICATED, "SHIM_REVOKED", "this shim was revoked: enrol one of another name"
            )
        if len(run_id) != 32 or not all(c in "0123456789abcdef" for c in run_id):
            raise PenstockError(Code.INVALID, "RUN_ID", "a run id has 32 hexadecimal digits")
        await self._mask(batch)
        return await self._store.append(shim=shim.name, run_id=run_id, batch=batch)

    async def _mask(self, batch: SentFrames) -> None:
        """Masks every stored secret; nearly always one scan says that there is none.

        What is large is scanned in steps: some texts take seconds for a megabyte, and decisions must not wait so long.
        """
        redactor = self._active.current.redactor
        for pieces in _steps(batch.content()):
            if not redactor.finds_nothing(pieces):
                break
            await asyncio.sleep(0)
        else:
            return
        for _ in batch.change(lambda piece, upstream: redactor.plain(piece, self._vault.mask_key(upstream, NOBODY))):
            await asyncio.sleep(0)


def _steps(pieces: list[bytes]) -> Iterator[list[bytes]]:
    """Yields the pieces in parts of STEP_BYTES, or of one piece that is larger."""
    part: list[bytes] = []
    size = 0
    for piece in pieces:
        if part and size + len(piece) > STEP_BYTES:
            yield part
            part, size = [], 0
        part.append(piece)
        size += len(piece)
    if part:
        yield part
