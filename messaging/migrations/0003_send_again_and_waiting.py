
from django.db import migrations, models

from core.operations import AddIndexOnline


class Migration(migrations.Migration):
    # The indexes are built while messages come and go.
    atomic = False

    dependencies = [
        ('accounts', '0001_initial'),
        ('messaging', '0002_sender_groups_and_breaker'),
    ]

    operations = [
        AddIndexOnline(
            model_name='message',
            index=models.Index(condition=models.Q(('status__in', ['failed', 'unknown'])), fields=['status', 'reason', 'id'], name='message_to_send_again'),
        ),
        AddIndexOnline(
            model_name='message',
            index=models.Index(condition=models.Q(('reason', 'no_sender'), ('status', 'pending')), fields=['channel', 'lane', 'created_at'], name='message_without_sender'),
        ),
    ]
