"""Tests of the application. In parallel, each class runs in a copy of the test database."""

import os
import time

from django.db import connection
from django.test import TestCase, TransactionTestCase

from .models import Ticket


def ask(sql, *parameters):
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchone()[0]


def subscribe():
    # A copy of a database sends nothing before it is adopted.
    ask("SELECT hydra.webhook_adopt()")
    ask("SELECT count(*) FROM hydra.webhook_create(%s, '{ticket.created}')", os.environ["HYDRA_ENDPOINT"])


class RolledBack(TestCase):
    def test_an_event_is_emitted(self):
        subscribe()
        Ticket.objects.create(id="rolled back")
        self.assertEqual(ask("SELECT count(*) FROM hydra.event"), 1)


class Committed(TransactionTestCase):
    def send(self, ticket):
        subscribe()
        Ticket.objects.create(id=ticket)
        deadline = time.monotonic() + 60
        while ask("SELECT count(*) FROM hydra.webhook_pending") > 0:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        ask("SELECT count(hydra.webhook_delete(id)) FROM hydra.webhook_subscriptions")


class First(Committed):
    def test_it_is_sent(self):
        self.send("first")


class Second(Committed):
    def test_it_is_sent(self):
        self.send("second")
