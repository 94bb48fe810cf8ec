"""The embedded mode: `make run` serves, works, schedules and receives in one process on SQLite."""
