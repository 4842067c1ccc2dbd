"""How amounts and dates read in a notification: exact, with grouping, never rounded."""

from datetime import UTC, date, datetime, timedelta

from django import template

register = template.Library()


@register.filter
def units(amount_units: int | str, decimals: int | str) -> str:
    """Base units as whole tokens, exact: 1234500000 with 6 decimals reads 1,234.50."""
    places = int(decimals)
    whole, fraction = divmod(int(amount_units), 10**places)
    shown = str(fraction).zfill(places).rstrip("0").ljust(min(2, places), "0") if places else ""
    return f"{whole:,}.{shown}" if shown else f"{whole:,}"


@register.filter
def day(iso_date: str) -> str:
    """An ISO date, or the UTC date of an ISO moment: 2026-03-01 reads 1 March 2026."""
    return _readable(_date_of(iso_date))


@register.filter
def last_day(iso_end: str) -> str:
    """The last day that counts of a period whose end does not: 2026-04-01 reads 31 March 2026."""
    return _readable(_date_of(iso_end) - timedelta(days=1))


def _date_of(text: str) -> date:
    if len(text) == len("2026-03-01"):
        return date.fromisoformat(text)
    return datetime.fromisoformat(text).astimezone(UTC).date()


def _readable(value: date) -> str:
    return f"{value.day} {value:%B} {value.year}"
