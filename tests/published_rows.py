"""What is published stays, and tests that commit have to go all the same."""

from django.core.management import call_command
from django.db import connection


def empty_all_tables() -> None:
    """Such tests end by emptying all tables, which SQLite's triggers would refuse."""
    if connection.vendor != "sqlite":
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        triggers = cursor.fetchall()
        for name, _ in triggers:
            cursor.execute(f'DROP TRIGGER "{name}"')
        call_command("flush", verbosity=0, interactive=False, inhibit_post_migrate=True)
        for _, sql in triggers:
            cursor.execute(sql)
