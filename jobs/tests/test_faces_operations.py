"""API and console of many jobs: search, groups, bulk operations, pauses, payloads; who may only look changes nothing."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from jobs import controls, operations, queue
from jobs.deadletters import DeadLetterFilter, groups
from jobs.models import Job, JobDecision, JobOperation, JobOperationMember, Pause, Worker
from jobs.tests.dead import dead
from jobs.tests.people import client_for

pytestmark = pytest.mark.django_db
JSON = "application/json"


@pytest.fixture(autouse=True)
def with_operations(settings):
    settings.JOB_SERVICES = ["jobs.operations.OperationsService", "jobs.tests.services_judging.JudgingService"]


@pytest.fixture
def viewer():
    return client_for("vera")


@pytest.fixture
def operator():
    return client_for("otto", may_review=True)


def everything() -> list[object]:
    models = (Job, JobDecision, JobOperation, JobOperationMember, Pause)
    return [list(model.objects.order_by("pk").values()) for model in models]


def error(answer) -> tuple[int, str, str | None]:
    assert set(answer.json()) == {"code", "message", "field"}
    return answer.status_code, answer.json()["code"], answer.json()["field"]


# --- API: looking --------------------------------------------------------------------------------------------------
def test_dead_letters_are_searched_and_paged(viewer):
    jobs = [dead(payload={"run": "a"}, age=timedelta(minutes=n)) for n in range(3)]
    dead(payload={"run": "b"})
    first = viewer.get("/admin/jobs", {"q": "payload.run:a", "limit": 2}).json()
    assert [job["id"] for job in first["jobs"]] == [jobs[0].pk, jobs[1].pk]
    rest = viewer.get("/admin/jobs", {"q": "payload.run:a", "limit": 2, "before": first["next"]}).json()
    assert ([job["id"] for job in rest["jobs"]], rest["next"]) == ([jobs[2].pk], None)
    assert len(viewer.get("/admin/jobs", {"dead_letters": "true"}).json()["jobs"]) == 4
    (group,) = viewer.get("/admin/jobs/groups").json()
    assert (group["count"], group["job_type"], group["error"]) == (4, "probe", "RuntimeError: boom")
    assert len(viewer.get("/admin/jobs", {"fingerprint": group["fingerprint"]}).json()["jobs"]) == 4


def test_ended_jobs_are_paged_by_their_end(viewer):
    late, early = dead(age=timedelta(minutes=1)), dead(age=timedelta(hours=1))
    first = viewer.get("/admin/jobs", {"status": "failed", "limit": 1}).json()
    assert [job["id"] for job in first["jobs"]] == [late.pk]
    rest = viewer.get("/admin/jobs", {"status": "failed", "limit": 1, "before": first["next"]}).json()
    assert [job["id"] for job in rest["jobs"]] == [early.pk]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"q": "payload.secret:7"}, "q"),
        ({"q": "payload.run:7", "status": "pending"}, "status"),
        ({"limit": 0}, "limit"),
    ],
)
def test_a_search_that_cannot_be_understood_names_its_field(viewer, asked, field):
    assert error(viewer.get("/admin/jobs", asked)) == (400, "min_value" if field == "limit" else "invalid", field)


def test_a_search_that_reads_too_much_is_refused(viewer, monkeypatch):
    monkeypatch.setattr("jobs.deadletters._READ_SECONDS", "0.001")
    queue.enqueue_many("probe", [{}] * 20_000)
    assert error(viewer.get("/admin/jobs", {"service": "nobody", "limit": 500})) == (422, "too_broad", None)


# --- API: deciding -------------------------------------------------------------------------------------------------
def test_a_bulk_retry_goes_from_preview_to_confirmation(operator):
    jobs = [dead(payload={"run": "a"}) for _ in range(2)]
    dead(payload={"run": "b"})
    asked = {"action": "retry", "filter": {"payload": {"run": "a"}}, "reason": "the node is back"}
    preview = operator.post("/admin/jobs/bulk", asked, content_type=JSON)
    assert (preview.status_code, preview.json()["status"], preview.json()["total"]) == (201, "previewed", 2)
    assert preview.json()["preview"]["sample"] == [job.pk for job in jobs]
    path = f"/admin/jobs/operations/{preview.json()['id']}"
    started = operator.post(f"{path}/confirm", {"count": 2}, content_type=JSON)
    assert (started.status_code, started.json()["status"], started.json()["confirmed_by"]) == (200, "running", "otto")
    members = operator.get(f"{path}/members", {"outcome": ""}).json()
    assert [member["job_id"] for member in members["members"]] == [job.pk for job in jobs]
    assert operator.get(path).json() == started.json()
    assert operator.get("/admin/jobs/operations").json()["operations"] == [started.json()]
    cancelled = operator.post(f"{path}/cancel", {"reason": "enough"}, content_type=JSON)
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"filter": {"colour": "red"}}, (400, "invalid", "filter.colour")),
        ({"filter": {"payload": {"secret": 1}}}, (400, "invalid", "filter.payload")),
        ({"action": "delete"}, (400, "invalid_choice", "action")),
        ({"reason": " "}, (400, "blank", "reason")),
        ({"rate_per_second": 0}, (400, "min_value", "rate_per_second")),
        ({"filter": {"job_type": "probe_quick"}}, (409, "not_possible_now", None)),
    ],
)
def test_a_preview_that_is_refused_leaves_nothing(operator, body, expected):
    dead()
    before = everything()
    asked = {"action": "retry", "filter": {}, "reason": "r"} | body
    assert error(operator.post("/admin/jobs/bulk", asked, content_type=JSON)) == expected
    assert everything() == before


def test_a_wrong_count_starts_nothing(operator):
    dead()
    number = operations.preview("retry", DeadLetterFilter(), actor="anna", reason="r").pk
    before = everything()
    path = f"/admin/jobs/operations/{number}"
    assert error(operator.post(f"{path}/confirm", {"count": 7}, content_type=JSON))[:2] == (409, "not_possible_now")
    assert error(operator.post(f"{path}/cancel", {"reason": "r"}, content_type=JSON))[:2] == (409, "not_possible_now")
    missing = operator.post(f"/admin/jobs/operations/{number + 1}/confirm", {"count": 1}, content_type=JSON)
    assert error(missing)[:2] == (404, "not_found")
    assert everything() == before


def test_a_payload_is_corrected_or_refused_with_its_field(operator):
    job = dead(payload={"run": "a"})
    path = f"/admin/jobs/{job.pk}/payload"
    before = everything()
    wrong = operator.post(path, {"payload": {"run": 7}, "reason": "r"}, content_type=JSON)
    assert error(wrong) == (400, "invalid", "payload")
    assert everything() == before
    right = operator.post(path, {"payload": {"run": "b"}, "reason": "renamed"}, content_type=JSON)
    assert (right.status_code, right.json()["payload"]) == (200, {"run": "b"})
    assert right.json()["decisions"][0]["diff"] == {"changed": {"run": {"from": "a", "to": "b"}}}


def test_a_waiting_job_is_cancelled_alone_or_with_its_children(operator):
    root = queue.enqueue("probe", {})
    child = queue.enqueue("probe", {}, parent=root)
    path = f"/admin/jobs/{root.pk}/cancel"
    assert error(operator.post(path, {"reason": "r"}, content_type=JSON))[:2] == (409, "not_possible_now")
    answer = operator.post(path, {"reason": "r", "with_children": True}, content_type=JSON)
    assert (answer.status_code, answer.json()["resolution"]) == (200, "cancelled")
    child.refresh_from_db()
    assert child.resolution == "cancelled"


def test_a_type_is_paused_and_resumed(operator):
    paused = operator.post("/admin/jobs/pauses", {"job_type": "probe", "reason": "the node moves"}, content_type=JSON)
    assert (paused.status_code, paused.json()["name"], paused.json()["actor"]) == (201, "probe", "otto")
    assert [pause["name"] for pause in operator.get("/admin/jobs/pauses").json()] == ["probe"]
    before = everything()
    for body in ({"job_type": "probe"}, {"job_type": "nobody"}, {"service": "nobody"}, {}):
        refused = operator.post("/admin/jobs/pauses", {**body, "reason": "r"}, content_type=JSON)
        assert error(refused)[:2] == (409, "not_possible_now")
    assert everything() == before
    resumed = operator.post("/admin/jobs/pauses/resume", {"job_type": "probe", "reason": "done"}, content_type=JSON)
    assert (resumed.status_code, resumed.json()["resumed_by"]) == (200, "otto")
    assert operator.get("/admin/jobs/pauses").json() == []


def test_who_may_only_look_decides_nothing(viewer):
    job = dead(payload={"run": "a"})
    number = operations.preview("retry", DeadLetterFilter(), actor="anna", reason="r").pk
    controls.pause(actor="anna", reason="r", job_type="probe_quick")
    before = everything()
    stranger = client_for("sam", is_staff=False, may_review=True)
    for path, body in (
        ("bulk", {"action": "retry", "filter": {}, "reason": "r"}),
        (f"operations/{number}/confirm", {"count": 1}),
        (f"operations/{number}/cancel", {"reason": "r"}),
        (f"{job.pk}/payload", {"payload": {"run": "b"}, "reason": "r"}),
        (f"{job.pk}/cancel", {"reason": "r"}),
        ("pauses", {"job_type": "probe", "reason": "r"}),
        ("pauses/resume", {"job_type": "probe_quick", "reason": "r"}),
    ):
        for client in (viewer, stranger):
            answer = client.post(f"/admin/jobs/{path}", body, content_type=JSON)
            assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied"), path
        assert Client().post(f"/admin/jobs/{path}", body, content_type=JSON).status_code == 401, path
    assert everything() == before


# --- console -------------------------------------------------------------------------------------------------------
def text_of(answer) -> str:
    return answer.content.decode()


def test_groups_lead_to_the_decision_about_the_whole_group(operator, viewer):
    dead(payload={"run": "a"}, error="KeyError: 'x'")
    dead(payload={"run": "b"}, error="KeyError: 'y'")
    (group,) = groups(DeadLetterFilter())
    page = text_of(operator.get(reverse("admin:jobs_dead_letters"), {"q": "payload.run:a"}))
    assert f"{reverse('admin:jobs_bulk', args=['retry'])}?q=payload.run%3Aa&amp;fingerprint={group.fingerprint}" in page
    whole = operator.get(reverse("admin:jobs_dead_letters"))
    assert [(shown.count, len(whole.context["jobs"])) for shown, _ in whole.context["groups"]] == [(2, 2)]
    assert reverse("admin:jobs_bulk", args=["retry"]) not in text_of(viewer.get(reverse("admin:jobs_dead_letters")))
    wrong = operator.get(reverse("admin:jobs_dead_letters"), {"q": "nonsense"})
    assert "is not of the form name:value" in text_of(wrong)


def test_a_bulk_operation_is_previewed_confirmed_and_cancelled_in_the_console(operator):
    dead()
    dead()
    address = f"{reverse('admin:jobs_bulk', args=['retry'])}?job_type=probe"
    refused = operator.post(address, {"reason": " ", "rate": "5"})
    assert "and a reason" in text_of(refused)
    assert "the rate is 1 to 2000" in text_of(operator.post(address, {"reason": "r", "rate": "x"}))
    assert not JobOperation.objects.exists()
    page = operator.post(address, {"reason": "the node is back", "rate": "5"})["Location"]
    made = JobOperation.objects.get()
    assert (made.filter["job_type"], made.rate_per_second, made.actor) == ("probe", 5, "otto")
    assert "Type the number of jobs to retry" in text_of(operator.get(page))
    assert "3 was typed" in text_of(operator.post(page, {"confirm": "", "count": "3"}))
    assert JobOperation.objects.get().status == "previewed"
    operator.post(page, {"confirm": "", "count": "2"})
    assert JobOperation.objects.get().status == "running"
    live = operator.get(reverse("admin:jobs_operation_live", args=[made.pk]))
    assert "0 of 2 jobs reached" in text_of(live)
    assert "X-Live-Stop" not in live
    assert "a reason" in text_of(operator.post(page, {"cancel": "", "reason": ""}))
    operator.post(page, {"cancel": "", "reason": "enough"})
    assert JobOperation.objects.get().status == "cancelled"
    assert operator.get(reverse("admin:jobs_operation_live", args=[made.pk]))["X-Live-Stop"] == "1"
    listed = operator.get(reverse("admin:jobs_joboperation_changelist"))
    assert "0 of 2" in text_of(listed)
    assert operator.get(reverse("admin:jobs_joboperation_change", args=[made.pk]))["Location"] == page


def test_pauses_are_set_and_ended_in_the_console(operator):
    page = reverse("admin:jobs_pauses_page")
    assert "and a reason" in text_of(operator.post(page, {"pause": "", "target": "type:probe", "reason": ""}))
    assert "name either" in text_of(operator.post(page, {"pause": "", "target": "", "reason": "r"}))
    assert not Pause.objects.exists()
    operator.post(page, {"pause": "", "target": "service:ProbeService", "reason": "the node moves"})
    assert [(pause.scope, pause.name) for pause in controls.paused()] == [("service", "ProbeService")]
    assert "the node moves" in text_of(operator.get(page))
    operator.post(page, {"resume": "", "target": "service:ProbeService", "reason": "done"})
    assert controls.paused() == []
    assert "otto: done" in text_of(operator.get(page))


def test_a_payload_is_edited_in_the_console(operator):
    job = dead(payload={"run": "a"})
    page = reverse("admin:jobs_payload", args=[job.pk])
    assert page in text_of(operator.get(reverse("admin:jobs_job_change", args=[job.pk])))
    assert "&quot;run&quot;: &quot;a&quot;" in text_of(operator.get(page))
    for payload, reason in (("{", "r"), ('{"run": 7}', "r"), ('{"run": "b"}', " "), ("[" * 100_000, "r")):
        assert "errornote" in text_of(operator.post(page, {"payload": payload, "reason": reason}))
    assert not JobDecision.objects.exists()
    operator.post(page, {"payload": '{"run": "b"}', "reason": "renamed"})
    job.refresh_from_db()
    assert job.payload == {"run": "b"}
    assert "changed" in text_of(operator.get(reverse("admin:jobs_job_change", args=[job.pk])))


def test_a_waiting_parent_is_cancelled_with_its_children_in_the_console(operator):
    root = queue.enqueue("probe", {})
    queue.enqueue("probe", {}, parent=root)
    confirm = f"{reverse('admin:jobs_decide', args=['cancel-tree'])}?ids={root.pk}"
    page = text_of(operator.get(reverse("admin:jobs_job_change", args=[root.pk])))
    assert confirm in page
    assert "Cancel with its children" in page
    operator.post(confirm, {"reason": "called off"})
    assert set(Job.objects.values_list("resolution", flat=True)) == {"cancelled"}


def test_the_figures_page_shows_workers_and_tables(viewer):
    Worker.objects.create(name="host:7", host="host", pid=7, services=["ProbeService"], rss_bytes=90 * 2**20)
    for name in ("admin:jobs_figures", "admin:jobs_figures_live"):
        page = text_of(viewer.get(reverse(name)))
        assert "host:7" in page
        assert "90.0\xa0MB" in page
        assert "job_queue" in page


PAGES = ("jobs_dead_letters", "jobs_pauses_page", "jobs_figures", "jobs_figures_live")


def test_who_may_only_look_presses_no_button_and_strangers_see_nothing(viewer):
    job = dead(payload={"run": "a"})
    number = operations.preview("retry", DeadLetterFilter(), actor="anna", reason="r").pk
    before = everything()
    for address, body in (
        (reverse("admin:jobs_bulk", args=["retry"]), {"reason": "r", "rate": "5"}),
        (reverse("admin:jobs_operation_page", args=[number]), {"confirm": "", "count": "1"}),
        (reverse("admin:jobs_pauses_page"), {"pause": "", "target": "type:probe", "reason": "r"}),
        (reverse("admin:jobs_payload", args=[job.pk]), {"payload": "{}", "reason": "r"}),
    ):
        assert viewer.post(address, body).status_code == 403, address
    assert everything() == before
    nobody = client_for("nora")
    User.objects.get(username="nora").user_permissions.clear()
    for name in PAGES:
        assert viewer.get(reverse(f"admin:{name}")).status_code == 200
        assert nobody.get(reverse(f"admin:{name}")).status_code == 403
        assert Client().get(reverse(f"admin:{name}")).status_code == 302


def test_a_list_that_reads_too_much_says_what_to_do(operator, monkeypatch):
    monkeypatch.setattr("jobs.deadletters._READ_SECONDS", "0.001")
    queue.enqueue_many("probe", [{}] * 20_000)
    answer = operator.get(reverse("admin:jobs_job_changelist"), {"service": "ProbeService"})
    assert answer.status_code == 302
