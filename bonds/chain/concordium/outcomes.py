"""What a node says of a transaction, in the gateway's words: its stage, its transfers, why it had no effect. Tells
every reject reason apart."""

from collections.abc import Callable, Mapping
from typing import Any

from bonds.chain.concordium import addresses, tokens
from bonds.chain.gateway import Rejection, Stage, TokenTransferred, TransactionState


def finalized_block(status: Any) -> bytes | None:
    """The hash of the block a finalised transaction is in; None before finality."""
    return status.finalized.outcome.block_hash.value if status.WhichOneof("status") == "finalized" else None


def transaction_state(transaction_hash: str, status: Any, block_height: int | None) -> TransactionState:
    """The state of one hash from a node's BlockItemStatus. `block_height` is that of `finalized_block`.

    ValueError for a transfer whose sides are not accounts. A finalised outcome of a kind that neither transfers tokens
    nor rejects has no transfers and no rejection: whoever expects transfers sees that they are not there.
    """
    stage = status.WhichOneof("status")
    if stage == "received":
        return TransactionState(transaction_hash, Stage.RECEIVED)
    if stage == "committed":
        return TransactionState(transaction_hash, Stage.COMMITTED)
    if stage != "finalized":
        return TransactionState(transaction_hash, Stage.NOT_FOUND)
    outcome = status.finalized.outcome
    details = outcome.outcome.account_transaction
    effects = details.effects
    return TransactionState(
        transaction_hash,
        Stage.FINALIZED,
        block_hash=outcome.block_hash.value.hex(),
        block_height=block_height,
        energy=outcome.outcome.energy_cost.value,
        cost_microccd=details.cost.value,
        transfers=_transfers(effects.token_update_effect),
        rejection=rejection(effects.none.reject_reason) if effects.WhichOneof("effect") == "none" else None,
    )


def _transfers(effect: Any) -> tuple[TokenTransferred, ...]:
    return tuple(
        _transfer(event.token_id.value, event.transfer_event)
        for event in effect.events
        if event.WhichOneof("event") == "transfer_event"
    )


def _transfer(token_id: str, event: Any) -> TokenTransferred:
    return TokenTransferred(
        token_id=token_id,
        sender=addresses.encode(getattr(event, "from").account.value),
        recipient=addresses.encode(event.to.account.value),
        amount_units=event.amount.value,
        decimals=event.amount.decimals,
        memo=event.memo.value if event.HasField("memo") else None,
    )


def rejection(reject_reason: Any) -> Rejection:
    """The chain's own name of the reason, the failing operation of a batch, and the facts given with it.

    A token module's reject carries its type as the reason ("operationNotPermitted") and its text as the detail
    ("recipient not in allow list").
    """
    kind = reject_reason.WhichOneof("reason")
    if kind is None:
        return Rejection("unknown_reject_reason")
    fact = getattr(reject_reason, kind)
    if kind == "token_update_transaction_failed":
        return _token_rejection(fact)
    describe = DETAILS.get(kind)
    return Rejection(kind, detail=describe(fact) if describe else "")


# What each reason of interest carries beyond its name.
DETAILS: Mapping[str, Callable[[Any], str]] = {
    "non_existent_token_id": lambda fact: str(fact.value),
    "invalid_account_reference": lambda fact: addresses.encode(fact.value),
    "rejected_receive": lambda fact: f"{fact.receive_name.value} code {fact.reject_reason}",
    "invalid_receive_method": lambda fact: str(fact.receive_name.value),
    "invalid_contract_address": lambda fact: f"<{fact.index},{fact.subindex}>",
}


def _token_rejection(fact: Any) -> Rejection:
    if not fact.HasField("details"):
        return Rejection(fact.type)
    try:
        details = tokens.decode_reject_details(fact.details.value)
    except ValueError:
        return Rejection(fact.type, detail=f"unreadable details {fact.details.value.hex()}")
    return Rejection(fact.type, details.operation_index, details.reason)
