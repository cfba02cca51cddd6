// A page left open under load: it does not grow, in view or out of it, and neither do the nodes that it watches.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { eventually, json, post } from './demo.mjs';
import { openLed, shown } from './parts.mjs';

/** Pause between two writes, in ms. */
const PAUSE_MS = 40;
/** Writing before the first measure, in ms: caches fill, the page has drawn everything once. */
const WARM_MS = 8000;
/** Out of sight for so long, in ms. */
const HIDDEN_MS = 15_000;
/** What a page may weigh, in MB: the past it keeps is bounded. */
const HEAP_MB = 60;

/** Writes through the leader until a moment; how many were acknowledged, and the last value that was. */
async function write(kit, until) {
  let [count, last] = [0, null];
  for (let i = 0; Date.now() < until; i++) {
    const { nodes } = await json(`${kit.base}/api/state`).catch(() => ({ nodes: [] }));
    const via = nodes.find((node) => node.state === 'up')?.name;
    const value = `v${i} of ${until}`;
    const got = await post(`${kit.base}/api/client`, { op: 'write', via, level: 'quorum', key: 3, value }).catch(() => ({}));
    if (got.ok) [count, last] = [count + 1, value];
    await new Promise((wake) => setTimeout(wake, PAUSE_MS));
  }
  return { count, last };
}

/** What a process holds in memory, in MB; NaN where the system does not tell. */
function resident(pid) {
  try {
    return Number(readFileSync(`/proc/${pid}/status`, 'utf8').match(/VmRSS:\s+(\d+) kB/)[1]) / 1024;
  } catch {
    return NaN;
  }
}

async function measurer(kit, page) {
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable');
  return async (name) => {
    await session.send('HeapProfiler.collectGarbage');
    const { metrics } = await session.send('Performance.getMetrics');
    const of = (metric) => metrics.find((one) => one.name === metric).value;
    const { nodes } = await json(`${kit.base}/api/state`);
    const now = {
      elements: await page.evaluate(() => document.querySelectorAll('*').length),
      nodes: of('Nodes'),
      listeners: of('JSEventListeners'),
      heap: of('JSHeapUsedSize') / 1e6,
      resident: nodes.map((node) => resident(node.pid)),
      demo: kit.pid ? resident(kit.pid) : NaN,
    };
    kit.figure(
      name,
      `${now.elements} elements, ${now.nodes} DOM nodes, ${now.listeners} listeners, heap ${now.heap.toFixed(1)} MB; ` +
        `nodes ${now.resident.map((mb) => mb.toFixed(0)).join(' / ')} MB, demo ${now.demo.toFixed(0)} MB`,
    );
    return now;
  };
}

function holdFlat(before, after) {
  assert.ok(after.elements < before.elements + 150, `${before.elements} elements became ${after.elements}`);
  assert.ok(after.listeners < before.listeners + 60, `${before.listeners} listeners became ${after.listeners}`);
  assert.ok(after.heap < HEAP_MB, `${after.heap.toFixed(1)} MB`);
}

async function soak(kit) {
  const seconds = Number(kit.args.soak);
  await kit.check(`a page left open for ${seconds} s of writes does not grow`, async () => {
    const page = await openLed(kit);
    const measure = await measurer(kit, page);
    await write(kit, Date.now() + WARM_MS);
    const before = await measure('at first');
    let count = 0;
    for (const when of ['after half the time', 'at the end']) {
      count += (await write(kit, Date.now() + seconds * 500)).count;
      const now = await measure(when);
      holdFlat(before, now);
      // A store's caches fill in the first half; after that its size is what it is.
      if (when === 'at the end')
        now.resident.forEach((mb, i) => assert.ok(!(mb > 1.5 * before.half[i] + 64), `node ${i + 1} holds ${mb} MB`));
      before.half = now.resident;
    }
    kit.figure('writes meanwhile, and events seen', `${count}, ${await page.getAttribute('body', 'data-seq')}`);
    await page.context().close();
  });
}

/** What a browser does to a page out of sight: no frames. (Headless windows have no out of sight of their own.) */
function hide() {
  const real = globalThis.requestAnimationFrame;
  const waiting = [];
  globalThis.requestAnimationFrame = (frame) => waiting.push(frame);
  globalThis.comeBack = () => {
    globalThis.requestAnimationFrame = real;
    waiting.forEach((frame) => real(frame));
  };
}

async function hidden(kit) {
  await kit.check('a page out of sight does not grow, and shows the present when it is back', async () => {
    const page = await openLed(kit);
    const measure = await measurer(kit, page);
    await write(kit, Date.now() + WARM_MS);
    const before = await measure('before it is hidden');
    const seen = await page.getAttribute('body', 'data-seq');
    await page.evaluate(hide);
    const { last } = await write(kit, Date.now() + HIDDEN_MS);
    assert.ok(last, 'no write was acknowledged');
    const after = await measure('after it was hidden');
    holdFlat(before, after);
    assert.ok(Number(await page.getAttribute('body', 'data-seq')) <= Number(seen) + 200, 'it was not hidden');
    await page.evaluate(() => globalThis.comeBack());
    await eventually('the last write is told', 30_000, async () =>
      (await page.textContent('.story')).includes(`"${last}"`),
    );
    assert.equal(await page.getAttribute('body', 'data-live'), 'live');
    assert.ok(await shown(page, 'leader'));
    await page.context().close();
  });
}

export const long = { hidden, soak };
