"""The mailbox of files, written by Django's own file backend."""

from email.message import Message

import pytest
from django.core.mail import EmailMultiAlternatives, get_connection

from notifications.services import mailbox


@pytest.fixture
def outbox(settings, tmp_path):
    settings.MAILBOX_DIR = tmp_path / "mail"
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = str(settings.MAILBOX_DIR)
    return settings.MAILBOX_DIR


def compose(number: int) -> EmailMultiAlternatives:
    mail = EmailMultiAlternatives(
        f"Coupon № {number}",
        f"Paid: {number} €",
        to=[f"investor{number}@x.test"],
        headers={"Message-ID": f"<{number}@x>"},
    )
    mail.attach_alternative(f"<p>Paid: {number}</p>", "text/html")
    return mail


def test_a_mailbox_that_does_not_exist_yet_is_empty(outbox):
    assert mailbox.count() == 0
    assert mailbox.messages(10) == []


def test_several_mails_of_one_connection_are_several_messages_newest_first(outbox):
    get_connection().send_messages([compose(1), compose(2), compose(3)])
    assert len(list(outbox.iterdir())) == 1
    assert mailbox.count() == 3
    assert [mail.message_id for mail in mailbox.messages(10)] == ["<3@x>", "<2@x>", "<1@x>"]
    shown = mailbox.messages(1, offset=1)[0]
    assert (shown.to, shown.subject, shown.text.strip()) == ("investor2@x.test", "Coupon № 2", "Paid: 2 €")
    assert shown.date


def test_a_mailbox_that_grows_is_seen(outbox):
    connection = get_connection()
    connection.send_messages([compose(1)])
    assert mailbox.count() == 1
    connection.send_messages([compose(2)])
    assert mailbox.count() == 2
    assert mailbox.messages(1)[0].message_id == "<2@x>"


def test_a_line_of_dashes_inside_a_mail_does_not_split_it(outbox):
    mail = compose(1)
    mail.body = "above\n" + "-" * 79 + "\nbelow"
    get_connection().send_messages([mail, compose(2)])
    assert mailbox.count() == 2
    assert mailbox.messages(1, offset=1)[0].text.splitlines() == ["above", "-" * 79, "below"]


def test_a_mail_that_is_still_being_written_is_not_shown(outbox):
    outbox.mkdir()
    (outbox / "20260401-000000-1.log").write_bytes(b"Content-Type: text/plain\nSubject: half")
    assert mailbox.count() == 0


def test_only_the_mails_of_the_page_are_parsed(outbox, monkeypatch):
    """A mailbox of a thousand files answers a page by parsing that page."""
    outbox.mkdir()
    end = b"\n" + b"-" * 79 + b"\n"
    for number in range(1000):
        file = outbox / f"20260401-{number:06}-1.log"
        file.write_bytes(compose(number).message().as_bytes() + end)
    parsed = []
    real = mailbox.email.message_from_bytes

    def counted(data: bytes, **options) -> Message:
        parsed.append(len(data))
        return real(data, **options)

    monkeypatch.setattr(mailbox.email, "message_from_bytes", counted)
    assert mailbox.count() == 1000
    page = mailbox.messages(20, offset=100)
    assert [mail.message_id for mail in page] == [f"<{number}@x>" for number in range(899, 879, -1)]
    assert len(parsed) == 20
