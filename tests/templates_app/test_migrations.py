import pytest
from django.core.management import call_command
from django.db import connection

TRIGGERS = {
    "template_version_stays_once_published",
    "template_current_version_is_a_published_one_of_its_own",
}


def triggers() -> set[str]:
    table = {
        "postgresql": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal",
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
    }
    with connection.cursor() as cursor:
        cursor.execute(table[connection.vendor])
        return {name for (name,) in cursor.fetchall() if name.startswith("template_")}


@pytest.mark.django_db
def test_after_all_migrations_the_triggers_are_there():
    assert triggers() >= TRIGGERS


@pytest.mark.django_db(transaction=True)
def test_the_migrations_of_templates_go_back_and_forth():
    try:
        call_command("migrate", "messaging", "0003", verbosity=0)
        call_command("migrate", "templates_app", "zero", verbosity=0)

        assert not triggers()
        assert not {t for t in connection.introspection.table_names() if "templates_app" in t}
    finally:
        call_command("migrate", verbosity=0)

    assert triggers() >= TRIGGERS
