"""Scopes of API keys; keys that exist keep what they could do."""

import django.contrib.postgres.fields
from django.db import migrations, models

import batches.models.access


class Migration(migrations.Migration):
    dependencies = [("batches", "0004_figures_and_files")]

    operations = [
        migrations.AddField(
            model_name="apikey",
            name="scopes",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(choices=[("read", "Read"), ("write", "Write")], max_length=16),
                default=batches.models.access.every_scope,
                size=None,
            ),
        ),
        migrations.AddConstraint(
            model_name="apikey",
            constraint=models.CheckConstraint(
                condition=models.Q(("scopes__contained_by", ["read", "write"]), ("scopes__len__gt", 0)),
                name="api_key_scopes_known",
            ),
        ),
    ]
