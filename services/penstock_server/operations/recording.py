"""Stores what passed through a shim; masked there, and once more here with every stored secret."""

from collections.abc import Sequence
from dataclasses import replace

from penstock_server.domain.errors import Code, PenstockError
from penstock_server.operations.active import ActiveState
from penstock_server.operations.environment import Vault
from penstock_server.operations.interfaces import FrameRow, FrameStore, ShimRow
from penstock_server.operations.judge import NOBODY
from penstock_server.operations.redaction import Redactor

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
        if any(len(frame.body) > MAX_BODY for frame in frames):
            raise PenstockError(Code.INVALID, "FRAME_TOO_LARGE", f"a frame's body has at most {MAX_BODY} bytes")
        return await self._store.append(shim=shim.name, run_id=run_id, frames=self._masked(frames))

    def _masked(self, frames: Sequence[FrameRow]) -> Sequence[FrameRow]:
        """Returns the frames with every stored secret replaced; nearly always one scan says that there is none."""
        redactor = self._active.current.redactor
        texts = [
            text for frame in frames for text in (frame.start, frame.session, *[value for _, value in frame.headers])
        ]
        if redactor.finds_nothing(texts, [frame.body for frame in frames]):
            return frames
        return [self._mask(redactor, frame) for frame in frames]

    def _mask(self, redactor: Redactor, frame: FrameRow) -> FrameRow:
        key = self._vault.mask_key(frame.upstream, NOBODY)
        return replace(
            frame,
            start=redactor.text(frame.start, key) if frame.start else "",
            session=redactor.text(frame.session, key) if frame.session else "",
            headers=tuple((name, redactor.text(value, key)) for name, value in frame.headers),
            body=redactor.plain(frame.body, key) if frame.body else b"",
        )
