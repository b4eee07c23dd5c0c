// What the restricted Pod Security level asks of a pod, by the Pod Security Standards of Kubernetes; and a token only where one is used.

type Json = Readonly<Record<string, unknown>>;

const VOLUMES = new Set([
  ...['configMap', 'csi', 'downwardAPI', 'emptyDir', 'ephemeral'],
  ...['persistentVolumeClaim', 'projected', 'secret'],
]);
const SECCOMP = new Set(['RuntimeDefault', 'Localhost']);

const child = (of: unknown, name: string): unknown => (of as Json | undefined)?.[name];
const list = (of: unknown): readonly Json[] => (of ?? []) as readonly Json[];

/** A clause for each rule that a pod's `spec` breaks. */
export function restrictedFaults(spec: Json): readonly string[] {
  const pod = spec['securityContext'];
  const faults: string[] = [];
  const refuse = (broken: boolean, what: string): void => {
    if (broken) faults.push(what);
  };
  for (const name of ['hostNetwork', 'hostPID', 'hostIPC']) refuse(spec[name] === true, name);
  refuse(spec['automountServiceAccountToken'] !== false, 'automountServiceAccountToken is not false');
  for (const volume of list(spec['volumes'])) {
    const kinds = Object.keys(volume).filter((key) => key !== 'name');
    refuse(
      kinds.some((kind) => !VOLUMES.has(kind)),
      `volume ${volume['name']}: ${kinds}`,
    );
  }
  for (const container of [...list(spec['initContainers']), ...list(spec['containers'])]) {
    const own = container['securityContext'];
    const either = (name: string): unknown => child(own, name) ?? child(pod, name);
    const at = `container ${container['name']}`;
    refuse(child(own, 'privileged') === true, `${at}: privileged`);
    refuse(child(own, 'allowPrivilegeEscalation') !== false, `${at}: allowPrivilegeEscalation is not false`);
    refuse(either('runAsNonRoot') !== true, `${at}: runAsNonRoot is not true`);
    refuse(either('runAsUser') === 0, `${at}: runAsUser is 0`);
    refuse(!SECCOMP.has(String(child(either('seccompProfile'), 'type'))), `${at}: no seccompProfile`);
    const capabilities = child(own, 'capabilities');
    refuse(
      !list(child(capabilities, 'drop')).some((one) => String(one) === 'ALL'),
      `${at}: does not drop ALL`,
    );
    refuse(
      list(child(capabilities, 'add')).some((one) => String(one) !== 'NET_BIND_SERVICE'),
      `${at}: adds capabilities`,
    );
    refuse(
      list(container['ports']).some((port) => port['hostPort'] !== undefined),
      `${at}: hostPort`,
    );
    refuse(child(own, 'procMount') !== undefined, `${at}: procMount`);
  }
  return faults;
}
