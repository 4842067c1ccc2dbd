"""People in a test of the faces: who may look, and who may decide."""

from django.contrib.auth.models import Permission, User
from django.test import Client


def client_for(name: str, *, is_staff: bool = True, may_review: bool = False) -> Client:
    """A person logged in, who may see the queue's tables, and decide only where `may_review` says so."""
    user = User.objects.create_user(name, password="p", is_staff=is_staff)
    codenames = ["view_job", "view_worker", "view_joboperation"] + (["review_job"] if may_review else [])
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client
