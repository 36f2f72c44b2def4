"""Stores what passed through a shim; masked there, and once more here with every stored secret."""

import json
from collections.abc import Sequence
from dataclasses import replace

from penstock_server.domain.errors import Code, PenstockError
from penstock_server.operations.active import ActiveState
from penstock_server.operations.environment import Vault
from penstock_server.operations.interfaces import FrameRow, FrameStore, ShimRow
from penstock_server.operations.judge import NOBODY

__all__ = ["Recordings"]

MAX_BODY = 65536
"""Largest body of one frame in bytes."""


class Recordings:
    """Takes frames of enrolled shims."""

    def __init__(self, store: FrameStore, active: ActiveState, vault: Vault) -> None:
        self._store = store
        self._active = active
        self._vault = vault

    async def take(self, shim: ShimRow, run_id: str, frames: Sequence[FrameRow]) -> int:
        """Returns the highest sequence number up to which the run is on disk without a gap.

        Raises INVALID, and UNAUTHENTICATED once the shim is revoked, also on a stream that it opened before.
        """
        if shim.name in self._active.current.revoked:
            raise PenstockError(Code.UNAUTHENTICATED, "SHIM_REVOKED", "this shim was revoked: enrol it anew")
        if len(run_id) != 32 or not all(c in "0123456789abcdef" for c in run_id):
            raise PenstockError(Code.INVALID, "RUN_ID", "a run id has 32 hexadecimal digits")
        kept = []
        for frame in frames:
            if len(frame.body) > MAX_BODY:
                raise PenstockError(Code.INVALID, "FRAME_TOO_LARGE", f"a frame's body has at most {MAX_BODY} bytes")
            kept.append(self._mask(frame))
        return await self._store.append(shim=shim.name, run_id=run_id, frames=kept)

    def _mask(self, frame: FrameRow) -> FrameRow:
        redactor = self._active.current.redactor
        key = self._vault.mask_key(frame.upstream, NOBODY)
        headers = [[name, redactor.text(value, key)] for name, value in json.loads(frame.headers_json)]
        return replace(
            frame,
            start=redactor.text(frame.start, key) if frame.start else "",
            session=redactor.text(frame.session, key) if frame.session else "",
            headers_json=json.dumps(headers, separators=(",", ":"), ensure_ascii=False),
            body=redactor.plain(frame.body, key) if frame.body else b"",
        )
