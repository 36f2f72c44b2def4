"""The smallest honest ext_authz service on grpc.aio: commits an audit row, then says yes. Arguments: socket, database.

It favours itself: it reads nothing of the question, verifies no token and evaluates no rule. Envoy's API is in no
package that can stand beside ours, and two of its messages are all that is needed, as bytes:

    envoy.service.auth.v3.CheckRequest    taken as it comes
    envoy.service.auth.v3.CheckResponse   0A 00      field 1, status: an empty google.rpc.Status, so code 0, OK
                                          1A 00      field 3, ok_response: an empty OkHttpResponse
"""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.audit_row import audit_row
from penstock_server.store import Store, open_store

__all__ = ["CHECK_RESPONSE_OK"]

CHECK_RESPONSE_OK = b"\x0a\x00\x1a\x00"
SERVICE = "envoy.service.auth.v3.Authorization"


def _handlers(store: Store) -> grpc.GenericRpcHandler:
    async def check(_request: bytes, _context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
        await store.audit.append(audit_row())
        return CHECK_RESPONSE_OK

    # Without serializers, messages are bytes.
    return grpc.method_handlers_generic_handler(SERVICE, {"Check": grpc.unary_unary_rpc_method_handler(check)})


async def _serve(socket: str, database: str) -> None:
    store = await open_store(database)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_handlers(store),))
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    await stopping.wait()
    await server.stop(1)
    await store.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(*sys.argv[1:3]))
