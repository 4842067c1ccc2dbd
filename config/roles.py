"""Who may do what: the roles of the house as groups, made and completed at every migration. What is added to them by hand stays."""

from typing import Any

from django.apps import apps as installed
from django.apps.registry import Apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission

ROOMS = ("jobs", "notifications", "bonds", "yields", "maturity")
# One permission per act. Everybody here reads everything; an auditor does nothing else.
ACTS: dict[str, tuple[str, ...]] = {
    "treasury": (
        "yields.add_yieldconfig",
        "yields.change_yieldconfig",
        "yields.trigger_yielddistribution",
        "yields.steer_yielddistribution",
        "yields.cancel_yielddistribution",
        "maturity.trigger_maturityrun",
        "bonds.start_claimbatch",
    ),
    "approver": ("yields.steer_yielddistribution", "bonds.lift_halt"),
    "operator": ("jobs.review_job", "yields.steer_yielddistribution", "bonds.change_parkedevent"),
    "auditor": (),
}


def make_groups(sender: Any, apps: Apps = installed, **_: Any) -> None:
    """After the migrations: every role is a group with at least the permissions it needs. May run any number of times.

    `apps`: as far as the migrations have come. While they have not come to every room, as when one is migrated alone, nothing is done.
    """
    if not {"auth", *ROOMS} <= {model._meta.app_label for model in apps.get_models()}:
        return
    for room in ROOMS:  # other apps may not have had their turn yet
        create_permissions(installed.get_app_config(room), verbosity=0)
    reading = list(Permission.objects.filter(content_type__app_label__in=ROOMS, codename__startswith="view_"))
    for name, acts in ACTS.items():
        group, _made = Group.objects.get_or_create(name=name)
        group.permissions.add(*reading, *(_permission(act) for act in acts))


def _permission(act: str) -> Permission:
    room, codename = act.split(".")
    return Permission.objects.get(content_type__app_label=room, codename=codename)
