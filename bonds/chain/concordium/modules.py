"""Which interface a contract speaks, by the reference of its module: the configured table, never a guess.

A module reference is the SHA-256 of the deployed module. Whoever deploys or upgrades a contract adds its reference here.
"""

from collections.abc import Iterable, Mapping

from bonds.chain.concordium.contracts import Module
from bonds.chain.gateway import ChainMisconfigured, Contract

FIELD = "CHAIN_MODULES"
REFERENCE_DIGITS = frozenset("0123456789abcdef")
REFERENCE_LENGTH = 64

Modules = Mapping[str, Module]  # module reference in lower-case hex -> interface


def parse(entries: Iterable[str]) -> Modules:
    """The table behind entries "<module reference in hex>=<interface>", in any order.

    ChainMisconfigured naming the field, the entry and the fault: no reference of 64 hex digits, an interface that is
    none, a reference given two interfaces.
    """
    table: dict[str, Module] = {}
    for position, entry in enumerate(entries, start=1):
        where = f"{FIELD}, entry {position} ({entry.strip()[:100]!r})"
        reference, _, name = (part.strip() for part in entry.partition("="))
        interface = _interface(name, where)
        reference = reference.lower()
        if len(reference) != REFERENCE_LENGTH or not REFERENCE_DIGITS.issuperset(reference):
            raise ChainMisconfigured(f"{where}: a module reference has {REFERENCE_LENGTH} hex digits")
        if table.setdefault(reference, interface) is not interface:
            raise ChainMisconfigured(f"{where}: the same module reference is also given as {table[reference]}")
    return table


def _interface(name: str, where: str) -> Module:
    try:
        return Module(name)
    except ValueError:
        known = ", ".join(Module)
        raise ChainMisconfigured(f"{where}: no interface of this name, only {known}") from None


def require(table: Modules, contract: Contract, module_ref: str, wanted: Iterable[Module]) -> Module:
    """The interface of a contract that is to be asked something. ChainMisconfigured when it is not one of `wanted`."""
    wanted = tuple(wanted)
    where = f"contract <{contract.index},{contract.subindex}> is of module {module_ref}"
    interface = table.get(module_ref)
    if interface is None:
        raise ChainMisconfigured(f"{where}, for which {FIELD} names no interface")
    if interface not in wanted:
        raise ChainMisconfigured(f"{where}, a {interface}; asked for was {' or '.join(wanted)}")
    return interface
