import pytest
from django.core.management import call_command
from django.db import connection


@pytest.mark.django_db(transaction=True)
def test_a_migration_is_not_ended_because_it_thinks_for_long():
    if connection.vendor != "postgresql":
        pytest.skip("Only PostgreSQL ends transactions that are idle.")
    with connection.cursor() as cursor:
        cursor.execute("SET idle_in_transaction_session_timeout = 15000")
    try:
        call_command("migrate", "axes", verbosity=0)

        with connection.cursor() as cursor:
            cursor.execute("SHOW idle_in_transaction_session_timeout")
            assert cursor.fetchone() == ("0",)
    finally:
        connection.close()
