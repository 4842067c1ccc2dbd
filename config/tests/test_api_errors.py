"""Every error of the API is {"code", "message", "field"}; the status says who acts; nothing internal leaks."""

import pytest
from django.http import Http404
from django.urls import include, path
from rest_framework import serializers
from rest_framework.test import APIClient
from rest_framework.views import APIView

from bonds.chain.gateway import ChainUnavailable
from bonds.errors import Conflict, Forbidden, Invalid, NotFound

RAISED = {
    "not-found": NotFound("no yield config with this id"),
    "forbidden": Forbidden("you may not start a distribution"),
    "conflict": Conflict("distribution 7 is live for this period", code="run_live", field="period"),
    "invalid": Invalid("the rate is above 1", field="coupon_rate"),
    "chain": ChainUnavailable("10.0.0.7:20000: deadline exceeded"),
    "missing-row": Http404("No YieldConfig matches the given query."),
    "bug": RuntimeError("password=hunter2"),
}


class LineSerializer(serializers.Serializer):
    amount = serializers.IntegerField(min_value=1)


class OrderSerializer(serializers.Serializer):
    lines = LineSerializer(many=True)

    def validate(self, attrs):
        if len(attrs["lines"]) > 1:
            raise serializers.ValidationError("one line at most", code="too_many")
        return attrs


class OpenView(APIView):
    authentication_classes = ()
    permission_classes = ()


class RaisingView(OpenView):
    def get(self, request, which):
        raise RAISED[which]


class OrderView(OpenView):
    def post(self, request):
        OrderSerializer(data=request.data).is_valid(raise_exception=True)


class StaffView(APIView):
    def post(self, request):
        raise AssertionError("nobody without permission gets here")


urlpatterns = [
    path("admin/raise/<str:which>", RaisingView.as_view()),
    path("admin/order", OrderView.as_view()),
    path("admin/staff", StaffView.as_view()),
    path("", include("config.urls")),
]
handler404 = "config.errors.not_found"
handler500 = "config.errors.server_error"
pytestmark = pytest.mark.urls(__name__)


@pytest.fixture
def client():
    return APIClient(raise_request_exception=False)


@pytest.mark.parametrize(
    ("which", "status", "code", "message", "field"),
    [
        ("not-found", 404, "not_found", "no yield config with this id", None),
        ("forbidden", 403, "permission_denied", "you may not start a distribution", None),
        ("conflict", 409, "run_live", "distribution 7 is live for this period", "period"),
        ("invalid", 422, "invalid", "the rate is above 1", "coupon_rate"),
    ],
)
def test_a_refusal_of_the_product_keeps_its_status_code_message_and_field(client, which, status, code, message, field):
    response = client.get(f"/admin/raise/{which}")
    assert response.status_code == status
    assert response.json() == {"code": code, "message": message, "field": field}


def test_an_unreachable_chain_is_503_and_does_not_name_the_node(client):
    response = client.get("/admin/raise/chain")
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "10"
    assert response.json() == {
        "code": "chain_unavailable",
        "message": "The chain cannot be reached; nothing was changed. Try again shortly.",
        "field": None,
    }


def test_a_missing_row_does_not_name_its_table(client):
    response = client.get("/admin/raise/missing-row")
    assert response.status_code == 404
    assert response.json() == {"code": "not_found", "message": "Not found.", "field": None}


def test_a_bug_is_500_and_says_nothing_about_itself(client):
    response = client.get("/admin/raise/bug")
    assert response.status_code == 500
    assert response.json() == {
        "code": "internal_error",
        "message": "Something went wrong on our side. It has been logged.",
        "field": None,
    }


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, "required", "lines"),
        ({"lines": [{"amount": 1}, {"amount": 0}]}, "min_value", "lines.1.amount"),
        ({"lines": [{"amount": 1}, {"amount": 2}]}, "too_many", None),
        ([], "invalid", None),
    ],
)
def test_the_first_wrong_field_is_named_by_its_path(client, body, code, field):
    response = client.post("/admin/order", body, format="json")
    assert response.status_code == 400
    assert (response.json()["code"], response.json()["field"]) == (code, field)
    assert set(response.json()) == {"code", "message", "field"}


def test_malformed_json_wrong_method_and_wrong_media_type_have_the_same_shape(client):
    for response, status, code in [
        (client.generic("POST", "/admin/order", "{", content_type="application/json"), 400, "parse_error"),
        (client.get("/admin/order"), 405, "method_not_allowed"),
        (client.generic("POST", "/admin/order", "a=1", content_type="text/csv"), 415, "unsupported_media_type"),
    ]:
        assert (response.status_code, response.json()["code"]) == (status, code)
        assert set(response.json()) == {"code", "message", "field"}


@pytest.mark.django_db
def test_nobody_is_401_and_an_unknown_token_too(client):
    for headers in ({}, {"HTTP_AUTHORIZATION": "Bearer " + "0" * 64}):
        response = client.post("/admin/staff", {}, **headers)
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert set(response.json()) == {"code", "message", "field"}


@pytest.mark.parametrize("path", ["/admin/nothing", "/admin/yields/nothing/here", "/api/nothing"])
def test_an_unknown_address_of_the_api_answers_json(client, path):
    response = client.get(path)
    assert response.status_code == 404
    assert response.json() == {"code": "not_found", "message": "Not found.", "field": None}


@pytest.mark.django_db
def test_an_unknown_address_elsewhere_answers_a_page(client):
    response = client.get("/nothing")
    assert response.status_code == 404
    assert b"No approval step yet" in response.content
