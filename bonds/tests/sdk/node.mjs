// A small node for our client to talk to: its wire code is the official SDK's generated protobuf, its reading of transactions the SDK's own.
// Usage: node node.mjs '{"wallet": {"address", "keys": {"0": {"0": "<verification key>"}}, "units", "microCcd"}, "accounts": [base58],
//                        "token": {"id", "name", "decimals"}, "contract": {"index", "name", "module", "events": [hex]}, "blocks"}'
// Standard output, one JSON per line: {"address"} once it listens, {"received"} for every transaction as the SDK reads it, {"done"} after a command.
// Standard input, one word per line: "commit" puts what was received in a block, "finalize" makes that block final, "block <ms>" adds an empty final
// block of that time. The node ends when its standard input does.
import { createHash } from 'node:crypto';
import { createInterface } from 'node:readline';
import grpc from '@grpc/grpc-js';
import { AccountTransactionV0, Payload } from '@concordium/web-sdk/transactions';
import { Cbor, CborMemo, TokenAmount } from '@concordium/web-sdk/plt';
import * as types from '@concordium/web-sdk/types';
import { Queries } from './node_modules/@concordium/web-sdk/lib/esm/grpc-api/v2/concordium/service.js';

const CALL_REJECTED = -42000003; // what every contract here answers to a call
const IDENTITY_BYTES = 29; // the last three bytes of an address are free
const task = JSON.parse(process.argv[2]);
const sha256 = (data) => createHash('sha256').update(data).digest();
const hex = (bytes) => Buffer.from(bytes).toString('hex');
const wrap = (value) => ({ value });
const say = (line) => console.log(JSON.stringify(line, (_, item) => (typeof item === 'bigint' ? item.toString() : item)));
const addressBytes = (text) => types.AccountAddress.toBuffer(types.AccountAddress.fromBase58(text));
const identity = (bytes) => hex(bytes.slice(0, IDENTITY_BYTES));

class Refusal extends Error {
  constructor(code, details) {
    super(details);
    this.code = code;
    this.details = details;
  }
}
const notFound = (details) => new Refusal(grpc.status.NOT_FOUND, details);
const invalid = (details) => new Refusal(grpc.status.INVALID_ARGUMENT, details);

// ---- the chain ----

const blocks = [];
const followers = new Set();
const addBlock = (time, items) => {
  const height = blocks.length;
  const parent = height ? blocks[height - 1].hash : sha256('no block');
  blocks.push({ height, hash: sha256(`block ${height}`), parent, time: BigInt(time), items });
  for (const follower of followers) follower.write({ hash: wrap(blocks[height].hash), height: wrap(BigInt(height)) });
};
const wallet = { address: addressBytes(task.wallet.address), next: 1n, units: BigInt(task.wallet.units), ccd: BigInt(task.wallet.microCcd) };
const balances = new Map(task.accounts.map((text) => [identity(addressBytes(text)), { address: addressBytes(text), units: 0n }]));
const transactions = new Map(); // hash -> {transaction, stage, summary, block}
let open = [];

const contractAddress = { index: BigInt(task.contract.index), subindex: 0n };
const start = Date.now() - 1000 * task.blocks;
for (let height = 0; height < task.blocks; height += 1) {
  const events = height === 3 ? task.contract.events : [];
  addBlock(start + 1000 * height, events.length ? [contractCall(events.map((event) => wrap(Buffer.from(event, 'hex'))))] : []);
}

// A call that a callee interrupts: the first event before the interruption, what the callee did undone, the rest after it.
function contractCall(events) {
  const interrupted = { address: contractAddress, events: events.slice(0, 1) };
  const update = (address, own) => ({
    oneofKind: 'updated',
    updated: {
      contractVersion: 1,
      address,
      instigator: { type: { oneofKind: 'account', account: wrap(wallet.address) } },
      amount: wrap(0n),
      parameter: wrap(new Uint8Array()),
      receiveName: wrap(`${task.contract.name}.burn`),
      events: own,
    },
  });
  const undone = update(contractAddress, events.slice(0, 1));
  const effects = [
    { element: { oneofKind: 'interrupted', interrupted } },
    { element: undone },
    { element: { oneofKind: 'resumed', resumed: { address: contractAddress, success: false } } },
    { element: update(contractAddress, events.slice(1)) },
  ];
  return summaryOf(0n, sha256('a call'), 500n, { oneofKind: 'contractUpdateIssued', contractUpdateIssued: { effects } });
}

function summaryOf(index, hash, energy, effect) {
  const accountTransaction = { cost: wrap(10n * energy), sender: wrap(wallet.address), effects: { effect } };
  return { index: wrap(index), energyCost: wrap(energy), hash: wrap(hash), details: { oneofKind: 'accountTransaction', accountTransaction } };
}

// ---- transactions, as the SDK reads them ----

const credentials = Object.fromEntries(
  Object.entries(task.wallet.keys).map(([credential, keys]) => {
    const verifyKeys = Object.fromEntries(Object.entries(keys).map(([key, verifyKey]) => [key, { schemeId: 'Ed25519', verifyKey }]));
    return [credential, { value: { contents: { credentialPublicKeys: { threshold: Object.keys(keys).length, keys: verifyKeys } } } }];
  }),
);
const walletKeys = { accountThreshold: Object.keys(credentials).length, accountCredentials: credentials };

const readTransaction = (item) => {
  if (item.oneofKind === 'rawBlockItem') {
    const raw = Uint8Array.from(item.rawBlockItem);
    if (raw[0] !== 0) throw invalid('not an account transaction');
    return AccountTransactionV0.deserialize(raw.slice(1).buffer);
  }
  const { signature, header, payload } = item.accountTransaction;
  const signatures = Object.fromEntries(
    Object.entries(signature.signatures).map(([credential, of]) => [
      credential,
      Object.fromEntries(Object.entries(of.signatures).map(([key, one]) => [key, hex(one.value)])),
    ]),
  );
  const rawPayload = Uint8Array.from(payload.payload.rawPayload);
  return {
    version: 0,
    signature: signatures,
    payload: Payload.deserialize(rawPayload.slice().buffer),
    header: {
      sender: types.AccountAddress.fromBuffer(Uint8Array.from(header.sender.value)),
      nonce: types.SequenceNumber.create(header.sequenceNumber.value),
      expiry: types.TransactionExpiry.fromEpochSeconds(header.expiry.value),
      energyAmount: types.Energy.create(header.energyAmount.value),
      payloadSize: rawPayload.length,
    },
  };
};

const isCall = (payload) => payload.type === types.AccountTransactionType.Update;

const transfersOf = (transaction) =>
  Cbor.decode(transaction.payload.operations, 'TokenOperation[]').map(({ transfer }) => ({
    to: types.AccountAddress.toBuffer(transfer.recipient.address),
    units: transfer.amount.value,
    decimals: transfer.amount.decimals,
    memo: CborMemo.instanceOf(transfer.memo) ? transfer.memo.content : transfer.memo,
  }));

// What the SDK would state; of a contract call the part before its execution.
const sdkEnergy = ({ signature, payload }) => {
  const signatures = Object.values(signature).reduce((sum, keys) => sum + Object.keys(keys).length, 0);
  const own = isCall(payload) ? 0n : types.getAccountTransactionHandler(payload.type).getBaseEnergyCost(payload);
  return AccountTransactionV0.calculateEnergyCost(BigInt(signatures), payload, types.Energy.create(own)).value;
};

const described = ({ payload }, transfers) => {
  if (isCall(payload)) {
    const { address, receiveName, message, amount } = payload;
    const contract = [address.index, address.subindex];
    return { contract, receiveName: types.ReceiveName.toString(receiveName), parameter: types.Parameter.toHexString(message), amount: amount.microCcdAmount };
  }
  const base58 = (bytes) => types.AccountAddress.toBase58(types.AccountAddress.fromBuffer(bytes));
  return { token: payload.tokenId.toString(), transfers: transfers.map((one) => ({ ...one, to: base58(one.to), memo: one.memo ? hex(one.memo) : null })) };
};

const receive = async (item) => {
  const transaction = readTransaction(item);
  const hash = sha256(AccountTransactionV0.serializeBlockItem(transaction));
  const known = transactions.get(hex(hash));
  if (known && known.stage !== 'finalized') throw new Refusal(grpc.status.ALREADY_EXISTS, 'Duplicate entry');
  const following = wallet.next + BigInt(open.length);
  const { nonce, sender, expiry, energyAmount } = transaction.header;
  if (nonce.value < following) throw invalid('Duplicate nonce');
  if (nonce.value > following) throw invalid('Nonce too large');
  if (!(await AccountTransactionV0.verifySignature(transaction, transaction.signature, walletKeys))) throw invalid('Verification failed');
  const transfers = isCall(transaction.payload) ? [] : transfersOf(transaction);
  const entry = { hash, stage: 'received', transaction, transfers };
  transactions.set(hex(hash), entry);
  open.push(entry);
  say({
    received: {
      hash: hex(hash),
      sender: types.AccountAddress.toBase58(sender),
      number: nonce.value,
      expiry: expiry.expiryEpochSeconds,
      energy: energyAmount.value,
      sdkEnergy: sdkEnergy(transaction),
      ...described(transaction, transfers),
    },
  });
  return wrap(hash);
};

const execute = (entry, index) => {
  let available = wallet.units;
  const short = entry.transfers.findIndex((one) => {
    if (one.units > available) return true;
    available -= one.units;
    return false;
  });
  const energy = entry.transaction.header.energyAmount.value;
  entry.apply = () => {
    wallet.next += 1n;
    wallet.ccd -= 10n * energy;
  };
  if (isCall(entry.transaction.payload)) {
    const { address, receiveName, message } = entry.transaction.payload;
    const call = { contractAddress: { index: address.index, subindex: address.subindex }, receiveName: wrap(types.ReceiveName.toString(receiveName)), parameter: wrap(types.Parameter.toBuffer(message)) };
    const reason = { oneofKind: 'rejectedReceive', rejectedReceive: { rejectReason: CALL_REJECTED, ...call } };
    return summaryOf(index, entry.hash, energy, { oneofKind: 'none', none: { transactionType: 2, rejectReason: { reason } } });
  }
  if (short >= 0) {
    const decimals = task.token.decimals;
    const amounts = { availableBalance: TokenAmount.create(available, decimals), requiredBalance: TokenAmount.create(entry.transfers[short].units, decimals) };
    const details = wrap(Cbor.encode({ index: short, ...amounts }).bytes);
    const reject = { tokenId: wrap(task.token.id), type: 'tokenBalanceInsufficient', details };
    const reason = { oneofKind: 'tokenUpdateTransactionFailed', tokenUpdateTransactionFailed: reject };
    return summaryOf(index, entry.hash, energy, { oneofKind: 'none', none: { transactionType: 21, rejectReason: { reason } } });
  }
  const applied = entry.apply;
  entry.apply = () => {
    applied();
    wallet.units = available;
    for (const one of entry.transfers) balances.get(identity(one.to)).units += one.units;
  };
  const holder = (bytes) => ({ address: { oneofKind: 'account', account: wrap(bytes) } });
  const events = entry.transfers.map((one) => ({
    tokenId: wrap(task.token.id),
    event: {
      oneofKind: 'transferEvent',
      transferEvent: { from: holder(wallet.address), to: holder(one.to), amount: { value: one.units, decimals: one.decimals }, memo: one.memo && wrap(one.memo) },
    },
  }));
  return summaryOf(index, entry.hash, energy, { oneofKind: 'tokenUpdateEffect', tokenUpdateEffect: { events } });
};

// ---- commands ----

const commands = {
  commit: () => {
    open.forEach((entry, index) => {
      Object.assign(entry, { stage: 'committed', summary: execute(entry, BigInt(index)), block: sha256(`block ${blocks.length}`) });
    });
  },
  finalize: () => {
    for (const entry of open) {
      entry.stage = 'finalized';
      entry.apply();
    }
    addBlock(Date.now(), open.map((entry) => entry.summary));
    open = [];
  },
  block: (time) => addBlock(Number(time), []),
};

// ---- the service ----

const at = (input) => {
  const { blockHashInput: which } = input;
  const last = blocks[blocks.length - 1];
  if (which.oneofKind === 'best' || which.oneofKind === 'lastFinal') return last;
  const wanted = which.oneofKind === 'absoluteHeight' ? blocks[Number(which.absoluteHeight.value)] : blocks.find((block) => hex(block.hash) === hex(which.given.value));
  if (!wanted) throw notFound('Block not found.');
  return wanted;
};

const accountInfo = ({ accountIdentifier }) => {
  const asked = accountIdentifier.accountIdentifierInput.address.value;
  const isWallet = identity(asked) === identity(wallet.address);
  const account = isWallet ? wallet : balances.get(identity(asked));
  if (!account) throw notFound('Account not found.');
  const state = { balance: { value: account.units, decimals: task.token.decimals }, moduleState: wrap(Cbor.encode({ denyList: false }).bytes) };
  return {
    sequenceNumber: wrap(isWallet ? wallet.next : 1n),
    amount: wrap((account.ccd ?? 0n) + 7n), // the seven are staked
    availableBalance: wrap(account.ccd ?? 0n),
    threshold: wrap(1),
    index: wrap(1n),
    address: wrap(account.address),
    tokens: account.units ? [{ tokenId: wrap(task.token.id), tokenAccountState: state }] : [],
  };
};

const unary = {
  GetConsensusInfo: () => {
    const last = blocks[blocks.length - 1];
    return {
      bestBlock: wrap(last.hash),
      genesisBlock: wrap(blocks[0].hash),
      lastFinalizedBlock: wrap(last.hash),
      lastFinalizedBlockHeight: wrap(BigInt(last.height)),
      lastFinalizedTime: wrap(last.time),
      protocolVersion: 8,
    };
  },
  GetBlockInfo: (request) => {
    const block = at(request);
    return {
      hash: wrap(block.hash),
      height: wrap(BigInt(block.height)),
      parentBlock: wrap(block.parent),
      lastFinalizedBlock: wrap(block.parent),
      slotTime: wrap(block.time),
      finalized: true,
      transactionCount: block.items.length,
      protocolVersion: 8,
    };
  },
  GetAccountInfo: accountInfo,
  GetNextAccountSequenceNumber: () => ({ sequenceNumber: wrap(wallet.next + BigInt(open.length)), allFinal: open.length === 0 }),
  GetTokenInfo: ({ tokenId }) => {
    const { id, name, decimals } = task.token;
    if (tokenId.value.toLowerCase() !== id.toLowerCase()) throw notFound('Token not found.');
    const moduleState = Cbor.encode({ name, paused: false, allowList: false, denyList: true, mintable: true, burnable: true });
    const state = { tokenModuleRef: wrap(sha256('token module')), decimals, totalSupply: { value: BigInt(task.wallet.units), decimals } };
    return { tokenId: wrap(id), tokenState: { ...state, moduleState: wrap(moduleState.bytes) } };
  },
  GetInstanceInfo: ({ address }) => {
    if (address.index !== contractAddress.index || address.subindex !== 0n) throw notFound('Instance not found.');
    const { name, module } = task.contract;
    const v1 = { owner: wrap(wallet.address), amount: wrap(0n), methods: [wrap(`${name}.burn`)], name: wrap(`init_${name}`), sourceModule: wrap(Buffer.from(module, 'hex')) };
    return { version: { oneofKind: 'v1', v1 } };
  },
  SendBlockItem: ({ blockItem }) => receive(blockItem),
  GetBlockItemStatus: ({ value }) => {
    const entry = transactions.get(hex(value));
    if (!entry) throw notFound('Transaction not found.');
    if (entry.stage === 'received') return { status: { oneofKind: 'received', received: {} } };
    const outcome = { blockHash: wrap(entry.block), outcome: entry.summary };
    if (entry.stage === 'committed') return { status: { oneofKind: 'committed', committed: { outcomes: [outcome] } } };
    return { status: { oneofKind: 'finalized', finalized: { outcome } } };
  },
};
const streams = {
  GetBlockTransactionEvents: (call) => {
    for (const item of at(call.request).items) call.write(item);
    call.end();
  },
  GetFinalizedBlocks: (call) => {
    followers.add(call);
    call.sendMetadata(new grpc.Metadata());
    call.on('cancelled', () => followers.delete(call));
  },
};

const definition = Object.fromEntries(
  Queries.methods.map((method) => [
    method.name,
    {
      path: `/${Queries.typeName}/${method.name}`,
      requestStream: method.clientStreaming,
      responseStream: method.serverStreaming,
      requestSerialize: (message) => Buffer.from(method.I.toBinary(message)),
      requestDeserialize: (bytes) => method.I.fromBinary(bytes),
      responseSerialize: (message) => Buffer.from(method.O.toBinary(method.O.create(message))),
      responseDeserialize: (bytes) => method.O.fromBinary(bytes),
    },
  ]),
);
const refused = (error) => (error instanceof Refusal ? error : { code: grpc.status.INTERNAL, details: String(error.stack) });
const answering = (answer) => async (call, reply) => {
  try {
    reply(null, await answer(call.request));
  } catch (error) {
    reply(refused(error));
  }
};
const streaming = (write) => (call) => {
  try {
    write(call);
  } catch (error) {
    call.emit('error', refused(error));
  }
};
const server = new grpc.Server();
server.addService(definition, {
  ...Object.fromEntries(Object.entries(unary).map(([name, answer]) => [name, answering(answer)])),
  ...Object.fromEntries(Object.entries(streams).map(([name, write]) => [name, streaming(write)])),
});
server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  say({ address: `127.0.0.1:${port}` });
});
createInterface({ input: process.stdin })
  .on('line', (line) => {
    const [word, ...rest] = line.split(' ');
    commands[word](...rest);
    say({ done: word });
  })
  .on('close', () => process.exit(0));
