"""The bond token `security_sft_multi`, where it moves lots: mint, burn, transfer, recover, balances. Must never do a part of a call.

Two paths lead to a burn or a transfer. Whoever may act for the owner (the owner, or an operator the owner named) takes the plain one, which
stops at the frozen part; an agent with the role of force takes the forced one, which unfreezes what it needs. The contract looks for the
plain one first: an owner who names the agent an operator thereby closes the forced path.

No identity registry and no compliance contract is linked to a token here, and a contract that receives lots is not told.
"""

import struct
from collections.abc import Callable

from bonds.chain.devnet.contracts import lots
from bonds.chain.devnet.contracts.call import ITEM_ENERGY, TOKEN, Call, entrypoint
from bonds.chain.devnet.contracts.rights import Role
from bonds.chain.devnet.encoding import (
    Address,
    Reader,
    burn_event,
    frozen_event,
    mint_event,
    recovered_event,
    transfer_event,
    uleb128,
    unfrozen_event,
)


@entrypoint("mint", TOKEN)
def mint(call: Call, reader: Reader) -> None:
    """Token id, then u32 times: receiver, frozen amount, amount that is not."""
    call.require_role(Role.MINT)
    token_id = reader.contract_token_id()
    for _ in range(reader.little(4)):
        call.energy += ITEM_ENERGY
        owner = reader.contract_receiver()
        frozen_amount = reader.uleb128()
        amount = frozen_amount + reader.uleb128()
        lots.require_amount(call, amount)
        lots.change_supply(call, token_id, amount)
        lots.add(call, token_id, owner, amount, frozen_amount=frozen_amount)
        call.events.append(mint_event(token_id, amount, owner))
        if frozen_amount:
            call.events.append(frozen_event(token_id, frozen_amount, owner))


@entrypoint("burn", TOKEN)
def burn(call: Call, reader: Reader) -> None:
    """u16 times: token id, amount, owner. Any number of owners and token ids, all of them or none."""
    roles = call.roles(call.caller)
    for _ in range(reader.little(2)):
        call.energy += ITEM_ENERGY
        token_id, amount, owner = reader.contract_token_id(), reader.uleb128(), reader.contract_party()
        forced = _is_forced(call, owner, roles, Role.FORCED_BURN)
        lots.require_amount(call, amount)
        lots.change_supply(call, token_id, -amount)
        _log_unfrozen(call, token_id, owner, lots.take(call, token_id, owner, amount, forced=forced))
        call.events.append(burn_event(token_id, amount, owner))


@entrypoint("transfer", TOKEN)
def transfer(call: Call, reader: Reader) -> None:
    """CIS-2: u16 times: token id, amount, from, receiver, u16 and that much data."""
    roles = call.roles(call.caller)
    for _ in range(reader.little(2)):
        call.energy += ITEM_ENERGY
        token_id, amount = reader.contract_token_id(), reader.uleb128()
        sender, recipient = reader.contract_party(), reader.contract_receiver()
        reader.take(reader.little(2))
        forced = _is_forced(call, sender, roles, Role.FORCED_TRANSFER)
        _move(call, token_id, amount, sender, recipient, forced=forced)


@entrypoint("forcedTransfer", TOKEN)
def forced_transfer(call: Call, reader: Reader) -> None:
    """The devnet's own: u16 times: token id, amount, from, to. Always the forced path, whoever named whom an operator."""
    call.require_role(Role.FORCED_TRANSFER)
    for _ in range(reader.little(2)):
        call.energy += ITEM_ENERGY
        token_id, amount = reader.contract_token_id(), reader.uleb128()
        sender, recipient = reader.contract_party(), reader.contract_party()
        if not lots.is_known(call, sender):
            raise call.reject(lots.BAD_ADDRESS)
        _move(call, token_id, amount, sender, recipient, forced=True)


@entrypoint("recover", TOKEN)
def recover(call: Call, reader: Reader) -> None:
    """Lost address, new address. The balances move, and no event but Recovered says so."""
    lost, new = reader.contract_party(), reader.contract_party()
    call.require_role(Role.HOLDER_RECOVERY)
    lots.hand_over(call, lost, new)
    call.events.append(recovered_event(lost, new))


@entrypoint("balanceOf", TOKEN)
def balance_of(call: Call, reader: Reader) -> None:
    """u16 times: token id, address; answers as many amounts, frozen parts included."""
    _balances(call, reader, lots.balance)


@entrypoint("balanceOfFrozen", TOKEN)
def balance_of_frozen(call: Call, reader: Reader) -> None:
    _balances(call, reader, lots.frozen)


@entrypoint("balanceOfUnFrozen", TOKEN)
def balance_of_unfrozen(call: Call, reader: Reader) -> None:
    _balances(
        call, reader, lambda call, token, holder: lots.balance(call, token, holder) - lots.frozen(call, token, holder)
    )


def _is_forced(call: Call, owner: Address, roles: list[int], force: Role) -> bool:
    """Which path the caller takes against this owner. Rejects for an unknown owner, and for a caller without any right."""
    if not lots.is_known(call, owner):
        raise call.reject(lots.BAD_ADDRESS)
    if call.caller == owner or lots.is_operator(call, owner, call.caller):
        return False
    if force in roles:
        return True
    if Role.OPERATOR in roles:
        return False
    raise call.unauthorised()


def _move(call: Call, token_id: int, amount: int, sender: Address, recipient: Address, *, forced: bool) -> None:
    # Of a paused token id this contract says that it does not exist.
    lots.require_token(call, token_id)
    if lots.is_paused(call, token_id):
        raise call.reject(lots.BAD_TOKEN_ID)
    lots.require_amount(call, amount)
    lots.add(call, token_id, recipient, amount)
    _log_unfrozen(call, token_id, sender, lots.take(call, token_id, sender, amount, forced=forced))
    call.events.append(transfer_event(token_id, amount, sender, recipient))


def _log_unfrozen(call: Call, token_id: int, holder: Address, amount: int) -> None:
    if amount:
        call.events.append(unfrozen_event(token_id, amount, holder))


def _balances(call: Call, reader: Reader, balance: Callable[[Call, int, Address], int]) -> None:
    amounts = []
    for _ in range(reader.little(2)):
        call.energy += ITEM_ENERGY
        token_id, holder = reader.contract_token_id(), reader.contract_party()
        lots.require_token(call, token_id)
        amounts.append(uleb128(balance(call, token_id, holder)))
    call.returned = struct.pack("<H", len(amounts)) + b"".join(amounts)
