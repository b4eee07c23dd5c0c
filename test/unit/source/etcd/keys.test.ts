// The key map under the etcd source: listings and events in every order they can arrive in.
import { describe, expect, it } from 'vitest';
import { type EtcdEvent, EtcdKeys, type EtcdListing, etcdRange } from '../../../../src/source/etcd/keys.ts';

const kv = (key: string, value: string, revision: number) => ({
  key: Buffer.from(key),
  value: Buffer.from(value),
  mod_revision: String(revision),
});
const put = (key: string, value: string, revision: number): EtcdEvent => ({
  type: 'PUT',
  kv: kv(key, value, revision),
});
const gone = (key: string, revision: number): EtcdEvent => ({ type: 'DELETE', kv: kv(key, '', revision) });
const listing = (revision: number, ...keys: EtcdListing['keys']): EtcdListing => ({
  revision: BigInt(revision),
  keys,
});

function keysWith(first: EtcdListing): EtcdKeys {
  const keys = new EtcdKeys(etcdRange('/app/'), 1_000);
  keys.replace(first, []);
  return keys;
}

function shown(keys: EtcdKeys): string {
  const { revision, content } = keys.snapshot();
  const entries = content.kind === 'tree' ? content.entries : [];
  return `${revision}: ${entries.map(({ key, value }) => `${key}=${Buffer.from(value).toString()}`).join(' ')}`;
}

describe('the keys of an etcd source', () => {
  it('are moved on by events, and events that are contained already change nothing', () => {
    const keys = keysWith(listing(5, kv('/app/a', '1', 3), kv('/app/b', '2', 5)));
    expect(keys.apply([put('/app/a', 'old', 4)])).toBe(false);
    expect(keys.apply([put('/app/c', '3', 6), gone('/app/b', 6)])).toBe(true);
    expect(shown(keys)).toBe('6: a=1 c=3');
    expect(keys.revision).toBe(6n);
  });

  it('take a listing that shows a change whose event never came, and say so', () => {
    const keys = keysWith(listing(5, kv('/app/a', '1', 3)));
    expect(keys.replace(listing(9, kv('/app/a', '2', 8)), [])).toBe(true);
    expect(shown(keys)).toBe('8: a=2');
    expect(keys.apply([put('/app/a', '2', 8)])).toBe(false);
  });

  it('say that a listing is nothing new when it is what the events had told', () => {
    const keys = keysWith(listing(5, kv('/app/a', '1', 3)));
    keys.apply([put('/app/b', '2', 6)]);
    expect(keys.replace(listing(9, kv('/app/a', '1', 3), kv('/app/b', '2', 6)), [])).toBe(false);
  });

  it('put events that overtook a listing on top of it', () => {
    const keys = keysWith(listing(5, kv('/app/a', '1', 3), kv('/app/b', '2', 4)));
    const since = [put('/app/a', '6', 6), put('/app/a', '7', 7), gone('/app/b', 8)];
    keys.apply(since);
    expect(keys.replace(listing(6, kv('/app/a', '6', 6), kv('/app/b', '2', 4)), since)).toBe(false);
    expect(shown(keys)).toBe('7: a=7');
    expect(keys.revision).toBe(8n);
  });

  it('take over a store that began again at lower revisions', () => {
    const keys = keysWith(listing(50, kv('/app/a', '1', 50)));
    expect(keys.replace(listing(3, kv('/app/a', '1', 3)), [])).toBe(true);
    expect(keys.apply([put('/app/a', '2', 4)])).toBe(true);
    expect(shown(keys)).toBe('4: a=2');
  });

  it('notice another value under the same revision of a rebuilt store', () => {
    const keys = keysWith(listing(3, kv('/app/a', '1', 3)));
    expect(keys.replace(listing(3, kv('/app/a', 'other', 3)), [])).toBe(true);
  });
});
