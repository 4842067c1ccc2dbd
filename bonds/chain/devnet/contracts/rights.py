"""The bond token's rights and switches: agents and their roles, operators, pausing, freezing, token ids. Moves no lot."""

from collections.abc import Iterable
from enum import IntEnum

from bonds.chain.devnet.contracts import lots
from bonds.chain.devnet.contracts.call import ITEM_ENERGY, ROLE_COUNT, TOKEN, Call, entrypoint
from bonds.chain.devnet.encoding import (
    Reader,
    agent_event,
    contract_party,
    contract_token_id,
    frozen_event,
    operator_event,
    paused_event,
    unfrozen_event,
    vector,
)
from bonds.chain.devnet.seed import party

AGENT_ADDED, AGENT_REMOVED, TOKEN_METADATA, TOKEN_REMOVED = 0xFA, 0xF9, 0xFB, 0xF1


class Role(IntEnum):
    """What an agent of the bond token may do; the contract's own numbers."""

    SET_IDENTITY_REGISTRY = 0
    SET_COMPLIANCE = 1
    ADD_AGENT = 2
    MINT = 3
    FORCED_BURN = 4
    FORCED_TRANSFER = 5
    FREEZE = 6
    UNFREEZE = 7
    HOLDER_RECOVERY = 8
    PAUSE = 9
    UNPAUSE = 10
    ADD_TOKEN = 11
    OPERATOR = 12
    REMOVE_TOKEN = 13
    SET_TOKEN_METADATA = 14


# ---- agents -------------------------------------------------------------------------------------------------------


@entrypoint("isAgent", TOKEN)
def is_agent(call: Call, reader: Reader) -> None:
    """Address and roles (u32 of them): has it all of these?"""
    address, roles = reader.contract_party(), reader.roles(ROLE_COUNT[TOKEN] - 1)
    active = lots.is_known(call, address) and lots.successor(call, address) is None
    call.returned = _yes(active and set(roles) <= set(call.roles(address)))


@entrypoint("addAgent", TOKEN)
def add_agent(call: Call, reader: Reader) -> None:
    """Address and roles: from now on exactly these. Of the owner alone, whatever the role AddAgent promises."""
    address, roles = reader.contract_party(), reader.roles(ROLE_COUNT[TOKEN] - 1)
    call.require_owner()
    if lots.successor(call, address) is not None:
        raise call.reject(lots.RECOVERED)
    call.put("roles", party(address), value=sorted(set(roles)))
    call.events.append(agent_event(AGENT_ADDED, address, roles))


@entrypoint("removeAgent", TOKEN)
def remove_agent(call: Call, reader: Reader) -> None:
    call.require_owner()
    address = reader.contract_party()
    if not lots.is_known(call, address):
        raise call.reject(lots.BAD_ADDRESS)
    if lots.successor(call, address) is not None:
        raise call.reject(lots.RECOVERED)
    call.put("roles", party(address), value=[])
    call.events.append(agent_event(AGENT_REMOVED, address, ()))


# ---- operators ----------------------------------------------------------------------------------------------------


@entrypoint("updateOperator", TOKEN)
def update_operator(call: Call, reader: Reader) -> None:
    """CIS-2: u16 times: 01 to add or 00 to remove, operator. Any address may do this for itself, at any time."""
    if call.caller is None:
        raise call.unauthorised()
    owner = call.caller
    for _ in range(reader.little(2)):
        call.energy += ITEM_ENERGY
        added, operator = reader.boolean(), reader.contract_party()
        if lots.successor(call, owner) is not None:
            raise call.reject(lots.RECOVERED)
        if call.get("holder", party(owner)) is None:
            call.put("holder", party(owner), value=[])
        call.put("operator", party(owner), party(operator), value=added or None)
        call.events.append(operator_event(owner, operator, added=added))


@entrypoint("operatorOf", TOKEN)
def operator_of(call: Call, reader: Reader) -> None:
    """CIS-2: u16 times: owner, address; answers as many yes or no."""
    answers = []
    for _ in range(reader.little(2)):
        owner, address = reader.contract_party(), reader.contract_party()
        answers.append(_yes(lots.is_operator(call, owner, address)))
    call.returned = vector(answers, width=2)


@entrypoint("recoveryAddress", TOKEN)
def recovery_address(call: Call, reader: Reader) -> None:
    """Who took over from a recovered address: 00, or 01 and the address."""
    new = lots.successor(call, reader.contract_party())
    call.returned = b"\x00" if new is None else b"\x01" + contract_party(new)


# ---- freezing and pausing -----------------------------------------------------------------------------------------


@entrypoint("freeze", TOKEN)
def freeze(call: Call, reader: Reader) -> None:
    """Owner, then u32 times: token id, amount."""
    call.require_role(Role.FREEZE)
    _freeze(call, reader, frozen=True)


@entrypoint("unFreeze", TOKEN)
def unfreeze(call: Call, reader: Reader) -> None:
    call.require_role(Role.UNFREEZE)
    _freeze(call, reader, frozen=False)


def _freeze(call: Call, reader: Reader, *, frozen: bool) -> None:
    owner = reader.contract_party()
    freezes = [(reader.contract_token_id(), reader.uleb128()) for _ in range(reader.little(4))]
    if not lots.is_known(call, owner):
        raise call.reject(lots.BAD_ADDRESS)
    for token_id, amount in freezes:
        call.energy += ITEM_ENERGY
        lots.require_amount(call, amount)
        lots.freeze(call, token_id, owner, amount if frozen else -amount)
        event = frozen_event if frozen else unfrozen_event
        call.events.append(event(token_id, amount, owner))


@entrypoint("pause", TOKEN)
def pause(call: Call, reader: Reader) -> None:
    """u32 times: token id. Nothing of it is minted or burned by anybody, forced or not, until it is unpaused."""
    call.require_role(Role.PAUSE)
    _pause(call, reader, paused=True)


@entrypoint("unPause", TOKEN)
def unpause(call: Call, reader: Reader) -> None:
    call.require_role(Role.UNPAUSE)
    _pause(call, reader, paused=False)


def _pause(call: Call, reader: Reader, *, paused: bool) -> None:
    for token_id in _token_ids(reader):
        lots.require_token(call, token_id)
        call.put("stopped", token_id, value=paused or None)
        call.events.append(paused_event(token_id, paused=paused))


@entrypoint("isPaused", TOKEN)
def is_paused(call: Call, reader: Reader) -> None:
    answers = []
    for token_id in _token_ids(reader):
        lots.require_token(call, token_id)
        answers.append(_yes(lots.is_paused(call, token_id)))
    call.returned = vector(answers)


# ---- token ids ----------------------------------------------------------------------------------------------------


@entrypoint("addToken", TOKEN)
def add_token(call: Call, reader: Reader) -> None:
    """Token id, u32 and that much URL, 00 or 01 and u32 and that much of its hash in hex. Known already: its supply stays as it is."""
    token_id = reader.contract_token_id()
    url = reader.take(reader.little(4))
    digest = reader.take(reader.little(4)) if reader.boolean() else None
    call.require_role(Role.ADD_TOKEN)
    if call.get("supplied", token_id) is None:
        call.put("supplied", token_id, value=0)
    call.events.append(
        bytes([TOKEN_METADATA]) + contract_token_id(token_id) + len(url).to_bytes(2, "little") + url + _checksum(digest)
    )


@entrypoint("removeToken", TOKEN)
def remove_token(call: Call, reader: Reader) -> None:
    """A token id of which nothing is left."""
    token_id = reader.contract_token_id()
    call.require_role(Role.REMOVE_TOKEN)
    if call.get("supplied", token_id) != 0:
        raise call.reject(lots.BAD_TOKEN_ID)
    call.put("supplied", token_id, value=None)
    call.put("stopped", token_id, value=None)
    call.events.append(bytes([TOKEN_REMOVED]) + contract_token_id(token_id))


def _token_ids(reader: Reader) -> Iterable[int]:
    return [reader.contract_token_id() for _ in range(reader.little(4))]


def _checksum(digest: bytes | None) -> bytes:
    """A metadata hash as CIS-2 logs it; one that is not 32 bytes in hex counts as none."""
    if digest is None or len(digest) != 64:
        return b"\x00"
    try:
        return b"\x01" + bytes.fromhex(digest.decode("ascii"))
    except ValueError:
        return b"\x00"


def _yes(value: bool) -> bytes:
    return b"\x01" if value else b"\x00"
