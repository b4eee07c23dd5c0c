// A manifest as podman can play it: its volumes are folders of the node, and what podman does not know is left out.
import type { Container, Manifest, Mount, Volume } from './manifest.ts';
import type { Files, NodeFolder } from './node-folder.ts';

export interface Substitutes {
  /** The pod's. */
  readonly name: string;
  /** Which image stands for one of the manifest. */
  readonly images: Files;
  readonly node: NodeFolder;
  /** Whether each container has the file for its last words, whose path carries its name. */
  readonly namesShown: boolean;
}

/** What `podman play kube` is given. Init containers stand among the others: who starts when is not left to podman. */
export function podmanManifest({ spec, ...head }: Manifest, substitutes: Substitutes): object {
  const { name, images, node } = substitutes;
  const { initContainers = [], hostAliases: _, ...rest } = spec;
  const parts = [...initContainers, ...spec.containers].map((part) => ({
    part: known(part),
    files: filesOf(part, substitutes),
  }));
  const containers = parts.map(({ part, files }) => ({
    ...part,
    image: images[part.image] ?? part.image,
    imagePullPolicy: 'Never',
    volumeMounts: [...(part.volumeMounts ?? []), ...files.map(({ mount }) => mount)],
  }));
  const folders = (spec.volumes ?? []).map((one) => onHost(one.name, node.volume(one.name), 'Directory'));
  const files = new Map(parts.flatMap((one) => one.files).map(({ volume }) => [volume.name, volume]));
  return {
    ...head,
    metadata: { name },
    // "Always" would make podman start init containers again that have ended well. What is killed comes back by this, too.
    spec: { ...rest, restartPolicy: 'OnFailure', containers, volumes: [...folders, ...files.values()] },
  };
}

/** Probes need systemd there, ports a network, and a restart policy belongs to the whole pod. */
function known({
  restartPolicy: _r,
  startupProbe: _s,
  livenessProbe: _l,
  readinessProbe: _d,
  ports: _p,
  ...part
}: Container): Container {
  return part;
}

interface MountedFile {
  readonly volume: Volume;
  readonly mount: Mount;
}

/** The files that kubelet mounts by itself. */
function filesOf({ name }: Container, { node, namesShown }: Substitutes): readonly MountedFile[] {
  const mounted = (volume: string, path: string, mountPath: string): MountedFile => ({
    volume: onHost(volume, path, 'File'),
    mount: { name: volume, mountPath },
  });
  const hosts = mounted('etc-hosts', node.hosts, '/etc/hosts');
  if (!namesShown) return [hosts];
  return [hosts, mounted(`last-words-${name}`, node.lastWords(name), '/dev/termination-log')];
}

function onHost(name: string, path: string, type: string): Volume {
  return { name, hostPath: { path, type } };
}
