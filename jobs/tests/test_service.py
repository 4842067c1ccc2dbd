"""The registry: which type is whose, and clear words where the settings are wrong."""

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from jobs import checks
from jobs.errors import BadRegistry, UnknownJobType
from jobs.service import JobsProcessingService, JobType, registry
from jobs.tests.services import ProbeService


class Other:
    name = "Other"
    job_types = (JobType("probe"),)

    def process_job(self, job, context):
        raise NotImplementedError


def test_each_type_has_one_service():
    assert registry().service_of("probe").name == "ProbeService"
    assert registry().type_of("probe_quick").quick
    with pytest.raises(UnknownJobType, match="'nonsense'"):
        registry().service_of("nonsense")
    with pytest.raises(BadRegistry, match="'probe' belongs to ProbeService and to Other"):
        JobsProcessingService([ProbeService(), Other()])


def test_a_worker_may_serve_some_services_but_only_known_ones():
    services = JobsProcessingService([ProbeService()])
    assert len(services.served([])) == len(services.served(["ProbeService"])) == len(ProbeService.job_types)
    with pytest.raises(BadRegistry, match="Nobody"):
        services.served(["Nobody"])


@pytest.mark.parametrize(
    ("setting", "value", "check_id"),
    [
        ("JOB_SERVICES", ["nowhere.Service"], "jobs.E002"),
        ("JOB_WORKER_SERVICES", ["Nobody"], "jobs.E002"),
        ("JOB_HEARTBEAT_SECONDS", 15.0, "jobs.E003"),
    ],
)
def test_wrong_settings_are_refused_by_a_check(setting, value, check_id):
    with override_settings(**{setting: value}):
        found = {error.id for error in (*checks.check_services(None), *checks.check_times(None))}
    assert found == {check_id}


def test_psycopgs_pool_is_refused_by_a_check(monkeypatch):
    from django.db import connections

    assert checks.check_pool(None) == []
    monkeypatch.setitem(connections["default"].settings_dict, "OPTIONS", {"pool": True})
    assert [error.id for error in checks.check_pool(None)] == ["jobs.E001"]
    assert "jobs.E001" in {error.id for error in run_checks(databases=["default"])}
