"""Batches that are finished after their last item; what an owner is told, and used; whose the audit trail is."""

import batches.models.access
import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models


OWNERS = """
    UPDATE batches_auditentry AS entry SET owner_id = batch.owner_id
      FROM batches_batch AS batch WHERE batch.id = entry.batch_id AND entry.owner_id IS NULL
"""


class Migration(migrations.Migration):
    dependencies = [
        ("batches", "0005_api_key_scopes"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Notification",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(max_length=32)),
                (
                    "details",
                    models.JSONField(default=dict, help_text="The facts of that moment; the batch may change or go."),
                ),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("read_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "ordering": ("-id",),
            },
        ),
        migrations.CreateModel(
            name="Usage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField()),
                ("operation", models.CharField(max_length=64)),
                ("items", models.PositiveBigIntegerField(default=0, help_text="Items that were tried to the end.")),
                (
                    "failed",
                    models.PositiveBigIntegerField(default=0, help_text="Of these, those that did not succeed."),
                ),
                ("calls", models.PositiveBigIntegerField(default=0, help_text="Attempts made, retries included.")),
            ],
            options={
                "verbose_name_plural": "usage",
            },
        ),
        migrations.AddField(
            model_name="auditentry",
            name="owner",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="batch",
            name="finish_attempts",
            field=models.PositiveSmallIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="batch",
            name="finish_claim",
            field=models.UUIDField(blank=True, help_text="The worker's try that is finishing it.", null=True),
        ),
        migrations.AddField(
            model_name="batch",
            name="finish_due_at",
            field=models.DateTimeField(
                blank=True,
                help_text="Set when its last item was final: not before this is finishing tried (again).",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="batch",
            name="finishes",
            field=models.BooleanField(
                db_default=False, default=False, help_text="Something is made of all its items before it is completed."
            ),
        ),
        migrations.AddField(
            model_name="batch",
            name="notify_on_complete",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="batch",
            name="outcome",
            field=models.JSONField(blank=True, help_text="What finishing made of all its items.", null=True),
        ),
        migrations.AddField(
            model_name="batch",
            name="source_cursor",
            field=models.JSONField(
                blank=True, help_text="Where its next page of items begins, for sources that are no file.", null=True
            ),
        ),
        migrations.AddField(
            model_name="storedfile",
            name="is_result",
            field=models.BooleanField(db_default=False, default=False, help_text="Made by its batch, for its owner."),
        ),
        migrations.AlterField(
            model_name="apikey",
            name="scopes",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(choices=[("read", "Read"), ("write", "Write")], max_length=16),
                db_default=["read", "write"],
                default=batches.models.access.every_scope,
                size=None,
            ),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["owner", "-id"], name="audit_entry_owner_newest"),
        ),
        migrations.AddIndex(
            model_name="batch",
            index=models.Index(fields=["owner", "created_at"], name="batch_owner_age"),
        ),
        migrations.AddConstraint(
            model_name="storedfile",
            constraint=models.UniqueConstraint(
                condition=models.Q(("is_result", True)), fields=("batch", "name"), name="stored_file_result"
            ),
        ),
        migrations.AddField(
            model_name="notification",
            name="batch",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="notifications",
                to="batches.batch",
            ),
        ),
        migrations.AddField(
            model_name="notification",
            name="owner",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="notifications",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="usage",
            name="owner",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="usage",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddIndex(
            model_name="notification",
            index=models.Index(fields=["owner", "-id"], name="notification_owner_newest"),
        ),
        migrations.AddIndex(
            model_name="notification",
            index=models.Index(
                condition=models.Q(("read_at__isnull", True)), fields=["owner"], name="notification_unread"
            ),
        ),
        migrations.AddIndex(
            model_name="notification",
            index=models.Index(
                condition=models.Q(("batch__isnull", False)), fields=["batch"], name="notification_batch"
            ),
        ),
        migrations.AddConstraint(
            model_name="usage",
            constraint=models.UniqueConstraint(fields=("owner", "day", "operation"), name="usage_day"),
        ),
        migrations.RunSQL(OWNERS, migrations.RunSQL.noop),
    ]
