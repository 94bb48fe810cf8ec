from django.db import migrations

from core.operations import RunSQLOfVendor

REFUSED = "The audit log is not changed."

POSTGRESQL = [
    f"""
    CREATE FUNCTION accounts_keep_audit() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '{REFUSED}' USING ERRCODE = 'restrict_violation';
    END $$
    """,
    """
    CREATE TRIGGER audit_entry_stays BEFORE UPDATE OR DELETE ON accounts_auditentry
    FOR EACH ROW EXECUTE FUNCTION accounts_keep_audit()
    """,
]
POSTGRESQL_BACK = [
    "DROP TRIGGER audit_entry_stays ON accounts_auditentry",
    "DROP FUNCTION accounts_keep_audit()",
]
SQLITE = [
    f"""
    CREATE TRIGGER audit_entry_stays BEFORE UPDATE ON accounts_auditentry
    BEGIN SELECT RAISE(ABORT, '{REFUSED}'); END
    """,
    f"""
    CREATE TRIGGER audit_entry_is_kept BEFORE DELETE ON accounts_auditentry
    BEGIN SELECT RAISE(ABORT, '{REFUSED}'); END
    """,
]
SQLITE_BACK = ["DROP TRIGGER audit_entry_is_kept", "DROP TRIGGER audit_entry_stays"]


class Migration(migrations.Migration):
    """A later migration that makes Django build the table anew on SQLite drops the triggers there,
    and has to end with them; a test notices."""

    dependencies = [("accounts", "0005_operators_and_audit")]

    operations = [
        RunSQLOfVendor("postgresql", POSTGRESQL, POSTGRESQL_BACK),
        RunSQLOfVendor("sqlite", SQLITE, SQLITE_BACK),
    ]
