'use strict';
// The npm package soupbintcp as the exchange behind the gateway: its server takes OUCH orders and fills half of each,
// while its client trades through the gateway, which is killed in the middle of it.
// Usage: node venue.js MILLRACE_BINARY DIRECTORY

const assert = require('assert');
const fs = require('fs');
const path = require('path');
const { spawn } = require('child_process');
const soupbintcp = require('soupbintcp');

const [binary, directory] = [process.argv[2], process.argv[3]];
const timer = setTimeout(() => { console.error('not done in time'); process.exit(1); }, 60000);
const until = async (ready) => {
  while (!ready()) await new Promise((resolve) => setTimeout(resolve, 5));
};

// The exchange: what it said, which is said again to who asks, and what it filled.
const said = [];
const orders = new Map();
let sessions = [];
let nextRef = 1;
let matches = 0;
let filled = 0;

function say(kind, userRef, fields) {
  const head = Buffer.alloc(13);
  head.write(kind, 0);
  head.writeBigUInt64BE(0n, 1);
  head.writeUInt32BE(userRef, 9);
  const message = Buffer.concat([head, fields, Buffer.alloc(2)]);
  said.push(message);
  sessions.forEach((session) => session.send(message));
}

const u32 = (value) => { const bytes = Buffer.alloc(4); bytes.writeUInt32BE(value); return bytes; };
const u64 = (value) => { const bytes = Buffer.alloc(8); bytes.writeBigUInt64BE(BigInt(value)); return bytes; };

// Side, quantity, symbol, price, and what stands between them and the ClOrdID.
function described(order) {
  const tail = Buffer.from('0Y');
  return Buffer.concat([
    Buffer.from(order.side), u32(order.quantity), order.symbol, u64(order.price), tail, u64(order.userRef),
    Buffer.from('ANNL'), Buffer.alloc(14, ' '),
  ]);
}

function fill(order, quantity) {
  order.left -= quantity;
  filled += quantity;
  matches += 1;
  say('E', order.userRef, Buffer.concat([u32(quantity), u64(order.price), Buffer.from('A'), u64(matches)]));
}

function take(order) {
  order.left -= order.left;
}

function onMessage(message) {
  const kind = String.fromCharCode(message[0]);
  if (kind === 'Q') {
    const head = Buffer.alloc(9);
    head.write('Q', 0);
    const answer = Buffer.concat([head, u32(nextRef), Buffer.alloc(2)]);
    said.push(answer);
    sessions.forEach((session) => session.send(answer));
    return;
  }
  if (kind === 'O') {
    const userRef = message.readUInt32BE(1);
    assert.ok(userRef >= nextRef, 'UserRefNums only grow');
    nextRef = userRef + 1;
    const order = {
      userRef, side: String.fromCharCode(message[5]), quantity: message.readUInt32BE(6),
      symbol: message.subarray(10, 18), price: message.readBigUInt64BE(18), ioc: message[26] === 0x33,
    };
    order.left = order.quantity;
    orders.set(userRef, order);
    say('A', userRef, described(order));
    fill(order, Math.ceil(order.quantity / 2));
    if (order.ioc && order.left > 0) {
      const left = order.left;
      take(order);
      say('C', userRef, Buffer.concat([u32(left), Buffer.from('I')]));
    }
  } else if (kind === 'X') {
    const order = orders.get(message.readUInt32BE(1));
    const left = order.left;
    if (left === 0) return;
    take(order);
    say('C', order.userRef, Buffer.concat([u32(left), Buffer.from('U')]));
  } else {
    assert.fail(`unexpected ${kind}`);
  }
}

function exchange() {
  return new Promise((resolve) => {
    const server = new soupbintcp.Server({ host: '127.0.0.1', port: 0 });
    server.on('session', (session) => {
      session.on('error', () => {});
      session.on('login', (login) => {
        assert.strictEqual(login.username.trim(), 'GATE');
        assert.strictEqual(login.password.trim(), 'secret');
        session.accept({ session: 'TODAY', sequenceNumber: login.requestedSequenceNumber });
        said.slice(login.requestedSequenceNumber - 1).forEach((message) => session.send(message));
        sessions.push(session);
      });
      session.on('message', onMessage);
      session.on('end', () => { sessions = sessions.filter((other) => other !== session); session.end(); });
    });
    server.on('listening', () => resolve(server.address().port));
  });
}

function gateway(port) {
  const config = path.join(directory, 'routing.toml');
  const own = fs.readFileSync(path.join(directory, 'millrace.toml'), 'utf8');
  fs.writeFileSync(config, `${own}
[[venue]]
name = "XJS"
protocol = "ouch5"
connect = "127.0.0.1:${port}"
username = "GATE"
password = "secret"
max_messages_per_second = 100000
reconnect_ms = [50, 500]
[routing.default]
policy = "route-only"
venues = ["XJS"]
`);
  const child = spawn(binary, ['run', '--config', config, '--data', path.join(directory, 'routed')],
    { stdio: ['ignore', 'pipe', 'inherit'] });
  return new Promise((resolve, reject) => {
    child.on('exit', (code) => reject(new Error(`the gateway left with ${code}`)));
    child.stdout.on('data', (text) => {
      child.removeAllListeners('exit');
      const listening = /ouch5=127\.0\.0\.1:(\d+)/.exec(String(text));
      resolve({ child, port: Number(listening[1]) });
    });
  });
}

function client(port, sequence, onMessage) {
  return new Promise((resolve, reject) => {
    const session = new soupbintcp.Client({ host: '127.0.0.1', port });
    session.on('error', () => {});
    session.on('reject', (payload) => reject(new Error(`rejected: ${payload.rejectReasonCode}`)));
    session.on('message', (payload) => onMessage(Buffer.from(payload)));
    session.on('accept', () => resolve(session));
    session.on('connect', () => session.login({
      username: 'TRADE1', password: 'secret', requestedSession: '', requestedSequenceNumber: sequence,
    }));
  });
}

function order(userRef, quantity, ioc) {
  const bytes = Buffer.alloc(47, ' ');
  bytes.write('O', 0);
  bytes.writeUInt32BE(userRef, 1);
  bytes.write('B', 5);
  bytes.writeUInt32BE(quantity, 6);
  bytes.write('AAPL    ', 10);
  bytes.writeBigUInt64BE(1900000n, 18);
  bytes.write(ioc ? '3YPNN' : '0YPNN', 26);
  bytes.writeUInt16BE(0, 45);
  return bytes;
}

function cancel(userRef) {
  const bytes = Buffer.alloc(9);
  bytes.write('X', 0);
  bytes.writeUInt32BE(userRef, 1);
  return bytes;
}

// Shares that a client was told were filled, and how many of its orders are still open.
function told(messages) {
  let shares = 0;
  const left = new Map();
  for (const message of messages) {
    const userRef = message.length >= 13 ? message.readUInt32BE(9) : 0;
    switch (String.fromCharCode(message[0])) {
      case 'A': left.set(userRef, message.readUInt32BE(14)); break;
      case 'E':
        shares += message.readUInt32BE(13);
        left.set(userRef, left.get(userRef) - message.readUInt32BE(13));
        assert.strictEqual(String.fromCharCode(message[25]), 'X', 'its liquidity is of a venue');
        break;
      case 'C': left.set(userRef, left.get(userRef) - message.readUInt32BE(13)); break;
      default:
    }
  }
  const open = [...left.values()];
  assert.ok(open.every((shares) => shares >= 0), 'no more than was ordered');
  return { shares, orders: left.size, open: open.filter((shares) => shares > 0).length };
}

async function up(session, heard) {
  // Until the line is up orders are refused: one after the other is tried.
  for (let userRef = 1; ; userRef += 1) {
    const before = heard.length;
    session.send(order(userRef, 1, true));
    await until(() => heard.length > before);
    if (heard[before][0] === 0x41) return userRef + 1;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function main() {
  const venue = await exchange();
  let running = await gateway(venue);
  let heard = [];
  let session = await client(running.port, 0, (message) => heard.push(message));
  let next = await up(session, heard);
  for (let n = 0; n < 600; n += 1, next += 1) {
    session.send(order(next, 20, n % 3 === 0));
    if (n % 5 === 0) session.send(cancel(next - 2));
    if (n % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await until(() => filled > 1000);
  running.child.kill('SIGKILL');
  await new Promise((resolve) => { running.child.on('exit', resolve); });

  running = await gateway(venue);
  heard = [];
  session = await client(running.port, 1, (message) => heard.push(message));
  const live = () => [...orders.values()].filter((each) => each.left > 0).length;
  // What was filled is told, and what is open here is open there.
  await until(() => told(heard).shares === filled && told(heard).open === live() && sessions.length > 0);
  const { shares, orders: count } = told(heard);
  assert.ok(count > 50);
  session.logout();
  clearTimeout(timer);
  running.child.kill('SIGTERM');
  const code = await new Promise((resolve) => { running.child.on('exit', resolve); });
  assert.strictEqual(code, 0);
  console.log(`soupbintcp (npm) as an exchange: ${count} orders, ${shares} shares, a kill -9 between; all agree`);
  process.exit(0);
}

main().catch((error) => { console.error(error); process.exit(1); });
