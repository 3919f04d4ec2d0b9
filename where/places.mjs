/**
 * Where the package is tried: each place is a fresh folder with the packed tarball and the packages that it names, and its trials are shell commands
 * there. A trial passes if its command does, and says nothing that it must not; `bits` asks for Node's results to the last bit.
 */

const program = ['compute.mjs', 'main.mjs', 'one.mjs'];

/** Which of a compiler's settings are tried with each other. */
const typescript = ['5.4', '5.6', '5.9', '6', '7'].map((version) => {
  const resolutions = [
    ...(Number(version) < 6 ? [{ resolution: 'node10', module: 'esnext' }] : []),
    { resolution: 'node16', module: 'node16' },
    { resolution: 'nodenext', module: 'nodenext' },
    { resolution: 'bundler', module: 'esnext' },
  ];
  const libraries = [['es2022'], ['es2022', 'dom']];
  return {
    name: `TypeScript ${version}`,
    quick: version === '5.4',
    packages: [`typescript@${version}`],
    trials: resolutions.flatMap(({ resolution, module }) =>
      libraries.map((lib) => ({
        name: `${resolution}, lib ${lib.join(' and ')}`,
        programs: ['types.ts'],
        files: {
          'package.json': { type: 'module' },
          'tsconfig.json': {
            compilerOptions: {
              noEmit: true,
              strict: true,
              noUncheckedIndexedAccess: true,
              exactOptionalPropertyTypes: true,
              types: [],
              target: 'es2022',
              module,
              moduleResolution: resolution,
              lib,
              ...(version === '6' && { ignoreDeprecations: '6.0' }),
            },
            files: ['types.ts'],
          },
        },
        run: 'tsc -p .',
      })),
    ),
  };
});

const node = ['20', '22', '24'].map((version) => ({
  name: `Node ${version}`,
  quick: version === '20',
  packages: [`node@${version}`],
  trials: [
    { name: 'import', run: 'node main.mjs', bits: true },
    {
      name: 'require',
      files: { 'main.cjs': "require('tensegrity'); require('./compute.mjs').compute().then((x) => console.log(JSON.stringify(x)));" },
      run: 'node main.cjs',
      bits: true,
    },
    { name: 'one backend alone', run: 'node one.mjs', says: /wasm \[ 2, 4 \]/ },
  ],
}));

/** A test of a few lines, for runners of tests. */
const suite = (header) => `${header}
it('computes', async () => {
  const { name, bits } = await compute();
  console.log(JSON.stringify({ name, bits }));
  expect(name).toBe('wasm');
});
`;

const runners = [
  {
    name: 'vitest',
    packages: ['vitest'],
    trials: [
      {
        name: 'node',
        files: { 'a.test.mjs': suite("import { expect, it } from 'vitest';\nimport { compute } from './compute.mjs';") },
        run: 'vitest run',
        bits: true,
      },
    ],
  },
  {
    name: 'jest',
    packages: ['jest'],
    trials: [
      {
        name: 'ES modules',
        files: {
          'a.test.mjs': suite("import { compute } from './compute.mjs';"),
          'jest.config.json': { testMatch: ['**/*.test.mjs'], transform: {} },
        },
        run: 'NODE_OPTIONS=--experimental-vm-modules jest 2>&1',
        bits: true,
      },
      {
        name: 'CommonJS, by import()',
        files: {
          'a.test.cjs': suite("const compute = async () => (await import('./compute.mjs')).compute();"),
          'jest.config.json': { testMatch: ['**/*.test.cjs'], transform: {} },
        },
        run: 'NODE_OPTIONS=--experimental-vm-modules jest 2>&1',
        bits: true,
      },
    ],
  },
];

/** What bundlers say of modules that they would rather not have. */
const complaint = /warning|circular|rewritten to|deprecat/i;

const rollupConfig = `import resolve from '@rollup/plugin-node-resolve';
export default { plugins: [resolve({ preferBuiltins: true })], external: /^node:/ };
`;
const bundlers = [
  {
    name: 'esbuild',
    quick: true,
    packages: ['esbuild'],
    build: 'esbuild main.mjs --bundle --format=esm --splitting --outdir=out --out-extension:.js=.mjs --log-level=warning',
  },
  {
    name: 'rolldown',
    packages: ['rolldown'],
    build: 'rolldown main.mjs --format esm --platform browser --dir out --entry-file-names "[name].mjs" --chunk-file-names "[name].mjs"',
  },
  {
    name: 'rollup',
    quick: true,
    packages: ['rollup', '@rollup/plugin-node-resolve'],
    files: { 'rollup.config.mjs': rollupConfig },
    build: 'rollup -c -i main.mjs -f es -d out --entryFileNames "[name].mjs" --chunkFileNames "[name].mjs"',
  },
  {
    name: 'vite',
    packages: ['vite'],
    files: {
      'vite.config.mjs':
        "export default { build: { outDir: 'out', lib: { entry: 'main.mjs', formats: ['es'], fileName: () => 'main.mjs' }, minify: true } };",
    },
    build: 'vite build',
  },
  {
    name: 'webpack',
    packages: ['webpack', 'webpack-cli'],
    files: {
      'webpack.config.mjs':
        "export default { entry: './main.mjs', mode: 'production', target: 'es2022', experiments: { outputModule: true }, output: { path: import.meta.dirname + '/out', filename: 'main.mjs', chunkFilename: '[id].mjs', module: true, chunkFormat: 'module', chunkLoading: 'import', publicPath: './' } };",
    },
    build: 'webpack',
  },
  {
    name: 'rspack',
    packages: ['@rspack/core', '@rspack/cli'],
    files: {
      'rspack.config.mjs':
        "export default { entry: './main.mjs', mode: 'production', target: 'es2022', output: { path: import.meta.dirname + '/out', filename: 'main.mjs', chunkFilename: '[id].mjs', module: true, chunkFormat: 'module', chunkLoading: 'import', publicPath: './' } };",
    },
    build: 'rspack build',
  },
  {
    name: 'parcel',
    packages: ['parcel'],
    // Parcel reads `exports` where it is told to.
    files: {
      'package.json': {
        '@parcel/resolver-default': { packageExports: true },
        source: 'main.mjs',
        module: 'out/main.mjs',
        targets: {
          module: {
            context: 'node',
            outputFormat: 'esmodule',
            includeNodeModules: true,
            optimize: false,
            scopeHoist: true,
            engines: { node: '>=20' },
          },
        },
      },
    },
    build: 'parcel build --no-cache --no-source-maps',
  },
  { name: 'bun, as a bundler', packages: ['bun'], build: 'bun build main.mjs --target browser --outdir out --entry-naming "[name].mjs"' },
].map(({ name, quick, packages, files, build }) => ({
  name,
  quick,
  packages,
  trials: [{ name: 'bundle', files, run: `${build} 2>&1 && echo built && node out/main.mjs`, bits: true, never: complaint }],
}));

const route = (runtime) => `import { compute } from '../../compute.mjs';
export const runtime = '${runtime}';
export const dynamic = 'force-dynamic';
export async function GET() {
  return Response.json(await compute());
}
`;
const next = {
  'app/compute.mjs': { program: 'compute.mjs' },
  'app/layout.js': 'export default function Layout({ children }) { return <html><body>{children}</body></html>; }\n',
  'app/page.js': 'export default function Page() { return <p>.</p>; }\n',
  'app/edge/route.js': route('edge').replace('../../', '../'),
  'app/node/route.js': route('nodejs').replace('../../', '../'),
  'ask.mjs': `import { spawn } from 'node:child_process';
const [, , path, port] = process.argv;
const server = spawn('next', ['start', '-p', port], { stdio: 'ignore', detached: true });
try {
  for (let tries = 0; ; tries++) {
    try {
      console.log(await (await fetch('http://localhost:' + port + path)).text());
      break;
    } catch (error) {
      if (tries > 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
} finally {
  process.kill(-server.pid);
}
`,
};
const frameworks = [
  {
    name: 'Next.js 15',
    packages: ['next@15', 'react', 'react-dom'],
    trials: ['', '--turbopack'].flatMap((bundler, i) => [
      {
        name: `edge route, ${bundler ? 'Turbopack' : 'webpack'}`,
        files: next,
        run: `NEXT_TELEMETRY_DISABLED=1 next build ${bundler} && node ask.mjs /edge ${3461 + 2 * i}`,
        bits: true,
      },
      { name: `node route, ${bundler ? 'Turbopack' : 'webpack'}`, files: next, run: `node ask.mjs /node ${3462 + 2 * i}`, bits: true },
    ]),
  },
  {
    name: 'Astro',
    packages: ['astro', 'node@22'],
    trials: [
      {
        name: 'page made at build time',
        files: {
          'src/pages/index.astro':
            "---\nimport { compute } from '../../compute.mjs';\nconst result = JSON.stringify(await compute());\n---\n<pre set:html={result} />\n",
        },
        run: 'ASTRO_TELEMETRY_DISABLED=1 astro build && cat dist/index.html',
        bits: true,
      },
    ],
  },
];

/** What `wrangler dev` serves of the folder's wrangler.toml, which a user tries it by; its Miniflare has an interface that changes. */
const served = `import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
const probe = createServer().listen(0, '127.0.0.1');
await once(probe, 'listening');
const { port } = probe.address();
await new Promise((done) => probe.close(done));
const server = spawn('wrangler', ['dev', '--ip', '127.0.0.1', '--port', String(port), '--inspector-port', '0'], { detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
let said = '';
for (const stream of [server.stdout, server.stderr]) stream.on('data', (text) => { said += text; });
process.on('exit', () => server.exitCode === null && process.kill(-server.pid));
export const end = () => process.exit();
const address = 'http://127.0.0.1:' + port + '/';
const until = Date.now() + 60_000;
while (!(await fetch(address, { method: 'HEAD', signal: AbortSignal.timeout(20_000) }).catch(() => null))) {
  if (server.exitCode !== null || Date.now() > until) throw new Error('wrangler dev does not answer: ' + said);
  await new Promise((done) => setTimeout(done, 200));
}
export const ask = (request) => fetch(address, request);
`;

const edge = [
  {
    name: 'Cloudflare Workers',
    packages: ['wrangler', 'sharp'],
    trials: [
      {
        name: 'bundled by wrangler, served by wrangler dev',
        files: {
          'worker.mjs': "import { compute } from './compute.mjs';\nexport default { fetch: async () => Response.json(await compute()) };\n",
          'wrangler.toml': 'name = "trial"\nmain = "worker.mjs"\ncompatibility_date = "2025-06-01"\nsend_metrics = false\n',
          'served.mjs': served,
          'ask.mjs': `import { ask, end } from './served.mjs';
console.log(await (await ask()).text());
end();
`,
        },
        run: 'wrangler deploy --dry-run --outdir out && node ask.mjs',
        bits: true,
      },
      {
        name: 'a folder of images, trained on, exported, embedded and searched by examples/image-search',
        files: {
          ...Object.fromEntries(
            ['worker.mjs', 'search.mjs', 'png.mjs', 'wrangler.toml'].map((name) => [name, { example: `image-search/${name}` }]),
          ),
          'draw.mjs': `import { mkdirSync } from 'node:fs';
import sharp from 'sharp';
mkdirSync('photos', { recursive: true });
for (let i = 0; i < 80; i++) {
  const drawing = \`<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><rect width="64" height="64" fill="hsl(\${(i * 47) % 360},70%,50%)"/><circle cx="\${12 + (i % 40)}" cy="\${50 - (i % 33)}" r="\${6 + (i % 7)}" fill="hsl(\${(i * 101) % 360},80%,30%)"/></svg>\`;
  await sharp(Buffer.from(drawing)).png().toFile(\`photos/\${i}.png\`);
}
`,
          'served.mjs': served,
          'search-ask.mjs': `import { readFileSync } from 'node:fs';
import { ask, end } from './served.mjs';
const post = (body) => ask({ method: 'POST', body });
const found = [];
for (const name of ['3.png', '42.png']) found.push((await (await post(readFileSync('photos/' + name))).json())[0].name);
console.log('found', ...found, (await post('none')).status);
end();
`,
        },
        run: [
          'node draw.mjs',
          'tensegrity train --data photos --size 32 --epochs 1 --batch 32 --out run',
          'tensegrity export run --to plan --out encoder.plan',
          'tensegrity embed --weights run/encoder.safetensors photos --size 32 --out index.npy --names names.txt',
          'wrangler deploy --dry-run --outdir searching',
          'node search-ask.mjs',
        ].join(' && '),
        says: /found 3\.png 42\.png 400/,
      },
    ],
  },
  {
    name: 'edge-runtime',
    packages: ['edge-runtime', 'esbuild'],
    trials: [
      {
        name: 'without a compiled module: cpu, and why',
        files: {
          'ask.mjs': `import { readFileSync } from 'node:fs';
import { EdgeRuntime } from 'edge-runtime';
const runtime = new EdgeRuntime({ initialCode: readFileSync('out/worker.js', 'utf8'), codeGeneration: { strings: false, wasm: false } });
const response = await runtime.dispatchFetch('http://localhost/');
console.log(await response.text());
`,
          'worker.mjs': `import { backend, tensor } from 'tensegrity';
const said = [];
console.warn = (message) => said.push(message);
addEventListener('fetch', (event) => event.respondWith((async () => {
  const values = await tensor([1, 2]).mul(2).array();
  return new Response(JSON.stringify([values, (await backend()).name, said]));
})()));
`,
        },
        run: 'esbuild worker.mjs --bundle --format=iife --outfile=out/worker.js --log-level=warning && node ask.mjs',
        says: /\[\[2,4\],"cpu",\["tensegrity: plans run on the cpu backend/,
      },
    ],
  },
  {
    name: 'Deno',
    packages: ['deno'],
    trials: [{ name: 'run', run: 'deno run --node-modules-dir=manual --allow-read --allow-env --no-prompt main.mjs', bits: true }],
  },
  { name: 'Bun', packages: ['bun'], trials: [{ name: 'run', run: 'bun main.mjs', bits: true }] },
  {
    name: 'AWS Lambda',
    packages: ['esbuild'],
    trials: [
      {
        name: 'handler, bundled for Node 20',
        files: {
          'handler.mjs':
            "import { compute } from './compute.mjs';\nexport const handler = async () => ({ statusCode: 200, body: JSON.stringify(await compute()) });\n",
          'ask.mjs': "import { handler } from './out/handler.mjs';\nconsole.log((await handler()).body);\n",
        },
        run: 'esbuild handler.mjs --bundle --platform=node --target=node20 --format=esm --outfile=out/handler.mjs --log-level=warning && node ask.mjs',
        bits: true,
        never: complaint,
      },
    ],
  },
];

/** `vercel build` asks for no account where a project is linked; the newest whose dependencies all registries had is named. */
const vercel = {
  name: 'Vercel',
  packages: ['vercel@54'],
  trials: [
    {
      name: 'function for Node, built by `vercel build` without an account',
      files: {
        'package.json': { type: 'module' },
        '.vercel/project.json': { projectId: 'prj_trial', orgId: 'team_trial', settings: { framework: null } },
        'api/node.mjs': "import { compute } from '../compute.mjs';\nexport const GET = async () => Response.json(await compute());\n",
        'ask.mjs': `const { GET } = await import('./.vercel/output/functions/api/node.func/api/node.mjs');
console.log(await (await GET(new Request('http://localhost/'))).text());
`,
      },
      run: 'VERCEL_TELEMETRY_DISABLED=1 vercel build --yes && node ask.mjs',
      bits: true,
    },
  ],
};

/** What a page, or a frame in it, says of itself: frame.mjs. */
const alone =
  /^not isolated; by default: wasm, one thread, no worker; asked for two: TensegrityError backend: .*\{ threads: 1 \}; said: nothing;/m;
const together = /^isolated; by default: wasm, threads, workers; asked for two: wasm, threads, workers; said: nothing;/m;
const remedy =
  /^not isolated; by default: wasm, one thread, no worker; asked for two: TensegrityError .*<iframe allow="cross-origin-isolated">.*; said: nothing;/m;
const pages = [
  {
    name: 'Chromium',
    packages: ['esbuild'],
    trials: [
      ['a page', 'one thread', 'plain none', alone],
      ['a page, isolated', 'threads', 'isolated none', together],
      ['a frame of the same origin', 'one thread', 'plain plain', remedy],
      ['a frame of the same origin, both isolated', 'threads', 'isolated isolated', together],
      ['a frame from another site', 'one thread', 'plain other-plain', remedy],
      ['a frame from another site, both isolated', 'one thread', 'isolated other-isolated', remedy],
      [
        'a frame from another site, both isolated, with allow',
        'threads',
        `isolated other-isolated 'allow="cross-origin-isolated"'`,
        together,
      ],
      ['a frame in a sandbox', 'one thread', `plain plain 'sandbox="allow-scripts"'`, remedy],
      ['a frame in a sandbox, both isolated', 'one thread', `isolated isolated 'sandbox="allow-scripts"'`, remedy],
      [
        'a frame in a sandbox, both isolated, with allow',
        'threads',
        `isolated isolated 'sandbox="allow-scripts" allow="cross-origin-isolated"'`,
        together,
      ],
    ].map(([name, result, words, says], i) => ({
      name: `${name}: ${result}`,
      programs: [...program, 'frame.mjs', 'pages.mjs'],
      browser: true,
      run: `${i === 0 ? 'esbuild frame.mjs --bundle --splitting --format=esm --outdir=out --log-level=warning && ' : ''}node pages.mjs ${words}`,
      bits: true,
      says,
    })),
  },
];

export const places = [...typescript, ...node, ...runners, ...bundlers, ...frameworks, ...edge, vercel, ...pages].map((place) => ({
  ...place,
  trials: place.trials.map((trial) => ({ programs: program, ...trial })),
}));
