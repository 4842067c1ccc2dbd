"""The queue's part of the staff API; mounted at /admin/jobs."""

from django.urls import path

from jobs import api, api_operations

urlpatterns = [
    path("", api.JobListView.as_view(), name="jobs"),
    path("/stats", api.JobStatsView.as_view(), name="jobs-stats"),
    path("/services", api.JobServicesView.as_view(), name="jobs-services"),
    path("/groups", api.DeadLetterGroupsView.as_view(), name="jobs-groups"),
    path("/bulk", api_operations.BulkPreviewView.as_view(), name="jobs-bulk"),
    path("/operations", api_operations.OperationListView.as_view(), name="jobs-operations"),
    path("/operations/<int:number>", api_operations.OperationView.as_view(), name="jobs-operation"),
    path("/operations/<int:number>/members", api_operations.MemberListView.as_view(), name="jobs-operation-members"),
    path("/operations/<int:number>/confirm", api_operations.ConfirmView.as_view(), name="jobs-operation-confirm"),
    path("/operations/<int:number>/cancel", api_operations.CancelView.as_view(), name="jobs-operation-cancel"),
    path("/pauses", api_operations.PauseListView.as_view(), name="jobs-pauses"),
    path("/pauses/resume", api_operations.ResumeView.as_view(), name="jobs-resume"),
    path("/<int:job_id>", api.JobDetailView.as_view(), name="job"),
    path("/<int:job_id>/retry", api.JobRetryView.as_view(), name="job-retry"),
    path("/<int:job_id>/discard", api.JobDiscardView.as_view(), name="job-discard"),
    path("/<int:job_id>/cancel", api.JobCancelView.as_view(), name="job-cancel"),
    path("/<int:job_id>/payload", api.JobPayloadView.as_view(), name="job-payload"),
]
