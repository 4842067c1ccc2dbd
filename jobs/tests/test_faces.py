"""Console and API of the queue: read by staff, decided about with the permission and a reason, never counted row by row."""

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from jobs import metrics, queue
from jobs.admin import EstimatePaginator
from jobs.models import Job, JobDecision, Worker
from jobs.tests.claims import claim, enqueue_and_run
from jobs.tests.people import client_for

pytestmark = pytest.mark.django_db


@pytest.fixture
def dead(effects):
    return enqueue_and_run("probe", {"boom": True}, max_retries=0)


@pytest.fixture
def viewer():
    return client_for("vera")


@pytest.fixture
def operator():
    return client_for("otto", may_review=True)


# --- API -----------------------------------------------------------------------------------------------------------
def test_jobs_are_listed_newest_first_by_keyset(viewer):
    ids = [queue.enqueue("probe", {}).pk for _ in range(5)]
    queue.enqueue("probe_quick", {})
    page = viewer.get("/admin/jobs", {"job_type": "probe", "limit": 3}).json()
    assert [job["id"] for job in page["jobs"]] == ids[:1:-1]
    rest = viewer.get("/admin/jobs", {"job_type": "probe", "limit": 3, "before": page["next"]}).json()
    assert [job["id"] for job in rest["jobs"]] == ids[1::-1]
    assert rest["next"] is None
    assert viewer.get("/admin/jobs", {"status": "failed"}).json() == {"jobs": [], "next": None}
    assert viewer.get("/admin/jobs", {"status": "sleeping"}).status_code == 400


def test_a_job_shows_its_attempts_with_tracebacks(viewer, dead):
    shown = viewer.get(f"/admin/jobs/{dead.pk}").json()
    assert (shown["status"], shown["payload"], shown["last_error"]) == ("failed", {"boom": True}, "RuntimeError: boom")
    assert [(attempt["number"], attempt["outcome"]) for attempt in shown["history"]] == [(1, "failed")]
    assert "RuntimeError: boom" in shown["history"][0]["traceback"]
    assert viewer.get("/admin/jobs/999999").status_code == 404


def test_an_operator_retries_through_the_api(operator, dead):
    answer = operator.post(f"/admin/jobs/{dead.pk}/retry", {"reason": "fixed"}, content_type="application/json")
    assert (answer.status_code, answer.json()["status"]) == (200, "pending")
    assert answer.json()["decisions"][0]["actor"] == "otto"
    again = operator.post(f"/admin/jobs/{dead.pk}/discard", {"reason": "x"}, content_type="application/json")
    assert (again.status_code, again.json()["code"]) == (409, "not_possible_now")


@pytest.mark.parametrize("decision", ["retry", "discard"])
def test_without_reason_or_permission_nothing_happens(operator, viewer, dead, decision):
    path = f"/admin/jobs/{dead.pk}/{decision}"
    assert operator.post(path, {}, content_type="application/json").status_code == 400
    assert viewer.post(path, {"reason": "x"}, content_type="application/json").status_code == 403
    stranger = client_for("sam", is_staff=False, may_review=True)
    assert stranger.post(path, {"reason": "x"}, content_type="application/json").status_code == 403
    assert Client().post(path, {"reason": "x"}, content_type="application/json").status_code in {401, 403}
    assert not JobDecision.objects.exists()
    assert Job.objects.get().status == "failed"


def test_figures_and_services(viewer, dead):
    queue.enqueue_many("probe_quick", [{}] * 3)
    claim(limit=1)
    Worker.objects.create(name="w", host="h", pid=1, services=["ProbeService"])
    shown = viewer.get("/admin/jobs/stats").json()
    assert shown["by_status"] == {"pending": 2, "processing": 1, "completed": 0, "failed": 1, "retrying": 0}
    assert (shown["due"], shown["dead_letters"], shown["workers_alive"]) == (2, 1, 1)
    ages = ("oldest_due_seconds", "oldest_dead_letter_seconds", "timings", "machines")
    assert shown == {**metrics.figures().as_dict(), **{age: shown[age] for age in ages}}
    (service,) = viewer.get("/admin/jobs/services").json()
    assert (service["name"], service["workers_alive"]) == ("ProbeService", 1)
    quick = next(kind for kind in service["job_types"] if kind["name"] == "probe_quick")
    assert (quick["open"], quick["completed"], quick["wait"]) == ({"pending": 2, "processing": 1}, 0, None)


# --- console -------------------------------------------------------------------------------------------------------
def test_the_list_is_found_by_number_key_status_and_type(operator, dead):
    keyed = queue.enqueue("probe_quick", {}, unique_key="coupon:7")
    changelist = reverse("admin:jobs_job_changelist")
    for asked, found in (
        ({"q": str(dead.pk)}, dead),
        ({"q": "coupon:7"}, keyed),
        ({"status__exact": "failed"}, dead),
        ({"job_type": "probe_quick"}, keyed),
    ):
        rows = operator.get(changelist, asked).context["cl"].result_list
        assert [job.pk for job in rows] == [found.pk], asked


def test_a_page_shows_the_traceback_and_what_can_be_decided(operator, viewer, dead):
    page = operator.get(reverse("admin:jobs_job_change", args=[dead.pk])).content.decode()
    assert "raise RuntimeError" in page
    assert reverse("admin:jobs_decide", args=["retry"]) in page
    assert (
        reverse("admin:jobs_decide", args=["retry"])
        not in viewer.get(reverse("admin:jobs_job_change", args=[dead.pk])).content.decode()
    )


def test_decisions_are_confirmed_with_a_reason(operator, dead):
    chosen = operator.post(
        reverse("admin:jobs_job_changelist"), {"action": "discard_selected", "_selected_action": [str(dead.pk)]}
    )
    confirm = chosen["Location"]
    assert "RuntimeError: boom" in operator.get(confirm).content.decode()
    assert "A reason is required." in operator.post(confirm, {"reason": " "}).content.decode()
    assert not JobDecision.objects.exists()
    operator.post(confirm, {"reason": "wrong input"})
    job = Job.objects.get()
    assert (job.resolution, job.resolved_by, job.resolution_reason) == ("discarded", "otto", "wrong input")


def test_a_viewer_cannot_decide_in_the_console(viewer, dead):
    address = f"{reverse('admin:jobs_decide', args=['retry'])}?ids={dead.pk}"
    assert viewer.get(address).status_code == 403
    assert viewer.post(address, {"reason": "x"}).status_code == 403
    assert Job.objects.get().status == "failed"


def test_nothing_is_added_changed_or_deleted_by_hand(dead):
    root = Client()
    root.force_login(
        User.objects.create_superuser("root", password="p"), backend="django.contrib.auth.backends.ModelBackend"
    )
    assert root.get(reverse("admin:jobs_job_add")).status_code == 403
    assert root.post(reverse("admin:jobs_job_delete", args=[dead.pk]), {"post": "yes"}).status_code == 403
    assert root.post(reverse("admin:jobs_job_change", args=[dead.pk]), {"status": "completed"}).status_code == 403
    assert root.get(reverse("admin:jobs_worker_changelist")).status_code == 200
    assert Job.objects.get().status == "failed"


def test_the_list_never_counts_the_whole_table(operator, monkeypatch):
    monkeypatch.setattr(metrics, "estimated_rows", lambda table: 3_000_000)
    queue.enqueue_many("probe", [{}] * 3)
    with CaptureQueriesContext(connection) as queries:
        page = operator.get(reverse("admin:jobs_job_changelist"))
    assert page.context["cl"].result_count == 3_000_000
    counts = [query["sql"] for query in queries if "COUNT(" in query["sql"].upper() and "job_queue" in query["sql"]]
    assert counts == []
    assert EstimatePaginator(Job.objects.filter(status="pending").order_by("pk"), 50).count == 3
