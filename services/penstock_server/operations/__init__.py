"""Use cases of the service. They take ports (interfaces.py) and return domain values; no SQL, no protobuf, no sockets."""
