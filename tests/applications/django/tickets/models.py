from django.db import models


class Ticket(models.Model):
    id = models.CharField(primary_key=True, max_length=100)
