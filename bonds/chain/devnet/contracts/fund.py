"""The fund `security_mint_fund`: what was invested, and what became of it. Must never settle an investment twice.

A fund sells lots of one security (token contract and token id: the bond's post-sale token). Investing mints frozen lots of its pre-sale
token to the investor; `claimInvestment` is both the claim and the refund. After success it burns the pre-sale lots and mints the security;
after failure it only burns. The contract itself must be an agent of both tokens (Mint, ForcedBurn), which is why an investor who makes the
fund an operator of theirs blocks their own claim.

The deployed contract takes a CIS-2 currency token and moves it as well. None exists here: `devnetInvest` states the amounts,
no currency moves.

Cells of fund contract C, keyed by the security's "<index>.<subindex>/<token id>": `fund/C/<security>` holds its pre-sale token and state,
`invested/C/<security>/<investor>` the amounts of security and currency not yet settled.
"""

from dataclasses import dataclass
from typing import Any

from bonds.chain.devnet.contracts.call import FUND, ITEM_ENERGY, ROLE_COUNT, Call, entrypoint, find
from bonds.chain.devnet.contracts.parameters import Security, burn_parameter, freeze_parameter, mint_parameter
from bonds.chain.devnet.encoding import (
    ContractAddress,
    Reader,
    agent_event,
    contract_party,
    investment_event,
    security_token,
)
from bonds.chain.devnet.outcomes import Reject
from bonds.chain.devnet.seed import party

ADD_FUND, REMOVE_FUND, UPDATE_STATE, OPERATOR = range(4)  # the roles of its agents
BAD_CONVERSION, BAD_STATE, NOT_MINTED, NOT_BURNED = -5, -6, -7, -8
NOT_UNFROZEN, NO_FUND, NO_INVESTMENT, NO_TOKEN, AGENT_EXISTS = -10, -11, -12, -13, -14
AGENT_ADDED, AGENT_REMOVED, FUND_ADDED, FUND_REMOVED, STATE_UPDATED = 1, 2, 3, 4, 5
INVESTED, CLAIMED, CANCELLED = 6, 7, 8
OPEN, SUCCESS, FAIL = "open", "success", "fail"
CALLS_PER_CLAIM = 2  # of the tokens


@dataclass(frozen=True)
class Investment:
    """What one investor is to be given for, or of, the pre-sale lots."""

    security: Security
    presale: Security
    investor: bytes
    amount: int


def security_key(security: Security) -> str:
    return f"{party(security[0])}/{security[1]}"


# ---- agents and funds ---------------------------------------------------------------------------------------------


@entrypoint("addAgent", FUND)
def add_agent(call: Call, reader: Reader) -> None:
    """Address and roles (u32 of them)."""
    agent, roles = reader.contract_party(), reader.roles(ROLE_COUNT[FUND] - 1)
    call.require_owner()
    if call.roles(agent):
        raise call.reject(AGENT_EXISTS)
    call.put("roles", party(agent), value=sorted(set(roles)))
    call.events.append(agent_event(AGENT_ADDED, agent, roles))


@entrypoint("removeAgent", FUND)
def remove_agent(call: Call, reader: Reader) -> None:
    agent = reader.contract_party()
    call.require_owner()
    call.put("roles", party(agent), value=[])
    call.events.append(bytes([AGENT_REMOVED]) + contract_party(agent))


@entrypoint("addFund", FUND)
def add_fund(call: Call, reader: Reader) -> None:
    """Pre-sale token, rate (numerator and denominator, u64 each), security. Both tokens must know their token id."""
    presale = reader.security_token()
    rate = reader.take(16)
    security = reader.security_token()
    call.require_role(ADD_FUND)
    if call.get("fund", security_key(security)) is not None:
        raise call.reject(NO_FUND)
    for token, token_id in (presale, security):
        _require_token(call, token, token_id)
    fund = {"presale": [presale[0].index, presale[0].subindex, presale[1]], "state": OPEN}
    call.put("fund", security_key(security), value=fund)
    call.events.append(bytes([FUND_ADDED]) + security_token(presale) + rate + security_token(security))


@entrypoint("removeFund", FUND)
def remove_fund(call: Call, reader: Reader) -> None:
    """A security whose investments are all settled."""
    security = reader.security_token()
    call.require_role(REMOVE_FUND)
    _fund(call, security)
    open_investments = call.cell("invested", security_key(security)) + "/"
    if any(key.startswith(open_investments) for key in call.draft.keys("invested")):
        raise call.reject(BAD_STATE)
    call.put("fund", security_key(security), value=None)
    call.events.append(bytes([FUND_REMOVED]) + security_token(security))


@entrypoint("updateFundState", FUND)
def update_fund_state(call: Call, reader: Reader) -> None:
    """Security, then 00 and who receives the currency (success) or 01 (failure). Once: nothing leaves those two states."""
    security, failed = reader.security_token(), reader.boolean()
    if not failed:
        reader.contract_receiver()
    call.require_role(UPDATE_STATE)
    fund = _fund(call, security)
    if fund["state"] != OPEN:
        raise call.reject(BAD_STATE)
    call.put("fund", security_key(security), value={**fund, "state": FAIL if failed else SUCCESS})
    call.events.append(bytes([STATE_UPDATED]) + call.parameter)


# ---- investments --------------------------------------------------------------------------------------------------


@entrypoint("devnetInvest", FUND)
def devnet_invest(call: Call, reader: Reader) -> None:
    """The devnet's own, in place of the currency token's call: u16 times: security, investor's 32 bytes, security and currency amounts."""
    call.require_role(OPERATOR)
    for _ in range(reader.little(2)):
        call.energy += ITEM_ENERGY
        security, investor = reader.security_token(), reader.take(32)
        amounts = reader.uleb128(), reader.uleb128()
        fund = _fund(call, security)
        if fund["state"] != OPEN:
            raise call.reject(BAD_STATE)
        if not all(amounts):
            raise call.reject(BAD_CONVERSION)
        presale, token_id = _presale(fund)
        before = call.get("invested", security_key(security), party(investor)) or (0, 0)
        after = [before[0] + amounts[0], before[1] + amounts[1]]
        call.put("invested", security_key(security), party(investor), value=after)
        lots = mint_parameter(token_id, [(investor, amounts[0], 0)])
        call.call_contract(presale, "mint", lots, failed=NOT_MINTED)
        call.events.append(investment_event(INVESTED, security, investor, amounts))


@entrypoint("claimInvestment", FUND)
def claim_investment(call: Call, reader: Reader) -> None:
    """u32 times: security, investor's 32 bytes. For oneself, or for anybody as an operator; all of them or none."""
    for _ in range(reader.little(4)):
        call.energy += ITEM_ENERGY
        security, investor = reader.security_token(), reader.take(32)
        if call.caller != investor:
            call.require_role(OPERATOR)
        fund = _fund(call, security)
        invested = call.get("invested", security_key(security), party(investor))
        if invested is None:
            raise call.reject(NO_INVESTMENT)
        if fund["state"] == OPEN:
            raise call.reject(BAD_STATE)
        call.put("invested", security_key(security), party(investor), value=None)
        claimed = fund["state"] == SUCCESS
        settle = _hand_out if claimed else _take_back
        settle(call, Investment(security, _presale(fund), investor, invested[0]))
        tag = CLAIMED if claimed else CANCELLED
        call.events.append(investment_event(tag, security, investor, (invested[0], invested[1])))


def _hand_out(call: Call, it: Investment) -> None:
    """Pre-sale lots become the security's; where one token is both, they are unfrozen."""
    token, token_id = it.security
    if it.presale == it.security:
        freed = freeze_parameter(it.investor, [(token_id, it.amount)])
        call.call_contract(token, "unFreeze", freed, failed=NOT_UNFROZEN)
        return
    _take_back(call, it)
    lots = mint_parameter(token_id, [(it.investor, 0, it.amount)])
    call.call_contract(token, "mint", lots, failed=NOT_MINTED)


def _take_back(call: Call, it: Investment) -> None:
    token, token_id = it.presale
    call.call_contract(token, "burn", burn_parameter([(token_id, it.amount, it.investor)]), failed=NOT_BURNED)


def _fund(call: Call, security: Security) -> dict[str, Any]:
    fund = call.get("fund", security_key(security))
    if fund is None:
        raise call.reject(NO_FUND)
    return fund


def _presale(fund: dict[str, Any]) -> Security:
    index, subindex, token_id = fund["presale"]
    return ContractAddress(index, subindex), token_id


def _require_token(call: Call, token: ContractAddress, token_id: int) -> None:
    try:
        find(call.draft, token)
    except Reject as error:
        raise call.reject(NO_TOKEN) from error
    if call.draft.get(f"supplied/{token.index}/{token_id}") is None:
        raise call.reject(NO_TOKEN)
