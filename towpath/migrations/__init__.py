"""The tables of the databases, step by step: each folder is one chain of alembic revisions, the same for SQLite and PostgreSQL."""
