"""Sans-I/O core of the shims: bytes and values in, bytes and values out; no sockets, no asyncio."""
