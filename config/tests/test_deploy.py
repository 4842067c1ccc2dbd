"""The container description: it parses, is strict, and names only commands and variables this project has."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.core.management import get_commands

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
HADOLINT = Path(sys.executable).with_name("hadolint")
PROCESSES = {"api-server", "events-listener", "background-worker"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


@pytest.fixture(scope="module")
def dockerfile() -> str:
    return (DEPLOY / "Dockerfile").read_text()


def seconds(period: str) -> int:
    assert period.endswith("s")
    return int(period[:-1])


def test_the_dockerfile_has_no_lint():
    done = subprocess.run([HADOLINT, DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_services_are_the_products_processes_the_database_and_the_migration(compose):
    assert set(compose["services"]) == PROCESSES | {"postgres", "migrate"}


def test_every_command_is_one_this_project_has(compose, dockerfile):
    commands = {name: service["command"] for name, service in compose["services"].items() if "command" in service}
    assert set(commands) == {"migrate", "events-listener", "background-worker"}
    for name, command in commands.items():
        assert command[:2] == ["python", "manage.py"], name
        assert command[2] in get_commands(), name
    assert 'CMD ["gunicorn", "config.wsgi", ' in dockerfile  # what api-server runs
    assert settings.WSGI_APPLICATION == "config.wsgi.application"


def test_every_container_of_ours_is_confined(compose):
    for name in PROCESSES | {"migrate"}:
        service = compose["services"][name]
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service, name


def test_only_the_worker_is_given_the_wallets_keys(compose):
    holders = {
        name for name, service in compose["services"].items() if "cloud_wallet_keys" in service.get("secrets", [])
    }
    assert holders == {"background-worker"}
    for service in compose["services"].values():
        assert set(service.get("secrets", [])) <= set(compose["secrets"])


def test_the_worker_has_longer_to_stop_than_its_running_jobs_have_to_finish(compose):
    worker = compose["services"]["background-worker"]
    assert seconds(worker["stop_grace_period"]) >= 2 * float(worker["environment"]["JOB_GRACE_SECONDS"])


def test_processes_start_after_the_migration_and_the_migration_after_the_database(compose):
    for name in PROCESSES:
        needed = compose["services"][name]["depends_on"]
        assert needed["migrate"] == {"condition": "service_completed_successfully"}, name
    assert compose["services"]["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    for name in ("postgres", "api-server", "background-worker"):
        assert compose["services"][name]["healthcheck"]["test"][0] == "CMD", name


def test_every_variable_given_to_a_container_is_one_the_settings_read(compose):
    read = set(re.findall(r'env\.\w+\(\s*"(\w+)"', (ROOT / "config" / "settings.py").read_text()))
    for name in PROCESSES:
        unknown = set(compose["services"][name]["environment"]) - read
        assert not unknown, f"{name}: {unknown}"


def test_everything_the_image_copies_exists_and_is_let_into_the_build(dockerfile):
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    sources = [
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", dockerfile, re.MULTILINE)
        for source in [word for word in line.split() if not word.startswith("--")][:-1]
    ]
    assert {"manage.py", *("config", "jobs", "notifications", "bonds", "yields", "maturity", "templates")} < set(
        sources
    )
    for source in sources:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignored, source


def test_the_image_runs_as_nobody_in_particular_and_carries_no_embedded_server(dockerfile):
    final = dockerfile.rsplit("\nFROM ", 1)[1]
    assert "\nUSER 10001\n" in final
    assert 'ENTRYPOINT ["/usr/bin/tini", "--", ' in final
    assert "requirements-embedded" not in dockerfile
    assert "--control-socket" in final


def test_the_entrypoint_turns_secret_files_into_what_the_settings_read(tmp_path):
    script = (DEPLOY / "entrypoint.sh").read_text().replace("/run/secrets", str(tmp_path))
    (tmp_path / "secret_key").write_text("a-key\n")
    (tmp_path / "postgres_password").write_text("abc123\n")
    show = ["sh", "-c", script, "entrypoint.sh", "sh", "-c", 'echo "$SECRET_KEY $DATABASE_URL"']
    done = subprocess.run(show, capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin"})
    assert done.stdout == "a-key postgres://bonds:abc123@postgres:5432/bonds\n"
