// Drives the pages in headless Chromium as a person would, and compares what they show with what the nodes say.
// Run by scripts/check-ui. `--only looks,client,...` picks parts, `--slow 2x` is the demo's, `--kills N` leaders are killed,
// `--strict` holds the page to its bar for time, `--soak S` is how long it is left open, in seconds; `--mock` uses the
// stand-in, `--base URL` a demo that runs, `--page` the page of the working tree instead of the one that was built in.

import { createRequire } from 'node:module';
import { mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { startDemo, startMock } from './demo.mjs';
import { parts } from './parts.mjs';
import { lessons } from './lessons.mjs';
import { long } from './long.mjs';
import { serve } from './serve.mjs';

const { values: args } = parseArgs({
  options: {
    out: { type: 'string', default: 'target/check-ui' },
    only: { type: 'string' },
    lesson: { type: 'string' },
    base: { type: 'string' },
    page: { type: 'boolean', default: false },
    mock: { type: 'boolean', default: false },
    slow: { type: 'string', default: '5x' },
    kills: { type: 'string', default: '1' },
    strict: { type: 'boolean', default: false },
    soak: { type: 'string', default: '20' },
    browser: { type: 'string', default: '/usr/bin/chromium' },
  },
});
const out = resolve(args.out);
mkdirSync(out, { recursive: true });
const require = createRequire(join(out, 'node_modules/'));
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

const binary = process.env.QUIVER ?? 'target/debug/quiver';

const all = { ...parts, lessons, ...long };
const wanted = args.only ? args.only.split(',') : Object.keys(all);
for (const name of wanted)
  if (!all[name]) throw new Error(`no part is called ${name}: there are ${Object.keys(all).join(', ')}`);

const started = args.base
  ? { url: args.base, stop: async () => {} }
  : args.mock
    ? await startMock()
    : await startDemo(binary, ['--slow', args.slow]);
const fronts = [];
/** The address to look at for one that serves pages: itself, or the working tree's page before it. */
async function front(url) {
  if (!args.page) return url;
  fronts.push(await serve(url));
  return fronts.at(-1).url;
}
const demo = {
  url: await front(started.url),
  stop: async () => {
    for (const one of fronts) one.close();
    await started.stop();
  },
};
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => demo.stop().finally(() => process.exit(130)));
const browser = await chromium.launch({
  executablePath: args.browser,
  args: ['--no-sandbox', '--disable-dev-shm-usage'],
});
const trouble = [];

/** What the parts get: pages that report every error, axe, pictures, and a place for figures. */
const kit = {
  base: demo.url,
  pid: started.pid,
  out,
  binary,
  args,
  front,
  async open(path = '/', options = {}) {
    const { width = 1280, height = 900, base = demo.url, ...more } = options;
    const context = await browser.newContext({ viewport: { width, height }, acceptDownloads: true, ...more });
    const page = await context.newPage();
    page.on('pageerror', (error) => trouble.push(`${path}: ${error.message}`));
    page.on('console', (message) => {
      // A command that the cluster refuses is answered with 4xx; the browser notes that as an error, the page shows it as text.
      if (message.type() === 'error' && !/status of (409|503|502)/.test(message.text()))
        trouble.push(`${path}: ${message.text()}`);
    });
    await page.goto(base + path);
    return page;
  },
  async axe(page, what) {
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => globalThis.axe.run());
    if (violations.length)
      throw new Error(
        `${what}: axe finds ${violations.map((v) => `${v.id} (${v.nodes.length}, first: ${v.nodes[0].html.slice(0, 120)})`).join('; ')}`,
      );
  },
  picture: (page, name) =>
    page.screenshot({ path: join(out, `${name}.png`), fullPage: true, style: '.time { position: static }' }),
  figure: (name, value) => console.log(`  figure: ${name} = ${value}`),
};

let [passed, failed] = [0, 0];
/** Runs one check and says how it went. */
kit.check = async (name, run) => {
  const start = Date.now();
  const before = trouble.length;
  try {
    await run();
    if (trouble.length > before) throw new Error(`the browser's console says: ${trouble.slice(before).join('; ')}`);
    passed++;
    console.log(`ok ${name} (${((Date.now() - start) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failed++;
    console.log(`FAILED ${name}: ${error.message}`);
  }
};

console.log(`==> the demo is at ${demo.url}; pictures go to ${args.out}`);
try {
  for (const name of wanted) {
    console.log(`-- ${name}`);
    await all[name](kit);
  }
} finally {
  await browser.close();
  await demo.stop();
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed || !passed ? 1 : 0);
