"""What a process has done and holds; files that go with their batch. Old code runs on: every column has a default."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("batches", "0003_source")]

    operations = [
        migrations.AddField(
            model_name="worker",
            name="figures",
            field=models.JSONField(
                db_default={}, default=dict, help_text="What it has done since its boot, and what it holds now."
            ),
        ),
        migrations.AddField(
            model_name="storedfile",
            name="for_batch",
            field=models.BooleanField(db_default=False, default=False, help_text="Stored for one batch alone."),
        ),
        migrations.AddField(
            model_name="storedfile",
            name="batch",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="batches.batch",
            ),
        ),
        migrations.AddIndex(
            model_name="storedfile",
            index=models.Index(
                condition=models.Q(("batch__isnull", False)), fields=["batch"], name="stored_file_batch"
            ),
        ),
        migrations.AddIndex(
            model_name="storedfile",
            index=models.Index(
                condition=models.Q(("batch__isnull", True), ("for_batch", True)),
                fields=["created_at"],
                name="stored_file_orphan",
            ),
        ),
    ]
