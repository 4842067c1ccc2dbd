"""The two identity registries: the deployed one that knows identities, and the planned one that knows white and black. Must never mix them.

Both are called `rwa_identity_registry`, and their events bear the same numbers with other meanings: only the module reference tells them
apart. The planned one follows its plan's types; where `AddressState` (a parameter, an event) counts from whitelisted, `AddressStatus` (the
answer of getAddressState) counts from an address that is in neither list.

Cell: `registry/C/<address>` is "whitelisted" or "blacklisted". In the deployed registry an address has an identity when it is whitelisted.
"""

from bonds.chain.devnet.contracts.call import ITEM_ENERGY, REGISTRY, STATE_REGISTRY, Call, entrypoint
from bonds.chain.devnet.contracts.parameters import STATUSES
from bonds.chain.devnet.encoding import Address, EncodingError, Reader, contract_party
from bonds.chain.devnet.seed import party

WHITELISTED, BLACKLISTED = "whitelisted", "blacklisted"
REGISTRY_STATES = STATUSES
ADDRESS_STATES = (WHITELISTED, BLACKLISTED)  # in the order of AddressState
AGENT = 0  # the only role a registry knows: being an agent

IDENTITY_REGISTERED, IDENTITY_REMOVED = b"\x00", b"\x01"
STATE_CHANGED, ADDRESS_REMOVED = b"\x02", b"\x03"  # of the planned registry
AGENT_ADDED = {REGISTRY: b"\x04", STATE_REGISTRY: b"\x00"}
AGENT_REMOVED = {REGISTRY: b"\x05", STATE_REGISTRY: b"\x01"}

NO_IDENTITY = -4  # of the deployed registry
NO_ADDRESS = -6  # of the planned one
AGENT_EXISTS = {REGISTRY: -7, STATE_REGISTRY: -4}
NO_AGENT = {REGISTRY: -8, STATE_REGISTRY: -5}
NO_IDENTITY_DETAILS = bytes(8)  # no attributes and no credentials: two counts of zero


def _state(call: Call, address: Address) -> str:
    return call.get("registry", party(address)) or REGISTRY_STATES[0]


def _set_state(call: Call, address: Address, state: str) -> None:
    call.put("registry", party(address), value=None if state == REGISTRY_STATES[0] else state)


# ---- the deployed registry ----------------------------------------------------------------------------------------


@entrypoint("isVerified", REGISTRY)
def is_verified(call: Call, reader: Reader) -> None:
    """Address; yes when it has an identity: no issuer is registered here whose credential it would need."""
    call.returned = bytes([_state(call, reader.contract_party()) == WHITELISTED])


@entrypoint("hasIdentity", REGISTRY)
def has_identity(call: Call, reader: Reader) -> None:
    call.returned = bytes([_state(call, reader.contract_party()) == WHITELISTED])


@entrypoint("registerIdentity", REGISTRY)
def register_identity(call: Call, reader: Reader) -> None:
    """Identity, then address. Only an identity without attributes and credentials is taken: none is ever looked at here."""
    call.require_role(AGENT)
    if reader.take(len(NO_IDENTITY_DETAILS)) != NO_IDENTITY_DETAILS:
        raise EncodingError("an identity here has no attributes and no credentials")
    address = reader.contract_party()
    _set_state(call, address, WHITELISTED)
    call.events.append(IDENTITY_REGISTERED + contract_party(address))


@entrypoint("deleteIdentity", REGISTRY)
def delete_identity(call: Call, reader: Reader) -> None:
    call.require_role(AGENT)
    address = reader.contract_party()
    if _state(call, address) != WHITELISTED:
        raise call.reject(NO_IDENTITY)
    _set_state(call, address, REGISTRY_STATES[0])
    call.events.append(IDENTITY_REMOVED + contract_party(address))


# ---- the planned registry -----------------------------------------------------------------------------------------


@entrypoint("setAddressState", STATE_REGISTRY)
def set_address_state(call: Call, reader: Reader) -> None:
    """Address, AddressState. Logged even where the address was in that state."""
    call.require_role(AGENT)
    address, number = reader.contract_party(), reader.little(1)
    if number >= len(ADDRESS_STATES):
        raise EncodingError("no such state")
    _change_listed(call, address, ADDRESS_STATES[number])


@entrypoint("removeAddress", STATE_REGISTRY)
def remove_address(call: Call, reader: Reader) -> None:
    call.require_role(AGENT)
    address = reader.contract_party()
    if _state(call, address) not in ADDRESS_STATES:
        raise call.reject(NO_ADDRESS)
    _change_listed(call, address, REGISTRY_STATES[0])


@entrypoint("getAddressState", STATE_REGISTRY)
def get_address_state(call: Call, reader: Reader) -> None:
    """Address; answers an AddressStatus: 0 in no list, 1 whitelisted, 2 blacklisted."""
    call.returned = bytes([REGISTRY_STATES.index(_state(call, reader.contract_party()))])


@entrypoint("isWhitelisted", STATE_REGISTRY)
def is_whitelisted(call: Call, reader: Reader) -> None:
    call.returned = bytes([_state(call, reader.contract_party()) == WHITELISTED])


@entrypoint("isBlacklisted", STATE_REGISTRY)
def is_blacklisted(call: Call, reader: Reader) -> None:
    call.returned = bytes([_state(call, reader.contract_party()) == BLACKLISTED])


def _change_listed(call: Call, address: Address, state: str) -> None:
    _set_state(call, address, state)
    if state in ADDRESS_STATES:
        call.events.append(STATE_CHANGED + contract_party(address) + bytes([ADDRESS_STATES.index(state)]))
    else:
        call.events.append(ADDRESS_REMOVED + contract_party(address))


# ---- both ---------------------------------------------------------------------------------------------------------


@entrypoint("isAgent", REGISTRY, STATE_REGISTRY)
def is_agent(call: Call, reader: Reader) -> None:
    call.returned = bytes([AGENT in call.roles(reader.contract_party())])


@entrypoint("addAgent", REGISTRY, STATE_REGISTRY)
def add_agent(call: Call, reader: Reader) -> None:
    _change_agent(call, reader.contract_party(), added=True)


@entrypoint("removeAgent", REGISTRY, STATE_REGISTRY)
def remove_agent(call: Call, reader: Reader) -> None:
    _change_agent(call, reader.contract_party(), added=False)


def _change_agent(call: Call, agent: Address, *, added: bool) -> None:
    kind = call.instance["kind"]
    call.require_owner()
    if (AGENT in call.roles(agent)) == added:
        raise call.reject((AGENT_EXISTS if added else NO_AGENT)[kind])
    call.put("roles", party(agent), value=[AGENT] if added else [])
    call.events.append((AGENT_ADDED if added else AGENT_REMOVED)[kind] + contract_party(agent))


@entrypoint("devnetSetStates", REGISTRY, STATE_REGISTRY)
def devnet_set_states(call: Call, reader: Reader) -> None:
    """For seeding many: AddressStatus, then u16 times: address. Logs what changed as the registry's own entrypoints do."""
    call.require_role(AGENT)
    number = reader.little(1)
    if number >= len(REGISTRY_STATES):
        raise EncodingError("no such state")
    state = REGISTRY_STATES[number]
    for _ in range(reader.little(2)):
        call.energy += ITEM_ENERGY
        address = reader.contract_party()
        was = _state(call, address)
        if call.instance["kind"] == STATE_REGISTRY:
            if was != state:
                _change_listed(call, address, state)
            continue
        _set_state(call, address, state)
        if (was == WHITELISTED) != (state == WHITELISTED):
            tag = IDENTITY_REGISTERED if state == WHITELISTED else IDENTITY_REMOVED
            call.events.append(tag + contract_party(address))
