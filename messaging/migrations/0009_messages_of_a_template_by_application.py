from django.db import migrations, models

from core.operations import AddIndexOnline, RemoveIndexOnline


class Migration(migrations.Migration):
    """Among the messages of a shared template, those of one application are found, too."""

    atomic = False

    dependencies = [("messaging", "0008_message_by_batch")]

    operations = [
        AddIndexOnline(
            model_name="message",
            index=models.Index(
                name="message_of_template",
                fields=["template_version", "application", "id"],
                condition=models.Q(template_version__isnull=False),
            ),
        ),
        RemoveIndexOnline(model_name="message", name="message_by_template"),
    ]
