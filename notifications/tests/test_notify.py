"""Asking that somebody is told, in the caller's transaction, and being told once."""

import pytest
from django.db import transaction

from jobs.errors import BadPayload
from jobs.models import Job
from jobs.service import Done, Fail, JobContext
from notifications.errors import BadNotice
from notifications.models import Notification, UserNotificationStatus
from notifications.service import NotificationsService
from notifications.services.notify import Notice, deliver, notify_address, notify_addresses
from notifications.tests.conftest import COUPON_FACTS

pytestmark = pytest.mark.django_db


def coupon(number: int = 1, *, address: str = "wallet-ada") -> Notice:
    return Notice(address, "yield_distributed", f"payment:{number}", COUPON_FACTS)


def ask(notice: Notice) -> Job:
    return notify_address(
        address=notice.address,
        notification_type=notice.notification_type,
        dedupe_key=notice.dedupe_key,
        context=notice.context,
    )


def run(job: Job):
    return NotificationsService().process_job(job, JobContext())


def test_a_notice_becomes_one_job_with_the_notice_as_its_payload():
    job = ask(coupon())
    assert (job.job_type, job.unique_key) == ("notification_individual_processor", "payment:1")
    assert Notice.from_payload(Job.objects.get().payload) == coupon()


def test_a_rolled_back_caller_leaves_nothing():
    with transaction.atomic():
        ask(coupon(1))
        notify_addresses([coupon(2), coupon(3)])
        assert Job.objects.count() == 3
        transaction.set_rollback(True)
    assert Job.objects.count() == 0


def test_a_rolled_back_delivery_leaves_neither_record_nor_mail(make_investor):
    make_investor()
    with transaction.atomic():
        assert deliver(coupon().payload()) == "recorded, mail queued"
        transaction.set_rollback(True)
    assert (Notification.objects.count(), UserNotificationStatus.objects.count(), Job.objects.count()) == (0, 0, 0)


def test_asking_twice_makes_one_job():
    ask(coupon())
    ask(coupon())
    notify_addresses([coupon(), coupon(), coupon(2)])
    assert sorted(Job.objects.values_list("unique_key", flat=True)) == ["payment:1", "payment:2"]


def test_many_are_asked_for_at_once():
    assert notify_addresses([coupon(number, address=f"wallet-{number}") for number in range(1000)]) == 1000
    assert Job.objects.filter(job_type="notification_individual_processor").count() == 1000
    assert notify_addresses([]) == 0


def test_a_paid_coupon_is_told_with_its_amount_and_one_mail(make_investor):
    ada = make_investor()
    assert run(ask(coupon())) == Done("recorded, mail queued")
    told = Notification.objects.get()
    assert (told.user, told.address, told.dedupe_key) == (ada, "wallet-ada", "payment:1")
    assert told.title == "Coupon paid: 1,234.50 EURR for Harbour & Sons 2028"
    assert told.context == COUPON_FACTS
    mail = Job.objects.get(job_type="email_notification")
    assert (mail.payload, mail.unique_key) == ({"notification": str(told.id)}, f"mail:{told.id}")
    assert told.status.message_id == f"<{told.id}@example.com>"


def test_a_repeated_delivery_tells_and_mails_once(make_investor):
    make_investor()
    job = ask(coupon())
    run(job)
    assert run(job) == Done("already told")
    assert Notification.objects.count() == 1
    assert Job.objects.filter(job_type="email_notification").count() == 1


def test_a_user_without_a_mail_address_has_the_record_and_no_mail(make_investor):
    ada = make_investor(email="")
    assert run(ask(coupon())) == Done("recorded")
    assert Notification.objects.get(user=ada).status.mail_state == "none"
    assert Job.objects.filter(job_type="email_notification").count() == 0


def test_a_key_used_for_somebody_else_is_a_dead_letter_not_a_silence(make_investor):
    make_investor("ada")
    make_investor("grace")
    deliver(coupon().payload())
    with pytest.raises(BadNotice, match="payment:1"):
        deliver(coupon(address="wallet-grace").payload())
    assert Notification.objects.get().address == "wallet-ada"


@pytest.mark.parametrize("changes", [{"notification_type": "coupon"}, {"address": ""}, {"dedupe_key": ""}])
def test_an_impossible_notice_is_refused_to_the_caller(changes):
    fields = {
        "address": "wallet-ada",
        "notification_type": "yield_distributed",
        "dedupe_key": "payment:1",
        "context": {},
    }
    with pytest.raises(BadNotice):
        notify_address(**{**fields, **changes})
    assert Job.objects.count() == 0


def test_missing_facts_are_a_dead_letter_and_do_not_undo_what_the_caller_records():
    job = notify_address(
        address="wallet-ada", notification_type="yield_distributed", dedupe_key="payment:1", context={}
    )
    outcome = run(job)
    assert isinstance(outcome, Fail)
    assert "amount_units" in outcome.reason
    assert Notification.objects.count() == 0


@pytest.mark.parametrize("missing", ["address", "notification_type", "dedupe_key", "context"])
def test_a_payload_that_lacks_a_part_is_terminal(missing):
    payload = {key: value for key, value in coupon().payload().items() if key != missing}
    job = Job(job_type="notification_individual_processor", payload=payload)
    assert run(job) == Fail(f"the payload lacks {missing}")


@pytest.mark.parametrize(
    ("job_type", "reason"),
    [
        ("notification_event_processor", "not built yet: turning chain events into notifications"),
        ("notification_fanout_processor", "not built yet: sending an announcement to many users"),
    ],
)
def test_what_is_not_built_says_so(job_type, reason):
    assert run(Job(job_type=job_type, payload={})) == Fail(reason)


def test_the_service_names_its_job_types():
    assert [job_type.name for job_type in NotificationsService.job_types] == [
        "notification_event_processor",
        "notification_fanout_processor",
        "notification_individual_processor",
        "email_notification",
    ]


# --- an edited payload ---------------------------------------------------------------------------------------------
def test_an_edited_notice_that_can_be_told_is_accepted():
    NotificationsService().validate_payload("notification_individual_processor", coupon().payload())


@pytest.mark.parametrize(
    ("job_type", "payload", "why"),
    [
        ("notification_individual_processor", {}, "the payload lacks address"),
        (
            "notification_individual_processor",
            coupon().payload() | {"notification_type": "x"},
            "unknown notification type",
        ),
        ("notification_individual_processor", coupon().payload() | {"context": {}}, "lacks|missing|needs"),
        (
            "notification_individual_processor",
            coupon().payload() | {"context": 7},
            "the context of a notice is an object",
        ),
        ("email_notification", {"notification": "x"}, "names no notification"),
        ("email_notification", {"notification": "00000000-0000-4000-8000-000000000000"}, "there is no"),
        ("notification_fanout_processor", {}, "not built yet"),
    ],
)
def test_an_edited_payload_that_cannot_be_right_is_refused(job_type, payload, why):
    with pytest.raises(BadPayload, match=why):
        NotificationsService().validate_payload(job_type, payload)
