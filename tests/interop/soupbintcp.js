'use strict';
// The npm package soupbintcp as a client: login, two orders that trade, replay, logout.
// Usage: node soupbintcp.js HOST PORT

const assert = require('assert');
const soupbintcp = require('soupbintcp');

const [host, port] = [process.argv[2], Number(process.argv[3])];
const timer = setTimeout(() => { console.error('no answer in time'); process.exit(1); }, 20000);

function order(userRef, side, quantity, price) {
  const bytes = Buffer.alloc(47, ' ');
  bytes.write('O', 0);
  bytes.writeUInt32BE(userRef, 1);
  bytes.write(side, 5);
  bytes.writeUInt32BE(quantity, 6);
  bytes.write('AAPL    ', 10);
  bytes.writeBigUInt64BE(BigInt(price), 18);
  bytes.write('0YPNN', 26);
  bytes.write('from node', 31);
  bytes.writeUInt16BE(0, 45);
  return bytes;
}

function session(username, sequence, onMessage) {
  return new Promise((resolve, reject) => {
    const client = new soupbintcp.Client({ host, port });
    client.on('error', reject);
    client.on('reject', (payload) => reject(new Error(`rejected: ${payload.rejectReasonCode}`)));
    client.on('message', (payload) => onMessage(payload));
    client.on('accept', (payload) => resolve({ client, accepted: payload }));
    client.on('connect', () => client.login({
      username, password: 'secret', requestedSession: '', requestedSequenceNumber: sequence,
    }));
  });
}

const until = async (ready) => {
  while (!ready()) await new Promise((resolve) => setTimeout(resolve, 5));
};

async function main() {
  const sell = [];
  const buy = [];
  const seller = await session('TRADE1', 0, (m) => sell.push(Buffer.from(m)));
  const buyer = await session('TRADE3', 0, (m) => buy.push(Buffer.from(m)));
  seller.client.send(order(1, 'S', 100, 1900000));
  await until(() => sell.length >= 1);
  assert.strictEqual(String.fromCharCode(sell[0][0]), 'A');
  buyer.client.send(order(1, 'B', 100, 1900000));
  await until(() => sell.length >= 2 && buy.length >= 2);
  assert.strictEqual(String.fromCharCode(buy[1][0]), 'E');
  assert.strictEqual(buy[1].readUInt32BE(13), 100);
  assert.strictEqual(sell[1].readBigUInt64BE(26), buy[1].readBigUInt64BE(26));
  seller.client.logout();
  buyer.client.logout();
  await new Promise((resolve) => setTimeout(resolve, 200));

  // Everything again, from the first message on.
  const again = [];
  const replayed = await session('TRADE1', 1, (m) => again.push(Buffer.from(m)));
  assert.strictEqual(replayed.accepted.sequenceNumber, 1);
  await until(() => again.length >= 1 + sell.length);
  assert.strictEqual(String.fromCharCode(again[0][0]), 'S');
  sell.forEach((message, n) => assert.ok(again[n + 1].equals(message)));
  replayed.client.logout();

  await assert.rejects(new Promise((resolve, reject) => {
    const wrong = new soupbintcp.Client({ host, port });
    wrong.on('connect', () => wrong.login({
      username: 'TRADE1', password: 'wrong', requestedSession: '', requestedSequenceNumber: 0,
    }));
    wrong.on('reject', (payload) => reject(new Error(payload.rejectReasonCode)));
    wrong.on('accept', resolve);
  }), /A/);
  clearTimeout(timer);
  console.log('soupbintcp (npm): login, trade, replay, logout and a rejected login agree');
  process.exit(0);
}

main().catch((error) => { console.error(error); process.exit(1); });
