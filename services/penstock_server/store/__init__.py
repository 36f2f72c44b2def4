"""Storage over SQL: implements the ports of operations/interfaces.py on SQLite and PostgreSQL; rows never leave it."""

from penstock_server.store.migration import migrate
from penstock_server.store.store import Store, open_store

__all__ = ["Store", "migrate", "open_store"]
