"""What each finalised rejection means for the payments of a batch. Source of the texts: the node's PLT module, in its order of checks."""

from dataclasses import dataclass
from enum import StrEnum

from bonds.chain.gateway import Rejection
from bonds.models import HoldReason


class Verdict(StrEnum):
    HOLD_MEMBER = "hold_member"  # that recipient cannot be paid now; batch-mates are batched again
    WAIT = "wait"  # nobody's fault: paid once the wallet or the token is usable again
    HALT = "halt"  # the wallet itself is refused: every next transaction would be, for a fee each
    REVIEW = "review"  # not understood: a person looks


@dataclass(frozen=True)
class Meaning:
    verdict: Verdict
    hold_reason: str = ""


_BY_TEXT: tuple[tuple[str, Meaning], ...] = (
    ("addressnotfound", Meaning(Verdict.HOLD_MEMBER, HoldReason.ACCOUNT_MISSING)),
    ("recipient not in allow list", Meaning(Verdict.HOLD_MEMBER, HoldReason.PLT_REFUSES_RECIPIENT)),
    ("recipient in deny list", Meaning(Verdict.HOLD_MEMBER, HoldReason.PLT_REFUSES_RECIPIENT)),
    ("sender in deny list", Meaning(Verdict.HALT)),
    ("sender not in allow list", Meaning(Verdict.HALT)),
    ("is paused", Meaning(Verdict.WAIT)),
    ("tokenbalanceinsufficient", Meaning(Verdict.WAIT)),
    ("out_of_energy", Meaning(Verdict.REVIEW)),
)


def meaning(rejection: Rejection) -> Meaning:
    """The row of the table for this rejection; a hold needs the index of the refused member, else it is a review."""
    text = f"{rejection.reason} {rejection.detail}".lower()
    for part, row in _BY_TEXT:
        if part in text:
            if row.verdict is Verdict.HOLD_MEMBER and rejection.operation_index is None:
                return Meaning(Verdict.REVIEW)
            return row
    return Meaning(Verdict.REVIEW)
