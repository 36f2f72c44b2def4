"""Runs migrations on the connection that penstock_server.store.migration hands over; there is no alembic.ini."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
