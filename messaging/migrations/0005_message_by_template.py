from django.db import migrations, models

from core.operations import AddIndexOnline


class Migration(migrations.Migration):
    # The index is built while messages come and go.
    atomic = False

    dependencies = [('messaging', '0004_templates')]

    operations = [
        AddIndexOnline(
            model_name='message',
            index=models.Index(condition=models.Q(('template_version__isnull', False)), fields=['template_version', 'id'], name='message_by_template'),
        ),
    ]
