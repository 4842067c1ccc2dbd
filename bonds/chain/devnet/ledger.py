"""Executes one transaction on a draft of the state: what it pays, what it changes, or why not. Must never leave a half-made effect."""

from bonds.chain.devnet import contracts, token_module
from bonds.chain.devnet.encoding import EncodingError
from bonds.chain.devnet.network import Genesis
from bonds.chain.devnet.outcomes import (
    ContractEffect,
    Meter,
    Outcome,
    Reject,
    SerializationFailure,
    TokenEffect,
    UnknownToken,
)
from bonds.chain.devnet.parse import ContractUpdate, ParseError, TokenUpdate, Transaction, parse_payload
from bonds.chain.devnet.seed import token_key
from bonds.chain.devnet.state import Draft

TYPE_UPDATE, TYPE_TOKEN_UPDATE = 2, 21  # as a summary numbers them; the payload's own tags are 2 and 27


class CannotInclude(Exception):
    """The transaction may not enter this block: wrong number, or too little CCD for the energy it states."""


def execute(draft: Draft, transaction: Transaction, genesis: Genesis) -> Outcome:
    """Apply the transaction to `draft`: number and fee always, effects only when all of them succeed. CannotInclude leaves it untouched.

    Energy: 100 per signature, one per byte of header and payload, then what each operation costs; a failing operation is paid for.
    """
    account = transaction.account
    available = draft.get(f"ccd/{account}", 0)
    if draft.get(f"nonce/{account}") != transaction.sequence_number or available < genesis.cost(transaction.energy):
        raise CannotInclude
    meter = Meter(transaction.energy)
    trial = Draft(draft)
    effect, reject, kind = None, None, None
    try:
        meter.tick(transaction.base_energy)
        payload = _payload(transaction)
        kind = TYPE_TOKEN_UPDATE if isinstance(payload, TokenUpdate) else TYPE_UPDATE
        effect = _effect(trial, transaction, payload, meter)
        trial.commit_to(draft)
    except Reject as reason:
        reject = reason
    cost = genesis.cost(meter.used)
    draft.put(f"nonce/{account}", transaction.sequence_number + 1)
    draft.put(f"ccd/{account}", available - cost)
    return Outcome(
        transaction_hash=transaction.transaction_hash,
        sender=transaction.sender,
        transaction_type=kind,
        energy=meter.used,
        cost_microccd=cost,
        effect=effect,
        reject=reject,
    )


def _payload(transaction: Transaction) -> TokenUpdate | ContractUpdate:
    try:
        return parse_payload(transaction.payload)
    except (EncodingError, ParseError) as error:
        raise SerializationFailure from error


def _effect(
    trial: Draft, transaction: Transaction, payload: TokenUpdate | ContractUpdate, meter: Meter
) -> TokenEffect | ContractEffect:
    if isinstance(payload, TokenUpdate):
        meter.tick(token_module.BASE_ENERGY)
        if trial.get(f"token/{token_key(payload.token_id)}") is None:
            raise UnknownToken(payload.token_id)
        return token_module.execute(
            trial, token_id=payload.token_id, sender=transaction.sender, operations=payload.operations, meter=meter
        )
    call = contracts.Call(
        draft=trial,
        contract=payload.contract,
        instance=contracts.find(trial, payload.contract),
        receive_name=payload.receive_name,
        parameter=payload.parameter,
        caller=transaction.sender,
        amount=payload.amount,
    )
    try:
        contracts.invoke(call)
    finally:
        meter.tick(call.energy)
    return ContractEffect(tuple(call.trace))
