// Loaded into the built program before anything else: notes each write, flush and rename in the order in which they end, by path.
const fs = require('node:fs');
const { basename, dirname, join } = require('node:path');
const { syncBuiltinESMExports } = require('node:module');

const { fsync, fdatasyncSync, writeSync, renameSync } = fs;
const record = fs.openSync(process.env.DISK_RECORD, 'a');

const note = (kind, path, more = {}) => writeSync(record, `${JSON.stringify({ kind, path, ...more })}\n`);
const pathOf = (fd) => fs.readlinkSync(`/proc/self/fd/${fd}`);
/** The program names files through descriptors of their directories. */
const placeOf = (path) => join(fs.realpathSync(dirname(path)), basename(path));

fs.writeSync = (fd, bytes, ...rest) => {
  const count = writeSync(fd, bytes, ...rest);
  const isGood = basename(pathOf(fd)).startsWith('ledger.') && bytes.includes('"verdict":"good"');
  note('written', pathOf(fd), isGood ? { confirms: true } : {});
  return count;
};
// The disk of the volume is slow: what does not wait for it comes before it.
fs.fsync = (fd, done) => {
  const path = pathOf(fd);
  const flush = () =>
    fsync(fd, (error) => {
      if (error === null) note('flushed', path);
      done(error);
    });
  if (path.startsWith(process.env.STATE_DIR)) flush();
  else setTimeout(flush, 40);
};
fs.fdatasyncSync = (fd) => {
  fdatasyncSync(fd);
  note('flushed', pathOf(fd));
};
fs.renameSync = (from, to) => {
  const [source, target] = [placeOf(from), placeOf(to)];
  renameSync(from, to);
  note('renamed', target, { from: source });
};
syncBuiltinESMExports();
