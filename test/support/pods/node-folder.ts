// What kubelet prepares on a node for a pod: the folders behind its volumes, and the file for each container's last words.
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Manifest, Volume } from './manifest.ts';

export type Files = Readonly<Record<string, string>>;

export interface NodeFolder {
  readonly path: string;
  /** Path of a volume's folder on this machine. */
  readonly volume: (name: string) => string;
  /** Path of the file that becomes each container's `/etc/hosts`. */
  readonly hosts: string;
  /** Path of the file that becomes a container's `/dev/termination-log`; its path carries the container's name. */
  readonly lastWords: (container: string) => string;
  /** Replaces the content of a mounted ConfigMap as kubelet does: a new folder, then one rename of `..data`. */
  readonly updateConfigMap: (volume: string, files: Files) => void;
  readonly remove: () => void;
}

/** Makes the folder of one pod; `configMaps` are by name, as in the manifest. */
export function createNodeFolder(
  { spec }: Manifest,
  configMaps: Readonly<Record<string, Files>>,
): NodeFolder {
  const path = mkdtempSync(join(tmpdir(), 'kubelet-test-'));
  // Every user may pass, as below a kubelet's own folder; mkdtemp keeps others out.
  chmodSync(path, 0o755);
  const pod = join(path, 'pods', '0f3a7c1e-5b7e-4c57-9d0f-2f6b1f0f8a11');
  const group = spec.securityContext?.fsGroup;
  let updates = 0;
  const folderOf = ({ name, configMap }: Volume): string =>
    join(pod, 'volumes', `kubernetes.io~${configMap === undefined ? 'empty-dir' : 'configmap'}`, name);

  const updateConfigMap = (name: string, files: Files): void =>
    replaceData(
      folderOf({ name, configMap: { name } }),
      `..2026_01_01_00_00_00.${1_000_000_000 + updates++}`,
      files,
    );

  const hosts = join(pod, 'etc-hosts');
  mkdirSync(pod, { recursive: true });
  const aliases = (spec.hostAliases ?? []).map(({ ip, hostnames }) => `${ip} ${hostnames.join(' ')}\n`);
  writeFileSync(hosts, `127.0.0.1 localhost\n::1 localhost\n${aliases.join('')}`);
  for (const volume of spec.volumes ?? []) {
    if (volume.hostPath !== undefined) continue;
    const folder = folderOf(volume);
    mkdirSync(folder, { recursive: true });
    if (volume.configMap !== undefined) {
      const files = configMaps[volume.configMap.name];
      if (files === undefined) throw new Error(`no ConfigMap "${volume.configMap.name}" was given`);
      updateConfigMap(volume.name, files);
      continue;
    }
    // With fsGroup new files get the pod's group.
    if (group !== undefined) chownSync(folder, 0, group);
    chmodSync(folder, group === undefined ? 0o777 : 0o2777);
  }
  return {
    path,
    hosts,
    volume: (name) => {
      const volume = spec.volumes?.find((one) => one.name === name);
      if (volume === undefined) throw new Error(`the pod has no volume "${name}"`);
      return volume.hostPath?.path ?? folderOf(volume);
    },
    lastWords: (container) => {
      const file = join(pod, 'containers', container, '1a2b3c4d');
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, '');
      chmodSync(file, 0o666);
      return file;
    },
    updateConfigMap,
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** Replaces the files of a ConfigMap's volume in kubelet's order; a name that stays is never missing. */
function replaceData(volume: string, data: string, files: Files): void {
  const before = readdirSync(volume);
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(join(volume, data), { recursive: true });
    writeFileSync(join(volume, data, file), text);
  }
  symlinkSync(data, join(volume, '..data_tmp'));
  renameSync(join(volume, '..data_tmp'), join(volume, '..data'));
  for (const file of Object.keys(files)) {
    if (!before.includes(file)) symlinkSync(`..data/${file}`, join(volume, file));
  }
  for (const old of before) {
    if (old !== '..data' && !(old in files)) rmSync(join(volume, old), { recursive: true });
  }
}
