"""One private server for all tests of this directory; each test begins with empty tables on it."""

import pytest

from jobs.tests.kill import checker, rig
from jobs.tests.servers import PrivateServer


@pytest.fixture(scope="package")
def server(tmp_path_factory):
    private = PrivateServer(tmp_path_factory.mktemp("kill") / "state")
    try:
        private.prepare(checker.SCHEMA)
        yield private
    finally:
        private.remove()


@pytest.fixture
def played(server, tmp_path):
    cell = rig.Rig(server, tmp_path)
    cell.reset()
    return cell
