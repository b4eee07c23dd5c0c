// Takes the data of chosen HTTP/2 streams out of what a server says, so that one stream of a connection goes deaf while
// the connection and the others live.
import type { ProxyFilter } from './proxy.ts';

export interface Http2Mute {
  /** For `FaultProxy.filter`; connections without TLS only. */
  readonly filter: () => ProxyFilter;
  /** From now on the data of these streams is swallowed. Clients number theirs 1, 3, 5, … in each connection. */
  mute(streams: (id: number) => boolean): void;
  /** The highest stream that the server has answered on in any connection. */
  highest(): number;
}

/** RFC 9113 4.1: length, type, flags, stream; then the payload. */
const HEAD_BYTES = 9;
const DATA = 0;

/** Mutes nothing until told. */
export function http2Mute(): Http2Mute {
  let isMuted: (id: number) => boolean = () => false;
  let highest = 0;
  const filter = (): ProxyFilter => {
    let rest = Buffer.alloc(0);
    return (chunk) => {
      rest = Buffer.concat([rest, chunk]);
      const passed: Buffer[] = [];
      while (rest.length >= HEAD_BYTES && rest.length >= HEAD_BYTES + rest.readUIntBE(0, 3)) {
        const end = HEAD_BYTES + rest.readUIntBE(0, 3);
        const stream = rest.readUInt32BE(5) & 0x7fffffff;
        highest = Math.max(highest, stream);
        if (rest[3] !== DATA || !isMuted(stream)) passed.push(rest.subarray(0, end));
        rest = rest.subarray(end);
      }
      return Buffer.concat(passed);
    };
  };
  return {
    filter,
    mute: (streams) => {
      isMuted = streams;
    },
    highest: () => highest,
  };
}
