"""The bond token's books: who holds how much of each lot, how much of it is frozen, what was recovered. Must never create or lose a unit.

Cells of contract C, addresses as `seed.party` names them:
`lot/C/<token id>/<holder>` the whole balance, frozen part included; `frozen/C/<token id>/<holder>` that part;
`supplied/C/<token id>` the supply, present for every token id the contract knows; `stopped/C/<token id>` true while paused;
`holder/C/<holder>` every token id the holder ever had, or the name of the address that took over;
`operator/C/<owner>/<operator>` true while the one may act for the other.
"""

from bonds.chain.devnet.contracts.call import Call
from bonds.chain.devnet.encoding import U64_MAX, Address
from bonds.chain.devnet.seed import party, party_address

BAD_TOKEN_ID, BAD_FUNDS = -42000001, -42000002
PAUSED, BAD_AMOUNT, BAD_ADDRESS, RECOVERED = -6, -7, -8, -15


def is_known(call: Call, holder: Address) -> bool:
    """Whether the contract ever heard of the address: as a holder, an agent or somebody recovered."""
    name = party(holder)
    return call.get("holder", name) is not None or call.get("roles", name) is not None or bool(call.roles(holder))


def successor(call: Call, holder: Address) -> Address | None:
    """Who took over from a recovered address."""
    cell = call.get("holder", party(holder))
    return party_address(cell) if isinstance(cell, str) else None


def balance(call: Call, token_id: int, holder: Address) -> int:
    return call.get("lot", token_id, party(holder)) or 0


def frozen(call: Call, token_id: int, holder: Address) -> int:
    return call.get("frozen", token_id, party(holder)) or 0


def require_token(call: Call, token_id: int) -> None:
    if call.get("supplied", token_id) is None:
        raise call.reject(BAD_TOKEN_ID)


def is_paused(call: Call, token_id: int) -> bool:
    return bool(call.get("stopped", token_id))


def require_amount(call: Call, amount: int) -> None:
    if not amount:
        raise call.reject(BAD_AMOUNT)


def change_supply(call: Call, token_id: int, difference: int) -> None:
    """Rejects for an unknown token id, a paused one, and a supply below zero; one over u64 is a trap there and lack of funds here."""
    require_token(call, token_id)
    if is_paused(call, token_id):
        raise call.reject(PAUSED)
    supply = call.get("supplied", token_id) + difference
    if not 0 <= supply <= U64_MAX:
        raise call.reject(BAD_FUNDS)
    call.put("supplied", token_id, value=supply)


def add(call: Call, token_id: int, holder: Address, amount: int, *, frozen_amount: int = 0) -> None:
    """Give `amount`, of which `frozen_amount` is frozen. Rejects for a recovered address."""
    name = party(holder)
    ever = call.get("holder", name)
    if isinstance(ever, str):
        raise call.reject(RECOVERED)
    total = balance(call, token_id, holder) + amount
    if total > U64_MAX:
        raise call.reject(BAD_FUNDS)
    if ever is None or token_id not in ever:
        call.put("holder", name, value=[*(ever or ()), token_id])
    _put(call, token_id, holder, total, frozen(call, token_id, holder) + frozen_amount)


def take(call: Call, token_id: int, holder: Address, amount: int, *, forced: bool) -> int:
    """Take `amount` away and tell how much of it had to be unfrozen: nothing unless `forced`."""
    if successor(call, holder) is not None:
        raise call.reject(RECOVERED)
    total, stuck = balance(call, token_id, holder), frozen(call, token_id, holder)
    unfreeze = max(0, amount - (total - stuck))
    if amount > total or (unfreeze and not forced):
        raise call.reject(BAD_FUNDS)
    _put(call, token_id, holder, total - amount, stuck - unfreeze)
    return unfreeze


def freeze(call: Call, token_id: int, holder: Address, difference: int) -> None:
    """Freeze more of a lot, or less where `difference` is negative."""
    if successor(call, holder) is not None:
        raise call.reject(RECOVERED)
    total, stuck = balance(call, token_id, holder), frozen(call, token_id, holder) + difference
    if not 0 <= stuck <= total:
        raise call.reject(BAD_FUNDS)
    _put(call, token_id, holder, total, stuck)


def hand_over(call: Call, lost: Address, new: Address) -> None:
    """Everything of one address, rights included, becomes another's that the contract never heard of."""
    if not is_known(call, lost) or successor(call, lost) is not None:
        raise call.reject(RECOVERED)
    if is_known(call, new):
        raise call.reject(BAD_ADDRESS)
    ever = call.get("holder", party(lost)) or []
    roles = call.roles(lost)
    for token_id in ever:
        total, stuck = balance(call, token_id, lost), frozen(call, token_id, lost)
        _put(call, token_id, lost, 0, 0)
        _put(call, token_id, new, total, stuck)
    call.put("holder", party(lost), value=party(new))
    call.put("holder", party(new), value=ever)
    call.put("roles", party(lost), value=[])
    call.put("roles", party(new), value=roles)
    for operator in operators(call, lost):
        call.put("operator", party(lost), operator, value=None)
        call.put("operator", party(new), operator, value=True)


def operators(call: Call, owner: Address) -> list[str]:
    """The names of those who may act for an owner."""
    wanted = call.cell("operator", party(owner)) + "/"
    return [key.removeprefix(wanted) for key in call.draft.keys("operator") if key.startswith(wanted)]


def is_operator(call: Call, owner: Address, operator: Address | None) -> bool:
    return operator is not None and bool(call.get("operator", party(owner), party(operator)))


def _put(call: Call, token_id: int, holder: Address, total: int, stuck: int) -> None:
    call.put("lot", token_id, party(holder), value=total or None)
    if stuck or frozen(call, token_id, holder):
        call.put("frozen", token_id, party(holder), value=stuck or None)
