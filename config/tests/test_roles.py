"""The roles are groups, each with what its people do, and completed without taking anything away."""

import pytest
from django.contrib.auth.models import Group, Permission, User

from config import roles

pytestmark = pytest.mark.django_db


def member(role: str) -> User:
    user = User.objects.create(username=role, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    return user


def test_the_migration_made_them():
    assert set(Group.objects.values_list("name", flat=True)) == {"treasury", "approver", "operator", "auditor"}


@pytest.mark.parametrize("role", roles.ACTS)
def test_each_role_reads_everything_and_does_only_its_own_acts(role):
    user = member(role)
    assert user.has_perms(roles.ACTS[role])
    assert user.has_perms(
        ["jobs.view_job", "bonds.view_payment", "bonds.view_auditentry", "yields.view_yielddistribution"]
    )
    others = {act for acts in roles.ACTS.values() for act in acts} - set(roles.ACTS[role])
    assert not [act for act in others if user.has_perm(act)]
    writes = {name for name in user.get_all_permissions() if not name.partition(".")[2].startswith("view_")}
    assert writes == set(roles.ACTS[role])


def test_whoever_starts_a_run_cannot_lift_a_halt():
    assert not member("treasury").has_perm("bonds.lift_halt")
    assert not member("approver").has_perm("yields.trigger_yielddistribution")


def test_what_was_lost_comes_back_and_what_was_added_by_hand_stays():
    treasury = Group.objects.get(name="treasury")
    by_hand = Permission.objects.get(codename="add_user")
    treasury.permissions.set([by_hand])
    roles.make_groups(sender=None)
    assert by_hand in treasury.permissions.all()
    assert member("treasury").has_perm("yields.trigger_yielddistribution")
    assert Group.objects.count() == len(roles.ACTS)
