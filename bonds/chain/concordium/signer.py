"""Who signs: the Signer the adapter asks, and two that hold keys, from a file or from the environment. Keys never leave
this module, nor show in a repr or a log."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from nacl.signing import SigningKey

from bonds.chain.concordium import addresses
from bonds.chain.concordium.transactions import Signatures
from bonds.chain.gateway import ChainMisconfigured

T = TypeVar("T")

SEED_BYTES = 32
MAX_INDEX = 255

Keys = Mapping[int, Mapping[int, SigningKey]]  # credential index -> key index -> key


class Signer(Protocol):
    """Signs for one or more accounts. Both methods raise ChainMisconfigured for an account whose keys it does not
    hold."""

    def signature_count(self, account: str) -> int:
        """How many signatures `sign` gives for the account: each costs energy, which is part of what is signed."""
        ...

    def sign(self, account: str, digest: bytes) -> Signatures:
        """Ed25519 signatures of the 32-byte digest by credential and key index. Deterministic."""
        ...


class KeySigner:
    """Signs with the keys of a JSON text: {"address": base58, "keys": {"0": {"0": "<32-byte seed in hex>"}}}.

    With every key of every credential, because the chain wants at least as many as its thresholds say. Each signature
    costs energy, so the text may name the account's thresholds: "account_threshold": 2 (credentials that sign) and
    "credential_thresholds": {"0": 2} (keys that sign, by credential); then that many sign, lowest index first.

    `source` says in errors where the text is from. ChainMisconfigured where it is malformed or holds fewer keys than its
    thresholds, without repeating its content.
    """

    def __init__(self, text: str, source: str) -> None:
        self._source = source
        try:
            document = json.loads(text)
        except ValueError:
            raise ChainMisconfigured(f"{source} is not JSON") from None
        self._address, keys = self._parse(document)
        self._keys = self._up_to_thresholds(keys, document)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._address}>"

    def __reduce__(self) -> str:
        raise TypeError("keys are not pickled")

    def _parse(self, document: Any) -> tuple[str, Keys]:
        try:
            address = document["address"]
            addresses.decode(address)
            keys = {
                _index(credential): {_index(key): SigningKey(_seed(seed)) for key, seed in seeds.items()}
                for credential, seeds in document["keys"].items()
            }
        except (KeyError, TypeError, ValueError, AttributeError):
            keys = {}  # refused below, outside this clause: a chained traceback would show the seed
        if not keys or not all(keys.values()):
            raise ChainMisconfigured(f"{self._source} does not hold an address and its keys")
        return address, keys

    def _up_to_thresholds(self, keys: Keys, document: Mapping[str, Any]) -> Keys:
        of_credential = document.get("credential_thresholds", {})
        if not isinstance(of_credential, dict) or not {str(credential) for credential in keys}.issuperset(
            of_credential
        ):
            raise ChainMisconfigured(f"{self._source}: credential_thresholds names a credential without keys")
        enough = {
            credential: self._lowest(held, of_credential.get(str(credential)), f"credential_thresholds of {credential}")
            for credential, held in keys.items()
        }
        return self._lowest(enough, document.get("account_threshold"), "account_threshold")

    def _lowest(self, held: Mapping[int, T], threshold: Any, name: str) -> Mapping[int, T]:
        """As many as the threshold says, lowest index first; all where it says nothing."""
        if threshold is None:
            return held
        if type(threshold) is not int or not 1 <= threshold <= len(held):
            raise ChainMisconfigured(f"{self._source}: {name} is no whole number from 1 to the {len(held)} it holds")
        return {index: held[index] for index in sorted(held)[:threshold]}

    def _check(self, account: str) -> None:
        if not addresses.same_account(account, self._address):
            raise ChainMisconfigured(f"no key for the account {account}")

    def signature_count(self, account: str) -> int:
        self._check(account)
        return sum(len(keys) for keys in self._keys.values())

    def sign(self, account: str, digest: bytes) -> Signatures:
        self._check(account)
        return {
            credential: {index: key.sign(digest).signature for index, key in keys.items()}
            for credential, keys in self._keys.items()
        }


class KeyFileSigner(KeySigner):
    """KeySigner of a file, read once, at construction; ChainMisconfigured where it cannot be read."""

    def __init__(self, path: str | Path) -> None:
        try:
            text = Path(path).read_text(encoding="utf-8")
        except OSError as error:
            raise ChainMisconfigured(f"the key file {path} cannot be read: {error.strerror}") from None
        except ValueError:
            raise ChainMisconfigured(f"the key file {path} is not JSON") from None
        super().__init__(text, f"the key file {path}")


class KeyEnvironmentSigner(KeySigner):
    """KeySigner of an environment variable; ChainMisconfigured where it is not set."""

    def __init__(self, variable: str) -> None:
        text = os.environ.get(variable)
        if not text:
            raise ChainMisconfigured(f"the environment variable {variable} holds no keys")
        super().__init__(text, f"the environment variable {variable}")


def _index(text: str) -> int:
    index = int(text)
    if not 0 <= index <= MAX_INDEX:
        raise ValueError("index out of range")
    return index


def _seed(text: str) -> bytes:
    seed = bytes.fromhex(text)
    if len(seed) != SEED_BYTES:
        raise ValueError("wrong length")
    return seed
