// The official SDK as a client of a devnet: asks, sends a PLT transfer it signed itself, follows it to finality, and prints what it saw.
// Usage: node witness.mjs '{"address": "127.0.0.1:20000", "wallet": {"address", "keys"}, "recipient", "token", "units", "memo", "registry", "bond"}'
// One line of JSON on standard output; any surprise is an exception and an exit code that is not 0.
import { createHash } from 'node:crypto';
import { ConcordiumGRPCNodeClient, credentials } from '@concordium/web-sdk/nodejs';
import * as types from '@concordium/web-sdk/types';
import { Transaction } from '@concordium/web-sdk/transactions';
import { Cbor, CborAccountAddress, CborMemo, TokenAmount, TokenId, createTokenUpdatePayload } from '@concordium/web-sdk/plt';

const task = JSON.parse(process.argv[2]);
const [host, port] = task.address.split(':');
const client = new ConcordiumGRPCNodeClient(host, Number(port), credentials.createInsecure());
const sender = types.AccountAddress.fromBase58(task.wallet.address);
const recipient = types.AccountAddress.fromBase58(task.recipient);
const token = TokenId.fromString(task.token);
const seen = {};

const refusal = async (attempt) => {
  try {
    await attempt();
  } catch (error) {
    return { code: error.code, message: decodeURIComponent(error.message) };
  }
  throw new Error('this should have been refused');
};

const balances = async (block) => {
  const of = async (account) => {
    const info = await client.getAccountInfo(account, block);
    const held = info.accountTokens.find((entry) => entry.id.value === task.token);
    return { units: String(held?.state.balance.value ?? 0n), ccd: String(info.accountAmount.microCcdAmount), next: String(info.accountNonce.value) };
  };
  return { sender: await of(sender), recipient: await of(recipient) };
};

const deliver = async (units, nonce) => {
  const memo = task.memo ? { memo: CborMemo.fromString(task.memo) } : {};
  const transfer = { amount: TokenAmount.create(units, task.decimals), recipient: CborAccountAddress.fromAccountAddress(recipient), ...memo };
  const payload = createTokenUpdatePayload(token, [{ transfer }, { transfer: { ...transfer, memo: undefined } }]);
  const metadata = { sender, nonce, expiry: types.TransactionExpiry.futureMinutes(5) };
  const signer = types.buildAccountSigner(task.wallet.keys);
  return Transaction.signAndFinalize(Transaction.tokenUpdate(payload).addMetadata(metadata).build(), signer);
};

// Questions first.
const consensus = await client.getConsensusStatus();
seen.consensus = {
  protocol: String(consensus.protocolVersion),
  genesis: types.BlockHash.toHexString(consensus.genesisBlock),
  finalHeight: String(consensus.lastFinalizedBlockHeight),
  finalTime: consensus.lastFinalizedTime?.toISOString(),
};
const next = await client.getNextAccountNonce(sender);
seen.next = { number: String(next.nonce.value), allFinal: next.allFinal };
const info = await client.getTokenInfo(token);
seen.token = { decimals: info.state.decimals, supply: String(info.state.totalSupply.value), state: Cbor.decode(info.state.moduleState, 'TokenModuleState') };
seen.token.state.governanceAccount = seen.token.state.governanceAccount.address.toString();
seen.lists = (await client.getAccountInfo(sender)).accountTokens.map((entry) => [entry.id.value, Cbor.decode(entry.state.moduleState, 'TokenModuleAccountState')]);
seen.before = await balances();
const instance = await client.getInstanceInfo(types.ContractAddress.create(task.bond, 0));
seen.instance = { name: types.InitName.toString(instance.name), module: instance.sourceModule.moduleRef };

// A transfer of the SDK's own making.
const bell = client.getFinalizedBlocks(new AbortController().signal)[Symbol.asyncIterator]();
const rung = bell.next();
const signed = await deliver(BigInt(task.units), next.nonce);
const hash = await client.sendTransaction(signed);
const local = createHash('sha256').update(Transaction.serializeBlockItem(signed)).digest('hex');
seen.hash = { node: types.TransactionHash.toHexString(hash), local };
seen.duplicate = await refusal(() => client.sendTransaction(signed));
const outcome = await client.waitForTransactionFinalization(hash, 30000);
const summary = outcome.summary;
seen.outcome = {
  block: types.BlockHash.toHexString(outcome.blockHash),
  type: summary.transactionType,
  cost: String(summary.cost),
  energy: String(summary.energyCost.value ?? summary.energyCost),
  events: summary.events.map((event) => ({
    tag: event.tag,
    from: event.from.address.toString(),
    to: event.to.address.toString(),
    units: String(event.amount.value),
    decimals: event.amount.decimals,
    memo: event.memo === undefined ? null : CborMemo.parse(event.memo),
  })),
};
seen.status = (await client.getBlockItemStatus(hash)).status;
seen.after = await balances(outcome.blockHash);
seen.rung = String((await rung).value.height > 0n);
seen.inBlock = [];
for await (const item of client.getBlockTransactionEvents(outcome.blockHash)) seen.inBlock.push(item.transactionType);
const block = await client.getBlockInfo(outcome.blockHash);
seen.block = { finalized: block.finalized, items: String(block.transactionCount) };

// What it must refuse, and what it must not know.
seen.spent = await refusal(() => client.sendTransaction(signed));
seen.tooEarly = await refusal(async () => client.sendTransaction(await deliver(1n, types.SequenceNumber.create(next.nonce.value + 9n))));
seen.unknown = await refusal(() => client.getBlockItemStatus(types.TransactionHash.fromHexString('ab'.repeat(32))));

// A transfer the token module rejects: more than there is.
const rejected = await client.sendTransaction(await deliver(BigInt(task.tooMany), types.SequenceNumber.create(next.nonce.value + 1n)));
const reject = (await client.waitForTransactionFinalization(rejected, 30000)).summary.rejectReason;
seen.rejected = { tag: reject.tag, type: reject.contents.type, details: Cbor.decode(reject.contents.details) };

// Contracts, read only.
const holder = (text) => `00${Buffer.from(types.AccountAddress.toBuffer(types.AccountAddress.fromBase58(text))).toString('hex')}`;
const ask = async (contract, name, parameter) => {
  const answer = await client.invokeContract({
    contract: types.ContractAddress.create(contract, 0),
    method: types.ReceiveName.fromString(name),
    parameter: types.Parameter.fromHexString(parameter),
  });
  return { tag: answer.tag, value: answer.returnValue === undefined ? null : types.ReturnValue.toHexString(answer.returnValue), reason: answer.reason ?? null };
};
const json = (value) => JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? item.toString() : item instanceof Map ? Object.fromEntries(item) : item));
seen.verified = await ask(task.registry, 'rwa_identity_registry.isVerified', holder(task.recipient));
seen.unverified = await ask(task.registry, 'rwa_identity_registry.isVerified', holder(task.wallet.address));
seen.lots = await ask(task.bond, 'security_sft_multi.balanceOf', `010008${task.lot}${holder(task.recipient)}`);
seen.stranger = await ask(task.bond, 'security_sft_multi.mint', '0000');
console.log(json(seen));
process.exit(0);
