"""The way to the policy service: one decision stream and one recording stream over gRPC."""

from penstock._client.client import Client, open_client

__all__ = ["Client", "open_client"]
