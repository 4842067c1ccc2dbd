"""Hooks Django-Q2's ways in to the one queue there is."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "jobs"

    def ready(self) -> None:
        from django.db.models.signals import post_migrate, pre_save
        from django_q.models import Schedule
        from django_q.signals import pre_enqueue

        from jobs import broker, checks, schedules  # noqa: F401 - registers the system checks

        pre_enqueue.connect(broker.refuse_task, dispatch_uid="jobs.refuse_task")
        pre_save.connect(broker.refuse_schedule, sender=Schedule, dispatch_uid="jobs.refuse_schedule")
        post_migrate.connect(schedules.after_migrate, sender=self, dispatch_uid="jobs.schedules")
