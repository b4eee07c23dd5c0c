// Finds the Kubernetes container that a process belongs to, by what every user may read of it.
import { parseMountInfo } from './mounts.ts';

/**
 * Where kubelet keeps the file to which a container writes its last words, inside the file system it lies on. It is mounted
 * into that container, so its path is in the mount table of each of its processes; no other mount contains the name.
 */
const LAST_WORDS = /(?:^|\/)pods\/[^/]+\/containers\/([^/]+)\/[^/]+$/;
/** Where it is mounted unless `terminationMessagePath` says otherwise. */
const USUAL_POINT = '/dev/termination-log';

/** The name of the container in a text like `/proc/PID/mountinfo`, or null when the runtime of the pod shows none. */
export function containerNameIn(mountInfo: string): string | null {
  // Nearly always on other machines: nothing to parse.
  if (!mountInfo.includes('/containers/')) return null;
  const found = parseMountInfo(mountInfo).flatMap(({ root, point }) => {
    const name = LAST_WORDS.exec(root.replace(/\/\/deleted$/, ''))?.[1];
    return name === undefined ? [] : [{ name, point }];
  });
  const usual = found.filter(({ point }) => point === USUAL_POINT);
  const names = new Set((usual.length > 0 ? usual : found).map(({ name }) => name));
  const [name = null] = names;
  return names.size === 1 ? name : null;
}
