"""DATABASE_URL: what is read from it, and that a broken one ends a command with one clear line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from config.devdb import DatabaseURLError, database_from_url

ROOT = Path(__file__).resolve().parents[2]


def test_a_url_becomes_djangos_settings_with_a_bounded_wait():
    found = database_from_url("postgres://staff:secret@db.example:6543/bonds?sslmode=require")
    assert found == {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "bonds",
        "USER": "staff",
        "PASSWORD": "secret",
        "HOST": "db.example",
        "PORT": 6543,
        "OPTIONS": {"sslmode": "require", "connect_timeout": 10},
    }


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("nonsense", "its scheme is not postgres"),
        ("sqlite:///secret.db", "its scheme is not postgres"),
        ("postgres://staff:secret@host:port/bonds", "its host or port is malformed"),
        ("postgres://staff:secret@[::1/bonds", "its host or port is malformed"),
        ("postgres://staff:secret@host:5432", "it names no database"),
        ("postgres://staff:secret@host/bonds?colour=red", 'invalid connection option "colour"'),
    ],
)
def test_a_malformed_url_is_refused_with_the_reason_and_without_the_password(url, reason):
    with pytest.raises(DatabaseURLError) as refusal:
        database_from_url(url)
    assert str(refusal.value).endswith(reason)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgres://staff:secret@127.0.0.1:1/bonds", "Connection refused"),
        ("mysql://staff:secret@127.0.0.1/bonds", "its scheme is not postgres"),
    ],
)
def test_a_command_without_its_database_ends_with_one_line_and_a_failure(url, said):
    command = [sys.executable, "-W", "ignore", "manage.py", "migrate", "--skip-checks"]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "DATABASE_URL": url}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert said in line
    assert "secret" not in line
