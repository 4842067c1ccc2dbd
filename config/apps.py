from importlib import import_module

from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate


class WiringConfig(AppConfig):
    name = "config"
    label = "wiring"

    def ready(self) -> None:
        import_module("config.checks")
        roles = import_module("config.roles")
        # Once a migration: the signal comes for each app that has models, and for this one last of ours.
        post_migrate.connect(roles.make_groups, sender=apps.get_app_config(roles.ROOMS[-1]))
