# ruff: noqa
# fmt: off
# mypy: ignore-errors
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Empty(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Bytes(_message.Message):
    __slots__ = ("value",)
    VALUE_FIELD_NUMBER: _ClassVar[int]
    value: bytes
    def __init__(self, value: _Optional[bytes] = ...) -> None: ...

class U64(_message.Message):
    __slots__ = ("value",)
    VALUE_FIELD_NUMBER: _ClassVar[int]
    value: int
    def __init__(self, value: _Optional[int] = ...) -> None: ...

class U32(_message.Message):
    __slots__ = ("value",)
    VALUE_FIELD_NUMBER: _ClassVar[int]
    value: int
    def __init__(self, value: _Optional[int] = ...) -> None: ...

class Str(_message.Message):
    __slots__ = ("value",)
    VALUE_FIELD_NUMBER: _ClassVar[int]
    value: str
    def __init__(self, value: _Optional[str] = ...) -> None: ...

class Ratio(_message.Message):
    __slots__ = ("numerator", "denominator")
    NUMERATOR_FIELD_NUMBER: _ClassVar[int]
    DENOMINATOR_FIELD_NUMBER: _ClassVar[int]
    numerator: int
    denominator: int
    def __init__(self, numerator: _Optional[int] = ..., denominator: _Optional[int] = ...) -> None: ...

class ContractAddress(_message.Message):
    __slots__ = ("index", "subindex")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    SUBINDEX_FIELD_NUMBER: _ClassVar[int]
    index: int
    subindex: int
    def __init__(self, index: _Optional[int] = ..., subindex: _Optional[int] = ...) -> None: ...

class Address(_message.Message):
    __slots__ = ("account", "contract")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_FIELD_NUMBER: _ClassVar[int]
    account: Bytes
    contract: ContractAddress
    def __init__(self, account: _Optional[_Union[Bytes, _Mapping]] = ..., contract: _Optional[_Union[ContractAddress, _Mapping]] = ...) -> None: ...

class ConsensusInfo(_message.Message):
    __slots__ = ("best_block", "genesis_block", "genesis_time", "slot_duration", "epoch_duration", "last_finalized_block", "best_block_height", "last_finalized_block_height", "blocks_received_count", "block_last_received_time", "block_receive_latency_ema", "block_receive_latency_emsd", "block_receive_period_ema", "block_receive_period_emsd", "blocks_verified_count", "block_last_arrived_time", "block_arrive_latency_ema", "block_arrive_latency_emsd", "block_arrive_period_ema", "block_arrive_period_emsd", "transactions_per_block_ema", "transactions_per_block_emsd", "finalization_count", "last_finalized_time", "finalization_period_ema", "finalization_period_emsd", "protocol_version", "genesis_index", "current_era_genesis_block", "current_era_genesis_time", "current_timeout_duration", "current_round", "current_epoch", "trigger_block_time")
    BEST_BLOCK_FIELD_NUMBER: _ClassVar[int]
    GENESIS_BLOCK_FIELD_NUMBER: _ClassVar[int]
    GENESIS_TIME_FIELD_NUMBER: _ClassVar[int]
    SLOT_DURATION_FIELD_NUMBER: _ClassVar[int]
    EPOCH_DURATION_FIELD_NUMBER: _ClassVar[int]
    LAST_FINALIZED_BLOCK_FIELD_NUMBER: _ClassVar[int]
    BEST_BLOCK_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    LAST_FINALIZED_BLOCK_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    BLOCKS_RECEIVED_COUNT_FIELD_NUMBER: _ClassVar[int]
    BLOCK_LAST_RECEIVED_TIME_FIELD_NUMBER: _ClassVar[int]
    BLOCK_RECEIVE_LATENCY_EMA_FIELD_NUMBER: _ClassVar[int]
    BLOCK_RECEIVE_LATENCY_EMSD_FIELD_NUMBER: _ClassVar[int]
    BLOCK_RECEIVE_PERIOD_EMA_FIELD_NUMBER: _ClassVar[int]
    BLOCK_RECEIVE_PERIOD_EMSD_FIELD_NUMBER: _ClassVar[int]
    BLOCKS_VERIFIED_COUNT_FIELD_NUMBER: _ClassVar[int]
    BLOCK_LAST_ARRIVED_TIME_FIELD_NUMBER: _ClassVar[int]
    BLOCK_ARRIVE_LATENCY_EMA_FIELD_NUMBER: _ClassVar[int]
    BLOCK_ARRIVE_LATENCY_EMSD_FIELD_NUMBER: _ClassVar[int]
    BLOCK_ARRIVE_PERIOD_EMA_FIELD_NUMBER: _ClassVar[int]
    BLOCK_ARRIVE_PERIOD_EMSD_FIELD_NUMBER: _ClassVar[int]
    TRANSACTIONS_PER_BLOCK_EMA_FIELD_NUMBER: _ClassVar[int]
    TRANSACTIONS_PER_BLOCK_EMSD_FIELD_NUMBER: _ClassVar[int]
    FINALIZATION_COUNT_FIELD_NUMBER: _ClassVar[int]
    LAST_FINALIZED_TIME_FIELD_NUMBER: _ClassVar[int]
    FINALIZATION_PERIOD_EMA_FIELD_NUMBER: _ClassVar[int]
    FINALIZATION_PERIOD_EMSD_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    GENESIS_INDEX_FIELD_NUMBER: _ClassVar[int]
    CURRENT_ERA_GENESIS_BLOCK_FIELD_NUMBER: _ClassVar[int]
    CURRENT_ERA_GENESIS_TIME_FIELD_NUMBER: _ClassVar[int]
    CURRENT_TIMEOUT_DURATION_FIELD_NUMBER: _ClassVar[int]
    CURRENT_ROUND_FIELD_NUMBER: _ClassVar[int]
    CURRENT_EPOCH_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_BLOCK_TIME_FIELD_NUMBER: _ClassVar[int]
    best_block: Bytes
    genesis_block: Bytes
    genesis_time: U64
    slot_duration: U64
    epoch_duration: U64
    last_finalized_block: Bytes
    best_block_height: U64
    last_finalized_block_height: U64
    blocks_received_count: int
    block_last_received_time: U64
    block_receive_latency_ema: float
    block_receive_latency_emsd: float
    block_receive_period_ema: float
    block_receive_period_emsd: float
    blocks_verified_count: int
    block_last_arrived_time: U64
    block_arrive_latency_ema: float
    block_arrive_latency_emsd: float
    block_arrive_period_ema: float
    block_arrive_period_emsd: float
    transactions_per_block_ema: float
    transactions_per_block_emsd: float
    finalization_count: int
    last_finalized_time: U64
    finalization_period_ema: float
    finalization_period_emsd: float
    protocol_version: int
    genesis_index: U32
    current_era_genesis_block: Bytes
    current_era_genesis_time: U64
    current_timeout_duration: U64
    current_round: U64
    current_epoch: U64
    trigger_block_time: U64
    def __init__(self, best_block: _Optional[_Union[Bytes, _Mapping]] = ..., genesis_block: _Optional[_Union[Bytes, _Mapping]] = ..., genesis_time: _Optional[_Union[U64, _Mapping]] = ..., slot_duration: _Optional[_Union[U64, _Mapping]] = ..., epoch_duration: _Optional[_Union[U64, _Mapping]] = ..., last_finalized_block: _Optional[_Union[Bytes, _Mapping]] = ..., best_block_height: _Optional[_Union[U64, _Mapping]] = ..., last_finalized_block_height: _Optional[_Union[U64, _Mapping]] = ..., blocks_received_count: _Optional[int] = ..., block_last_received_time: _Optional[_Union[U64, _Mapping]] = ..., block_receive_latency_ema: _Optional[float] = ..., block_receive_latency_emsd: _Optional[float] = ..., block_receive_period_ema: _Optional[float] = ..., block_receive_period_emsd: _Optional[float] = ..., blocks_verified_count: _Optional[int] = ..., block_last_arrived_time: _Optional[_Union[U64, _Mapping]] = ..., block_arrive_latency_ema: _Optional[float] = ..., block_arrive_latency_emsd: _Optional[float] = ..., block_arrive_period_ema: _Optional[float] = ..., block_arrive_period_emsd: _Optional[float] = ..., transactions_per_block_ema: _Optional[float] = ..., transactions_per_block_emsd: _Optional[float] = ..., finalization_count: _Optional[int] = ..., last_finalized_time: _Optional[_Union[U64, _Mapping]] = ..., finalization_period_ema: _Optional[float] = ..., finalization_period_emsd: _Optional[float] = ..., protocol_version: _Optional[int] = ..., genesis_index: _Optional[_Union[U32, _Mapping]] = ..., current_era_genesis_block: _Optional[_Union[Bytes, _Mapping]] = ..., current_era_genesis_time: _Optional[_Union[U64, _Mapping]] = ..., current_timeout_duration: _Optional[_Union[U64, _Mapping]] = ..., current_round: _Optional[_Union[U64, _Mapping]] = ..., current_epoch: _Optional[_Union[U64, _Mapping]] = ..., trigger_block_time: _Optional[_Union[U64, _Mapping]] = ...) -> None: ...

class RelativeHeight(_message.Message):
    __slots__ = ("genesis_index", "height", "restrict")
    GENESIS_INDEX_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    RESTRICT_FIELD_NUMBER: _ClassVar[int]
    genesis_index: U32
    height: U64
    restrict: bool
    def __init__(self, genesis_index: _Optional[_Union[U32, _Mapping]] = ..., height: _Optional[_Union[U64, _Mapping]] = ..., restrict: _Optional[bool] = ...) -> None: ...

class BlockHashInput(_message.Message):
    __slots__ = ("best", "last_final", "given", "absolute_height", "relative_height")
    BEST_FIELD_NUMBER: _ClassVar[int]
    LAST_FINAL_FIELD_NUMBER: _ClassVar[int]
    GIVEN_FIELD_NUMBER: _ClassVar[int]
    ABSOLUTE_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    RELATIVE_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    best: Empty
    last_final: Empty
    given: Bytes
    absolute_height: U64
    relative_height: RelativeHeight
    def __init__(self, best: _Optional[_Union[Empty, _Mapping]] = ..., last_final: _Optional[_Union[Empty, _Mapping]] = ..., given: _Optional[_Union[Bytes, _Mapping]] = ..., absolute_height: _Optional[_Union[U64, _Mapping]] = ..., relative_height: _Optional[_Union[RelativeHeight, _Mapping]] = ...) -> None: ...

class BlockHashAndHeight(_message.Message):
    __slots__ = ("hash", "height")
    HASH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    hash: Bytes
    height: U64
    def __init__(self, hash: _Optional[_Union[Bytes, _Mapping]] = ..., height: _Optional[_Union[U64, _Mapping]] = ...) -> None: ...

class BlockInfo(_message.Message):
    __slots__ = ("hash", "height", "parent_block", "last_finalized_block", "genesis_index", "era_block_height", "receive_time", "arrive_time", "slot_number", "slot_time", "baker", "finalized", "transaction_count", "transactions_energy_cost", "transactions_size", "state_hash", "protocol_version", "round", "epoch")
    HASH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    PARENT_BLOCK_FIELD_NUMBER: _ClassVar[int]
    LAST_FINALIZED_BLOCK_FIELD_NUMBER: _ClassVar[int]
    GENESIS_INDEX_FIELD_NUMBER: _ClassVar[int]
    ERA_BLOCK_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    RECEIVE_TIME_FIELD_NUMBER: _ClassVar[int]
    ARRIVE_TIME_FIELD_NUMBER: _ClassVar[int]
    SLOT_NUMBER_FIELD_NUMBER: _ClassVar[int]
    SLOT_TIME_FIELD_NUMBER: _ClassVar[int]
    BAKER_FIELD_NUMBER: _ClassVar[int]
    FINALIZED_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_COUNT_FIELD_NUMBER: _ClassVar[int]
    TRANSACTIONS_ENERGY_COST_FIELD_NUMBER: _ClassVar[int]
    TRANSACTIONS_SIZE_FIELD_NUMBER: _ClassVar[int]
    STATE_HASH_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    hash: Bytes
    height: U64
    parent_block: Bytes
    last_finalized_block: Bytes
    genesis_index: U32
    era_block_height: U64
    receive_time: U64
    arrive_time: U64
    slot_number: U64
    slot_time: U64
    baker: U64
    finalized: bool
    transaction_count: int
    transactions_energy_cost: U64
    transactions_size: int
    state_hash: Bytes
    protocol_version: int
    round: U64
    epoch: U64
    def __init__(self, hash: _Optional[_Union[Bytes, _Mapping]] = ..., height: _Optional[_Union[U64, _Mapping]] = ..., parent_block: _Optional[_Union[Bytes, _Mapping]] = ..., last_finalized_block: _Optional[_Union[Bytes, _Mapping]] = ..., genesis_index: _Optional[_Union[U32, _Mapping]] = ..., era_block_height: _Optional[_Union[U64, _Mapping]] = ..., receive_time: _Optional[_Union[U64, _Mapping]] = ..., arrive_time: _Optional[_Union[U64, _Mapping]] = ..., slot_number: _Optional[_Union[U64, _Mapping]] = ..., slot_time: _Optional[_Union[U64, _Mapping]] = ..., baker: _Optional[_Union[U64, _Mapping]] = ..., finalized: _Optional[bool] = ..., transaction_count: _Optional[int] = ..., transactions_energy_cost: _Optional[_Union[U64, _Mapping]] = ..., transactions_size: _Optional[int] = ..., state_hash: _Optional[_Union[Bytes, _Mapping]] = ..., protocol_version: _Optional[int] = ..., round: _Optional[_Union[U64, _Mapping]] = ..., epoch: _Optional[_Union[U64, _Mapping]] = ...) -> None: ...

class AbsoluteHeightRequest(_message.Message):
    __slots__ = ("height",)
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    height: U64
    def __init__(self, height: _Optional[_Union[U64, _Mapping]] = ...) -> None: ...

class RelativeHeightRequest(_message.Message):
    __slots__ = ("genesis_index", "height", "restrict")
    GENESIS_INDEX_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    RESTRICT_FIELD_NUMBER: _ClassVar[int]
    genesis_index: U32
    height: U64
    restrict: bool
    def __init__(self, genesis_index: _Optional[_Union[U32, _Mapping]] = ..., height: _Optional[_Union[U64, _Mapping]] = ..., restrict: _Optional[bool] = ...) -> None: ...

class BlocksAtHeightRequest(_message.Message):
    __slots__ = ("absolute", "relative")
    ABSOLUTE_FIELD_NUMBER: _ClassVar[int]
    RELATIVE_FIELD_NUMBER: _ClassVar[int]
    absolute: AbsoluteHeightRequest
    relative: RelativeHeightRequest
    def __init__(self, absolute: _Optional[_Union[AbsoluteHeightRequest, _Mapping]] = ..., relative: _Optional[_Union[RelativeHeightRequest, _Mapping]] = ...) -> None: ...

class BlocksAtHeightResponse(_message.Message):
    __slots__ = ("blocks",)
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    blocks: _containers.RepeatedCompositeFieldContainer[Bytes]
    def __init__(self, blocks: _Optional[_Iterable[_Union[Bytes, _Mapping]]] = ...) -> None: ...

class ConsensusParameters(_message.Message):
    __slots__ = ("timeout_parameters", "min_block_time", "block_energy_limit")
    TIMEOUT_PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    MIN_BLOCK_TIME_FIELD_NUMBER: _ClassVar[int]
    BLOCK_ENERGY_LIMIT_FIELD_NUMBER: _ClassVar[int]
    timeout_parameters: Empty
    min_block_time: U64
    block_energy_limit: U64
    def __init__(self, timeout_parameters: _Optional[_Union[Empty, _Mapping]] = ..., min_block_time: _Optional[_Union[U64, _Mapping]] = ..., block_energy_limit: _Optional[_Union[U64, _Mapping]] = ...) -> None: ...

class ExchangeRate(_message.Message):
    __slots__ = ("value",)
    VALUE_FIELD_NUMBER: _ClassVar[int]
    value: Ratio
    def __init__(self, value: _Optional[_Union[Ratio, _Mapping]] = ...) -> None: ...

class ChainParametersSinceV2(_message.Message):
    __slots__ = ("consensus_parameters", "euro_per_energy", "micro_ccd_per_euro")
    CONSENSUS_PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    EURO_PER_ENERGY_FIELD_NUMBER: _ClassVar[int]
    MICRO_CCD_PER_EURO_FIELD_NUMBER: _ClassVar[int]
    consensus_parameters: ConsensusParameters
    euro_per_energy: ExchangeRate
    micro_ccd_per_euro: ExchangeRate
    def __init__(self, consensus_parameters: _Optional[_Union[ConsensusParameters, _Mapping]] = ..., euro_per_energy: _Optional[_Union[ExchangeRate, _Mapping]] = ..., micro_ccd_per_euro: _Optional[_Union[ExchangeRate, _Mapping]] = ...) -> None: ...

class ChainParameters(_message.Message):
    __slots__ = ("v0", "v1", "v2", "v3")
    V0_FIELD_NUMBER: _ClassVar[int]
    V1_FIELD_NUMBER: _ClassVar[int]
    V2_FIELD_NUMBER: _ClassVar[int]
    V3_FIELD_NUMBER: _ClassVar[int]
    v0: Empty
    v1: Empty
    v2: ChainParametersSinceV2
    v3: ChainParametersSinceV2
    def __init__(self, v0: _Optional[_Union[Empty, _Mapping]] = ..., v1: _Optional[_Union[Empty, _Mapping]] = ..., v2: _Optional[_Union[ChainParametersSinceV2, _Mapping]] = ..., v3: _Optional[_Union[ChainParametersSinceV2, _Mapping]] = ...) -> None: ...

class NextAccountSequenceNumber(_message.Message):
    __slots__ = ("sequence_number", "all_final")
    SEQUENCE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    ALL_FINAL_FIELD_NUMBER: _ClassVar[int]
    sequence_number: U64
    all_final: bool
    def __init__(self, sequence_number: _Optional[_Union[U64, _Mapping]] = ..., all_final: _Optional[bool] = ...) -> None: ...

class AccountIdentifier(_message.Message):
    __slots__ = ("address", "cred_id", "account_index")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    CRED_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_INDEX_FIELD_NUMBER: _ClassVar[int]
    address: Bytes
    cred_id: Bytes
    account_index: U64
    def __init__(self, address: _Optional[_Union[Bytes, _Mapping]] = ..., cred_id: _Optional[_Union[Bytes, _Mapping]] = ..., account_index: _Optional[_Union[U64, _Mapping]] = ...) -> None: ...

class AccountInfoRequest(_message.Message):
    __slots__ = ("block_hash", "account_identifier")
    BLOCK_HASH_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_IDENTIFIER_FIELD_NUMBER: _ClassVar[int]
    block_hash: BlockHashInput
    account_identifier: AccountIdentifier
    def __init__(self, block_hash: _Optional[_Union[BlockHashInput, _Mapping]] = ..., account_identifier: _Optional[_Union[AccountIdentifier, _Mapping]] = ...) -> None: ...

class Release(_message.Message):
    __slots__ = ("timestamp", "amount", "transactions")
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    timestamp: U64
    amount: U64
    transactions: _containers.RepeatedCompositeFieldContainer[Bytes]
    def __init__(self, timestamp: _Optional[_Union[U64, _Mapping]] = ..., amount: _Optional[_Union[U64, _Mapping]] = ..., transactions: _Optional[_Iterable[_Union[Bytes, _Mapping]]] = ...) -> None: ...

class ReleaseSchedule(_message.Message):
    __slots__ = ("total", "schedules")
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    SCHEDULES_FIELD_NUMBER: _ClassVar[int]
    total: U64
    schedules: _containers.RepeatedCompositeFieldContainer[Release]
    def __init__(self, total: _Optional[_Union[U64, _Mapping]] = ..., schedules: _Optional[_Iterable[_Union[Release, _Mapping]]] = ...) -> None: ...

class EncryptedBalance(_message.Message):
    __slots__ = ("self_amount", "start_index", "aggregated_amount", "num_aggregated", "incoming_amounts")
    SELF_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    START_INDEX_FIELD_NUMBER: _ClassVar[int]
    AGGREGATED_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    NUM_AGGREGATED_FIELD_NUMBER: _ClassVar[int]
    INCOMING_AMOUNTS_FIELD_NUMBER: _ClassVar[int]
    self_amount: Bytes
    start_index: int
    aggregated_amount: Bytes
    num_aggregated: int
    incoming_amounts: _containers.RepeatedCompositeFieldContainer[Bytes]
    def __init__(self, self_amount: _Optional[_Union[Bytes, _Mapping]] = ..., start_index: _Optional[int] = ..., aggregated_amount: _Optional[_Union[Bytes, _Mapping]] = ..., num_aggregated: _Optional[int] = ..., incoming_amounts: _Optional[_Iterable[_Union[Bytes, _Mapping]]] = ...) -> None: ...

class AccountVerifyKey(_message.Message):
    __slots__ = ("ed25519_key",)
    ED25519_KEY_FIELD_NUMBER: _ClassVar[int]
    ed25519_key: bytes
    def __init__(self, ed25519_key: _Optional[bytes] = ...) -> None: ...

class CredentialPublicKeys(_message.Message):
    __slots__ = ("keys", "threshold")
    class KeysEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: AccountVerifyKey
        def __init__(self, key: _Optional[int] = ..., value: _Optional[_Union[AccountVerifyKey, _Mapping]] = ...) -> None: ...
    KEYS_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.MessageMap[int, AccountVerifyKey]
    threshold: U32
    def __init__(self, keys: _Optional[_Mapping[int, AccountVerifyKey]] = ..., threshold: _Optional[_Union[U32, _Mapping]] = ...) -> None: ...

class YearMonth(_message.Message):
    __slots__ = ("year", "month")
    YEAR_FIELD_NUMBER: _ClassVar[int]
    MONTH_FIELD_NUMBER: _ClassVar[int]
    year: int
    month: int
    def __init__(self, year: _Optional[int] = ..., month: _Optional[int] = ...) -> None: ...

class Policy(_message.Message):
    __slots__ = ("created_at", "valid_to", "attributes")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: bytes
        def __init__(self, key: _Optional[int] = ..., value: _Optional[bytes] = ...) -> None: ...
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    VALID_TO_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    created_at: YearMonth
    valid_to: YearMonth
    attributes: _containers.ScalarMap[int, bytes]
    def __init__(self, created_at: _Optional[_Union[YearMonth, _Mapping]] = ..., valid_to: _Optional[_Union[YearMonth, _Mapping]] = ..., attributes: _Optional[_Mapping[int, bytes]] = ...) -> None: ...

class CredentialCommitments(_message.Message):
    __slots__ = ("prf", "cred_counter", "max_accounts", "attributes", "id_cred_sec_sharing_coeff")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: Bytes
        def __init__(self, key: _Optional[int] = ..., value: _Optional[_Union[Bytes, _Mapping]] = ...) -> None: ...
    PRF_FIELD_NUMBER: _ClassVar[int]
    CRED_COUNTER_FIELD_NUMBER: _ClassVar[int]
    MAX_ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    ID_CRED_SEC_SHARING_COEFF_FIELD_NUMBER: _ClassVar[int]
    prf: Bytes
    cred_counter: Bytes
    max_accounts: Bytes
    attributes: _containers.MessageMap[int, Bytes]
    id_cred_sec_sharing_coeff: _containers.RepeatedCompositeFieldContainer[Bytes]
    def __init__(self, prf: _Optional[_Union[Bytes, _Mapping]] = ..., cred_counter: _Optional[_Union[Bytes, _Mapping]] = ..., max_accounts: _Optional[_Union[Bytes, _Mapping]] = ..., attributes: _Optional[_Mapping[int, Bytes]] = ..., id_cred_sec_sharing_coeff: _Optional[_Iterable[_Union[Bytes, _Mapping]]] = ...) -> None: ...

class NormalCredential(_message.Message):
    __slots__ = ("keys", "cred_id", "ip_id", "policy", "ar_threshold", "ar_data", "commitments")
    class ArDataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: Bytes
        def __init__(self, key: _Optional[int] = ..., value: _Optional[_Union[Bytes, _Mapping]] = ...) -> None: ...
    KEYS_FIELD_NUMBER: _ClassVar[int]
    CRED_ID_FIELD_NUMBER: _ClassVar[int]
    IP_ID_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    AR_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    AR_DATA_FIELD_NUMBER: _ClassVar[int]
    COMMITMENTS_FIELD_NUMBER: _ClassVar[int]
    keys: CredentialPublicKeys
    cred_id: Bytes
    ip_id: U32
    policy: Policy
    ar_threshold: U32
    ar_data: _containers.MessageMap[int, Bytes]
    commitments: CredentialCommitments
    def __init__(self, keys: _Optional[_Union[CredentialPublicKeys, _Mapping]] = ..., cred_id: _Optional[_Union[Bytes, _Mapping]] = ..., ip_id: _Optional[_Union[U32, _Mapping]] = ..., policy: _Optional[_Union[Policy, _Mapping]] = ..., ar_threshold: _Optional[_Union[U32, _Mapping]] = ..., ar_data: _Optional[_Mapping[int, Bytes]] = ..., commitments: _Optional[_Union[CredentialCommitments, _Mapping]] = ...) -> None: ...

class InitialCredential(_message.Message):
    __slots__ = ("keys", "cred_id", "ip_id", "policy")
    KEYS_FIELD_NUMBER: _ClassVar[int]
    CRED_ID_FIELD_NUMBER: _ClassVar[int]
    IP_ID_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    keys: CredentialPublicKeys
    cred_id: Bytes
    ip_id: U32
    policy: Policy
    def __init__(self, keys: _Optional[_Union[CredentialPublicKeys, _Mapping]] = ..., cred_id: _Optional[_Union[Bytes, _Mapping]] = ..., ip_id: _Optional[_Union[U32, _Mapping]] = ..., policy: _Optional[_Union[Policy, _Mapping]] = ...) -> None: ...

class AccountCredential(_message.Message):
    __slots__ = ("initial", "normal")
    INITIAL_FIELD_NUMBER: _ClassVar[int]
    NORMAL_FIELD_NUMBER: _ClassVar[int]
    initial: InitialCredential
    normal: NormalCredential
    def __init__(self, initial: _Optional[_Union[InitialCredential, _Mapping]] = ..., normal: _Optional[_Union[NormalCredential, _Mapping]] = ...) -> None: ...

class TokenAccountState(_message.Message):
    __slots__ = ("balance", "module_state")
    BALANCE_FIELD_NUMBER: _ClassVar[int]
    MODULE_STATE_FIELD_NUMBER: _ClassVar[int]
    balance: TokenAmount
    module_state: Bytes
    def __init__(self, balance: _Optional[_Union[TokenAmount, _Mapping]] = ..., module_state: _Optional[_Union[Bytes, _Mapping]] = ...) -> None: ...

class AccountToken(_message.Message):
    __slots__ = ("token_id", "token_account_state")
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_ACCOUNT_STATE_FIELD_NUMBER: _ClassVar[int]
    token_id: Str
    token_account_state: TokenAccountState
    def __init__(self, token_id: _Optional[_Union[Str, _Mapping]] = ..., token_account_state: _Optional[_Union[TokenAccountState, _Mapping]] = ...) -> None: ...

class AccountInfo(_message.Message):
    __slots__ = ("sequence_number", "amount", "schedule", "creds", "threshold", "encrypted_balance", "encryption_key", "index", "stake", "address", "cooldowns", "available_balance", "tokens")
    class CredsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: AccountCredential
        def __init__(self, key: _Optional[int] = ..., value: _Optional[_Union[AccountCredential, _Mapping]] = ...) -> None: ...
    SEQUENCE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    CREDS_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    ENCRYPTED_BALANCE_FIELD_NUMBER: _ClassVar[int]
    ENCRYPTION_KEY_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    STAKE_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    COOLDOWNS_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_BALANCE_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    sequence_number: U64
    amount: U64
    schedule: ReleaseSchedule
    creds: _containers.MessageMap[int, AccountCredential]
    threshold: U32
    encrypted_balance: EncryptedBalance
    encryption_key: Bytes
    index: U64
    stake: Empty
    address: Bytes
    cooldowns: _containers.RepeatedCompositeFieldContainer[Empty]
    available_balance: U64
    tokens: _containers.RepeatedCompositeFieldContainer[AccountToken]
    def __init__(self, sequence_number: _Optional[_Union[U64, _Mapping]] = ..., amount: _Optional[_Union[U64, _Mapping]] = ..., schedule: _Optional[_Union[ReleaseSchedule, _Mapping]] = ..., creds: _Optional[_Mapping[int, AccountCredential]] = ..., threshold: _Optional[_Union[U32, _Mapping]] = ..., encrypted_balance: _Optional[_Union[EncryptedBalance, _Mapping]] = ..., encryption_key: _Optional[_Union[Bytes, _Mapping]] = ..., index: _Optional[_Union[U64, _Mapping]] = ..., stake: _Optional[_Union[Empty, _Mapping]] = ..., address: _Optional[_Union[Bytes, _Mapping]] = ..., cooldowns: _Optional[_Iterable[_Union[Empty, _Mapping]]] = ..., available_balance: _Optional[_Union[U64, _Mapping]] = ..., tokens: _Optional[_Iterable[_Union[AccountToken, _Mapping]]] = ...) -> None: ...

class Signature(_message.Message):
    __slots__ = ("value",)
    VALUE_FIELD_NUMBER: _ClassVar[int]
    value: bytes
    def __init__(self, value: _Optional[bytes] = ...) -> None: ...

class CredentialSignatures(_message.Message):
    __slots__ = ("signatures",)
    class SignaturesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: Signature
        def __init__(self, key: _Optional[int] = ..., value: _Optional[_Union[Signature, _Mapping]] = ...) -> None: ...
    SIGNATURES_FIELD_NUMBER: _ClassVar[int]
    signatures: _containers.MessageMap[int, Signature]
    def __init__(self, signatures: _Optional[_Mapping[int, Signature]] = ...) -> None: ...

class AccountTransactionSignature(_message.Message):
    __slots__ = ("signatures",)
    class SignaturesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: CredentialSignatures
        def __init__(self, key: _Optional[int] = ..., value: _Optional[_Union[CredentialSignatures, _Mapping]] = ...) -> None: ...
    SIGNATURES_FIELD_NUMBER: _ClassVar[int]
    signatures: _containers.MessageMap[int, CredentialSignatures]
    def __init__(self, signatures: _Optional[_Mapping[int, CredentialSignatures]] = ...) -> None: ...

class AccountTransactionHeader(_message.Message):
    __slots__ = ("sender", "sequence_number", "energy_amount", "expiry")
    SENDER_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    ENERGY_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    EXPIRY_FIELD_NUMBER: _ClassVar[int]
    sender: Bytes
    sequence_number: U64
    energy_amount: U64
    expiry: U64
    def __init__(self, sender: _Optional[_Union[Bytes, _Mapping]] = ..., sequence_number: _Optional[_Union[U64, _Mapping]] = ..., energy_amount: _Optional[_Union[U64, _Mapping]] = ..., expiry: _Optional[_Union[U64, _Mapping]] = ...) -> None: ...

class AccountTransactionPayload(_message.Message):
    __slots__ = ("raw_payload",)
    RAW_PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    raw_payload: bytes
    def __init__(self, raw_payload: _Optional[bytes] = ...) -> None: ...

class AccountTransaction(_message.Message):
    __slots__ = ("signature", "header", "payload")
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    signature: AccountTransactionSignature
    header: AccountTransactionHeader
    payload: AccountTransactionPayload
    def __init__(self, signature: _Optional[_Union[AccountTransactionSignature, _Mapping]] = ..., header: _Optional[_Union[AccountTransactionHeader, _Mapping]] = ..., payload: _Optional[_Union[AccountTransactionPayload, _Mapping]] = ...) -> None: ...

class SendBlockItemRequest(_message.Message):
    __slots__ = ("account_transaction", "credential_deployment", "update_instruction", "account_transaction_v1", "raw_block_item")
    ACCOUNT_TRANSACTION_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_DEPLOYMENT_FIELD_NUMBER: _ClassVar[int]
    UPDATE_INSTRUCTION_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_TRANSACTION_V1_FIELD_NUMBER: _ClassVar[int]
    RAW_BLOCK_ITEM_FIELD_NUMBER: _ClassVar[int]
    account_transaction: AccountTransaction
    credential_deployment: Empty
    update_instruction: Empty
    account_transaction_v1: Empty
    raw_block_item: bytes
    def __init__(self, account_transaction: _Optional[_Union[AccountTransaction, _Mapping]] = ..., credential_deployment: _Optional[_Union[Empty, _Mapping]] = ..., update_instruction: _Optional[_Union[Empty, _Mapping]] = ..., account_transaction_v1: _Optional[_Union[Empty, _Mapping]] = ..., raw_block_item: _Optional[bytes] = ...) -> None: ...

class TokenAmount(_message.Message):
    __slots__ = ("value", "decimals")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    DECIMALS_FIELD_NUMBER: _ClassVar[int]
    value: int
    decimals: int
    def __init__(self, value: _Optional[int] = ..., decimals: _Optional[int] = ...) -> None: ...

class TokenHolder(_message.Message):
    __slots__ = ("account",)
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    account: Bytes
    def __init__(self, account: _Optional[_Union[Bytes, _Mapping]] = ...) -> None: ...

class TokenModuleEvent(_message.Message):
    __slots__ = ("type", "details")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    type: str
    details: Bytes
    def __init__(self, type: _Optional[str] = ..., details: _Optional[_Union[Bytes, _Mapping]] = ...) -> None: ...

class TokenTransferEvent(_message.Message):
    __slots__ = ("to", "amount", "memo")
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    MEMO_FIELD_NUMBER: _ClassVar[int]
    to: TokenHolder
    amount: TokenAmount
    memo: Bytes
    def __init__(self, to: _Optional[_Union[TokenHolder, _Mapping]] = ..., amount: _Optional[_Union[TokenAmount, _Mapping]] = ..., memo: _Optional[_Union[Bytes, _Mapping]] = ..., **kwargs) -> None: ...

class TokenSupplyUpdateEvent(_message.Message):
    __slots__ = ("target", "amount")
    TARGET_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    target: TokenHolder
    amount: TokenAmount
    def __init__(self, target: _Optional[_Union[TokenHolder, _Mapping]] = ..., amount: _Optional[_Union[TokenAmount, _Mapping]] = ...) -> None: ...

class TokenEvent(_message.Message):
    __slots__ = ("token_id", "module_event", "transfer_event", "mint_event", "burn_event")
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    MODULE_EVENT_FIELD_NUMBER: _ClassVar[int]
    TRANSFER_EVENT_FIELD_NUMBER: _ClassVar[int]
    MINT_EVENT_FIELD_NUMBER: _ClassVar[int]
    BURN_EVENT_FIELD_NUMBER: _ClassVar[int]
    token_id: Str
    module_event: TokenModuleEvent
    transfer_event: TokenTransferEvent
    mint_event: TokenSupplyUpdateEvent
    burn_event: TokenSupplyUpdateEvent
    def __init__(self, token_id: _Optional[_Union[Str, _Mapping]] = ..., module_event: _Optional[_Union[TokenModuleEvent, _Mapping]] = ..., transfer_event: _Optional[_Union[TokenTransferEvent, _Mapping]] = ..., mint_event: _Optional[_Union[TokenSupplyUpdateEvent, _Mapping]] = ..., burn_event: _Optional[_Union[TokenSupplyUpdateEvent, _Mapping]] = ...) -> None: ...

class TokenEffect(_message.Message):
    __slots__ = ("events",)
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[TokenEvent]
    def __init__(self, events: _Optional[_Iterable[_Union[TokenEvent, _Mapping]]] = ...) -> None: ...

class TokenModuleRejectReason(_message.Message):
    __slots__ = ("token_id", "type", "details")
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    token_id: Str
    type: str
    details: Bytes
    def __init__(self, token_id: _Optional[_Union[Str, _Mapping]] = ..., type: _Optional[str] = ..., details: _Optional[_Union[Bytes, _Mapping]] = ...) -> None: ...

class InvalidReceiveMethod(_message.Message):
    __slots__ = ("module_ref", "receive_name")
    MODULE_REF_FIELD_NUMBER: _ClassVar[int]
    RECEIVE_NAME_FIELD_NUMBER: _ClassVar[int]
    module_ref: Bytes
    receive_name: Str
    def __init__(self, module_ref: _Optional[_Union[Bytes, _Mapping]] = ..., receive_name: _Optional[_Union[Str, _Mapping]] = ...) -> None: ...

class AmountTooLarge(_message.Message):
    __slots__ = ("address", "amount")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    address: Address
    amount: U64
    def __init__(self, address: _Optional[_Union[Address, _Mapping]] = ..., amount: _Optional[_Union[U64, _Mapping]] = ...) -> None: ...

class RejectedReceive(_message.Message):
    __slots__ = ("reject_reason", "contract_address", "receive_name", "parameter")
    REJECT_REASON_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    RECEIVE_NAME_FIELD_NUMBER: _ClassVar[int]
    PARAMETER_FIELD_NUMBER: _ClassVar[int]
    reject_reason: int
    contract_address: ContractAddress
    receive_name: Str
    parameter: Bytes
    def __init__(self, reject_reason: _Optional[int] = ..., contract_address: _Optional[_Union[ContractAddress, _Mapping]] = ..., receive_name: _Optional[_Union[Str, _Mapping]] = ..., parameter: _Optional[_Union[Bytes, _Mapping]] = ...) -> None: ...

class RejectReason(_message.Message):
    __slots__ = ("module_not_wf", "module_hash_already_exists", "invalid_account_reference", "invalid_init_method", "invalid_receive_method", "invalid_module_reference", "invalid_contract_address", "runtime_failure", "amount_too_large", "serialization_failure", "out_of_energy", "rejected_init", "rejected_receive", "invalid_proof", "already_a_baker", "not_a_baker", "insufficient_balance_for_baker_stake", "stake_under_minimum_threshold_for_baking", "baker_in_cooldown", "duplicate_aggregation_key", "non_existent_credential_id", "key_index_already_in_use", "invalid_account_threshold", "invalid_credential_key_sign_threshold", "invalid_encrypted_amount_transfer_proof", "invalid_transfer_to_public_proof", "encrypted_amount_self_transfer", "invalid_index_on_encrypted_transfer", "zero_scheduled_amount", "non_increasing_schedule", "first_scheduled_release_expired", "scheduled_self_transfer", "invalid_credentials", "duplicate_cred_ids", "non_existent_cred_ids", "remove_first_credential", "credential_holder_did_not_sign", "not_allowed_multiple_credentials", "not_allowed_to_receive_encrypted", "not_allowed_to_handle_encrypted", "missing_baker_add_parameters", "finalization_reward_commission_not_in_range", "baking_reward_commission_not_in_range", "transaction_fee_commission_not_in_range", "already_a_delegator", "insufficient_balance_for_delegation_stake", "missing_delegation_add_parameters", "insufficient_delegation_stake", "delegator_in_cooldown", "not_a_delegator", "delegation_target_not_a_baker", "stake_over_maximum_threshold_for_pool", "pool_would_become_over_delegated", "pool_closed", "non_existent_token_id", "token_update_transaction_failed")
    MODULE_NOT_WF_FIELD_NUMBER: _ClassVar[int]
    MODULE_HASH_ALREADY_EXISTS_FIELD_NUMBER: _ClassVar[int]
    INVALID_ACCOUNT_REFERENCE_FIELD_NUMBER: _ClassVar[int]
    INVALID_INIT_METHOD_FIELD_NUMBER: _ClassVar[int]
    INVALID_RECEIVE_METHOD_FIELD_NUMBER: _ClassVar[int]
    INVALID_MODULE_REFERENCE_FIELD_NUMBER: _ClassVar[int]
    INVALID_CONTRACT_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_FAILURE_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_TOO_LARGE_FIELD_NUMBER: _ClassVar[int]
    SERIALIZATION_FAILURE_FIELD_NUMBER: _ClassVar[int]
    OUT_OF_ENERGY_FIELD_NUMBER: _ClassVar[int]
    REJECTED_INIT_FIELD_NUMBER: _ClassVar[int]
    REJECTED_RECEIVE_FIELD_NUMBER: _ClassVar[int]
    INVALID_PROOF_FIELD_NUMBER: _ClassVar[int]
    ALREADY_A_BAKER_FIELD_NUMBER: _ClassVar[int]
    NOT_A_BAKER_FIELD_NUMBER: _ClassVar[int]
    INSUFFICIENT_BALANCE_FOR_BAKER_STAKE_FIELD_NUMBER: _ClassVar[int]
    STAKE_UNDER_MINIMUM_THRESHOLD_FOR_BAKING_FIELD_NUMBER: _ClassVar[int]
    BAKER_IN_COOLDOWN_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_AGGREGATION_KEY_FIELD_NUMBER: _ClassVar[int]
    NON_EXISTENT_CREDENTIAL_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_INDEX_ALREADY_IN_USE_FIELD_NUMBER: _ClassVar[int]
    INVALID_ACCOUNT_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    INVALID_CREDENTIAL_KEY_SIGN_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    INVALID_ENCRYPTED_AMOUNT_TRANSFER_PROOF_FIELD_NUMBER: _ClassVar[int]
    INVALID_TRANSFER_TO_PUBLIC_PROOF_FIELD_NUMBER: _ClassVar[int]
    ENCRYPTED_AMOUNT_SELF_TRANSFER_FIELD_NUMBER: _ClassVar[int]
    INVALID_INDEX_ON_ENCRYPTED_TRANSFER_FIELD_NUMBER: _ClassVar[int]
    ZERO_SCHEDULED_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    NON_INCREASING_SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    FIRST_SCHEDULED_RELEASE_EXPIRED_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_SELF_TRANSFER_FIELD_NUMBER: _ClassVar[int]
    INVALID_CREDENTIALS_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_CRED_IDS_FIELD_NUMBER: _ClassVar[int]
    NON_EXISTENT_CRED_IDS_FIELD_NUMBER: _ClassVar[int]
    REMOVE_FIRST_CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_HOLDER_DID_NOT_SIGN_FIELD_NUMBER: _ClassVar[int]
    NOT_ALLOWED_MULTIPLE_CREDENTIALS_FIELD_NUMBER: _ClassVar[int]
    NOT_ALLOWED_TO_RECEIVE_ENCRYPTED_FIELD_NUMBER: _ClassVar[int]
    NOT_ALLOWED_TO_HANDLE_ENCRYPTED_FIELD_NUMBER: _ClassVar[int]
    MISSING_BAKER_ADD_PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    FINALIZATION_REWARD_COMMISSION_NOT_IN_RANGE_FIELD_NUMBER: _ClassVar[int]
    BAKING_REWARD_COMMISSION_NOT_IN_RANGE_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_FEE_COMMISSION_NOT_IN_RANGE_FIELD_NUMBER: _ClassVar[int]
    ALREADY_A_DELEGATOR_FIELD_NUMBER: _ClassVar[int]
    INSUFFICIENT_BALANCE_FOR_DELEGATION_STAKE_FIELD_NUMBER: _ClassVar[int]
    MISSING_DELEGATION_ADD_PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    INSUFFICIENT_DELEGATION_STAKE_FIELD_NUMBER: _ClassVar[int]
    DELEGATOR_IN_COOLDOWN_FIELD_NUMBER: _ClassVar[int]
    NOT_A_DELEGATOR_FIELD_NUMBER: _ClassVar[int]
    DELEGATION_TARGET_NOT_A_BAKER_FIELD_NUMBER: _ClassVar[int]
    STAKE_OVER_MAXIMUM_THRESHOLD_FOR_POOL_FIELD_NUMBER: _ClassVar[int]
    POOL_WOULD_BECOME_OVER_DELEGATED_FIELD_NUMBER: _ClassVar[int]
    POOL_CLOSED_FIELD_NUMBER: _ClassVar[int]
    NON_EXISTENT_TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_UPDATE_TRANSACTION_FAILED_FIELD_NUMBER: _ClassVar[int]
    module_not_wf: Empty
    module_hash_already_exists: Bytes
    invalid_account_reference: Bytes
    invalid_init_method: Empty
    invalid_receive_method: InvalidReceiveMethod
    invalid_module_reference: Bytes
    invalid_contract_address: ContractAddress
    runtime_failure: Empty
    amount_too_large: AmountTooLarge
    serialization_failure: Empty
    out_of_energy: Empty
    rejected_init: Empty
    rejected_receive: RejectedReceive
    invalid_proof: Empty
    already_a_baker: Empty
    not_a_baker: Empty
    insufficient_balance_for_baker_stake: Empty
    stake_under_minimum_threshold_for_baking: Empty
    baker_in_cooldown: Empty
    duplicate_aggregation_key: Empty
    non_existent_credential_id: Empty
    key_index_already_in_use: Empty
    invalid_account_threshold: Empty
    invalid_credential_key_sign_threshold: Empty
    invalid_encrypted_amount_transfer_proof: Empty
    invalid_transfer_to_public_proof: Empty
    encrypted_amount_self_transfer: Empty
    invalid_index_on_encrypted_transfer: Empty
    zero_scheduled_amount: Empty
    non_increasing_schedule: Empty
    first_scheduled_release_expired: Empty
    scheduled_self_transfer: Empty
    invalid_credentials: Empty
    duplicate_cred_ids: Empty
    non_existent_cred_ids: Empty
    remove_first_credential: Empty
    credential_holder_did_not_sign: Empty
    not_allowed_multiple_credentials: Empty
    not_allowed_to_receive_encrypted: Empty
    not_allowed_to_handle_encrypted: Empty
    missing_baker_add_parameters: Empty
    finalization_reward_commission_not_in_range: Empty
    baking_reward_commission_not_in_range: Empty
    transaction_fee_commission_not_in_range: Empty
    already_a_delegator: Empty
    insufficient_balance_for_delegation_stake: Empty
    missing_delegation_add_parameters: Empty
    insufficient_delegation_stake: Empty
    delegator_in_cooldown: Empty
    not_a_delegator: Empty
    delegation_target_not_a_baker: Empty
    stake_over_maximum_threshold_for_pool: Empty
    pool_would_become_over_delegated: Empty
    pool_closed: Empty
    non_existent_token_id: Str
    token_update_transaction_failed: TokenModuleRejectReason
    def __init__(self, module_not_wf: _Optional[_Union[Empty, _Mapping]] = ..., module_hash_already_exists: _Optional[_Union[Bytes, _Mapping]] = ..., invalid_account_reference: _Optional[_Union[Bytes, _Mapping]] = ..., invalid_init_method: _Optional[_Union[Empty, _Mapping]] = ..., invalid_receive_method: _Optional[_Union[InvalidReceiveMethod, _Mapping]] = ..., invalid_module_reference: _Optional[_Union[Bytes, _Mapping]] = ..., invalid_contract_address: _Optional[_Union[ContractAddress, _Mapping]] = ..., runtime_failure: _Optional[_Union[Empty, _Mapping]] = ..., amount_too_large: _Optional[_Union[AmountTooLarge, _Mapping]] = ..., serialization_failure: _Optional[_Union[Empty, _Mapping]] = ..., out_of_energy: _Optional[_Union[Empty, _Mapping]] = ..., rejected_init: _Optional[_Union[Empty, _Mapping]] = ..., rejected_receive: _Optional[_Union[RejectedReceive, _Mapping]] = ..., invalid_proof: _Optional[_Union[Empty, _Mapping]] = ..., already_a_baker: _Optional[_Union[Empty, _Mapping]] = ..., not_a_baker: _Optional[_Union[Empty, _Mapping]] = ..., insufficient_balance_for_baker_stake: _Optional[_Union[Empty, _Mapping]] = ..., stake_under_minimum_threshold_for_baking: _Optional[_Union[Empty, _Mapping]] = ..., baker_in_cooldown: _Optional[_Union[Empty, _Mapping]] = ..., duplicate_aggregation_key: _Optional[_Union[Empty, _Mapping]] = ..., non_existent_credential_id: _Optional[_Union[Empty, _Mapping]] = ..., key_index_already_in_use: _Optional[_Union[Empty, _Mapping]] = ..., invalid_account_threshold: _Optional[_Union[Empty, _Mapping]] = ..., invalid_credential_key_sign_threshold: _Optional[_Union[Empty, _Mapping]] = ..., invalid_encrypted_amount_transfer_proof: _Optional[_Union[Empty, _Mapping]] = ..., invalid_transfer_to_public_proof: _Optional[_Union[Empty, _Mapping]] = ..., encrypted_amount_self_transfer: _Optional[_Union[Empty, _Mapping]] = ..., invalid_index_on_encrypted_transfer: _Optional[_Union[Empty, _Mapping]] = ..., zero_scheduled_amount: _Optional[_Union[Empty, _Mapping]] = ..., non_increasing_schedule: _Optional[_Union[Empty, _Mapping]] = ..., first_scheduled_release_expired: _Optional[_Union[Empty, _Mapping]] = ..., scheduled_self_transfer: _Optional[_Union[Empty, _Mapping]] = ..., invalid_credentials: _Optional[_Union[Empty, _Mapping]] = ..., duplicate_cred_ids: _Optional[_Union[Empty, _Mapping]] = ..., non_existent_cred_ids: _Optional[_Union[Empty, _Mapping]] = ..., remove_first_credential: _Optional[_Union[Empty, _Mapping]] = ..., credential_holder_did_not_sign: _Optional[_Union[Empty, _Mapping]] = ..., not_allowed_multiple_credentials: _Optional[_Union[Empty, _Mapping]] = ..., not_allowed_to_receive_encrypted: _Optional[_Union[Empty, _Mapping]] = ..., not_allowed_to_handle_encrypted: _Optional[_Union[Empty, _Mapping]] = ..., missing_baker_add_parameters: _Optional[_Union[Empty, _Mapping]] = ..., finalization_reward_commission_not_in_range: _Optional[_Union[Empty, _Mapping]] = ..., baking_reward_commission_not_in_range: _Optional[_Union[Empty, _Mapping]] = ..., transaction_fee_commission_not_in_range: _Optional[_Union[Empty, _Mapping]] = ..., already_a_delegator: _Optional[_Union[Empty, _Mapping]] = ..., insufficient_balance_for_delegation_stake: _Optional[_Union[Empty, _Mapping]] = ..., missing_delegation_add_parameters: _Optional[_Union[Empty, _Mapping]] = ..., insufficient_delegation_stake: _Optional[_Union[Empty, _Mapping]] = ..., delegator_in_cooldown: _Optional[_Union[Empty, _Mapping]] = ..., not_a_delegator: _Optional[_Union[Empty, _Mapping]] = ..., delegation_target_not_a_baker: _Optional[_Union[Empty, _Mapping]] = ..., stake_over_maximum_threshold_for_pool: _Optional[_Union[Empty, _Mapping]] = ..., pool_would_become_over_delegated: _Optional[_Union[Empty, _Mapping]] = ..., pool_closed: _Optional[_Union[Empty, _Mapping]] = ..., non_existent_token_id: _Optional[_Union[Str, _Mapping]] = ..., token_update_transaction_failed: _Optional[_Union[TokenModuleRejectReason, _Mapping]] = ...) -> None: ...

class NoEffect(_message.Message):
    __slots__ = ("transaction_type", "reject_reason")
    TRANSACTION_TYPE_FIELD_NUMBER: _ClassVar[int]
    REJECT_REASON_FIELD_NUMBER: _ClassVar[int]
    transaction_type: int
    reject_reason: RejectReason
    def __init__(self, transaction_type: _Optional[int] = ..., reject_reason: _Optional[_Union[RejectReason, _Mapping]] = ...) -> None: ...

class InstanceUpdated(_message.Message):
    __slots__ = ("contract_version", "address", "instigator", "amount", "parameter", "receive_name", "events")
    CONTRACT_VERSION_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    INSTIGATOR_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    PARAMETER_FIELD_NUMBER: _ClassVar[int]
    RECEIVE_NAME_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    contract_version: int
    address: ContractAddress
    instigator: Address
    amount: U64
    parameter: Bytes
    receive_name: Str
    events: _containers.RepeatedCompositeFieldContainer[Bytes]
    def __init__(self, contract_version: _Optional[int] = ..., address: _Optional[_Union[ContractAddress, _Mapping]] = ..., instigator: _Optional[_Union[Address, _Mapping]] = ..., amount: _Optional[_Union[U64, _Mapping]] = ..., parameter: _Optional[_Union[Bytes, _Mapping]] = ..., receive_name: _Optional[_Union[Str, _Mapping]] = ..., events: _Optional[_Iterable[_Union[Bytes, _Mapping]]] = ...) -> None: ...

class InstanceTransferred(_message.Message):
    __slots__ = ("sender", "amount", "receiver")
    SENDER_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    RECEIVER_FIELD_NUMBER: _ClassVar[int]
    sender: ContractAddress
    amount: U64
    receiver: Bytes
    def __init__(self, sender: _Optional[_Union[ContractAddress, _Mapping]] = ..., amount: _Optional[_Union[U64, _Mapping]] = ..., receiver: _Optional[_Union[Bytes, _Mapping]] = ...) -> None: ...

class InstanceInterrupted(_message.Message):
    __slots__ = ("address", "events")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    address: ContractAddress
    events: _containers.RepeatedCompositeFieldContainer[Bytes]
    def __init__(self, address: _Optional[_Union[ContractAddress, _Mapping]] = ..., events: _Optional[_Iterable[_Union[Bytes, _Mapping]]] = ...) -> None: ...

class InstanceResumed(_message.Message):
    __slots__ = ("address", "success")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    address: ContractAddress
    success: bool
    def __init__(self, address: _Optional[_Union[ContractAddress, _Mapping]] = ..., success: _Optional[bool] = ...) -> None: ...

class InstanceUpgraded(_message.Message):
    __slots__ = ("address", "to")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    address: ContractAddress
    to: Bytes
    def __init__(self, address: _Optional[_Union[ContractAddress, _Mapping]] = ..., to: _Optional[_Union[Bytes, _Mapping]] = ..., **kwargs) -> None: ...

class ContractTraceElement(_message.Message):
    __slots__ = ("updated", "transferred", "interrupted", "resumed", "upgraded")
    UPDATED_FIELD_NUMBER: _ClassVar[int]
    TRANSFERRED_FIELD_NUMBER: _ClassVar[int]
    INTERRUPTED_FIELD_NUMBER: _ClassVar[int]
    RESUMED_FIELD_NUMBER: _ClassVar[int]
    UPGRADED_FIELD_NUMBER: _ClassVar[int]
    updated: InstanceUpdated
    transferred: InstanceTransferred
    interrupted: InstanceInterrupted
    resumed: InstanceResumed
    upgraded: InstanceUpgraded
    def __init__(self, updated: _Optional[_Union[InstanceUpdated, _Mapping]] = ..., transferred: _Optional[_Union[InstanceTransferred, _Mapping]] = ..., interrupted: _Optional[_Union[InstanceInterrupted, _Mapping]] = ..., resumed: _Optional[_Union[InstanceResumed, _Mapping]] = ..., upgraded: _Optional[_Union[InstanceUpgraded, _Mapping]] = ...) -> None: ...

class ContractUpdateIssued(_message.Message):
    __slots__ = ("effects",)
    EFFECTS_FIELD_NUMBER: _ClassVar[int]
    effects: _containers.RepeatedCompositeFieldContainer[ContractTraceElement]
    def __init__(self, effects: _Optional[_Iterable[_Union[ContractTraceElement, _Mapping]]] = ...) -> None: ...

class ContractInitialized(_message.Message):
    __slots__ = ("contract_version", "origin_ref", "address", "amount", "init_name", "events", "parameter")
    CONTRACT_VERSION_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_REF_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    INIT_NAME_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    PARAMETER_FIELD_NUMBER: _ClassVar[int]
    contract_version: int
    origin_ref: Bytes
    address: ContractAddress
    amount: U64
    init_name: Str
    events: _containers.RepeatedCompositeFieldContainer[Bytes]
    parameter: Bytes
    def __init__(self, contract_version: _Optional[int] = ..., origin_ref: _Optional[_Union[Bytes, _Mapping]] = ..., address: _Optional[_Union[ContractAddress, _Mapping]] = ..., amount: _Optional[_Union[U64, _Mapping]] = ..., init_name: _Optional[_Union[Str, _Mapping]] = ..., events: _Optional[_Iterable[_Union[Bytes, _Mapping]]] = ..., parameter: _Optional[_Union[Bytes, _Mapping]] = ...) -> None: ...

class AccountTransfer(_message.Message):
    __slots__ = ("amount", "receiver", "memo")
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    RECEIVER_FIELD_NUMBER: _ClassVar[int]
    MEMO_FIELD_NUMBER: _ClassVar[int]
    amount: U64
    receiver: Bytes
    memo: Bytes
    def __init__(self, amount: _Optional[_Union[U64, _Mapping]] = ..., receiver: _Optional[_Union[Bytes, _Mapping]] = ..., memo: _Optional[_Union[Bytes, _Mapping]] = ...) -> None: ...

class AccountTransactionEffects(_message.Message):
    __slots__ = ("none", "module_deployed", "contract_initialized", "contract_update_issued", "account_transfer", "baker_added", "baker_removed", "baker_stake_updated", "baker_restake_earnings_updated", "baker_keys_updated", "encrypted_amount_transferred", "transferred_to_encrypted", "transferred_to_public", "transferred_with_schedule", "credential_keys_updated", "credentials_updated", "data_registered", "baker_configured", "delegation_configured", "token_update_effect")
    NONE_FIELD_NUMBER: _ClassVar[int]
    MODULE_DEPLOYED_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_INITIALIZED_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_UPDATE_ISSUED_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_TRANSFER_FIELD_NUMBER: _ClassVar[int]
    BAKER_ADDED_FIELD_NUMBER: _ClassVar[int]
    BAKER_REMOVED_FIELD_NUMBER: _ClassVar[int]
    BAKER_STAKE_UPDATED_FIELD_NUMBER: _ClassVar[int]
    BAKER_RESTAKE_EARNINGS_UPDATED_FIELD_NUMBER: _ClassVar[int]
    BAKER_KEYS_UPDATED_FIELD_NUMBER: _ClassVar[int]
    ENCRYPTED_AMOUNT_TRANSFERRED_FIELD_NUMBER: _ClassVar[int]
    TRANSFERRED_TO_ENCRYPTED_FIELD_NUMBER: _ClassVar[int]
    TRANSFERRED_TO_PUBLIC_FIELD_NUMBER: _ClassVar[int]
    TRANSFERRED_WITH_SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_KEYS_UPDATED_FIELD_NUMBER: _ClassVar[int]
    CREDENTIALS_UPDATED_FIELD_NUMBER: _ClassVar[int]
    DATA_REGISTERED_FIELD_NUMBER: _ClassVar[int]
    BAKER_CONFIGURED_FIELD_NUMBER: _ClassVar[int]
    DELEGATION_CONFIGURED_FIELD_NUMBER: _ClassVar[int]
    TOKEN_UPDATE_EFFECT_FIELD_NUMBER: _ClassVar[int]
    none: NoEffect
    module_deployed: Bytes
    contract_initialized: ContractInitialized
    contract_update_issued: ContractUpdateIssued
    account_transfer: AccountTransfer
    baker_added: Empty
    baker_removed: Empty
    baker_stake_updated: Empty
    baker_restake_earnings_updated: Empty
    baker_keys_updated: Empty
    encrypted_amount_transferred: Empty
    transferred_to_encrypted: Empty
    transferred_to_public: Empty
    transferred_with_schedule: Empty
    credential_keys_updated: Empty
    credentials_updated: Empty
    data_registered: Empty
    baker_configured: Empty
    delegation_configured: Empty
    token_update_effect: TokenEffect
    def __init__(self, none: _Optional[_Union[NoEffect, _Mapping]] = ..., module_deployed: _Optional[_Union[Bytes, _Mapping]] = ..., contract_initialized: _Optional[_Union[ContractInitialized, _Mapping]] = ..., contract_update_issued: _Optional[_Union[ContractUpdateIssued, _Mapping]] = ..., account_transfer: _Optional[_Union[AccountTransfer, _Mapping]] = ..., baker_added: _Optional[_Union[Empty, _Mapping]] = ..., baker_removed: _Optional[_Union[Empty, _Mapping]] = ..., baker_stake_updated: _Optional[_Union[Empty, _Mapping]] = ..., baker_restake_earnings_updated: _Optional[_Union[Empty, _Mapping]] = ..., baker_keys_updated: _Optional[_Union[Empty, _Mapping]] = ..., encrypted_amount_transferred: _Optional[_Union[Empty, _Mapping]] = ..., transferred_to_encrypted: _Optional[_Union[Empty, _Mapping]] = ..., transferred_to_public: _Optional[_Union[Empty, _Mapping]] = ..., transferred_with_schedule: _Optional[_Union[Empty, _Mapping]] = ..., credential_keys_updated: _Optional[_Union[Empty, _Mapping]] = ..., credentials_updated: _Optional[_Union[Empty, _Mapping]] = ..., data_registered: _Optional[_Union[Empty, _Mapping]] = ..., baker_configured: _Optional[_Union[Empty, _Mapping]] = ..., delegation_configured: _Optional[_Union[Empty, _Mapping]] = ..., token_update_effect: _Optional[_Union[TokenEffect, _Mapping]] = ...) -> None: ...

class SponsorDetails(_message.Message):
    __slots__ = ("cost", "sponsor")
    COST_FIELD_NUMBER: _ClassVar[int]
    SPONSOR_FIELD_NUMBER: _ClassVar[int]
    cost: U64
    sponsor: Bytes
    def __init__(self, cost: _Optional[_Union[U64, _Mapping]] = ..., sponsor: _Optional[_Union[Bytes, _Mapping]] = ...) -> None: ...

class AccountTransactionDetails(_message.Message):
    __slots__ = ("cost", "sender", "effects", "sponsor")
    COST_FIELD_NUMBER: _ClassVar[int]
    SENDER_FIELD_NUMBER: _ClassVar[int]
    EFFECTS_FIELD_NUMBER: _ClassVar[int]
    SPONSOR_FIELD_NUMBER: _ClassVar[int]
    cost: U64
    sender: Bytes
    effects: AccountTransactionEffects
    sponsor: SponsorDetails
    def __init__(self, cost: _Optional[_Union[U64, _Mapping]] = ..., sender: _Optional[_Union[Bytes, _Mapping]] = ..., effects: _Optional[_Union[AccountTransactionEffects, _Mapping]] = ..., sponsor: _Optional[_Union[SponsorDetails, _Mapping]] = ...) -> None: ...

class BlockItemSummary(_message.Message):
    __slots__ = ("index", "energy_cost", "hash", "account_transaction", "account_creation", "update", "token_creation")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    ENERGY_COST_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_TRANSACTION_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_CREATION_FIELD_NUMBER: _ClassVar[int]
    UPDATE_FIELD_NUMBER: _ClassVar[int]
    TOKEN_CREATION_FIELD_NUMBER: _ClassVar[int]
    index: U64
    energy_cost: U64
    hash: Bytes
    account_transaction: AccountTransactionDetails
    account_creation: Empty
    update: Empty
    token_creation: Empty
    def __init__(self, index: _Optional[_Union[U64, _Mapping]] = ..., energy_cost: _Optional[_Union[U64, _Mapping]] = ..., hash: _Optional[_Union[Bytes, _Mapping]] = ..., account_transaction: _Optional[_Union[AccountTransactionDetails, _Mapping]] = ..., account_creation: _Optional[_Union[Empty, _Mapping]] = ..., update: _Optional[_Union[Empty, _Mapping]] = ..., token_creation: _Optional[_Union[Empty, _Mapping]] = ...) -> None: ...

class BlockItemSummaryInBlock(_message.Message):
    __slots__ = ("block_hash", "outcome")
    BLOCK_HASH_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    block_hash: Bytes
    outcome: BlockItemSummary
    def __init__(self, block_hash: _Optional[_Union[Bytes, _Mapping]] = ..., outcome: _Optional[_Union[BlockItemSummary, _Mapping]] = ...) -> None: ...

class CommittedStatus(_message.Message):
    __slots__ = ("outcomes",)
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    outcomes: _containers.RepeatedCompositeFieldContainer[BlockItemSummaryInBlock]
    def __init__(self, outcomes: _Optional[_Iterable[_Union[BlockItemSummaryInBlock, _Mapping]]] = ...) -> None: ...

class FinalizedStatus(_message.Message):
    __slots__ = ("outcome",)
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    outcome: BlockItemSummaryInBlock
    def __init__(self, outcome: _Optional[_Union[BlockItemSummaryInBlock, _Mapping]] = ...) -> None: ...

class BlockItemStatus(_message.Message):
    __slots__ = ("received", "committed", "finalized")
    RECEIVED_FIELD_NUMBER: _ClassVar[int]
    COMMITTED_FIELD_NUMBER: _ClassVar[int]
    FINALIZED_FIELD_NUMBER: _ClassVar[int]
    received: Empty
    committed: CommittedStatus
    finalized: FinalizedStatus
    def __init__(self, received: _Optional[_Union[Empty, _Mapping]] = ..., committed: _Optional[_Union[CommittedStatus, _Mapping]] = ..., finalized: _Optional[_Union[FinalizedStatus, _Mapping]] = ...) -> None: ...

class TokenInfoRequest(_message.Message):
    __slots__ = ("block_hash", "token_id")
    BLOCK_HASH_FIELD_NUMBER: _ClassVar[int]
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    block_hash: BlockHashInput
    token_id: Str
    def __init__(self, block_hash: _Optional[_Union[BlockHashInput, _Mapping]] = ..., token_id: _Optional[_Union[Str, _Mapping]] = ...) -> None: ...

class TokenState(_message.Message):
    __slots__ = ("token_module_ref", "decimals", "total_supply", "module_state")
    TOKEN_MODULE_REF_FIELD_NUMBER: _ClassVar[int]
    DECIMALS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_SUPPLY_FIELD_NUMBER: _ClassVar[int]
    MODULE_STATE_FIELD_NUMBER: _ClassVar[int]
    token_module_ref: Bytes
    decimals: int
    total_supply: TokenAmount
    module_state: Bytes
    def __init__(self, token_module_ref: _Optional[_Union[Bytes, _Mapping]] = ..., decimals: _Optional[int] = ..., total_supply: _Optional[_Union[TokenAmount, _Mapping]] = ..., module_state: _Optional[_Union[Bytes, _Mapping]] = ...) -> None: ...

class TokenInfo(_message.Message):
    __slots__ = ("token_id", "token_state")
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_STATE_FIELD_NUMBER: _ClassVar[int]
    token_id: Str
    token_state: TokenState
    def __init__(self, token_id: _Optional[_Union[Str, _Mapping]] = ..., token_state: _Optional[_Union[TokenState, _Mapping]] = ...) -> None: ...

class InstanceInfoRequest(_message.Message):
    __slots__ = ("block_hash", "address")
    BLOCK_HASH_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    block_hash: BlockHashInput
    address: ContractAddress
    def __init__(self, block_hash: _Optional[_Union[BlockHashInput, _Mapping]] = ..., address: _Optional[_Union[ContractAddress, _Mapping]] = ...) -> None: ...

class InstanceInfoV0(_message.Message):
    __slots__ = ("model", "owner", "amount", "methods", "name", "source_module")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    METHODS_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SOURCE_MODULE_FIELD_NUMBER: _ClassVar[int]
    model: Bytes
    owner: Bytes
    amount: U64
    methods: _containers.RepeatedCompositeFieldContainer[Str]
    name: Str
    source_module: Bytes
    def __init__(self, model: _Optional[_Union[Bytes, _Mapping]] = ..., owner: _Optional[_Union[Bytes, _Mapping]] = ..., amount: _Optional[_Union[U64, _Mapping]] = ..., methods: _Optional[_Iterable[_Union[Str, _Mapping]]] = ..., name: _Optional[_Union[Str, _Mapping]] = ..., source_module: _Optional[_Union[Bytes, _Mapping]] = ...) -> None: ...

class InstanceInfoV1(_message.Message):
    __slots__ = ("owner", "amount", "methods", "name", "source_module")
    OWNER_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    METHODS_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SOURCE_MODULE_FIELD_NUMBER: _ClassVar[int]
    owner: Bytes
    amount: U64
    methods: _containers.RepeatedCompositeFieldContainer[Str]
    name: Str
    source_module: Bytes
    def __init__(self, owner: _Optional[_Union[Bytes, _Mapping]] = ..., amount: _Optional[_Union[U64, _Mapping]] = ..., methods: _Optional[_Iterable[_Union[Str, _Mapping]]] = ..., name: _Optional[_Union[Str, _Mapping]] = ..., source_module: _Optional[_Union[Bytes, _Mapping]] = ...) -> None: ...

class InstanceInfo(_message.Message):
    __slots__ = ("v0", "v1")
    V0_FIELD_NUMBER: _ClassVar[int]
    V1_FIELD_NUMBER: _ClassVar[int]
    v0: InstanceInfoV0
    v1: InstanceInfoV1
    def __init__(self, v0: _Optional[_Union[InstanceInfoV0, _Mapping]] = ..., v1: _Optional[_Union[InstanceInfoV1, _Mapping]] = ...) -> None: ...

class InvokeInstanceRequest(_message.Message):
    __slots__ = ("block_hash", "invoker", "instance", "amount", "entrypoint", "parameter", "energy")
    BLOCK_HASH_FIELD_NUMBER: _ClassVar[int]
    INVOKER_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    ENTRYPOINT_FIELD_NUMBER: _ClassVar[int]
    PARAMETER_FIELD_NUMBER: _ClassVar[int]
    ENERGY_FIELD_NUMBER: _ClassVar[int]
    block_hash: BlockHashInput
    invoker: Address
    instance: ContractAddress
    amount: U64
    entrypoint: Str
    parameter: Bytes
    energy: U64
    def __init__(self, block_hash: _Optional[_Union[BlockHashInput, _Mapping]] = ..., invoker: _Optional[_Union[Address, _Mapping]] = ..., instance: _Optional[_Union[ContractAddress, _Mapping]] = ..., amount: _Optional[_Union[U64, _Mapping]] = ..., entrypoint: _Optional[_Union[Str, _Mapping]] = ..., parameter: _Optional[_Union[Bytes, _Mapping]] = ..., energy: _Optional[_Union[U64, _Mapping]] = ...) -> None: ...

class InvokeFailure(_message.Message):
    __slots__ = ("return_value", "used_energy", "reason")
    RETURN_VALUE_FIELD_NUMBER: _ClassVar[int]
    USED_ENERGY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    return_value: bytes
    used_energy: U64
    reason: RejectReason
    def __init__(self, return_value: _Optional[bytes] = ..., used_energy: _Optional[_Union[U64, _Mapping]] = ..., reason: _Optional[_Union[RejectReason, _Mapping]] = ...) -> None: ...

class InvokeSuccess(_message.Message):
    __slots__ = ("return_value", "used_energy", "effects")
    RETURN_VALUE_FIELD_NUMBER: _ClassVar[int]
    USED_ENERGY_FIELD_NUMBER: _ClassVar[int]
    EFFECTS_FIELD_NUMBER: _ClassVar[int]
    return_value: bytes
    used_energy: U64
    effects: _containers.RepeatedCompositeFieldContainer[ContractTraceElement]
    def __init__(self, return_value: _Optional[bytes] = ..., used_energy: _Optional[_Union[U64, _Mapping]] = ..., effects: _Optional[_Iterable[_Union[ContractTraceElement, _Mapping]]] = ...) -> None: ...

class InvokeInstanceResponse(_message.Message):
    __slots__ = ("success", "failure")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    success: InvokeSuccess
    failure: InvokeFailure
    def __init__(self, success: _Optional[_Union[InvokeSuccess, _Mapping]] = ..., failure: _Optional[_Union[InvokeFailure, _Mapping]] = ...) -> None: ...
