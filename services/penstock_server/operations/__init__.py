"""Use cases of the service. They take ports (interfaces.py), return domain values; no SQL, no protobuf."""
