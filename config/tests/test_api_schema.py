"""The API describes itself completely, refusals included, and every staff operation is shut for everyone else."""

import re
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from drf_spectacular.generators import SchemaGenerator
from knox.models import AuthToken
from rest_framework.test import APIClient

METHODS = ("get", "post", "put", "patch", "delete")
SOME_UUID = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def schema():
    return SchemaGenerator().get_schema(request=None, public=True)


def operations(schema, prefix="/"):
    for path, item in schema["paths"].items():
        for method in METHODS:
            if method in item and path.startswith(prefix):
                yield method, path, item[method]


def address(path, operation):
    """The path with an id of the documented kind in each gap."""
    kinds = {p["name"]: p["schema"] for p in operation.get("parameters", []) if p["in"] == "path"}
    return re.sub(r"{(\w+)}", lambda gap: "1" if kinds[gap[1]].get("type") == "integer" else SOME_UUID, path)


def test_the_schema_is_valid_and_made_without_a_warning():
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=StringIO())


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", "/admin/yields/configure"),
        ("put", "/admin/yields/{yield_config_id}"),
        ("post", "/admin/yields/{yield_config_id}/trigger"),
        ("get", "/admin/yields/distribution/{distribution_job_id}"),
        ("post", "/admin/bonds/{bond_metadata_id}/maturity/trigger"),
        ("get", "/admin/jobs"),
        ("get", "/notifications"),
    ],
)
def test_the_verbs_of_the_product_are_at_their_exact_paths(schema, method, path):
    assert method in schema["paths"][path]


def test_every_operation_documents_its_refusals_in_the_one_shape(schema):
    for method, path, operation in operations(schema):
        expected = {"400", "401", "403", "404", "503"} | ({"409", "422"} if method != "get" else set())
        assert expected <= set(operation["responses"]), (method, path)
    assert schema["components"]["schemas"]["Error"]["required"] == ["code", "message", "field"]


@pytest.mark.django_db
def test_every_staff_operation_refuses_nobody_with_401_and_an_investor_with_403(schema):
    investor = User.objects.create_user("investor")
    _, token = AuthToken.objects.create(user=investor)
    asked = 0
    for method, path, operation in operations(schema, "/admin/"):
        call = getattr(APIClient(), method)
        nobody = call(address(path, operation), {})
        assert (nobody.status_code, set(nobody.json())) == (401, {"code", "message", "field"}), (method, path)
        refused = call(address(path, operation), {}, HTTP_AUTHORIZATION=f"Bearer {token}")
        assert (refused.status_code, refused.json()["code"]) == (403, "permission_denied"), (method, path)
        asked += 1
    assert asked > 5


@pytest.mark.django_db
def test_a_session_needs_the_csrf_token_for_every_writing_operation_and_a_bearer_does_not(schema):
    staff = User.objects.create_user("staff", is_staff=True)
    _, token = AuthToken.objects.create(user=staff)
    by_session = APIClient(enforce_csrf_checks=True)
    by_session.force_login(staff)
    by_token = APIClient(enforce_csrf_checks=True)
    by_token.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    for method, path, operation in operations(schema, "/admin/"):
        if method == "get":
            continue
        refused = getattr(by_session, method)(address(path, operation), {})
        assert refused.status_code == 403, (method, path)
        assert "CSRF" in refused.json()["message"], (method, path)
        answered = getattr(by_token, method)(address(path, operation), {})
        assert "CSRF" not in answered.content.decode(), (method, path)
        assert answered.status_code < 500, (method, path)


@pytest.mark.django_db
def test_a_session_reads_the_api_and_its_docs_while_strangers_are_sent_to_the_log_in_page():
    client = APIClient()
    assert client.get("/api/schema").status_code == 401
    assert client.get("/api/docs").headers["Location"].startswith("/console/login/")
    client.force_login(User.objects.create_user("staff", is_staff=True))
    assert client.get("/api/schema", HTTP_ACCEPT="application/json").json()["info"]["title"] == "Bond back office"
    page = client.get("/api/docs").content.decode()
    assert "http://" not in page
    assert "https://" not in page
