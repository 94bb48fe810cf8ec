from datetime import timedelta

import pytest
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from core.clock import database_clock
from core.database import first_row


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_died_is_replaced():
    if connection.vendor == "sqlite":
        pytest.skip("a file has no connection to lose")
    connection.ensure_connection()
    connection.connection.close()

    assert first_row("SELECT 1", []) == (1,)


@pytest.mark.django_db
def test_inside_a_transaction_nothing_is_asked_twice(monkeypatch):
    asked = []

    def fail(sql, parameters):
        asked.append(sql)
        raise OperationalError("gone")

    monkeypatch.setattr("core.database._ask", fail)

    with pytest.raises((OperationalError, InterfaceError)):
        first_row("SELECT 1", [])

    assert len(asked) == 1


@pytest.mark.django_db(transaction=True)
def test_a_job_that_asks_for_the_time_gets_rid_of_a_dead_connection():
    if connection.vendor == "sqlite":
        pytest.skip("a file has no connection to lose")
    connection.ensure_connection()
    connection.connection.close()

    assert abs(database_clock()() - timezone.now()) < timedelta(minutes=1)
