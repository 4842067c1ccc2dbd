"""Investors with wallets, the facts of a paid coupon, and a real SMTP server on loopback."""

import socket
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from aiosmtpd.controller import Controller
from django.contrib.auth.models import User
from django.core.mail import get_connection
from django.db import transaction

from jobs.service import JobContext
from notifications.models import WalletLink

COUPON_FACTS = {
    "bond_name": "Harbour & Sons 2028",
    "amount_units": "1234500000",
    "decimals": 6,
    "token_symbol": "EURR",
    "period_start": "2026-01-01",
    "period_end": "2026-04-01",
    "paid_at": "2026-04-02T09:30:00+00:00",
    "transaction_hash": "ab" * 32,
}
ANY_FACTS = {
    **COUPON_FACTS,
    "registry_state": "whitelisted",
    "bond_status": "Success",
    "title": "Planned maintenance",
    "message": "We are away on Sunday.",
}


@pytest.fixture
def make_investor(db: None) -> Callable[..., User]:
    """A user with one wallet, `wallet-<name>`."""

    def make(name: str = "ada", *, email: str | None = None) -> User:
        user = User.objects.create_user(name, email=f"{name}@investors.test" if email is None else email)
        WalletLink.objects.create(address=f"wallet-{name}", user=user)
        return user

    return make


@pytest.fixture
def job_context() -> JobContext:
    """What a running job of mode STEPS gets: the configured mail server and a fence of durable transactions."""
    return JobContext(mailer=get_connection, fence=lambda: transaction.atomic(durable=True))


class SmtpServer(Controller):
    """A real SMTP server that keeps what it accepts. Its port is reserved at once; nobody answers there before start()."""

    def __init__(self) -> None:
        self._reserved = socket.socket()
        self._reserved.bind(("127.0.0.1", 0))
        self.accepted: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.rcpt_reply = "250 OK"
        self.data_reply = "250 OK"
        super().__init__(self, hostname="127.0.0.1", port=self._reserved.getsockname()[1])

    def _create_server(self):
        return self.loop.create_server(self._factory_invoker, sock=self._reserved)

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if self.rcpt_reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.rcpt_reply

    async def handle_DATA(self, server, session, envelope):
        if self.data_reply.startswith("250"):
            self.accepted.append(message_from_bytes(envelope.content, policy=policy.default))
            self.recipients += envelope.rcpt_tos
        return self.data_reply

    def close(self) -> None:
        if self._thread is None:
            self.loop.close()
        else:
            self.stop()
        self._reserved.close()


@pytest.fixture
def silent_smtp(settings) -> Iterator[SmtpServer]:
    """The configured mail server, not started: connections are refused until start()."""
    server = SmtpServer()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
    settings.DEFAULT_FROM_EMAIL = "Bond servicing <servicing@bonds.test>"
    yield server
    server.close()


@pytest.fixture
def smtp(silent_smtp: SmtpServer) -> SmtpServer:
    silent_smtp.start()
    return silent_smtp
