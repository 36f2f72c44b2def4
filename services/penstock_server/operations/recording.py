"""Stores what passed through a shim; masked there, and once more here with every stored secret."""

from penstock_server.domain.errors import Code, PenstockError
from penstock_server.operations.active import ActiveState
from penstock_server.operations.environment import Vault
from penstock_server.operations.interfaces import FrameStore, SentFrames, ShimRow
from penstock_server.operations.judge import NOBODY

__all__ = ["Recordings"]


class Recordings:
    """Takes frames of enrolled shims."""

    def __init__(self, store: FrameStore, active: ActiveState, vault: Vault) -> None:
        self._store = store
        self._active = active
        self._vault = vault

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
        redactor = self._active.current.redactor
        if not redactor.finds_nothing(batch.content()):  # nearly always one scan says that there is none
            batch.change(lambda piece, upstream: redactor.plain(piece, self._vault.mask_key(upstream, NOBODY)))
        return await self._store.append(shim=shim.name, run_id=run_id, batch=batch)
