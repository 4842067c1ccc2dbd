"""What every chain adapter must do, as tests of the Protocol alone: subclass it and give it a world.

Knows no wire format and no error but the gateway's own.
"""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Protocol

import pytest

from bonds.chain.gateway import (
    ChainGateway,
    ChainRefused,
    ChainUnavailable,
    Contract,
    Hint,
    RegistryState,
    SignedTransaction,
    Stage,
    Transfer,
)

MEMO = bytes(range(16))


class World(Protocol):
    """A chain with one wallet whose keys the gateway holds, one PLT of which the wallet has plenty, a bond token and a registry."""

    gateway: ChainGateway
    unreachable: ChainGateway  # the same adapter, with nobody at its endpoint
    wallet: str
    token_id: str
    bond: Contract
    registry: Contract
    nowhere: Contract  # an address at which there is no contract

    def person(self, *, whitelisted: bool = True) -> str:
        """A new account."""
        ...

    def alias(self, account: str) -> str:
        """Another spelling of the same account."""
        ...

    def stranger(self) -> str:
        """A well-formed address of no account."""
        ...

    def mint(self, holder: str, token_id: int, amount: int) -> None:
        """A lot of the bond token, final when this returns."""
        ...

    def finalise(self, *, seconds: float = 0) -> None:
        """Let time pass and everything submitted become final."""
        ...

    def drop_next_submit(self) -> None: ...


class GatewayConformance:
    """Subclasses give the fixture `world`."""

    def sign(self, world: World, *, amount: int = 5, to: str | None = None, seconds: float = 300) -> SignedTransaction:
        gateway = world.gateway
        return gateway.sign_transfers(
            sender=world.wallet,
            token_id=world.token_id,
            decimals=gateway.token(world.token_id).decimals,
            transfers=[Transfer(to or world.person(), amount, MEMO)],
            sequence_number=gateway.next_sequence_number(world.wallet),
            expires_at=gateway.head().time.replace(microsecond=0) + timedelta(seconds=seconds),
        )

    def stage(self, world: World, signed: SignedTransaction) -> Stage:
        return world.gateway.states([signed.transaction_hash])[signed.transaction_hash].stage

    def is_dead(self, world: World, signed: SignedTransaction) -> bool:
        return world.gateway.provably_dead(
            sender=signed.sender,
            sequence_number=signed.sequence_number,
            expires_at=signed.expires_at,
            transaction_hashes=[signed.transaction_hash],
        )

    # --- addresses ---
    def test_aliases_are_one_account_and_have_one_key(self, world: World):
        account = world.person()
        alias, key = world.alias(account), world.gateway.account_key(account)
        assert alias != account
        assert world.gateway.same_account(account, alias)
        assert not world.gateway.same_account(account, world.wallet)
        assert world.gateway.account_key(alias) == key == world.gateway.account_key(key)

    @pytest.mark.parametrize("text", ["", "nonsense", "0" * 50])
    def test_what_is_no_address_has_no_key(self, world: World, text: str):
        with pytest.raises(ValueError, match=r"."):
            world.gateway.account_key(text)

    # --- reading ---
    def test_the_head_is_final_aware_and_never_goes_back(self, world: World):
        before = world.gateway.head()
        world.finalise()
        after = world.gateway.head()
        assert after.height >= before.height
        assert after.time.tzinfo is not None
        assert len(after.block_hash) == 64

    def test_a_token_and_its_balances_are_told_and_unknown_ones_refused(self, world: World):
        gateway, person = world.gateway, world.person()
        token = gateway.token(world.token_id.lower())
        assert (token.token_id, token.paused) == (world.token_id, False)
        assert gateway.token_balance_units(person, world.token_id) == 0
        assert gateway.token_balance_units(world.wallet, world.token_id) > 0
        assert gateway.fee_balance_microccd(world.wallet) > 0
        with pytest.raises(ChainRefused):
            gateway.token("NOSUCHTOKEN")
        with pytest.raises(ChainRefused):
            gateway.token_balance_units(world.stranger(), world.token_id)
        with pytest.raises(ChainRefused):
            gateway.next_sequence_number(world.stranger())

    def test_every_address_gets_its_own_registry_state(self, world: World):
        listed, unlisted = world.person(), world.person(whitelisted=False)
        states = world.gateway.registry_states(world.registry, [listed, unlisted], world.gateway.head().block_hash)
        assert states == {listed: RegistryState.WHITELISTED, unlisted: RegistryState.NOT_IN_REGISTRY}

    def test_blocks_come_in_order_without_gaps_and_with_the_watched_events_only(self, world: World):
        holder = world.person()
        world.mint(holder, 20454, 7)
        head = world.gateway.head().height
        blocks = list(world.gateway.blocks(0, head, [world.bond]))
        assert [block.height for block in blocks] == list(range(head + 1))
        assert all(child.parent_hash == block.block_hash for block, child in pairwise(blocks))
        (minted,) = [event for block in blocks for event in block.events if event.recipient == holder]
        assert (minted.kind, minted.token_id, minted.amount_raw, minted.contract) == ("mint", 20454, 7, world.bond)
        assert not [event for block in world.gateway.blocks(0, head, []) for event in block.events]

    def test_the_contracts_own_balances_are_those_of_the_block_asked_for(self, world: World):
        holder, before = world.person(), world.gateway.head().block_hash
        world.mint(holder, 20454, 7)
        asked = [(holder, 20454), (holder, 20455), (world.person(), 20454)]
        told = world.gateway.lot_balances(world.bond, asked, world.gateway.head().block_hash)
        assert [told[lot] for lot in asked] == [7, 0, 0]
        assert world.gateway.lot_balances(world.bond, asked[:1], before)[asked[0]] == 0

    def test_the_last_block_at_a_moment_is_settled_or_not_known_yet(self, world: World):
        middle = world.gateway.head()
        world.finalise(seconds=30)
        assert world.gateway.last_block_at(middle.time + timedelta(seconds=5)).height >= middle.height
        assert world.gateway.last_block_at(middle.time).time <= middle.time
        with pytest.raises(ChainUnavailable):
            world.gateway.last_block_at(world.gateway.head().time + timedelta(days=1))
        with pytest.raises(ChainRefused):
            world.gateway.last_block_at(datetime(1999, 1, 1, tzinfo=UTC))

    def test_whether_a_contract_was_there(self, world: World):
        height = world.gateway.head().height
        assert world.gateway.has_contract(world.bond, height)
        assert not world.gateway.has_contract(world.nowhere, height)

    # --- writing ---
    def test_signing_is_pure(self, world: World):
        person = world.person()
        first, second = self.sign(world, to=person), self.sign(world, to=person)
        assert first == second
        assert self.sign(world, to=person, amount=6).transaction_hash != first.transaction_hash
        assert "raw" not in repr(first)

    def test_what_is_submitted_becomes_final_with_every_transfer_told(self, world: World):
        person = world.person()
        signed = self.sign(world, to=person, amount=12)
        assert self.stage(world, signed) is Stage.NOT_FOUND
        assert world.gateway.submit(signed.raw).hint is Hint.ACCEPTED
        assert self.stage(world, signed) is not Stage.NOT_FOUND
        world.finalise()
        state = world.gateway.states([signed.transaction_hash])[signed.transaction_hash]
        assert (state.stage, state.rejection) == (Stage.FINALIZED, None)
        (event,) = state.transfers
        assert (event.token_id, event.amount_units, event.memo) == (world.token_id, 12, MEMO)
        assert world.gateway.same_account(event.recipient, person)
        assert world.gateway.same_account(event.sender, world.wallet)
        assert world.gateway.token_balance_units(person, world.token_id) == 12
        assert world.gateway.next_sequence_number(world.wallet) == signed.sequence_number + 1
        assert state.cost_microccd > 0

    def test_the_same_bytes_twice_are_known_and_happen_once(self, world: World):
        person = world.person()
        signed = self.sign(world, to=person)
        assert world.gateway.submit(signed.raw).hint is Hint.ACCEPTED
        assert world.gateway.submit(signed.raw).hint is Hint.KNOWN
        world.finalise()
        assert world.gateway.submit(signed.raw).hint is Hint.KNOWN
        world.finalise()
        assert world.gateway.token_balance_units(person, world.token_id) == 5

    def test_what_the_chain_rejects_is_final_without_effect_and_says_which_member(self, world: World):
        signed = self.sign(world, to=world.stranger())
        assert world.gateway.submit(signed.raw).hint is Hint.ACCEPTED
        world.finalise()
        state = world.gateway.states([signed.transaction_hash])[signed.transaction_hash]
        assert (state.stage, state.transfers, state.rejection.operation_index) == (Stage.FINALIZED, (), 0)

    def test_nothing_submitted_is_ever_an_exception(self, world: World):
        assert world.gateway.submit(b"").hint is Hint.REFUSED
        assert world.gateway.submit(b"nonsense").hint is Hint.REFUSED
        assert world.unreachable.submit(self.sign(world).raw).hint is Hint.UNREACHABLE

    def test_with_nobody_there_every_question_is_unavailable(self, world: World):
        for ask in (
            world.unreachable.head,
            lambda: world.unreachable.token(world.token_id),
            lambda: world.unreachable.states(["ab" * 32]),
            lambda: world.unreachable.next_sequence_number(world.wallet),
            lambda: list(world.unreachable.blocks(0, 1, [])),
        ):
            with pytest.raises(ChainUnavailable):
                ask()

    def test_dead_is_only_what_can_never_be_included_any_more(self, world: World):
        signed = self.sign(world, seconds=60)
        world.drop_next_submit()
        world.gateway.submit(signed.raw)
        world.finalise()
        assert not self.is_dead(world, signed)
        world.finalise(seconds=120)
        assert self.is_dead(world, signed)

    def test_what_is_final_is_never_dead(self, world: World):
        signed = self.sign(world, seconds=60)
        world.gateway.submit(signed.raw)
        world.finalise()
        world.finalise(seconds=120)
        assert self.stage(world, signed) is Stage.FINALIZED
        assert not self.is_dead(world, signed)
