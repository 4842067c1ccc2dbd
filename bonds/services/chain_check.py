"""Whether the configured chain, its token, wallets and contracts are what the books expect. Only reads; decides and repairs nothing.

The chain is read before the books: what is committed to the books goes to the chain later, never earlier, so books that lie
behind the chain are a fault whenever this runs.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bonds.chain.concordium import tokens, transactions
from bonds.chain.concordium.client import Endpoint
from bonds.chain.concordium.contracts import AgentRole, Module
from bonds.chain.concordium.inspection import FIRST_PROTOCOL_WITH_TOKENS, AccountFacts, Inspection, NodeInspection
from bonds.chain.gateway import ChainError, Contract
from bonds.models import Bond, BondStatus, ChainTransaction, Wallet
from bonds.models.bond import contract_of_fund, contract_of_registry, contract_of_tokens

REGISTRIES = (Module.REGISTRY, Module.ADDRESS_STATES)
BURNER = (AgentRole.FORCED_BURN,)  # what redemption needs of the bond token
MEMO_BYTES = 64  # the longest memo that is sent
MICROCCD_DIGITS = 6


@dataclass(frozen=True)
class Finding:
    """One thing looked at: what of, what was seen, and whether that is a fault."""

    subject: str
    text: str
    is_fault: bool = False


@dataclass(frozen=True)
class Limits:
    """`max_behind`: how old the last finalised block may be; `batch_size`: transfers that one transaction carries."""

    max_behind: timedelta
    batch_size: int


@dataclass(frozen=True)
class Extra:
    """What is looked at beside the books, and before there are any."""

    wallets: Sequence[str] = ()
    token_ids: Sequence[str] = ()
    contracts: Sequence[Contract] = ()


@dataclass(frozen=True)
class Place:
    """A contract of the books: what it is there for, the interfaces it may speak, the wallets that act on it."""

    contract: Contract
    subject: str
    wanted: Sequence[Module]
    wallets: Sequence[str]


def check(inspection: Inspection, *, limits: Limits, extra: Extra, now: datetime) -> list[Finding]:
    """Everything there is to say, faults included; never raises for what a node answers or does not answer."""
    findings: list[Finding] = []
    usable: list[NodeInspection] = []
    for endpoint in inspection.endpoints:
        subject = f"node {endpoint.address}"
        findings += _asked(subject, _node(subject, inspection, endpoint, usable, max_behind=limits.max_behind, now=now))
    if not usable:
        return [
            *findings,
            Finding("chain", "no node of the network answers: nothing else was looked at", is_fault=True),
        ]
    if inspection.pinned_genesis_hash is None:
        text = f"not pinned; with CHAIN_GENESIS_HASH={usable[0].genesis_hash} any other would be refused"
        findings.append(Finding("network", text))
    return findings + _books(usable[0], limits, extra)


def _asked(subject: str, looking: Iterable[Finding]) -> list[Finding]:
    """What looking finds; where the chain gives no answer or cannot be asked, that is the last thing found, and a fault."""
    found = []
    try:
        for finding in looking:
            found.append(finding)
    except (ChainError, ValueError) as error:
        found.append(Finding(subject, str(error), is_fault=True))
    return found


# ---- the node -------------------------------------------------------------------------------------------------------


def _node(
    subject: str,
    inspection: Inspection,
    endpoint: Endpoint,
    usable: list[NodeInspection],
    *,
    max_behind: timedelta,
    now: datetime,
) -> Iterator[Finding]:
    """Looks at one node, and puts it on the list of usable ones when it belongs to the network: the pinned one, else the first seen."""
    node = inspection.ask(endpoint)
    expected = inspection.pinned_genesis_hash or (usable[0] if usable else node).genesis_hash
    if node.genesis_hash == expected:
        usable.append(node)
    yield from _network(subject, node, expected)
    yield from _head(subject, node, now, max_behind)


def _network(subject: str, node: NodeInspection, expected: str) -> Iterator[Finding]:
    if node.genesis_hash != expected:
        yield Finding(
            subject, f"is of another network: genesis {node.genesis_hash}, expected {expected}", is_fault=True
        )
    else:
        yield Finding(subject, f"genesis {node.genesis_hash}")
    has_tokens = node.protocol_version >= FIRST_PROTOCOL_WITH_TOKENS
    why = "" if has_tokens else f", which has no protocol-level tokens (they came with {FIRST_PROTOCOL_WITH_TOKENS})"
    yield Finding(subject, f"protocol {node.protocol_version}{why}", is_fault=not has_tokens)


def _head(subject: str, node: NodeInspection, now: datetime, max_behind: timedelta) -> Iterator[Finding]:
    head, age = node.head, now - node.head.time
    text = f"last finalised block {head.height} of {head.time:%Y-%m-%d %H:%M:%S} UTC, {age.total_seconds():.0f} s old"
    is_old = age > max_behind
    yield Finding(
        subject, text + (f"; at most {max_behind.total_seconds():.0f} s are allowed" if is_old else ""), is_old
    )


# ---- what the books expect ------------------------------------------------------------------------------------------


def _books(node: NodeInspection, limits: Limits, extra: Extra) -> list[Finding]:
    bonds = list(Bond.objects.exclude(status__in=(BondStatus.MATURED, BondStatus.ARCHIVED)).select_related("wallet"))
    token_ids = list(dict.fromkeys([*(bond.plt_token_id for bond in bonds), *extra.token_ids]))
    findings = []
    for token_id in token_ids:
        findings += _asked(f"token {token_id}", _token(node, token_id, bonds))
    for address in dict.fromkeys([*Wallet.objects.order_by("pk").values_list("address", flat=True), *extra.wallets]):
        wanted = [bond.plt_token_id for bond in bonds if bond.wallet.address == address]
        asked = list(dict.fromkeys([*wanted, *extra.token_ids]))
        findings += _asked(f"wallet {address}", _wallet(node, address, asked, limits))
    for place in [*_places(bonds), *_extra_places(extra)]:
        findings += _asked(place.subject, _contract(node, place))
    return findings


def _token(node: NodeInspection, token_id: str, bonds: Sequence[Bond]) -> Iterator[Finding]:
    token = node.token(token_id)
    subject = f"token {token_id}"
    supply = _decimal(token.total_supply_units, token.decimals)
    yield Finding(subject, f"{token.name}, {token.decimals} decimals, supply {supply}")
    lists = [name for name, on in (("allow list", token.has_allow_list), ("deny list", token.has_deny_list)) if on]
    yield Finding(subject, f"in force: {', '.join(lists) or 'no list'}")
    if token.paused:
        yield Finding(subject, "is paused: nothing can be paid", is_fault=True)
    for bond in bonds:
        if bond.plt_token_id == token_id and bond.plt_decimals != token.decimals:
            text = f"has {token.decimals} decimals, the books of {bond.name} say {bond.plt_decimals}"
            yield Finding(subject, text, is_fault=True)


def _wallet(node: NodeInspection, address: str, token_ids: Sequence[str], limits: Limits) -> Iterator[Finding]:
    account = node.account(address)
    subject = f"wallet {address}"
    yield Finding(subject, f"exists, next sequence number {account.sequence_number}")
    yield from _fees(subject, node, account, limits.batch_size)
    for token_id in token_ids:
        yield from _asked(subject, _holding(subject, node, account, token_id))
    for wallet in Wallet.objects.filter(address=address):
        yield from _sequence(subject, wallet, account.sequence_number)


def _fees(subject: str, node: NodeInspection, account: AccountFacts, batch_size: int) -> Iterator[Finding]:
    cost = node.cost_microccd(_batch_energy(batch_size))
    has = f"{_decimal(account.available_microccd, MICROCCD_DIGITS)} CCD for fees"
    one = f"a transaction of {batch_size} transfers costs {_decimal(cost, MICROCCD_DIGITS)}"
    yield Finding(subject, f"{has}; {one}", is_fault=account.available_microccd < cost)


def _batch_energy(batch_size: int) -> int:
    """Of a full batch with the longest memos and amounts, signed with one key."""
    transfer = tokens.TransferOperation(bytes(32), 2**64 - 1, MICROCCD_DIGITS, bytes(MEMO_BYTES))
    operations = (transfer,) * batch_size
    payload = transactions.TokenUpdate("token", tokens.encode_operations(operations)).encode()
    return transactions.token_update_energy(signature_count=1, payload_size=len(payload), operations=operations)


def _holding(subject: str, node: NodeInspection, account: AccountFacts, token_id: str) -> Iterator[Finding]:
    token, holding = node.token(token_id), account.holding(token_id)
    yield Finding(subject, f"{_decimal(holding.balance_units, token.decimals)} {token.token_id}")
    if token.has_allow_list:
        is_on = "on" if holding.is_allowed else "not on"
        yield Finding(subject, f"is {is_on} the allow list of {token_id}", is_fault=not holding.is_allowed)
    if token.has_deny_list:
        is_on = "on" if holding.is_denied else "not on"
        yield Finding(subject, f"is {is_on} the deny list of {token_id}", is_fault=holding.is_denied)


def _sequence(subject: str, wallet: Wallet, on_chain: int) -> Iterator[Finding]:
    """The numbers from the chain's next to the books' next must each belong to a transaction of ours."""
    if wallet.halted_at is not None:
        yield Finding(subject, f"is halted in the books: {wallet.halt_reason}", is_fault=True)
    ours = wallet.next_sequence_number
    if ours < on_chain:
        text = f"the chain's next number is {on_chain}, the books' {ours}: its key was used elsewhere"
        yield Finding(subject, text, is_fault=True)
        return
    rows = ChainTransaction.objects.filter(wallet=wallet, sequence_number__gte=on_chain)
    signed = set(rows.values_list("sequence_number", flat=True))
    missing = [number for number in range(on_chain, ours) if number not in signed]
    if missing:
        named = ", ".join(map(str, missing[:10]))
        text = f"{len(missing)} numbers are taken in the books but carry no transaction there: {named}"
        yield Finding(subject, text, is_fault=True)
    else:
        yield Finding(subject, f"the books' next number is {ours}: {ours - on_chain} signed and not yet final")


# ---- contracts ------------------------------------------------------------------------------------------------------


def _places(bonds: Sequence[Bond]) -> Iterator[Place]:
    for bond in bonds:
        wallets = [bond.wallet.address]
        tokens_of_bond = contract_of_tokens(bond)
        yield Place(tokens_of_bond, f"{bond.name}, token contract {_text(tokens_of_bond)}", [Module.SECURITY], wallets)
        registry = contract_of_registry(bond)
        yield Place(registry, f"{bond.name}, registry {_text(registry)}", REGISTRIES, wallets)
        if bond.presale_contract_index is not None:
            presale = Contract(bond.presale_contract_index, bond.presale_contract_subindex)
            yield Place(presale, f"{bond.name}, pre-sale contract {_text(presale)}", [Module.SECURITY], [])
        if fund := contract_of_fund(bond):
            yield Place(fund, f"{bond.name}, fund {_text(fund)}", [Module.FUND], [])


def _extra_places(extra: Extra) -> Iterator[Place]:
    for contract in extra.contracts:
        yield Place(contract, f"contract {_text(contract)}", list(Module), extra.wallets)


def _contract(node: NodeInspection, place: Place) -> Iterator[Finding]:
    reference = node.module_ref(place.contract)
    interface = node.interface(place.contract, place.wanted)
    yield Finding(place.subject, f"module {reference}, known as {interface}")
    for address in place.wallets:
        if interface is Module.SECURITY:
            may = node.has_roles(place.contract, address, BURNER)
            text = f"wallet {address} {'may' if may else 'may not'} burn the lots of others"
            yield Finding(place.subject, text, is_fault=not may)
        elif interface in REGISTRIES:
            state = node.registry_state(place.contract, address)
            yield Finding(place.subject, f"answers: wallet {address} is {state.value}")


def _text(contract: Contract) -> str:
    return f"<{contract.index},{contract.subindex}>"


def _decimal(units: int, decimals: int) -> str:
    if not decimals:
        return f"{units:,}"
    whole, part = divmod(units, 10**decimals)
    return f"{whole:,}.{part:0{decimals}}"
