// What is checked of the pages beside the lessons: looks, failover, the client, going back in time, keys.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, json, leaderByNodes, post, startDemo } from './demo.mjs';

const GROUP = 1;
/** Longest wait for an election, in ms: elections are slowed down for the eye, and machines that check are busy. */
const ELECTION_MS = 90_000;
/** The page should show a new leader within 300 ms of its election; without --strict only what nobody would call noise fails. */
const SHOWN_GOAL_MS = 300;
const SHOWN_LIMIT_MS = 2000;

/** What the headline says about the group in view: `leader`, `term`, and the like. */
export const shown = (page, name) => page.getAttribute('#headline', `data-${name}`);

/** Opens the demo's page and waits until it shows a leader. */
export async function openLed(kit, options) {
  const page = await kit.open('/', options);
  await eventually('the page shows a leader', ELECTION_MS, () => shown(page, 'leader'));
  return page;
}

/** Waits until the page and the nodes name the same leader in the same term. */
export async function agree(kit, page) {
  return eventually('the page and the nodes name the same leader', ELECTION_MS, async () => {
    const [here, there] = [
      { name: await shown(page, 'leader'), term: Number(await shown(page, 'term')) },
      await leaderByNodes(kit.base, GROUP),
    ];
    if (!there || here.name !== there.name || here.term !== there.term)
      throw new Error(`the page says ${JSON.stringify(here)}, the nodes ${JSON.stringify(there)}`);
    return there;
  });
}

/** Makes all nodes run and all links whole again, whatever a check before has left. */
export async function mend(kit) {
  await post(`${kit.base}/api/lessons/stop`).catch(() => {});
  await post(`${kit.base}/api/heal`);
  const { nodes } = await json(`${kit.base}/api/state`);
  for (const { name, state } of nodes)
    if (state !== 'up') await post(`${kit.base}/api/nodes/${name}/${state === 'paused' ? 'resume' : 'restart'}`);
}

async function fits(page, what) {
  const [content, view] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(content <= view, `${what}: ${content} px wide in a window of ${view}`);
}

async function looks(kit) {
  const views = [
    ['light', { colorScheme: 'light' }],
    ['dark', { colorScheme: 'dark' }],
    ['narrow', { colorScheme: 'light', width: 390, height: 844 }],
    ['narrow-dark', { colorScheme: 'dark', width: 390, height: 844 }],
  ];
  const { nodes } = await json(`${kit.base}/api/state`);
  const seen = await kit.front(nodes[0].url);
  for (const [name, options] of views) {
    await kit.check(`the demo looks right: ${name}`, async () => {
      const page = await openLed(kit, options);
      await page.waitForTimeout(1500);
      await fits(page, name);
      await kit.axe(page, `demo, ${name}`);
      await kit.picture(page, `demo-${name}`);
      await page.click(`[data-node="${nodes[0].name}"] .hit`);
      for (const summary of await page.$$('summary')) await summary.click();
      await page.waitForTimeout(300);
      await kit.axe(page, `demo with all opened, ${name}`);
      await fits(page, `${name}, all opened`);
      await kit.picture(page, `demo-${name}-opened`);
      await page.context().close();
    });
    await kit.check(`the console looks right: ${name}`, async () => {
      const page = await kit.open('/console', { ...options, base: seen });
      await page.waitForSelector('#nodes tbody tr', { timeout: 60_000 });
      await eventually(
        'the console has read everything',
        60_000,
        async () => (await page.$$eval('.trouble', (all) => all.map((one) => one.textContent).join(''))) === '',
      );
      assert.equal((await page.$$('#nodes tbody tr')).length, nodes.length);
      const told = await json(`${nodes[0].url}/cluster/sharding`);
      assert.equal((await page.$$('#shards tbody tr')).length, told.shards.length);
      await fits(page, `console, ${name}`);
      await kit.axe(page, `console, ${name}`);
      await kit.picture(page, `console-${name}`);
      await page.context().close();
    });
  }
  await kit.check('with reduced motion nothing flies', async () => {
    const page = await openLed(kit, { reducedMotion: 'reduce' });
    const spots = new Set();
    for (let i = 0; i < 20; i++) {
      for (const spot of await page.$$eval('.dot:not([visibility])', (dots) =>
        dots.map((dot) => dot.getAttribute('transform')),
      ))
        spots.add(spot);
      await page.waitForTimeout(60);
    }
    // Each ordered pair of nodes has a place for questions, one for answers and one for what is lost.
    const { nodes: now } = await json(`${kit.base}/api/state`);
    assert.ok(spots.size <= now.length * (now.length - 1) * 3, `${spots.size} places seen`);
    await page.context().close();
  });
}

async function failover(kit) {
  const kills = Number(kit.args.kills);
  for (let kill = 1; kill <= kills; kill++) await killed(kit, kills > 1 ? ` (${kill} of ${kills})` : '');
  await cutOneWay(kit);
  await mend(kit);
}

function killed(kit, which) {
  return kit.check(`a killed leader is replaced, on the page as in the nodes${which}`, async () => {
    const page = await openLed(kit);
    const old = await agree(kit, page);
    await page.click(`[data-node="${old.name}"] .hit`);
    await page.click('[data-do="kill"]');
    await eventually('the page shows the node down', 30_000, () =>
      page.$(`[data-node="${old.name}"][data-state="down"]`),
    );
    await kit.picture(page, 'election');
    await eventually('the page shows another leader', ELECTION_MS, async () => {
      const now = await shown(page, 'leader');
      return now && now !== old.name;
    });
    const next = await agree(kit, page);
    assert.ok(next.term > old.term, `term ${next.term} after ${old.term}`);
    const took = Number(await shown(page, 'shown-at')) - Number(await shown(page, 'elected-at'));
    kit.figure(
      'new leader on the page after its election, ms',
      `${Math.round(took)} (goal ${SHOWN_GOAL_MS}${took > SHOWN_GOAL_MS ? ', MISSED' : ''})`,
    );
    assert.ok(took < (kit.args.strict ? SHOWN_GOAL_MS : SHOWN_LIMIT_MS), `shown ${took} ms after the election`);
    await page.waitForSelector('.story [data-kind="elected"][data-section="5.2"]');
    await kit.picture(page, 'failover');
    await page.click('[data-do="restart"]');
    await eventually('the node is up again and follows', ELECTION_MS, () =>
      page.$(`[data-node="${old.name}"][data-state="up"][data-role="follower"]`),
    );
    await page.context().close();
  });
}

function cutOneWay(kit) {
  return kit.check('a link is cut one way, shown, and mended', async () => {
    const page = await openLed(kit);
    const { nodes } = await json(`${kit.base}/api/state`);
    const [a, b] = nodes.map((node) => node.name);
    await page.click(`[data-node="${a}"] .hit`);
    await page.click(`[data-toggle="${a}>${b}"]`);
    await page.waitForSelector(`[data-link="${a}>${b}"][data-cut="true"]`, { timeout: 30_000, state: 'attached' });
    assert.equal(await page.$(`[data-link="${b}>${a}"][data-cut="true"]`), null);
    await page.click('#heal');
    await page.waitForSelector(`[data-link="${a}>${b}"]`, { timeout: 30_000, state: 'detached' });
    await page.context().close();
  });
}

async function client(kit) {
  await kit.check('a client writes, and reads at every level', async () => {
    const page = await openLed(kit);
    const led = await agree(kit, page);
    await page.fill('#value', 'first light');
    await page.selectOption('#via', led.name);
    await page.click('#client [value="write"]');
    await page.waitForSelector('.answers [data-op="write"][data-ok="true"]', { timeout: 60_000 });
    await page.click('#client [value="compare"]');
    await eventually(
      'three answers',
      60_000,
      async () => (await page.$$('.answers [data-op="read"][data-state="done"]')).length === 3,
    );
    for (const level of ['quorum', 'all']) {
      const row = await page.$(`.answers [data-op="read"][data-level="${level}"]`);
      assert.match(await row.textContent(), /"first light"/);
      assert.equal(await row.getAttribute('data-stale'), null);
    }
    await page.waitForSelector('.story [data-kind="client"]');
    const row = await page.waitForSelector(`[data-log="${led.name}"] td[data-mark="applied"]:not([data-index="0"])`);
    assert.ok(Number(await row.getAttribute('data-term')) > 0);
    await page.context().close();
  });
}

async function timeline(kit) {
  await kit.check('the past can be looked at, and left again', async () => {
    const page = await openLed(kit);
    await post(`${kit.base}/api/client`, {
      op: 'write',
      via: await shown(page, 'leader'),
      level: 'quorum',
      key: 2,
      value: 'a mark',
    });
    await page.waitForSelector('.story [data-kind="client"]');
    // How the leader came to lead is told, though it happened before the page was there.
    await page.waitForSelector('.story [data-kind="elected"]', { state: 'attached' });
    await page.click('#back');
    await eventually(
      'the page looks back',
      10_000,
      async () => (await page.getAttribute('body', 'data-live')) === 'paused',
    );
    assert.equal(await page.getAttribute('#client [value="write"]', 'disabled'), 'true');
    await page.click('#live');
    await eventually('the page is live', 10_000, async () => (await page.getAttribute('body', 'data-live')) === 'live');
    await page.focus('#slider');
    for (let i = 0; i < 5; i++) await page.keyboard.press('ArrowLeft');
    await eventually(
      'the slider listens to keys',
      10_000,
      async () => (await page.getAttribute('body', 'data-live')) === 'paused',
    );
    await page.context().close();
  });
  await kit.check('a recording is saved and shown again', async () => {
    const page = await openLed(kit);
    const leader = await shown(page, 'leader');
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('#export')]);
    const path = await download.path();
    assert.ok(readFileSync(path, 'utf8').split('\n').length > 5);
    await page.setInputFiles('#import', path);
    await eventually(
      'the recording plays',
      10_000,
      async () => (await page.getAttribute('body', 'data-replay')) === 'true',
    );
    await page.evaluate(() => {
      const slider = document.getElementById('slider');
      slider.value = slider.max;
      slider.dispatchEvent(new Event('input'));
    });
    await eventually(
      'its end shows the leader there was',
      10_000,
      async () => (await shown(page, 'leader')) === leader,
    );
    await page.context().close();
  });
  // The stand-in plays no recordings.
  if (kit.args.mock) return;
  await kit.check('quiver demo --replay shows a recording without a cluster', async () => {
    const page = await openLed(kit);
    const leader = await shown(page, 'leader');
    const path = join(kit.out, 'recording.ndjson');
    writeFileSync(path, await (await fetch(`${kit.base}/api/recording`)).text());
    const replay = await startDemo(kit.binary, ['--replay', path]);
    try {
      const again = await kit.open('/', { base: await kit.front(replay.url) });
      await eventually(
        'the recording plays',
        30_000,
        async () => (await again.getAttribute('body', 'data-replay')) === 'true',
      );
      await again.focus('#slider');
      await again.keyboard.press('End');
      await eventually(
        'its end shows the leader there was',
        10_000,
        async () => (await shown(again, 'leader')) === leader,
      );
      await kit.picture(again, 'replay');
      await again.context().close();
    } finally {
      await replay.stop();
    }
    await page.context().close();
  });
}

async function keys(kit) {
  await kit.check('everything can be reached with the keyboard', async () => {
    const page = await openLed(kit);
    const { nodes } = await json(`${kit.base}/api/state`);
    const reached = new Set();
    for (let i = 0; i < 90; i++) {
      await page.keyboard.press('Tab');
      const name = await page.evaluate(
        () =>
          document.activeElement.id ||
          document.activeElement.closest('[data-node]')?.dataset.node ||
          document.activeElement.dataset.lesson ||
          document.activeElement.value ||
          '',
      );
      if (name) reached.add(name);
    }
    for (const must of [
      ...nodes.map((node) => node.name),
      'group',
      'theme',
      'detail',
      'key',
      'value',
      'via',
      'write',
      'slider',
      'play',
      'live',
      'export',
      'import',
      'story',
    ])
      assert.ok(reached.has(must), `${must} is not reached`);
    await page.focus(`[data-node="${nodes[1].name}"] .hit`);
    await page.keyboard.press('Enter');
    await page.waitForSelector('#node-pane:not([hidden])');
    assert.equal(await page.textContent('#picked-name'), nodes[1].name);
    await page.focus('#close-node');
    await page.keyboard.press('Enter');
    await eventually('the focus is back on the node', 5000, () =>
      page.evaluate((name) => document.activeElement.closest('[data-node]')?.dataset.node === name, nodes[1].name),
    );
    await page.context().close();
  });
}

export const parts = { looks, failover, client, timeline, keys };
