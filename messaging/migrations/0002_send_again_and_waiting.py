
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0001_initial'),
        ('messaging', '0001_initial'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('status__in', ['failed', 'unknown'])), fields=['status', 'reason', 'id'], name='message_to_send_again'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('reason', 'no_sender'), ('status', 'pending')), fields=['channel', 'lane', 'created_at'], name='message_without_sender'),
        ),
    ]
