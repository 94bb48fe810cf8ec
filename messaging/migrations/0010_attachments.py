import core.ids
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    """New tables only; of the messages one list of choices, which no database knows of."""

    dependencies = [
        ('accounts', '0001_initial'),
        ('messaging', '0009_messages_of_a_template_by_application'),
    ]

    operations = [
        migrations.AlterField(
            model_name='message',
            name='reason',
            field=models.CharField(blank=True, choices=[('rejected', 'rejected by the provider'), ('hard_bounce', 'no such recipient'), ('blocked', "blocked by the recipient's provider"), ('expired', 'expired before it could be sent'), ('exhausted', 'too many attempts'), ('suppressed', 'recipient is suppressed'), ('attachment_gone', 'an attachment is not stored any more'), ('poison', 'its workers died again and again'), ('unknown_outcome', 'no answer; it may have arrived'), ('no_sender', 'waits for a sender'), ('temporary_failure', 'waits to be tried again'), ('lease_lost', 'its worker was lost; nothing was sent'), ('resent', 'sent again by an operator')], max_length=20, verbose_name='reason'),
        ),
        migrations.CreateModel(
            name='Attachment',
            fields=[
                ('id', models.UUIDField(default=core.ids.uuid7, editable=False, primary_key=True, serialize=False, verbose_name='id')),
                ('filename', models.CharField(max_length=150, verbose_name='filename')),
                ('content_type', models.CharField(max_length=100, verbose_name='content type')),
                ('size', models.PositiveIntegerField(verbose_name='size')),
                ('sha256', models.CharField(max_length=64, verbose_name='SHA-256')),
                ('stored_as', models.CharField(max_length=100, unique=True, verbose_name='stored as')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='created at')),
                ('expires_at', models.DateTimeField(verbose_name='expires at')),
                ('look_at', models.DateTimeField(verbose_name='looked at next')),
                ('removed_at', models.DateTimeField(null=True, verbose_name='removed at')),
                ('api_key', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, to='accounts.apikey', verbose_name='API key')),
                ('application', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to='accounts.application', verbose_name='application')),
            ],
            options={
                'verbose_name': 'attachment',
                'verbose_name_plural': 'attachments',
                'permissions': [('download_attachment', 'Can download attachments')],
            },
        ),
        migrations.CreateModel(
            name='MessageAttachment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('position', models.PositiveSmallIntegerField(verbose_name='position')),
                ('content_id', models.CharField(blank=True, max_length=100, verbose_name='content id')),
                ('attachment', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='message_attachments', to='messaging.attachment')),
                ('message', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='message_attachments', to='messaging.message')),
            ],
            options={
                'verbose_name': 'attachment of a message',
                'verbose_name_plural': 'attachments of messages',
            },
        ),
        migrations.AddIndex(
            model_name='attachment',
            index=models.Index(fields=['look_at'], name='attachment_to_look_at'),
        ),
        migrations.AddConstraint(
            model_name='attachment',
            constraint=models.CheckConstraint(condition=models.Q(('size__gt', 0)), name='attachment_is_not_empty'),
        ),
        migrations.AddConstraint(
            model_name='attachment',
            constraint=models.CheckConstraint(condition=models.Q(('look_at__gt', models.F('expires_at'))), name='attachment_is_looked_at_after_it_expired'),
        ),
        migrations.AddConstraint(
            model_name='messageattachment',
            constraint=models.UniqueConstraint(fields=('message', 'position'), name='attachments_of_a_message_have_an_order'),
        ),
        migrations.AddConstraint(
            model_name='messageattachment',
            constraint=models.UniqueConstraint(fields=('attachment', 'message'), name='message_takes_an_attachment_once'),
        ),
    ]
