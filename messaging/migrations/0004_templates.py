import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Columns that may be null: nothing is rewritten or read, however many messages there are."""

    dependencies = [
        ('messaging', '0003_send_again_and_waiting'),
        ('templates_app', '0002_what_is_published_stays'),
    ]

    operations = [
        migrations.AddField(
            model_name='message',
            name='template_version',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='templates_app.templateversion', verbose_name='template version'),
        ),
        migrations.AddField(
            model_name='message',
            name='variable_names',
            field=models.JSONField(null=True, verbose_name='variables'),
        ),
        migrations.AddField(
            model_name='message',
            name='only_sender',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='messaging.sender', verbose_name='bound to the sender'),
        ),
    ]
