// vendor_client.mjs CASE - the vendor's own client drives the double: one case, named like its function below.
// RUNLOOP_BASE_URL and RUNLOOP_API_KEY say where the double is. HTTP/2 is off: the double speaks HTTP/1.1.
import assert from 'node:assert/strict';
import Runloop, { RunloopSDK, toFile } from '@runloop/api-client';

const base = process.env.RUNLOOP_BASE_URL;
// Under node 18 the client's own fetch calls a chunked reply cut when its connection stays open; node's fetch does not,
// but sends no forms of this client.
const old = Number(process.versions.node.split('.')[0]) < 20;
const options = { http2: false, ...(old && process.argv[2] !== 'files' && { fetch: globalThis.fetch }) };
const sdk = new RunloopSDK(options);
const client = new Runloop(options);
const patient = new Runloop({ ...options, maxRetries: 5 });
const hasty = new Runloop({ ...options, maxRetries: 0 });

// The control places of the double.
async function control(method, path, body) {
  const reply = await fetch(`${base}/_double/${path}`, { method, body: body && JSON.stringify(body) });
  assert.equal(reply.status, 200, await reply.clone().text());
  return reply.json();
}
const turn = (settings) => control('POST', 'settings', settings);
const fault = (rule) => control('POST', 'faults', rule);

// What the client sent to paths that end so, since the beginning.
async function requests(method, ending) {
  const { requests: all } = await control('GET', 'requests');
  return all.filter((one) => one.method === method && one.path.endsWith(ending));
}

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}
const joined = (chunks) => chunks.map((one) => one.output).join('');

const withDevbox = async (work, params = {}) => {
  const devbox = await sdk.devbox.create(params);
  try {
    await work(devbox);
  } finally {
    await devbox.shutdown();
  }
};

async function lifecycle() {
  await assert.rejects(new Runloop({ ...options, bearerToken: 'ak_wrong' }).devboxes.list(), Runloop.AuthenticationError);
  const made = await client.devboxes.create({
    name: 'vendor', metadata: { a: 'b' }, environment_variables: { COLOUR: 'blue' },
    launch_parameters: { resource_size_request: 'SMALL', keep_alive_time_seconds: 600 },
  });
  assert.match(made.id, /^dbx_/);
  assert.notEqual(made.status, 'running');
  assert.equal((await client.devboxes.awaitRunning(made.id)).status, 'running');
  const devbox = sdk.devbox.fromId(made.id);
  assert.equal(await (await devbox.cmd.exec('echo $COLOUR')).stdout(), 'blue\n');
  assert.equal((await devbox.getInfo()).launch_parameters.keep_alive_time_seconds, 600);
  assert.equal((await client.devboxes.update(made.id, { name: 'renamed' })).name, 'renamed');
  await devbox.keepAlive();
  await devbox.suspend();
  assert.equal((await devbox.awaitSuspended()).status, 'suspended');
  assert.equal((await devbox.resume()).status, 'running');
  assert.ok((await devbox.logs()).logs.length > 0);
  assert.equal((await devbox.shutdown()).status, 'shutdown');
  assert.equal((await client.devboxes.retrieve(made.id)).shutdown_reason, 'api_shutdown');
  // Slow ones: the call that creates and waits falls back to the long poll, which answers 408 in between.
  await turn({ provisioning_seconds: 2.5, await_running_seconds: 0.1 });
  const slow = await client.devboxes.createAndAwaitRunning({});
  assert.equal(slow.status, 'running');
  assert.ok((await requests('POST', `${slow.id}/wait_for_status`)).some((one) => one.status === 408));
  await client.devboxes.shutdown(slow.id);
  await turn({ provisioning_seconds: 0, failing_creates: 1 });
  await assert.rejects(client.devboxes.createAndAwaitRunning({}), /failure/);
}

async function executions() {
  await withDevbox(async (devbox) => {
    const sync = await devbox.cmd.exec('echo out; echo err >&2; exit 42');
    assert.equal(sync.exitCode, 42);
    assert.equal(await sync.stdout(), 'out\n');
    assert.equal(await sync.stderr(), 'err\n');
    assert.ok(sync.failed);
    // Longer than the call is held: the client goes on with the long poll.
    const long = await client.devboxes.executeAndAwaitCompletion(devbox.id, { command: 'sleep 3.5; echo end' });
    assert.equal(long.stdout, 'end\n');
    const five = await client.devboxes.execute(devbox.id, { command: 'seq 5', command_id: undefined, last_n: '3' });
    assert.equal(five.stdout, '3\n4\n5\n');
    assert.ok(five.stdout_truncated);
    // More lines than a view has: the result is completed from the stream.
    assert.equal((await (await devbox.cmd.exec('seq 3000')).stdout()).split('\n').length, 3001);
    const run = await client.devboxes.executeAsync(devbox.id, { command: 'sleep 1000' });
    assert.equal(run.exit_status, undefined);
    await client.devboxes.executions.kill(devbox.id, run.execution_id);
    const killed = await client.devboxes.executions.awaitCompleted(devbox.id, run.execution_id);
    assert.equal(killed.exit_status, 137);
    const group = await devbox.cmd.execAsync('sleep 1000; true');
    await group.kill();
    assert.equal((await group.result()).exitCode, 137);
    assert.equal((await group.getState()).status, 'completed');
    const reads = await client.devboxes.executeAsync(devbox.id, { command: 'read x; echo got $x', attach_stdin: true });
    while ((await client.devboxes.executions.retrieve(devbox.id, reads.execution_id)).status === 'queued');
    const fed = await client.devboxes.executions.sendStdIn(devbox.id, reads.execution_id, { text: 'it\n' });
    assert.ok(fed.success);
    assert.equal((await client.devboxes.executions.awaitCompleted(devbox.id, reads.execution_id)).stdout, 'got it\n');
    assert.equal((await client.devboxes.executeSync(devbox.id, { command: 'pwd' })).exit_status, 0);
    await assert.rejects(client.devboxes.executions.retrieve(devbox.id, 'exe_none'), Runloop.NotFoundError);
  });
}

async function streams() {
  await withDevbox(async (devbox) => {
    const lines = { stdout: [], stderr: [], output: [] };
    const callbacks = Object.fromEntries(Object.keys(lines).map((name) => [name, (line) => lines[name].push(line)]));
    const done = await devbox.cmd.exec('for n in 1 2 3; do echo o$n; echo e$n >&2; sleep 0.1; done', callbacks);
    assert.equal(done.exitCode, 0);
    assert.equal(lines.stdout.join(''), await done.stdout());
    assert.equal(lines.stderr.join(''), await done.stderr());
    assert.equal(lines.output.join('').length, lines.stdout.join('').length + lines.stderr.join('').length);
    const run = await client.devboxes.executeAsync(devbox.id, { command: 'seq 2000; printf größe' });
    const view = await client.devboxes.executions.awaitCompleted(devbox.id, run.execution_id);
    const open = (query = {}) => client.devboxes.executions.streamStdoutUpdates(devbox.id, run.execution_id, query);
    const text = Array.from({ length: 2000 }, (_, n) => `${n + 1}\n`).join('') + 'größe';
    assert.ok(view.stdout_truncated && text.endsWith(view.stdout));
    for (const form of ['plain', 'crlf', 'named', 'multiline', 'bytewise', 'comments']) {
      await turn({ stream_form: form });
      assert.equal(joined(await collect(await open())), text, form);
    }
    await turn({ stream_form: 'plain', chunk_bytes: 500 });
    assert.equal(joined(await collect(await open({ offset: '4000' }))), Buffer.from(text).subarray(4000).toString());
    // A 408 event: the client opens again at the offset it saw last, which is right where offsets are ends of chunks,
    // and repeats the last chunk where they are starts.
    for (const [offsets, repeated] of [['end', 0], ['start', 500]]) {
      await turn({ offsets });
      await control('DELETE', 'requests');
      await fault({ do: 'stream', path: '*/stream_stdout_updates', what: 'error', code: 408, at_byte: 2000 });
      assert.equal(joined(await collect(await open())).length, text.length + repeated, offsets);
      const asked = (await requests('GET', '/stream_stdout_updates')).map((one) => one.query.offset);
      assert.deepEqual(asked, ['0', offsets === 'end' ? '2000' : '1500']);
    }
    await fault({ do: 'stream', path: '*/stream_stdout_updates', what: 'error', code: '500', message: 'boom', at_byte: 500 });
    await assert.rejects(async () => collect(await open()), /boom/);
    await fault({ do: 'stream', path: '*/stream_stdout_updates', what: 'cut', at_byte: 500 });
    await assert.rejects(async () => collect(await open()));
    await fault({ do: 'stream', path: '*/stream_stdout_updates', what: 'end', at_byte: 1000 });
    assert.equal(joined(await collect(await open())).length, 1000);
  });
}

async function files() {
  await withDevbox(async (devbox) => {
    const written = await devbox.file.write({ file_path: 'note.txt', contents: 'größe\n' });
    assert.equal(written.exit_status, 0);
    assert.equal(await devbox.file.read({ file_path: '~/note.txt' }), 'größe\n');
    const bytes = Buffer.from(Array.from({ length: 300000 }, (_, n) => n % 251));
    await devbox.file.upload({ path: '~/data.bin', file: await toFile(bytes, 'data.bin') });
    const reply = await devbox.file.download({ path: 'data.bin' });
    assert.deepEqual(Buffer.from(await reply.arrayBuffer()), bytes);
    await assert.rejects(devbox.file.download({ path: 'none' }), Runloop.NotFoundError);
    await assert.rejects(devbox.file.read({ file_path: '/none' }), Runloop.NotFoundError);
    assert.notEqual((await devbox.file.write({ file_path: 'no/dir', contents: '' })).exit_status, 0);
  });
}

async function shells() {
  await withDevbox(async (devbox) => {
    const shell = devbox.shell('my-session');
    await shell.exec('cd /usr');
    await shell.exec('export MY_VAR=value');
    assert.equal(await (await shell.exec('echo $MY_VAR; pwd')).stdout(), 'value\n/usr\n');
    assert.equal(await (await devbox.shell().exec('echo $MY_VAR')).stdout(), '\n');
    const lines = [];
    const first = await shell.execAsync('sleep 0.3; echo one >>~/order; echo out', { stdout: (line) => lines.push(line) });
    const second = await shell.execAsync('echo two >>~/order');
    assert.equal((await second.result()).exitCode, 0);
    assert.equal((await first.result()).exitCode, 0);
    assert.equal(lines.join(''), 'out\n');
    assert.equal(await (await shell.exec('cat ~/order')).stdout(), 'one\ntwo\n');
  });
}

async function snapshots() {
  await turn({ snapshot_seconds: 1 });
  await withDevbox(async (devbox) => {
    await devbox.file.write({ file_path: 'kept', contents: 'yes' });
    const snapshot = await devbox.snapshotDiskAsync({ name: 'later', metadata: { k: 'v' } });
    // The client repeats a 409 five times, so the attempts are counted and not waited for.
    await assert.rejects(hasty.devboxes.shutdown(devbox.id), Runloop.ConflictError);
    assert.equal((await client.devboxes.diskSnapshots.awaitCompleted(snapshot.id)).status, 'complete');
    const again = await sdk.devbox.createFromSnapshot(snapshot.id);
    assert.equal(await again.file.read({ file_path: 'kept' }), 'yes');
    await again.shutdown();
    const whole = await client.devboxes.snapshotDisk(devbox.id, { name: 'now' });
    const names = [];
    for await (const one of client.devboxes.diskSnapshots.list({ devbox_id: devbox.id })) names.push(one.name);
    assert.deepEqual(names.sort(), ['later', 'now']);
    await client.devboxes.diskSnapshots.delete(whole.id);
    assert.equal((await client.devboxes.diskSnapshots.queryStatus(whole.id)).status, 'deleted');
    await turn({ failing_snapshots: 1 });
    const failing = await client.devboxes.snapshotDiskAsync(devbox.id);
    await assert.rejects(client.devboxes.diskSnapshots.awaitCompleted(failing.id));
    await turn({ snapshot_seconds: 60 });
    await client.devboxes.snapshotDiskAsync(devbox.id);
    assert.equal((await client.devboxes.shutdown(devbox.id, { force: 'true' })).status, 'shutdown');
  });
  const blueprint = await client.blueprints.createAndAwaitBuildCompleted({ name: 'base', system_setup_commands: ['echo b >built'] });
  await withDevbox(async (devbox) => {
    assert.equal(await devbox.file.read({ file_path: 'built' }), 'b\n');
  }, { blueprint_name: 'base' });
  await client.blueprints.delete(blueprint.id);
}

async function network() {
  await withDevbox(async (devbox) => {
    const tunnel = await devbox.net.enableTunnel({ auth_mode: 'authenticated' });
    assert.ok(tunnel.auth_token);
    assert.equal((await devbox.getTunnel()).tunnel_key, tunnel.tunnel_key);
    assert.match(await devbox.getTunnelUrl(8080), new RegExp(`^https://8080-${tunnel.tunnel_key}\\.tunnel\\.`));
    await assert.rejects(devbox.net.enableTunnel(), Runloop.BadRequestError);
    await devbox.net.removeTunnel();
    assert.equal(await devbox.getTunnel(), null);
    const key = await devbox.net.createSSHKey();
    assert.equal(key.ssh_user, 'user');
    assert.match(key.ssh_private_key, /^-----BEGIN EC PRIVATE KEY-----\n/);
  });
}

async function pages() {
  const ids = [];
  for (let n = 0; n < 25; n++) ids.push((await client.devboxes.create({ metadata: { n: String(n) } })).id);
  const seen = [];
  for await (const one of client.devboxes.list({ limit: 10 })) seen.push(one.id);
  assert.deepEqual(seen.sort(), ids.sort());
  assert.equal((await requests('GET', '/v1/devboxes')).length, 3);
  for (const id of ids) await client.devboxes.shutdown(id);
  assert.deepEqual((await client.devboxes.list({ status: 'suspended' })).devboxes, []);
}

async function faults() {
  const create = { method: 'POST', path: '/v1/devboxes' };
  const attempts = async (rule, work) => {
    await control('DELETE', 'faults');
    await control('DELETE', 'requests');
    await fault({ do: 'reply', headers: { 'retry-after-ms': 10 }, times: 0, ...create, ...rule });
    await work().catch(() => undefined);
    return (await requests('POST', '/v1/devboxes')).length;
  };
  const make = () => patient.devboxes.create({});
  for (const status of [408, 409, 429, 500, 503]) assert.equal(await attempts({ status }, make), 6, String(status));
  for (const status of [400, 401, 403, 404, 422]) assert.equal(await attempts({ status }, make), 1, String(status));
  assert.equal(await attempts({ status: 400, headers: { 'x-should-retry': 'true', 'retry-after-ms': 10 } }, make), 6);
  assert.equal(await attempts({ status: 503, headers: { 'x-should-retry': 'false' } }, make), 1);
  assert.equal(await attempts({ status: 503, times: 1 }, make), 2);
  const [first, second] = await requests('POST', '/v1/devboxes');
  assert.equal(first.headers['x-request-id'], second.headers['x-request-id']);
  assert.equal(second.headers['x-stainless-retry-count'], '1');
  // A lost reply: the client creates again, and the first devbox is left over, unless the service remembers the request.
  for (const [dedupe, made] of [[false, 2], [true, 1]]) {
    await turn({ dedupe });
    const before = (await client.devboxes.list({ limit: 100 })).devboxes.length;
    await fault({ do: 'drop', when: 'after', ...create });
    await make();
    assert.equal((await client.devboxes.list({ limit: 100 })).devboxes.length - before, made);
  }
  await turn({ dedupe: false });
  await control('DELETE', 'faults');
  await fault({ do: 'reply', status: 404, message: 'seen by the client', path: '/v1/devboxes/*' });
  await assert.rejects(client.devboxes.retrieve('dbx_x'), /404 seen by the client/);
  await fault({ do: 'reply', status: 502, body: '', path: '/v1/devboxes/*' });
  await assert.rejects(hasty.devboxes.retrieve('dbx_x'), /502 status code \(no body\)/);
}

const cases = { lifecycle, executions, streams, files, shells, snapshots, network, pages, faults };
await cases[process.argv[2]]();
