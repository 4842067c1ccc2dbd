"""`manage.py concordium_check` against a devnet: what is fine is said, every fault is named, nothing is sent."""

import io
from datetime import timedelta
from types import SimpleNamespace

import cbor2
import pytest
from django.core.management import CommandError, call_command

from bonds.chain.concordium import client
from bonds.chain.concordium.adapter import ConcordiumGateway
from bonds.chain.devnet.genesis import new_account
from bonds.chain.devnet.network import MODULE_REFS
from bonds.chain.devnet.process import DevnetProcess
from bonds.chain.devnet.user import DevnetUser
from bonds.chain.gateway import Contract
from bonds.chain.wire import node_pb2 as pb
from bonds.management.commands.concordium_check import contract
from bonds.models import Wallet
from bonds.services import chain_check
from bonds.tests import factories, fake_node
from bonds.tests.conftest import DEVNET_MODULES, REGISTRY_CONTRACT, TOKEN_CONTRACT, account

pytestmark = pytest.mark.django_db

READING = {
    "GetConsensusInfo",
    "GetBlockInfo",
    "GetTokenInfo",
    "GetAccountInfo",
    "GetBlockChainParameters",
    "GetInstanceInfo",
    "InvokeInstance",
}
WIRED: ConcordiumGateway | None = None


def context():
    return SimpleNamespace(chain=WIRED)


@pytest.fixture
def chain(devnet):
    """A devnet with a block of now."""
    devnet.control.advance(blocks=2)
    return devnet


@pytest.fixture
def wallet(chain):
    with DevnetUser.from_keys_file(chain.address, chain.wallet_keys_file) as user:
        return factories.wallet(name="Cloud wallet", address=user.address)


@pytest.fixture
def bond(wallet):
    return factories.bond(
        wallet=wallet, postsale_contract_index=TOKEN_CONTRACT, registry_contract_index=REGISTRY_CONTRACT
    )


@pytest.fixture
def run(devnet, settings, monkeypatch):
    """The command's output and, where it ends with a fault, its last word."""
    settings.JOB_CONTEXT_FACTORY = "bonds.tests.test_concordium_check.context"

    def call(*options, endpoints=(), table=DEVNET_MODULES, genesis_hash=None):
        gateway = ConcordiumGateway(
            endpoints=[devnet.address, *endpoints], timeout_seconds=5, modules=table, genesis_hash=genesis_hash
        )
        monkeypatch.setattr("bonds.tests.test_concordium_check.WIRED", gateway)
        out = io.StringIO()
        try:
            call_command("concordium_check", *options, stdout=out)
        except CommandError as error:
            assert error.returncode == 1  # noqa: PT017 - the fault is what the caller looks at
            return out.getvalue(), str(error)
        return out.getvalue(), ""

    return call


def faults(output: str) -> list[str]:
    return [line.removeprefix("FAULT ") for line in output.splitlines() if line.startswith("FAULT ")]


def standing(devnet) -> dict:
    return {name: value for name, value in devnet.control.state().items() if name != "now_ms"}


def test_all_that_is_fine_is_said_and_nothing_is_sent(run, chain, bond, monkeypatch):
    asked = set()
    ask = client.Endpoint.unary
    monkeypatch.setattr(
        client.Endpoint, "unary", lambda self, name, request: asked.add(name) or ask(self, name, request)
    )
    before = standing(chain)
    output, fault = run()
    assert (faults(output), fault) == ([], "")
    address, genesis_hash = bond.wallet.address, chain.genesis.block_hash.hex()
    for line in (
        f"node {chain.address}: genesis {genesis_hash}",
        f"node {chain.address}: protocol 9",
        "token EURD: Devnet euro, 6 decimals, supply 20,000,000.000000",
        "token EURD: in force: deny list",
        f"wallet {address}: exists, next sequence number 1",
        f"wallet {address}: 10,000,000.000000 EURD",
        f"wallet {address}: is not on the deny list of EURD",
        f"wallet {address}: the books' next number is 1: 0 signed and not yet final",
        f"{bond.name}, token contract <1000,0>: module {MODULE_REFS['token']}, known as security_sft_multi",
        f"{bond.name}, token contract <1000,0>: wallet {address} may burn the lots of others",
        f"{bond.name}, registry <1001,0>: module {MODULE_REFS['registry']}, known as rwa_identity_registry",
        f"{bond.name}, registry <1001,0>: answers: wallet {address} is not_in_registry",
        f"network: not pinned; with CHAIN_GENESIS_HASH={genesis_hash} any other would be refused",
    ):
        assert f"ok    {line}\n" in output
    assert f"ok    node {chain.address}: last finalised block {before['final_height']} of " in output
    assert f"ok    wallet {address}: 1,000,000.000000 CCD for fees; a transaction of 100 transfers costs " in output
    assert output.endswith("all fine; nothing was sent\n")
    assert asked == READING
    assert standing(chain) == before


def test_before_there_are_books_the_options_say_what_is_looked_at(run, chain):
    with DevnetUser.from_keys_file(chain.address, chain.wallet_keys_file) as user:
        address = user.address
    output, fault = run("--wallet", address, "--token", "eurd", "--contract", "1000", "--contract", "<1001,0>")
    assert fault == ""
    assert f"wallet {address}: 10,000,000.000000 EURD\n" in output
    assert f"contract <1000,0>: wallet {address} may burn the lots of others\n" in output
    assert f"contract <1001,0>: answers: wallet {address} is not_in_registry\n" in output


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda devnet, wallet: devnet.control.pause_token("EURD"), ["token EURD: is paused: nothing can be paid"]),
        (
            lambda devnet, wallet: devnet.control.set_list("EURD", "deny", wallet),
            ["wallet {wallet}: is on the deny list of EURD"],
        ),
    ],
    ids=["paused", "denied"],
)
def test_what_the_chain_would_refuse_is_named(run, chain, bond, spoil, named):
    spoil(chain, bond.wallet.address)
    output, fault = run()
    assert faults(output) == [text.format(wallet=bond.wallet.address) for text in named]
    assert fault == "1 fault, named above"


def test_a_wallet_that_cannot_pay_one_fee_is_named(run, chain, bond):
    chain.control.set_ccd(bond.wallet.address, 1)
    (named,) = faults(run()[0])
    assert named.startswith(
        f"wallet {bond.wallet.address}: 0.000001 CCD for fees; a transaction of 100 transfers costs"
    )


def test_other_decimals_than_the_books_are_named(run, bond):
    bond.plt_decimals = 2
    bond.save()
    assert faults(run()[0]) == [f"token EURD: has 6 decimals, the books of {bond.name} say 2"]


def test_what_does_not_exist_is_named_and_the_rest_is_looked_at_all_the_same(run, chain, wallet):
    nobody = factories.wallet(address=account("nobody"))
    bond = factories.bond(
        wallet=wallet, plt_token_id="USDX", postsale_contract_index=4242, registry_contract_index=REGISTRY_CONTRACT
    )
    output, fault = run()
    named = faults(output)
    assert [text.split(":")[0] for text in named] == [
        "token USDX",
        f"wallet {wallet.address}",  # whose balance of that token cannot be told
        f"wallet {nobody.address}",
        f"{bond.name}, token contract <4242,0>",
    ]
    assert fault == "4 faults, named above"
    assert f"{bond.name}, registry <1001,0>: answers: wallet {wallet.address} is not_in_registry\n" in output
    assert f"wallet {wallet.address}: the books' next number is 1: 0 signed and not yet final\n" in output


def test_a_module_that_is_not_configured_or_is_another_contracts_is_named(run, bond):
    bond.registry_contract_index = TOKEN_CONTRACT
    bond.save()
    named = faults(run()[0])
    assert len(named) == 1
    assert f"module {MODULE_REFS['token']}, a security_sft_multi" in named[0]
    named = faults(run(table={})[0])
    assert len(named) == 2
    assert all("CHAIN_MODULES names no interface" in text for text in named)


def test_pre_sale_contract_and_fund_are_looked_at_where_the_books_name_them(run, bond):
    bond.presale_contract_index, bond.fund_contract_index = TOKEN_CONTRACT, REGISTRY_CONTRACT
    bond.save()
    output, _ = run()
    assert f"ok    {bond.name}, pre-sale contract <1000,0>: module {MODULE_REFS['token']}, known as" in output
    (named,) = faults(output)
    assert named.startswith(f"{bond.name}, fund <1001,0>: contract <1001,0> is of module {MODULE_REFS['registry']}, a ")
    assert named.endswith("; asked for was security_mint_fund")


def test_a_wallet_without_the_right_to_burn_is_named(run, chain, bond):
    address = new_account()[0]
    chain.control.create_accounts([(address, None)], micro_ccd=10**12)
    bond.wallet = factories.wallet(address=address)
    bond.save()
    subject = f"{bond.name}, token contract <1000,0>"
    assert faults(run()[0]) == [f"{subject}: wallet {address} may not burn the lots of others"]


def test_books_and_chain_that_disagree_about_the_sequence_number_are_named(run, chain, bond):
    subject = f"wallet {bond.wallet.address}"
    Wallet.objects.filter(pk=bond.wallet_id).update(next_sequence_number=4)
    for number in (1, 3):
        factories.transaction(bond.wallet, sequence_number=number)
    assert faults(run()[0]) == [f"{subject}: 1 numbers are taken in the books but carry no transaction there: 2"]
    factories.transaction(bond.wallet, sequence_number=2)
    output, _ = run()
    assert faults(output) == []
    assert f"{subject}: the books' next number is 4: 3 signed and not yet final\n" in output
    Wallet.objects.filter(pk=bond.wallet_id).update(next_sequence_number=1)
    with DevnetUser.from_keys_file(chain.address, chain.wallet_keys_file) as user:
        user.send(user.pay("EURD", [(user.address, 1)]))
        chain.control.advance(blocks=2)
    assert faults(run()[0]) == [f"{subject}: the chain's next number is 2, the books' 1: its key was used elsewhere"]


def test_a_halted_wallet_is_named(run, chain, bond):
    Wallet.objects.filter(pk=bond.wallet_id).update(halted_at=factories.NOW, halt_reason="foreign transaction")
    assert faults(run()[0]) == [f"wallet {bond.wallet.address}: is halted in the books: foreign transaction"]


def test_a_node_that_lags_is_named(run, devnet):
    (named,) = faults(run()[0])  # it is held: its last block is its first
    assert named.startswith(f"node {devnet.address}: last finalised block 0 of ")
    assert named.endswith("; at most 120 s are allowed")


def test_a_node_that_is_down_is_named_and_another_is_asked(run, chain, bond):
    output, fault = run(endpoints=["127.0.0.1:1"])
    (named,) = faults(output)
    assert named.startswith("node 127.0.0.1:1: 127.0.0.1:1: UNAVAILABLE")
    assert "token EURD: Devnet euro" in output
    assert fault == "1 fault, named above"


def test_a_node_of_another_network_is_named_pinned_or_not(run, chain, tmp_path):
    with DevnetProcess(tmp_path / "other", hold=True) as other:
        other.control.advance(blocks=2)
        ours, theirs = (node.genesis.block_hash.hex() for node in (chain, other))
        subject = f"node {other.address}: is of another network: genesis {theirs}, expected {ours}"
        assert faults(run(endpoints=[other.address])[0]) == [subject]
        assert faults(run(endpoints=[other.address], genesis_hash=ours)[0]) == [subject]
        output, _ = run(genesis_hash="00" * 32)
    assert faults(output) == [
        f"node {chain.address}: is of another network: genesis {ours}, expected {'00' * 32}",
        "chain: no node of the network answers: nothing else was looked at",
    ]


@pytest.mark.parametrize(("text", "expected"), [("7", Contract(7)), ("7,1", Contract(7, 1)), ("<7,1>", Contract(7, 1))])
def test_a_contract_is_named_by_its_index(text, expected):
    assert contract(text) == expected


@pytest.mark.parametrize("text", ["", "x", "7,", "-1", "<7;1>"])
def test_anything_else_names_no_contract(run, text):
    with pytest.raises(CommandError, match="not a contract address"):
        call_command("concordium_check", f"--contract={text}")


# ---- answers no devnet gives ----


def rates(denominator: int = 50_000) -> pb.ChainParameters:
    """One euro buys so much energy and costs 50 CCD."""
    return pb.ChainParameters(
        v3=pb.ChainParametersSinceV2(
            euro_per_energy=pb.ExchangeRate(value=pb.Ratio(numerator=1, denominator=denominator)),
            micro_ccd_per_euro=pb.ExchangeRate(value=pb.Ratio(numerator=50_000_000, denominator=1)),
        )
    )


def token_info(state: bytes) -> pb.TokenInfo:
    supply = pb.TokenAmount(value=100, decimals=6)
    described = pb.TokenState(decimals=6, total_supply=supply, module_state=pb.Bytes(value=state))
    return pb.TokenInfo(token_id=pb.Str(value="EUROe"), token_state=described)


def holder(**lists: bool) -> pb.AccountInfo:
    state = pb.TokenAccountState(module_state=pb.Bytes(value=cbor2.dumps(lists)))
    return fake_node.account_info(
        amount=fake_node.number(10**9),
        tokens=[pb.AccountToken(token_id=pb.Str(value="EUROe"), token_account_state=state)],
    )


@pytest.fixture
def look(network, node):
    """What the check finds at a node that answers as it is told to, with the wallet ALICE, the token EUROe and these contracts."""
    node.answers |= {
        "GetConsensusInfo": pb.ConsensusInfo(genesis_block=fake_node.wrapped(fake_node.GENESIS), protocol_version=8),
        "GetTokenInfo": token_info(cbor2.dumps({"name": "Euro"})),
        "GetAccountInfo": holder(),
        "GetBlockChainParameters": rates(),
        "InvokeInstance": fake_node.returned(b"\x01"),
    }

    def find(*contracts):
        gateway = fake_node.connect(network.serve(node))
        limits = chain_check.Limits(timedelta(days=1), batch_size=100)
        extra = chain_check.Extra([fake_node.ALICE], ["EUROe"], contracts)
        return chain_check.check(gateway.inspection, limits=limits, extra=extra, now=fake_node.START)

    return find


def fault_texts(findings):
    return [finding.text for finding in findings if finding.is_fault]


def test_both_kinds_of_registry_are_asked_in_their_own_way(look, node):
    findings = look(fake_node.TOKEN, fake_node.FUND, fake_node.REGISTRY, fake_node.STATES)
    assert fault_texts(findings) == []
    asked = [request.entrypoint.value for request in node.requests("InvokeInstance")]
    assert asked == [
        "security_sft_multi.isAgent",
        "rwa_identity_registry.isVerified",
        "rwa_identity_registry.getAddressState",
    ]


def test_a_protocol_without_tokens_is_a_fault(look, node):
    genesis = fake_node.wrapped(fake_node.GENESIS)
    node.answers["GetConsensusInfo"] = pb.ConsensusInfo(genesis_block=genesis, protocol_version=7)
    assert fault_texts(look()) == ["protocol 8, which has no protocol-level tokens (they came with 9)"]


@pytest.mark.parametrize(
    ("state", "account", "named"),
    [
        ({"allowList": True}, {}, ["is not on the allow list of EUROe"]),
        ({"allowList": True}, {"allowList": True}, []),
        ({"allowList": False}, {}, []),
        ({"denyList": True}, {"denyList": True}, ["is on the deny list of EUROe"]),
        ({"denyList": False}, {"denyList": True}, []),
    ],
)
def test_a_list_counts_where_it_is_in_force(look, node, state, account, named):
    node.answers |= {"GetTokenInfo": token_info(cbor2.dumps(state)), "GetAccountInfo": holder(**account)}
    assert fault_texts(look()) == named


@pytest.mark.parametrize(
    ("method", "answer", "named"),
    [
        ("GetTokenInfo", token_info(b"\xff"), "the state of token EUROe cannot be read: malformed CBOR"),
        (
            "GetBlockChainParameters",
            pb.ChainParameters(v0=pb.Empty()),
            "parameters are of a version this product does not",
        ),
        ("GetBlockChainParameters", rates(denominator=0), "the chain's parameters give no exchange rate"),
        ("InvokeInstance", fake_node.returned(b"\x07"), "isAgent gives no answer: not a boolean: 07"),
        ("InvokeInstance", fake_node.failed(runtime_failure=pb.Empty()), "isAgent gives no answer: runtime_failure"),
        ("InvokeInstance", pb.InvokeInstanceResponse(), "isAgent gives no answer"),
    ],
)
def test_an_answer_that_cannot_be_read_is_a_fault_and_no_crash(look, node, method, answer, named):
    node.answers[method] = answer
    assert any(named in text for text in fault_texts(look(fake_node.TOKEN)))
