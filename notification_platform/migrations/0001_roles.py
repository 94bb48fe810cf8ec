from django.db import migrations

from notification_platform import roles


def give(apps, schema_editor):
    roles.give(apps)


def take_away(apps, schema_editor):
    roles.take_away(apps)


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ("accounts", "0006_what_was_done_stays"),
        ("templates_app", "0005_more_channels"),
        ("messaging", "0017_jobs"),
        ("axes", "0010_accessattemptexpiration"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(give, take_away)]
