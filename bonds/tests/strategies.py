"""What hypothesis draws for the adapter's property tests, and the settings they run under: derived examples, so that green stays green."""

from hypothesis import settings
from hypothesis import strategies as st

from bonds.chain.concordium import addresses, tokens
from bonds.chain.concordium.tokens import ListOperation, SupplyOperation, SwitchOperation, TransferOperation
from bonds.chain.concordium.values import Address
from bonds.chain.devnet import encoding as devnet
from bonds.chain.gateway import Contract

steady = settings(derandomize=True, database=None, deadline=None, max_examples=60)
SENTENCE = r"\w+ \w+"  # an error says something, in words

u64 = st.integers(0, 2**64 - 1)
beyond_u64 = st.integers(max_value=-1) | st.integers(min_value=2**64)
accounts = st.binary(min_size=32, max_size=32)
wrong_accounts = st.binary(max_size=64).filter(lambda data: len(data) != 32)
decimals = st.integers(0, 255)
contract_addresses = st.builds(Contract, u64, u64)
parties = accounts.map(addresses.encode) | contract_addresses
memos = st.binary(max_size=tokens.MAX_MEMO_BYTES)
token_ids = st.text(sorted(tokens.TOKEN_ID_CHARACTERS), min_size=1, max_size=128)
transfers = st.builds(TransferOperation, accounts, u64, decimals, st.none() | memos, st.just(False))
operations = st.one_of(
    transfers,
    st.builds(TransferOperation, accounts, u64, decimals, memos, st.just(True)),
    st.builds(SupplyOperation, st.sampled_from(tokens.SUPPLY_KINDS), u64, decimals),
    st.builds(ListOperation, st.sampled_from(tokens.LIST_KINDS), accounts),
    st.builds(SwitchOperation, st.sampled_from(tokens.SWITCH_KINDS)),
)
signature_maps = st.dictionaries(
    st.integers(0, 255),
    st.dictionaries(st.integers(0, 255), st.binary(min_size=64, max_size=64), min_size=1, max_size=3),
    min_size=1,
    max_size=3,
)


def other(party: Address) -> devnet.Address:
    """The same address as the devnet writes it."""
    if isinstance(party, Contract):
        return devnet.ContractAddress(party.index, party.subindex)
    return devnet.address_bytes(party)
