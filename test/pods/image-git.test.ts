// @module-tag root
// The image with git, by `--target git` of the Dockerfile: it follows a repository as any user, and the default stays without git.
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LOCKED_DOWN, UID, variables } from '../support/pods/image/built.ts';
import { type Images, openImages } from '../support/pods/images.ts';
import { createRepository } from '../support/servers/git.ts';

describe('the image with git', () => testImage());

function testImage(): void {
  let images: Images;
  beforeAll(async () => {
    images = await openImages();
  });
  afterAll(() => images.remove());

  test('differs from the default by git and ssh alone', async () => {
    const inspect = async (image: string) =>
      JSON.parse(await images.podman.must('image', 'inspect', image))[0];
    const [plain, git] = [await inspect(images.sidecar), await inspect(await images.sidecarWithGit())];
    expect(git.Config).toEqual(plain.Config);
    expect(git.Healthcheck).toEqual(plain.Healthcheck);
    expect(git.RootFS.Layers).toHaveLength(plain.RootFS.Layers.length);
    const finds = async (image: string): Promise<string> => {
      const words = ['run', '--rm', ...LOCKED_DOWN, '--entrypoint', 'sh', image, '-c'];
      return await images.podman.must(...words, 'for one in git ssh npm; do command -v $one; done; true');
    };
    expect(await finds(images.sidecar)).toBe('');
    expect(await finds(await images.sidecarWithGit())).toBe('/usr/bin/git\n/usr/bin/ssh\n');
  });

  test('follows a repository on a read-only file system, as a user that it does not know', async (context) => {
    const repository = createRepository();
    const folder = mkdtempSync(join(tmpdir(), 'image-git-'));
    context.onTestFinished(() => {
      repository.remove();
      rmSync(folder, { recursive: true, force: true });
    });
    for (const path of [folder, repository.root]) chmodSync(path, 0o755);
    const live = join(folder, 'live');
    mkdirSync(live);
    chmodSync(live, 0o777);
    repository.commit({ 'app.yaml': 'greeting: Hello\n' });
    const source = 'git+file:///repository/app.git?ref=main&path=app.yaml';
    const mounts = ['-v', `${repository.root}:/repository:ro`, '-v', `${live}:/live`];
    const flags = [
      ...LOCKED_DOWN,
      ...mounts,
      ...variables({ SOURCE: source, OUTPUT: '/live/app.json', ONCE_TIMEOUT: '10s' }),
    ];
    const run = (image: string) => images.podman.run('run', '--rm', ...flags, image, 'once');
    const refused = await run(images.sidecar);
    expect(refused.stdout).toContain(
      'the program \\"git\\" is not installed here; use the image that has it, or install git',
    );
    const { code, stdout } = await run(await images.sidecarWithGit());
    expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining('"event":"applied"') });
    expect(JSON.parse(readFileSync(join(live, 'app.json'), 'utf8'))).toEqual({ greeting: 'Hello' });
    expect(UID).not.toBe(process.getuid?.());
  });
}
