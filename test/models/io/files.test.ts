import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { HostArray } from '../../../engine/dtype.ts';
import {
  ensureFolder,
  readArray,
  readBytes,
  readSafetensors,
  writeArray,
  writeFileAtomically,
  writeSafetensors,
} from '../../../models/io/node.ts';
import { capability } from '../../support/capabilities.ts';

const array: HostArray = { dtype: 'f32', shape: [2], data: Float32Array.of(1.5, -2) };
const storage = (...words: string[]): unknown =>
  expect.objectContaining({ code: 'storage', message: expect.stringMatching(new RegExp(words.join('.*'))) });

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tensegrity-files-'));
});
afterEach(() => {
  vi.restoreAllMocks();
  chmodSync(folder, 0o755);
  rmSync(folder, { recursive: true, force: true });
});

describe('files', () => {
  it('come back as they were written', async () => {
    await writeArray(join(folder, 'a.npy'), array);
    expect(await readArray(join(folder, 'a.npy'))).toEqual(array);
    await writeSafetensors(join(folder, 'a.safetensors'), [['x', array]], [['by', 'me']]);
    const { tensors, metadata } = await readSafetensors(join(folder, 'a.safetensors'));
    expect([...tensors]).toEqual([['x', array]]);
    expect([...metadata]).toEqual([['by', 'me']]);
    expect(readdirSync(folder).sort()).toEqual(['a.npy', 'a.safetensors']);
  });

  it('that are damaged are named', async () => {
    writeFileSync(join(folder, 'a.npy'), 'nonsense');
    await expect(readArray(join(folder, 'a.npy'))).rejects.toMatchObject({
      code: 'format',
      message: expect.stringContaining(join(folder, 'a.npy')),
    });
  });

  it('that are missing, folders, devices or too large are refused', async () => {
    await expect(readBytes(join(folder, 'none'))).rejects.toEqual(storage('cannot read', 'no such file', 'ENOENT'));
    await expect(readBytes(folder)).rejects.toEqual(storage('is a folder', 'EISDIR'));
    await expect(readBytes('/dev/zero')).rejects.toEqual(storage('not a regular file'));
    writeFileSync(join(folder, 'long'), 'four');
    await expect(readBytes(join(folder, 'long'), 3)).rejects.toMatchObject({ code: 'format' });
  });

  it('replace what was there, through a link, keeping its permissions', async () => {
    const path = join(folder, 'target');
    const link = join(folder, 'link');
    writeFileSync(path, 'old');
    chmodSync(path, 0o600);
    symlinkSync(path, link);
    await writeFileAtomically(link, 'new');
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(readFileSync(path, 'utf8')).toBe('new');
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('that are links to nothing are not what is missing, and are written through where there is a folder', async () => {
    const [link, there, circle] = [join(folder, 'link'), join(folder, 'there'), join(folder, 'circle')];
    symlinkSync('/nowhere/file', link);
    symlinkSync('new', there);
    symlinkSync('circle', circle);
    await expect(readBytes(link)).rejects.toEqual(storage('link is a link to /nowhere/file, which is not there', 'mount the disk'));
    await expect(readArray(circle)).rejects.toEqual(storage('circle', 'ELOOP'));
    await expect(writeFileAtomically(link, 'x')).rejects.toEqual(storage('cannot write /nowhere/file', 'ENOENT'));
    await expect(writeFileAtomically(circle, 'x')).rejects.toEqual(storage('circle', 'ELOOP'));
    await writeFileAtomically(there, 'x');
    expect(lstatSync(there).isSymbolicLink()).toBe(true);
    expect(readFileSync(join(folder, 'new'), 'utf8')).toBe('x');
    await expect(readBytes(join(folder, 'a\0b'))).rejects.toEqual(storage('cannot read .*a\\\\u\\{0\\}b: no path holds such a character'));
  });

  it('cannot be written where there is no folder, or over one', async () => {
    await expect(writeArray(join(folder, 'none/a.npy'), array)).rejects.toEqual(storage('cannot write', 'create the folder', 'ENOENT'));
    mkdirSync(join(folder, 'a.npy'));
    await expect(writeArray(join(folder, 'a.npy'), array)).rejects.toEqual(storage('name a file inside', 'EISDIR'));
    writeFileSync(join(folder, 'file'), '');
    await expect(writeArray(join(folder, 'file/a.npy'), array)).rejects.toEqual(storage('ENOTDIR'));
    await expect(ensureFolder(join(folder, 'file/b'))).rejects.toEqual(storage('cannot create the folder', 'ENOTDIR'));
    expect(readdirSync(folder).sort()).toEqual(['a.npy', 'file']);
  });

  it.runIf(existsSync('/proc/self'))('need a folder that takes folders', async () => {
    await expect(ensureFolder('/proc/tensegrity/a')).rejects.toEqual(storage('cannot create the folder', 'ENOENT'));
  });

  it.runIf(existsSync('/dev/full'))('go straight to a device, which stays one', async () => {
    await expect(writeFileAtomically('/dev/full', 'x')).rejects.toEqual(storage('disk is full', 'ENOSPC'));
    expect(statSync('/dev/full').isCharacterDevice()).toBe(true);
  });

  it.each(['writeFile', 'sync'] as const)('leave the old content and nothing aside when %s fails', async (method) => {
    const path = join(folder, 'a');
    writeFileSync(path, 'old');
    const handle = await open(path);
    vi.spyOn(Object.getPrototypeOf(handle), method).mockRejectedValue(Object.assign(new Error('no space'), { code: 'ENOSPC' }));
    await expect(writeFileAtomically(path, 'new')).rejects.toEqual(storage('disk is full', 'ENOSPC'));
    await handle.close();
    expect(readFileSync(path, 'utf8')).toBe('old');
    expect(readdirSync(folder)).toEqual(['a']);
  });

  const system = (command: string, ...words: string[]): { status: number | null } => spawnSync(command, words);
  const mounted = (options: string): boolean => system('mount', '-t', 'tmpfs', '-o', options, 'tmpfs', folder).status === 0;
  const canMount = ((): boolean => {
    const probe = mkdtempSync(join(tmpdir(), 'tensegrity-mount-'));
    const able = system('mount', '-t', 'tmpfs', 'tmpfs', probe).status === 0;
    if (able) system('umount', probe);
    rmSync(probe, { recursive: true, force: true });
    return able;
  })();
  describe.runIf(capability('a file system of its own to fill', canMount, 'mounting tmpfs is not permitted'))('on a disk of 64 KB', () => {
    afterEach(() => void system('umount', folder));

    it('say that it is full, and keep what was there', async () => {
      mounted('size=64k');
      const path = join(folder, 'a');
      await writeFileAtomically(path, 'old');
      await expect(writeFileAtomically(path, new Uint8Array(1e6))).rejects.toEqual(storage('disk is full', 'ENOSPC'));
      expect(readFileSync(path, 'utf8')).toBe('old');
      expect(readdirSync(folder)).toEqual(['a']);
    });

    it('say that it is read-only', async () => {
      mounted('ro');
      await expect(writeFileAtomically(join(folder, 'a'), 'x')).rejects.toEqual(storage('read-only', 'EROFS'));
    });
  });

  it('cannot be written into a folder without permission', async () => {
    writeFileSync(join(folder, 'a'), 'old');
    chmodSync(folder, 0o555);
    // Permissions do not bind root.
    const root = process.getuid?.() === 0;
    if (root) process.seteuid?.(65_534);
    try {
      await expect(writeFileAtomically(join(folder, 'a'), 'new')).rejects.toEqual(storage('permission is denied', 'EACCES'));
    } finally {
      if (root) process.seteuid?.(0);
    }
    expect(readFileSync(join(folder, 'a'), 'utf8')).toBe('old');
  });

  it('ignore what a killed process left aside', async () => {
    const path = join(folder, 'a.npy');
    writeFileSync(join(folder, '.a.npy.1-000000000000.partial'), 'half');
    await writeArray(path, array);
    expect(await readArray(path)).toEqual(array);
  });

  // Node 20 cannot run TypeScript; the one that npm ci installs can.
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const installed = fileURLToPath(new URL('../../../node_modules/node/bin/node', import.meta.url));
  const node = major > 22 || (major === 22 && minor >= 18) ? process.execPath : installed;
  it.runIf(capability('a Node that runs TypeScript', existsSync(node), 'node_modules/node is missing'))(
    'are whole after kill -9 at any moment',
    async () => {
      const path = join(folder, 'a');
      const length = 200_000;
      for (const wait of [5, 23, 61]) {
        const child = spawn(node, [fileURLToPath(new URL('endless-writer.ts', import.meta.url)), path, String(length)], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        const exited = once(child, 'exit');
        await once(child.stdout, 'data');
        await new Promise((resolve) => setTimeout(resolve, wait));
        child.kill('SIGKILL');
        await exited;
        const content = readFileSync(path);
        expect(content.length).toBe(length);
        expect(new Set(content).size).toBe(1);
      }
    },
  );
});
