"""Outcomes as the messages a node answers with. Must never decide anything."""

from collections.abc import Mapping
from typing import Any

from bonds.chain.devnet import outcomes as o
from bonds.chain.devnet.encoding import Address, ContractAddress
from bonds.chain.wire import node_pb2 as pb

CONTRACT_VERSION = 1


def wrapped(value: bytes) -> pb.Bytes:
    return pb.Bytes(value=value)


def u64(value: int) -> pb.U64:
    return pb.U64(value=value)


def contract_address(contract: ContractAddress) -> pb.ContractAddress:
    return pb.ContractAddress(index=contract.index, subindex=contract.subindex)


def address(value: Address) -> pb.Address:
    if isinstance(value, ContractAddress):
        return pb.Address(contract=contract_address(value))
    return pb.Address(account=wrapped(value))


def summary(outcome: o.Outcome, *, position: int) -> pb.BlockItemSummary:
    """One transaction's outcome, as it stands in its block."""
    if outcome.reject is not None:
        none = pb.NoEffect(reject_reason=reject_reason(outcome.reject))
        if outcome.transaction_type is not None:
            none.transaction_type = outcome.transaction_type
        effects = pb.AccountTransactionEffects(none=none)
    elif isinstance(outcome.effect, o.TokenEffect):
        effects = pb.AccountTransactionEffects(token_update_effect=_token_effect(outcome.effect))
    else:
        assert outcome.effect is not None
        effects = pb.AccountTransactionEffects(contract_update_issued=_contract_effect(outcome.effect))
    return pb.BlockItemSummary(
        index=u64(position),
        energy_cost=u64(outcome.energy),
        hash=wrapped(outcome.transaction_hash),
        account_transaction=pb.AccountTransactionDetails(
            cost=u64(outcome.cost_microccd), sender=wrapped(outcome.sender), effects=effects
        ),
    )


def _holder(account: bytes) -> pb.TokenHolder:
    return pb.TokenHolder(account=wrapped(account))


def _token_effect(effect: o.TokenEffect) -> pb.TokenEffect:
    return pb.TokenEffect(events=[_token_event(effect, event) for event in effect.events])


def _token_event(effect: o.TokenEffect, event: o.TokenEvent) -> pb.TokenEvent:
    message = pb.TokenEvent(token_id=pb.Str(value=effect.token_id))
    if isinstance(event, o.TokenModuleEvent):
        message.module_event.CopyFrom(pb.TokenModuleEvent(type=event.type, details=wrapped(event.details)))
        return message
    amount = pb.TokenAmount(value=event.amount, decimals=effect.decimals)
    if isinstance(event, o.TokenSupplyChanged):
        change = pb.TokenSupplyUpdateEvent(target=_holder(event.target), amount=amount)
        (message.mint_event if event.minted else message.burn_event).CopyFrom(change)
        return message
    transfer = message.transfer_event
    getattr(transfer, "from").CopyFrom(_holder(event.sender))
    transfer.to.CopyFrom(_holder(event.recipient))
    transfer.amount.CopyFrom(amount)
    if event.memo is not None:
        transfer.memo.CopyFrom(wrapped(event.memo))
    return message


def _contract_effect(effect: o.ContractEffect) -> pb.ContractUpdateIssued:
    return pb.ContractUpdateIssued(effects=[_trace_step(step) for step in effect.trace])


def _trace_step(step: o.TraceStep) -> pb.ContractTraceElement:
    contract = contract_address(step.contract)
    if isinstance(step, o.Resumed):
        return pb.ContractTraceElement(resumed=pb.InstanceResumed(address=contract, success=step.success))
    events = [wrapped(event) for event in step.events]
    if isinstance(step, o.Interrupted):
        return pb.ContractTraceElement(interrupted=pb.InstanceInterrupted(address=contract, events=events))
    updated = pb.InstanceUpdated(
        contract_version=CONTRACT_VERSION,
        address=contract,
        instigator=address(step.instigator),
        amount=u64(step.amount),
        parameter=wrapped(step.parameter),
        receive_name=pb.Str(value=step.receive_name),
        events=events,
    )
    return pb.ContractTraceElement(updated=updated)


def reject_reason(reject: o.Reject) -> pb.RejectReason:  # noqa: PLR0911 - one line per reason
    """The reason as the node's oneof names it."""
    match reject:
        case o.OutOfEnergy():
            return pb.RejectReason(out_of_energy=pb.Empty())
        case o.UnknownToken():
            return pb.RejectReason(non_existent_token_id=pb.Str(value=reject.token_id))
        case o.TokenRejected():
            failed = pb.TokenModuleRejectReason(
                token_id=pb.Str(value=reject.token_id), type=reject.reason, details=wrapped(reject.details)
            )
            return pb.RejectReason(token_update_transaction_failed=failed)
        case o.UnknownContract():
            return pb.RejectReason(invalid_contract_address=contract_address(reject.contract))
        case o.UnknownEntrypoint():
            method = pb.InvalidReceiveMethod(
                module_ref=wrapped(reject.module_ref), receive_name=pb.Str(value=reject.receive_name)
            )
            return pb.RejectReason(invalid_receive_method=method)
        case o.ContractRejected():
            rejected = pb.RejectedReceive(
                reject_reason=reject.code,
                contract_address=contract_address(reject.contract),
                receive_name=pb.Str(value=reject.receive_name),
                parameter=wrapped(reject.parameter),
            )
            return pb.RejectReason(rejected_receive=rejected)
    return pb.RejectReason(serialization_failure=pb.Empty())


def credential(index: str, account: Mapping[str, Any]) -> pb.AccountCredential:
    """One credential of an account: its keys are real, everything about its holder is empty."""
    keys = {
        int(key): pb.AccountVerifyKey(ed25519_key=bytes.fromhex(value)) for key, value in account["keys"][index].items()
    }
    empty = pb.Policy(created_at=pb.YearMonth(year=2024, month=1), valid_to=pb.YearMonth(year=2099, month=12))
    return pb.AccountCredential(
        normal=pb.NormalCredential(
            keys=pb.CredentialPublicKeys(keys=keys, threshold=pb.U32(value=account["credential_threshold"])),
            cred_id=wrapped(bytes(16) + bytes.fromhex(account["address"])),
            ip_id=pb.U32(value=0),
            policy=empty,
            ar_threshold=pb.U32(value=1),
            commitments=pb.CredentialCommitments(
                prf=wrapped(bytes(48)), cred_counter=wrapped(bytes(48)), max_accounts=wrapped(bytes(48))
            ),
        )
    )
