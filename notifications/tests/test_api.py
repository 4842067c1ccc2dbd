"""What an investor sees and changes through the API: their own, and nothing else."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from knox.models import AuthToken
from rest_framework.test import APIClient

from notifications.models import Notification, UserNotificationPreferences, UserNotificationStatus

pytestmark = [pytest.mark.django_db, pytest.mark.urls("notifications.tests.urls")]


def client_of(user: User) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {AuthToken.objects.create(user)[1]}")
    return client


def tell(user: User, count: int = 1) -> list[Notification]:
    """`count` notifications, each a minute newer than the one before."""
    told = []
    for number in range(count):
        notification = Notification.objects.create(
            notification_type="yield_distributed",
            title=f"Coupon {number}",
            message="Paid.",
            priority=3,
            user=user,
            dedupe_key=f"{user}:{number}",
            created_at=timezone.now() - timedelta(minutes=count - number),
        )
        UserNotificationStatus.objects.create(notification=notification, user=user)
        told.append(notification)
    return told


@pytest.fixture
def ada(make_investor) -> User:
    return make_investor("ada")


@pytest.fixture
def grace(make_investor) -> User:
    return make_investor("grace")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/notifications"),
        ("post", "/notifications/mark-read"),
        ("post", "/notifications/mark-all-read"),
        ("get", "/notifications/preferences"),
        ("put", "/notifications/preferences"),
    ],
)
def test_nobody_is_answered_without_a_log_in(method, path):
    assert getattr(APIClient(), method)(path, {}).status_code == 401


def test_an_investor_sees_their_own_newest_first(ada, grace):
    older, newer = tell(ada, 2)
    tell(grace, 3)
    answer = client_of(ada).get("/notifications").json()
    assert [row["id"] for row in answer["notifications"]] == [str(newer.id), str(older.id)]
    assert (answer["total_count"], answer["unread_count"]) == (2, 2)
    assert set(answer["notifications"][0]) == {
        "id",
        "notification_type",
        "title",
        "message",
        "priority",
        "created_at",
        "read_at",
    }
    assert answer["notifications"][0]["read_at"] is None


def test_a_dismissed_notification_is_not_listed(ada):
    kept, dismissed = tell(ada, 2)
    UserNotificationStatus.objects.filter(notification=dismissed).update(dismissed_at=timezone.now())
    answer = client_of(ada).get("/notifications").json()
    assert [row["id"] for row in answer["notifications"]] == [str(kept.id)]
    assert (answer["total_count"], answer["unread_count"]) == (1, 1)


def test_pages_neither_repeat_nor_miss(ada):
    told = tell(ada, 5)
    client = client_of(ada)
    pages = [client.get("/notifications", {"limit": 2, "offset": offset}).json() for offset in (0, 2, 4)]
    seen = [row["id"] for page in pages for row in page["notifications"]]
    assert seen == [str(notification.id) for notification in reversed(told)]
    assert {page["total_count"] for page in pages} == {5}


@pytest.mark.parametrize(
    "query", [{"limit": 0}, {"limit": 201}, {"offset": -1}, {"limit": "many"}, {"unread": "perhaps"}]
)
def test_a_malformed_page_is_refused(ada, query):
    answer = client_of(ada).get("/notifications", query)
    assert (answer.status_code, answer.json()["field"]) == (400, next(iter(query)))


def test_reading_marks_only_what_was_named(ada):
    first, second = tell(ada, 2)
    client = client_of(ada)
    assert client.post("/notifications/mark-read", {"notification_ids": [str(first.id)]}).json() == {"marked_count": 1}
    unread = client.get("/notifications", {"unread": "true"}).json()
    assert [row["id"] for row in unread["notifications"]] == [str(second.id)]
    assert (unread["total_count"], unread["unread_count"]) == (1, 1)


def test_reading_again_keeps_the_first_time(ada):
    (told,) = tell(ada)
    client = client_of(ada)
    body = {"notification_ids": [str(told.id)]}
    client.post("/notifications/mark-read", body)
    read_at = UserNotificationStatus.objects.get().read_at
    assert client.post("/notifications/mark-read", body).json() == {"marked_count": 0}
    assert UserNotificationStatus.objects.get().read_at == read_at


@pytest.mark.parametrize("kind", ["another's", "made up"])
def test_a_notification_that_is_not_ones_own_is_not_found_and_nothing_is_marked(ada, grace, kind):
    (own,), (foreign,) = tell(ada), tell(grace)
    other_id = foreign.id if kind == "another's" else uuid4()
    answer = client_of(ada).post("/notifications/mark-read", {"notification_ids": [str(own.id), str(other_id)]})
    assert answer.status_code == 404
    assert answer.json() == {"code": "not_found", "message": "No such notification.", "field": None}
    assert UserNotificationStatus.objects.filter(read_at__isnull=False).count() == 0


@pytest.mark.parametrize(
    "body", [{}, {"notification_ids": []}, {"notification_ids": ["1"]}, {"notification_ids": "all"}]
)
def test_a_malformed_mark_is_refused(ada, body):
    tell(ada)
    assert client_of(ada).post("/notifications/mark-read", body).status_code == 400
    assert UserNotificationStatus.objects.filter(read_at__isnull=False).count() == 0


def test_marking_all_leaves_other_investors_alone(ada, grace):
    tell(ada, 3)
    tell(grace, 2)
    assert client_of(ada).post("/notifications/mark-all-read").json() == {"marked_count": 3}
    assert UserNotificationStatus.objects.filter(user=ada, read_at__isnull=True).count() == 0
    assert UserNotificationStatus.objects.filter(user=grace, read_at__isnull=True).count() == 2


def test_preferences_are_on_until_chosen_and_belong_to_one_user(ada, grace):
    everything = {"email_notifications": True, "investment_updates": True, "marketing_communications": True}
    chosen = {"email_notifications": False, "investment_updates": True, "marketing_communications": False}
    client = client_of(ada)
    assert client.get("/notifications/preferences").json() == everything
    assert client.put("/notifications/preferences", chosen).json() == chosen
    assert client.get("/notifications/preferences").json() == chosen
    assert client_of(grace).get("/notifications/preferences").json() == everything


@pytest.mark.parametrize(
    "body",
    [
        {"email_notifications": False},
        {"email_notifications": "perhaps", "investment_updates": True, "marketing_communications": True},
        {"email_notifications": None, "investment_updates": True, "marketing_communications": True},
    ],
)
def test_preferences_are_replaced_whole_or_not_at_all(ada, body):
    assert client_of(ada).put("/notifications/preferences", body).status_code == 400
    assert UserNotificationPreferences.objects.count() == 0
