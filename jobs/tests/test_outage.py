"""PostgreSQL goes away under a working cluster: nothing is lost or done twice, few lines are logged, and it stops when asked."""

import subprocess
import sys
import time

import psutil
import pytest

from jobs.tests.clusters import ROOT, is_running, wait_for
from jobs.tests.servers import PrivateServer
from jobs.tests.services import EFFECTS_TABLE

pytestmark = pytest.mark.slow

JOBS = 150
OUTAGE_SECONDS = 15
WORKERS = 4


def completed(server):
    return server.query("SELECT count(*) FROM job_queue WHERE status = 'completed'")[0][0]


@pytest.fixture
def server(tmp_path):
    private = PrivateServer(tmp_path / "state")
    try:
        private.prepare(EFFECTS_TABLE)
        insert = "INSERT INTO job_queue (job_type, payload) SELECT %s, '{\"sleep\": 0.02}' FROM generate_series(1, %s)"
        private.query(insert, ("probe", JOBS))
        private.query(insert, ("probe_quick", JOBS))
        yield private
    finally:
        private.remove()


@pytest.fixture
def running(server, tmp_path):
    log = tmp_path / "cluster.log"
    with log.open("wb") as output:
        popen = subprocess.Popen(
            [sys.executable, "manage.py", "qcluster"], cwd=ROOT, env=server.environment, stdout=output, stderr=output
        )
    popen.log = log
    try:
        yield popen
    finally:
        for process in [*psutil.Process(popen.pid).children(recursive=True), popen] if popen.poll() is None else []:
            process.kill()
        popen.wait(10)


def test_an_outage_of_fifteen_seconds_in_the_middle_of_the_work(server, running):
    wait_for(lambda: completed(server) >= 20)
    server.stop_immediately()
    assert completed_before_it_came_back(server, running) < 2 * JOBS
    wait_for(lambda: completed(server) == 2 * JOBS)
    assert server.query("SELECT count(*), count(DISTINCT job_id) FROM queue_effects") == [(2 * JOBS, 2 * JOBS)]
    assert server.query("SELECT count(*) FROM job_queue WHERE status = 'failed'") == [(0,)]
    running.terminate()
    assert running.wait(10) == 0
    # At most three lines of each worker about the outage, one about its end; a few about jobs put back and rescued.
    assert len(running.log.read_text().splitlines()) < 60


def completed_before_it_came_back(server, running):
    """Sits the outage out, looks at the log, and starts the server again."""
    time.sleep(OUTAGE_SECONDS)
    assert running.poll() is None
    during = running.log.read_text()
    assert 1 <= during.count("database unavailable") <= 3 * WORKERS
    assert len(during.splitlines()) < 40
    server.start()
    return completed(server)


def test_a_cluster_stops_promptly_while_the_database_is_away(server, running):
    wait_for(lambda: completed(server) >= 5)
    children = psutil.Process(running.pid).children(recursive=True)
    server.stop_immediately()
    time.sleep(1.5)
    running.terminate()
    assert running.wait(15) == 0
    assert not [child for child in children if is_running(child)]
    server.start()
