"""Claims and refunds, for staff: the batches and what became of every investor. Started through the API; never edited."""

from django.contrib import admin
from django.utils.safestring import SafeString

from bonds.admin import AdminBase, ReadOnly, chip, short_address
from bonds.models import ClaimBatch, ClaimEntry, ClaimStatus

_CHIPS = {
    ClaimStatus.READY: "ready",
    ClaimStatus.SIGNED: "submitted",
    ClaimStatus.DONE: "completed",
    ClaimStatus.REFUSED: "needs_review",
}


@admin.register(ClaimBatch)
class ClaimBatchAdmin(ReadOnly, AdminBase):
    list_display = ("created_at", "bond", "kind", "created_by", "entries_done")
    list_filter = ("kind", "bond")
    list_select_related = ("bond", "created_by")
    ordering = ("-created_at",)

    @admin.display(description="settled")
    def entries_done(self, batch: ClaimBatch) -> str:
        return f"{batch.entries.filter(status=ClaimStatus.DONE).count():,} of {batch.entries.count():,}"


@admin.register(ClaimEntry)
class ClaimEntryAdmin(ReadOnly, AdminBase):
    list_display = ("short_investor", "bond", "kind", "state", "token_id", "refusal", "done_at")
    list_filter = ("status", "kind", "bond")
    list_select_related = ("bond",)
    search_fields = ("investor", "=batch__id")

    @admin.display(description="investor", ordering="investor")
    def short_investor(self, entry: ClaimEntry) -> SafeString | str:
        return short_address(entry.investor)

    @admin.display(description="status", ordering="status")
    def state(self, entry: ClaimEntry) -> SafeString:
        return chip(_CHIPS[ClaimStatus(entry.status)], entry.get_status_display())
