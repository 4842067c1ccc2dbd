"""Amounts and dates as people read them, and words that never hide a missing fact."""

import pytest

from notifications.errors import BadNotice
from notifications.models import Notification, NotificationType
from notifications.services.rendering import REQUIRED_FACTS, render_html, render_text
from notifications.templatetags.notification_formats import day, last_day, units
from notifications.tests.conftest import ANY_FACTS, COUPON_FACTS


@pytest.mark.parametrize(
    ("amount_units", "decimals", "shown"),
    [
        ("1234500000", 6, "1,234.50"),
        ("1", 6, "0.000001"),
        ("1234567", 6, "1.234567"),
        ("0", 2, "0.00"),
        ("5", 1, "0.5"),
        ("1000000", 0, "1,000,000"),
        ("18446744073709551615", 6, "18,446,744,073,709.551615"),
    ],
)
def test_an_amount_is_exact_and_grouped(amount_units, decimals, shown):
    assert units(amount_units, decimals) == shown


def test_dates_read_in_words_and_in_utc():
    assert day("2026-03-01") == "1 March 2026"
    assert day("2026-03-01T23:30:00-02:00") == "2 March 2026"
    assert last_day("2026-04-01") == "31 March 2026"


def test_a_paid_coupon_reads_as_a_sentence_with_its_facts():
    title, message = render_text("yield_distributed", COUPON_FACTS)
    assert title == "Coupon paid: 1,234.50 EURR for Harbour & Sons 2028"
    assert message.splitlines() == [
        "Your coupon for Harbour & Sons 2028 has been paid.",
        "",
        "Amount: 1,234.50 EURR",
        "Interest period: 1 January 2026 to 31 March 2026",
        "Paid on: 2 April 2026",
        f"Transaction: {'ab' * 32}",
        "",
        "The payment is final on the chain. Nothing is left for you to do.",
    ]


@pytest.mark.parametrize("notification_type", NotificationType.values)
def test_every_type_has_words_and_html(notification_type):
    title, message = render_text(notification_type, ANY_FACTS)
    html = render_html(
        Notification(notification_type=notification_type, title=title, message=message, context=ANY_FACTS)
    )
    assert title
    assert message
    assert "{{" not in title + message + html
    assert "</html>" in html


@pytest.mark.parametrize(
    ("notification_type", "fact"), [(kind, fact) for kind in NotificationType.values for fact in REQUIRED_FACTS[kind]]
)
def test_a_missing_fact_is_named_instead_of_left_blank(notification_type, fact):
    facts = {key: value for key, value in ANY_FACTS.items() if key != fact}
    with pytest.raises(BadNotice, match=fact):
        render_text(notification_type, facts)


@pytest.mark.parametrize("facts", [{"amount_units": "12.5"}, {"period_end": "April"}, {"paid_at": None}])
def test_an_unreadable_fact_is_refused(facts):
    with pytest.raises(BadNotice, match="unreadable"):
        render_text("yield_distributed", {**COUPON_FACTS, **facts})


def test_a_title_is_one_line_and_fits():
    title, _ = render_text("system_announcement", {"title": "Hello\r\nBcc: all@x.test", "message": "x"})
    assert title == "Hello Bcc: all@x.test"
    with pytest.raises(BadNotice, match="201 characters"):
        render_text("system_announcement", {"title": "x" * 201, "message": "x"})


def test_a_script_in_a_message_is_escaped_in_html_and_kept_as_text():
    script = "<script>alert(1)</script>"
    title, message = render_text("system_announcement", {"title": script, "message": script})
    assert message == script
    html = render_html(
        Notification(notification_type="system_announcement", title=title, message=message, context={"message": script})
    )
    assert script not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
