// Three real etcd members that elect a leader among them, for tests of lost members and lost majorities.
import { type EtcdServer, peerUrl, startEtcd } from './etcd.ts';
import { freePorts } from './ports.ts';

export interface EtcdCluster {
  /** Each can be stopped, frozen and written to by itself; a write needs two of them. */
  readonly members: readonly [EtcdServer, EtcdServer, EtcdServer];
  /** `host:port` of all, as a source names them. */
  readonly hosts: string;
  /** Stops all for good and removes their data. */
  end(): Promise<void>;
}

/** Starts three members and waits until they have a leader. */
export async function startEtcdCluster(): Promise<EtcdCluster> {
  const ports = await freePorts(6);
  const peers = ports.slice(3).map((peerPort, at) => ({ name: `m${at}`, peerPort }));
  const cluster = peers.map(({ name, peerPort }) => `${name}=${peerUrl(peerPort)}`).join(',');
  const start = (at: 0 | 1 | 2): Promise<EtcdServer> => {
    const { name, peerPort } = peers[at] ?? { name: '', peerPort: 0 };
    return startEtcd({ member: { name, port: ports[at] ?? 0, peerPort, cluster } });
  };
  // All at once: none of them answers before it has heard of a second one.
  const members = await Promise.all([start(0), start(1), start(2)]);
  return {
    members,
    hosts: members.map(({ port }) => `127.0.0.1:${port}`).join(','),
    end: async () => {
      await Promise.all(members.map((member) => member.end()));
    },
  };
}
