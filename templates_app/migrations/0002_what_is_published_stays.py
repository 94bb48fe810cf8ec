from django.db import migrations

from core.operations import RunSQLOfVendor

REFUSED = "A published template version does not change."
NOT_ITS_OWN = "The current version of a template is a published one of its own."

POSTGRESQL = [
    f"""
    CREATE FUNCTION templates_app_keep_published() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF OLD.status = 'published' THEN
            RAISE EXCEPTION '{REFUSED}' USING ERRCODE = 'restrict_violation';
        END IF;
        IF TG_OP = 'DELETE' THEN
            RETURN OLD;
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER template_version_stays_once_published
    BEFORE UPDATE OR DELETE ON templates_app_templateversion
    FOR EACH ROW EXECUTE FUNCTION templates_app_keep_published()
    """,
    f"""
    CREATE FUNCTION templates_app_check_current() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.current_version_id IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM templates_app_templateversion
            WHERE id = NEW.current_version_id AND template_id = NEW.id AND status = 'published'
        ) THEN
            RAISE EXCEPTION '{NOT_ITS_OWN}' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER template_current_version_is_a_published_one_of_its_own
    BEFORE INSERT OR UPDATE OF current_version_id ON templates_app_template
    FOR EACH ROW EXECUTE FUNCTION templates_app_check_current()
    """,
]
POSTGRESQL_BACK = [
    "DROP TRIGGER template_current_version_is_a_published_one_of_its_own ON templates_app_template",
    "DROP FUNCTION templates_app_check_current()",
    "DROP TRIGGER template_version_stays_once_published ON templates_app_templateversion",
    "DROP FUNCTION templates_app_keep_published()",
]

_CURRENT_ON_SQLITE = f"""
    WHEN NEW.current_version_id IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM templates_app_templateversion
        WHERE id = NEW.current_version_id AND template_id = NEW.id AND status = 'published'
    )
    BEGIN SELECT RAISE(ABORT, '{NOT_ITS_OWN}'); END
"""
SQLITE = [
    f"""
    CREATE TRIGGER template_version_stays_once_published
    BEFORE UPDATE ON templates_app_templateversion WHEN OLD.status = 'published'
    BEGIN SELECT RAISE(ABORT, '{REFUSED}'); END
    """,
    f"""
    CREATE TRIGGER template_version_is_kept_once_published
    BEFORE DELETE ON templates_app_templateversion WHEN OLD.status = 'published'
    BEGIN SELECT RAISE(ABORT, '{REFUSED}'); END
    """,
    f"""
    CREATE TRIGGER template_current_version_is_a_published_one_of_its_own
    BEFORE UPDATE OF current_version_id ON templates_app_template {_CURRENT_ON_SQLITE}
    """,
    f"""
    CREATE TRIGGER template_begins_with_a_published_version_of_its_own
    BEFORE INSERT ON templates_app_template {_CURRENT_ON_SQLITE}
    """,
]
SQLITE_BACK = [
    "DROP TRIGGER template_begins_with_a_published_version_of_its_own",
    "DROP TRIGGER template_current_version_is_a_published_one_of_its_own",
    "DROP TRIGGER template_version_is_kept_once_published",
    "DROP TRIGGER template_version_stays_once_published",
]


class Migration(migrations.Migration):
    """A later migration that makes Django build one of these tables anew on SQLite drops the
    triggers there, and has to end with them; a test notices."""

    dependencies = [("templates_app", "0001_initial")]

    operations = [
        RunSQLOfVendor("postgresql", POSTGRESQL, POSTGRESQL_BACK),
        RunSQLOfVendor("sqlite", SQLITE, SQLITE_BACK),
    ]
