from django.db import migrations, models


class Migration(migrations.Migration):
    operations = [
        migrations.CreateModel("Ticket", [("id", models.CharField(primary_key=True, max_length=100))]),
        migrations.RunSQL(
            "CREATE EXTENSION hydra_webhooks",
            "DROP EXTENSION hydra_webhooks",
        ),
        migrations.RunSQL(
            "SELECT hydra.webhook_watch('tickets_ticket', 'ticket.created', 'insert')",
            "SELECT hydra.webhook_unwatch('tickets_ticket', 'ticket.created')",
        ),
    ]
