// What Node programs do every day: worker threads, children, files, HTTP. For test_agent_seccomp.py.
const assert = require('assert');
const {Worker, isMainThread, parentPort} = require('worker_threads');
const childProcess = require('child_process');
const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const net = require('net');
const os = require('os');
const path = require('path');
const zlib = require('zlib');

async function main() {
  assert.equal(await new Promise((resolve) => new Worker(__filename).on('message', resolve)), 42);

  assert.equal(childProcess.execSync('echo hi | cat').toString(), 'hi\n');
  assert.equal(await new Promise((resolve) => childProcess.spawn('/bin/true').on('exit', resolve)), 0);

  const place = fs.mkdtempSync(path.join(os.tmpdir(), 'node-'));
  fs.writeFileSync(place + '/a', 'x');
  fs.copyFileSync(place + '/a', place + '/b');
  fs.renameSync(place + '/b', place + '/c');
  fs.symlinkSync('a', place + '/l');
  fs.chmodSync(place + '/a', 0o600);
  fs.utimesSync(place + '/a', 1, 1);
  fs.watch(place).close();
  assert.equal(await fs.promises.readFile(place + '/c', 'utf8'), 'x');
  await fs.promises.cp(place, place + '2', {recursive: true});
  fs.rmSync(place, {recursive: true});
  fs.rmSync(place + '2', {recursive: true});

  zlib.gzipSync(Buffer.alloc(100000));
  crypto.randomBytes(8);
  crypto.scryptSync('a', 'b', 32);

  const server = http.createServer((request, response) => response.end('ok'));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const body = await new Promise((resolve, reject) => http.get({host: '127.0.0.1', port: server.address().port}, (response) => {
    let text = '';
    response.on('data', (part) => text += part);
    response.on('end', () => resolve(text));
  }).on('error', reject));
  assert.equal(body, 'ok');
  server.close();

  const local = net.createServer((connection) => connection.end('u'));
  await new Promise((resolve) => local.listen('/tmp/node.sock', resolve));
  await new Promise((resolve) => net.connect('/tmp/node.sock').on('data', resolve));
  local.close();

  os.cpus();
  os.networkInterfaces();
  console.log('node ok');
  process.exit(0);
}

if (isMainThread) {
  main().catch((error) => {
    console.error(error);
    process.exit(1);
  });
} else {
  parentPort.postMessage(42);
}
