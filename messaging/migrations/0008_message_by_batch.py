from django.db import migrations, models

from core.operations import AddIndexOnline


class Migration(migrations.Migration):
    # The index is built while messages come and go.
    atomic = False

    dependencies = [('messaging', '0007_acceptance')]

    operations = [
        AddIndexOnline(
            model_name='message',
            index=models.Index(condition=models.Q(('batch__isnull', False)), fields=['batch', 'status', 'id'], name='message_by_batch'),
        ),
    ]
