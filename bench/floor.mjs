// The floor: the least that can be done to get a changed key to an application. It watches, writes beside, flushes,
// renames, flushes the directory and signals a number it was given. No look-up, no ledger, no checks, no second chance.
import * as fs from 'node:fs';
import { request } from 'node:http';
import { get } from 'node:https';
import { dirname } from 'node:path';

const [, , kind, address, key, file, pid] = process.argv;

function apply(value) {
  const temporary = `${file}.tmp`;
  const fd = fs.openSync(temporary, 'w');
  fs.writeSync(fd, value);
  fs.fsyncSync(fd);
  fs.closeSync(fd);
  fs.renameSync(temporary, file);
  const directory = fs.openSync(dirname(file), 'r');
  fs.fsyncSync(directory);
  fs.closeSync(directory);
  process.kill(Number(pid), 'SIGHUP');
}

async function followEtcd() {
  const { Etcd3 } = await import('etcd3');
  const client = new Etcd3({ hosts: address });
  const watcher = await client.watch().key(key).create();
  watcher.on('put', ({ value }) => apply(value));
}

function followConsul(index = 0) {
  const url = `${address}/v1/kv/${key}?wait=60s&index=${index}`;
  request(url, (response) => {
    const chunks = [];
    response.on('data', (chunk) => chunks.push(chunk));
    response.on('end', () => {
      const next = Number(response.headers['x-consul-index']);
      followConsul(next);
      if (index > 0 && next !== index)
        apply(Buffer.from(JSON.parse(Buffer.concat(chunks))[0].Value, 'base64'));
    });
  }).end();
}

/** One list for the version, then one watch of many hours. */
async function followKubernetes() {
  const headers = { Authorization: `Bearer ${process.env.TOKEN}` };
  const objects = `${address}/api/v1/namespaces/default/configmaps`;
  const selected = `${objects}?fieldSelector=metadata.name%3D${key.replaceAll('/', '-')}`;
  const ask = (url) => new Promise((resolve) => get(url, { headers }, resolve));
  const chunks = [];
  for await (const chunk of await ask(selected)) chunks.push(chunk);
  const { resourceVersion } = JSON.parse(Buffer.concat(chunks)).metadata;
  const watch = `&watch=true&timeoutSeconds=36000&resourceVersion=${resourceVersion}`;
  let begun = '';
  for await (const chunk of await ask(selected + watch)) {
    const lines = (begun + chunk).split('\n');
    begun = lines.pop();
    for (const line of lines) apply(JSON.parse(line).object.data.value);
  }
}

const KINDS = { etcd: followEtcd, consul: followConsul, kubernetes: followKubernetes };
await KINDS[kind]();
