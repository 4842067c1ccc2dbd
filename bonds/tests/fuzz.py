"""Random and damaged bytes into every decoder, for FUZZ_SECONDS (600): `make fuzz`. Ends 1 at the first answer that is neither a value nor
the decoder's declared error, and prints the bytes that made it.

What is damaged are the official SDK's vectors. A decoder that accepts is held to it: what it read must encode to what it was given, or read
back as the same. The decoders run in a child process whose memory is limited, and each input lies in shared memory before it is tried, so
that one that kills the process is known too. Reproduce: python -m bonds.tests.fuzz <decoder> <hex>.
"""

import argparse
import json
import logging
import mmap
import os
import random
import resource
import signal
import struct
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import DecodeError

from bonds.chain.concordium import addresses, contracts, events, modules, outcomes, tokens, traces, transactions, values
from bonds.chain.concordium.contracts import Module
from bonds.chain.devnet import cbor as devnet_cbor
from bonds.chain.devnet import parse as devnet_parse
from bonds.chain.gateway import ChainMisconfigured, Contract
from bonds.chain.wire import node_pb2 as pb

VECTORS = Path(__file__).parent / "vectors"
MAX_INPUT_BYTES = 4096
# Of address space: a length that is believed ends in a MemoryError, not in a machine that swaps.
MEMORY_BYTES = 2 * 1024**3
# Of processor time, so that a busy machine is no fault. No honest input takes a hundredth of it.
ONE_CALL_SECONDS = 1.0
ROUND = 200  # inputs per decoder before the next one's turn
INTERESTING = (0, 1, 2, 23, 24, 27, 31, 58, 64, 127, 128, 159, 160, 191, 192, 216, 217, 223, 224, 253, 254, 255)


class Wrong(Exception):
    """A decoder accepted bytes and read something else out of them."""


class TooSlow(BaseException):
    """A call did not end in time. No Exception, so that no decoder can catch it."""


@dataclass(frozen=True)
class Target:
    """A decoder, the errors it declares, and good inputs to damage. `decode` raises Wrong where what was read does not fit the bytes."""

    name: str
    decode: Callable[[bytes], object]
    declared: tuple[type[Exception], ...]
    seeds: Sequence[bytes]


def _vectors(name: str) -> dict:
    return json.loads((VECTORS / name).read_text())


def _must(holds: bool, what: str) -> None:
    if not holds:
        raise Wrong(what)


# ---- decoders, each with what must hold when it accepts ----


def _text(data: bytes) -> str:
    return data.decode("latin-1")


def _address(data: bytes) -> None:
    account = addresses.decode(_text(data))
    _must(addresses.encode(account) == _text(data), "another text for the same bytes")
    _must(addresses.same_account(addresses.canonical(_text(data)), _text(data)), "the key names another account")


def _any_address(data: bytes) -> None:
    _must(values.address_text(values.parse_address(_text(data))) == _text(data), "another text for the same address")


def _operations(data: bytes) -> None:
    read = tokens.decode_operations(data)
    if any(isinstance(operation, tokens.UnknownOperation) for operation in read):
        return
    try:
        encoded = tokens.encode_operations(read)
    except ValueError:
        _must(any(len(getattr(one, "memo", None) or b"") > tokens.MAX_MEMO_BYTES for one in read), "read, not writable")
        return
    _must(tokens.decode_operations(encoded) == read, "written again it reads otherwise")


def _block_item(data: bytes) -> None:
    transaction = transactions.parse_block_item(data)
    _must(transaction.encode() == data, "another encoding of the same transaction")
    try:
        other = devnet_parse.parse_block_item(data)
    except devnet_parse.ParseError:
        return  # the devnet asks for more: a signature of 64 bytes, a number from 1 on
    header = transaction.header
    ours = header.sender, header.sequence_number, header.energy, header.expiry_seconds, transaction.payload
    _must(
        ours == (other.sender, other.sequence_number, other.energy, other.expiry, other.payload), "the devnet differs"
    )
    digest = transactions.signing_digest(header, transaction.payload)
    _must(digest == other.digest, "the devnet signs another digest")


def _payload(data: bytes) -> None:
    _must(transactions.parse_payload(data).encode() == data, "another encoding of the same payload")


def _balances(data: bytes) -> None:
    for balance in contracts.read_balances(data):
        _must(0 <= balance < 2**64, "a balance over 64 bits")


def _event(module: Module) -> Callable[[bytes], object]:
    return lambda data: contracts.decode_event(module, data)


def _module_table(data: bytes) -> None:
    entries = _text(data).split("\n")
    table = modules.parse(entries)
    _must(modules.parse(f"{ref}={module.value}" for ref, module in table.items()) == table, "another table")


def _status(data: bytes) -> None:
    outcomes.transaction_state("ab" * 32, pb.BlockItemStatus.FromString(data), 1)


def _trace(data: bytes) -> None:
    traces.steps(pb.AccountTransactionEffects.FromString(data))


def _block_events(data: bytes) -> None:
    """Whatever a node says happened in a block: every event of a watched contract is told or is parked, none fails the reader."""
    summary = pb.BlockItemSummary.FromString(data)
    table = {bytes([number]).hex() * 32: module for number, module in enumerate(Module)}
    watched = [Contract(index) for index in range(5)]
    sources = events.SourceModules(lambda contract: bytes([contract.index]).hex() * 32)
    events.EventReader(watched, table, sources).read([summary])


def _devnet_payload(data: bytes) -> None:
    devnet_parse.parse_payload(data)


def targets() -> list[Target]:
    updates = [*_vectors("plt_transactions.json")["transactions"].values()]
    calls = [*_vectors("contract_update_tx.json")["transactions"].values()]
    cbor = _vectors("plt_cbor.json")
    logged = [bytes.fromhex(entry["hex"]) for entry in _vectors("contract_events.json")["events"].values()]
    texts = [entry["base58"].encode() for entry in _vectors("addresses.json")["addresses"]]
    items = [bytes.fromhex(entry["block_item"]) for entry in updates + calls]
    payloads = [bytes.fromhex(entry["payload"]) for entry in updates + calls]
    operations = [bytes.fromhex(text) for text in cbor["operations"].values()]
    rejects = [bytes.fromhex(text) for name, text in cbor["decode_reject"].items() if name != "source"]
    state = {
        "name": "Euro",
        "paused": False,
        "allowList": True,
        "governanceAccount": devnet_cbor.Tag(40307, {3: bytes(32)}),
    }
    states = [devnet_cbor.dumps(state), devnet_cbor.dumps({"denyList": True})]
    for tag in (*tokens.KEPT_TAGS, *tokens.REFERENCE_TAGS, 24, 40307):
        rejects += [devnet_cbor.dumps({"index": 1, "why": devnet_cbor.Tag(tag, odd)}) for odd in ([1, 0], b"a", "(", 9)]
    summary = _summary(logged)
    value = (ValueError,)
    return [
        Target("address", _address, value, texts),
        Target("address_or_contract", _any_address, value, [*texts[:2], b"<1000,0>", b"<18446744073709551615,3>"]),
        Target("token_operations", _operations, value, operations),
        Target("reject_details", tokens.decode_reject_details, value, rejects),
        Target("token_state", tokens.decode_token_state, value, states),
        Target("block_item", _block_item, value, items),
        Target("payload", _payload, value, payloads),
        *(Target(f"event_{module.name.lower()}", _event(module), (), logged) for module in Module),
        Target("read_bool", contracts.read_bool, value, [b"\x00", b"\x01"]),
        Target("read_address_state", contracts.read_address_state, value, [b"\x00", b"\x02"]),
        Target("read_balances", _balances, value, [b"\x02\x00\x05\xdc\x0b", b"\x00\x00"]),
        Target("module_table", _module_table, (ChainMisconfigured,), [b"ab" * 32 + b"=security_mint_fund"]),
        Target("transaction_status", _status, (DecodeError, ValueError), [_status_of(summary)]),
        Target("contract_trace", _trace, (DecodeError, traces.UnreadableTrace), [_effects(summary)]),
        Target("block_events", _block_events, (DecodeError,), [summary.SerializeToString()]),
        Target("devnet_block_item", devnet_parse.parse_block_item, value, items),
        Target("devnet_payload", _devnet_payload, value, payloads),
        Target("devnet_cbor", devnet_cbor.loads, value, operations + rejects + states),
    ]


def _summary(logged: Sequence[bytes]) -> pb.BlockItemSummary:
    """A transaction whose call interrupts itself, with every event of the vectors."""
    summary = pb.BlockItemSummary(hash=pb.Bytes(value=bytes(32)), index=pb.U64(value=1))
    effects = summary.account_transaction.effects.contract_update_issued.effects
    for index, raw in enumerate(logged):
        contract = pb.ContractAddress(index=index % 5)
        marks = [pb.Bytes(value=raw)]
        effects.append(pb.ContractTraceElement(interrupted=pb.InstanceInterrupted(address=contract, events=marks)))
        effects.append(pb.ContractTraceElement(updated=pb.InstanceUpdated(address=contract, events=marks)))
        effects.append(pb.ContractTraceElement(resumed=pb.InstanceResumed(address=contract, success=index % 2 == 0)))
        effects.append(pb.ContractTraceElement(updated=pb.InstanceUpdated(address=contract, events=marks)))
    return summary


def _effects(summary: pb.BlockItemSummary) -> bytes:
    return summary.account_transaction.effects.SerializeToString()


def _status_of(summary: pb.BlockItemSummary) -> bytes:
    paid = pb.BlockItemStatus()
    outcome = paid.finalized.outcome
    outcome.block_hash.value = bytes(32)
    outcome.outcome.CopyFrom(summary)
    event = outcome.outcome.account_transaction.effects.token_update_effect.events.add()
    event.token_id.value = "EURD"
    getattr(event.transfer_event, "from").account.value = bytes(32)
    event.transfer_event.to.account.value = bytes(32)
    event.transfer_event.amount.value = 1
    return paid.SerializeToString()


# ---- inputs ----


def inputs(target: Target, chance: random.Random) -> Iterator[bytes]:
    """Without end: one in eight is noise, the rest are seeds with one to six damages."""
    while True:
        if not target.seeds or chance.randrange(8) == 0:
            yield chance.randbytes(chance.choice((1, 2, 4, 8, 16, 33, 64, 200)))
            continue
        data = bytearray(chance.choice(target.seeds))
        for _ in range(chance.randint(1, 6)):
            _damage(data, target.seeds, chance)
        yield bytes(data[:MAX_INPUT_BYTES])


def _damage(data: bytearray, seeds: Sequence[bytes], chance: random.Random) -> None:
    at = chance.randrange(len(data) + 1)
    length = chance.choice((1, 1, 1, 2, 4, 8, 16))
    match chance.randrange(9):
        case 0 if at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        case 1 if at < len(data):
            data[at] = chance.choice(INTERESTING)
        case 2:
            data[at:at] = chance.randbytes(length)
        case 3:
            del data[at : at + length]
        case 4:
            data[at:at] = data[chance.randrange(len(data) + 1) :][:length]
        case 5:
            del data[at:]
        case 6:
            donor = chance.choice(seeds)
            data[at : at + length] = donor[chance.randrange(len(donor) + 1) :][: chance.randint(1, 64)]
        case 7:
            number = chance.choice((2**64 - 1, 2**63, 2**32, 2**31 - 1, 2**16 - 1, 1))
            data[at : at + 8] = struct.pack(chance.choice("<>") + "Q", number)
        case _:
            data[at:at] = bytes([chance.choice(INTERESTING)]) * length


# ---- running ----


def _late(*_: object) -> None:
    raise TooSlow


def attempt(target: Target, data: bytes) -> tuple[bool, str]:
    """Whether the decoder accepted, and what is wrong with its answer ("" where nothing is)."""
    signal.setitimer(signal.ITIMER_VIRTUAL, ONE_CALL_SECONDS)
    try:
        target.decode(data)
    except target.declared as error:
        return False, "" if str(error) else "a declared error that says nothing"
    except TooSlow:
        return False, f"no answer in {ONE_CALL_SECONDS} s of processor time"
    except KeyboardInterrupt:
        raise
    except BaseException:  # a panic of a library written in Rust is no Exception
        return False, traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return True, ""


def work(chosen: Sequence[Target], shown: mmap.mmap, *, seconds: float, seed: int) -> int:
    """The child's part: rounds over all decoders until the time is up. 0, or 1 at the first fault."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    logging.disable(logging.CRITICAL)  # a decoder may warn; a million warnings say no more than one
    signal.signal(signal.SIGVTALRM, _late)
    tried: Counter[str] = Counter()
    accepted: Counter[str] = Counter()
    streams = {target.name: inputs(target, random.Random(f"{seed} {target.name}")) for target in chosen}
    until = time.monotonic() + seconds
    while True:
        for position, target in enumerate(chosen):
            for _ in range(ROUND):
                data = next(streams[target.name])
                shown[: 6 + len(data)] = struct.pack(">HI", position, len(data)) + data
                was_accepted, fault = attempt(target, data)
                if fault:
                    report(target, data, fault)
                    return 1
                tried[target.name] += 1
                accepted[target.name] += was_accepted
        if time.monotonic() >= until:
            break
    for target in chosen:
        say(f"{target.name:22} {tried[target.name]:>12,} tried {accepted[target.name]:>12,} accepted")
    say(f"{'all':22} {tried.total():>12,} tried, no fault")
    return 0


def report(target: Target, data: bytes, fault: str) -> None:
    say(f"{target.name}: {fault.strip()}\nreproduce: python -m bonds.tests.fuzz {target.name} {data.hex()}")


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def run(chosen: Sequence[Target], *, seconds: float, seed: int) -> int:
    """All of it in a child process; its exit code, or 1 with the input that killed it."""
    shown = mmap.mmap(-1, 6 + MAX_INPUT_BYTES)
    say(f"fuzzing {len(chosen)} decoders for {seconds:g} s, seed {seed}")
    child = os.fork()
    if not child:
        code = 1
        try:
            code = work(chosen, shown, seconds=seconds, seed=seed)
        except KeyboardInterrupt:
            code = 130
        except BaseException:  # the finally would end the process before anybody heard of it
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    try:
        _, status = os.waitpid(child, 0)
    except KeyboardInterrupt:
        _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        position, length = struct.unpack(">HI", shown[:6])
        report(chosen[position], shown[6 : 6 + length], f"the process died of signal {os.WTERMSIG(status)}")
        return 1
    return os.waitstatus_to_exitcode(status)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bonds.tests.fuzz", description=__doc__)
    parser.add_argument("decoder", nargs="?", help="only this one")
    parser.add_argument("hex", nargs="?", help="one input instead of many")
    options = parser.parse_args(arguments)
    known = {target.name: target for target in targets()}
    if options.decoder and options.decoder not in known:
        parser.error(f"decoders: {', '.join(known)}")
    chosen = [known[options.decoder]] if options.decoder else list(known.values())
    if options.hex is not None:
        signal.signal(signal.SIGVTALRM, _late)
        was_accepted, fault = attempt(chosen[0], bytes.fromhex(options.hex))
        say(fault or ("accepted" if was_accepted else "refused as declared"))
        return 1 if fault else 0
    seed = int(os.environ.get("FUZZ_SEED") or random.SystemRandom().randrange(2**32))
    return run(chosen, seconds=float(os.environ.get("FUZZ_SECONDS") or 600), seed=seed)


if __name__ == "__main__":
    sys.exit(main())
