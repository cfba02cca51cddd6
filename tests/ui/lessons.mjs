// Takes every lesson from its first step to its last through the page, and holds what the page shows against the demo and
// the nodes.

import assert from 'node:assert/strict';
import { eventually, json, leaderByNodes } from './demo.mjs';
import { agree, mend, openLed } from './parts.mjs';

/** Longest wait for one step, in ms. */
const STEP_MS = 300_000;

/** How much later than a step's checks the page may show its sign, in ms. */
const SIGN_MS = 20_000;
/** What the page must show while a step goes on, by lesson and step. */
const SIGNS = {
  'leader-crash': { 2: '[data-node][data-state="down"]' },
  'split-vote': { 1: '[data-node][data-role="candidate"]' },
  'stale-leader': { 1: '[data-node][data-role="leader"]:not([data-leads])' },
  'log-repair': { 1: 'td[data-mark="written"]', 3: 'td[data-mark="truncated"]' },
  'snapshot-catch-up': { 2: 'td[data-mark="snapshot"]' },
};

async function state(page) {
  return page.evaluate(() => {
    const pane = document.getElementById('lesson');
    return {
      hidden: pane.hidden,
      ...pane.dataset,
      guess: [...pane.querySelectorAll('[data-choice]:not(:disabled)')].length,
      checks: [...pane.querySelectorAll('[data-holds]')].map((check) => ({
        holds: check.dataset.holds,
        says: check.children[1].textContent,
        saw: check.children[2].textContent,
      })),
    };
  });
}
const calm = (page, what, when) =>
  eventually(what, STEP_MS, async () => {
    const now = await state(page);
    return now.busy === 'false' && when(now) ? now : null;
  });

const late = (ms) => new Promise((_, fail) => setTimeout(fail, ms, new Error(`waited ${ms / 1000} s`)).unref());

async function take(kit, page, name) {
  await page.click(`[data-lesson="${name}"]`);
  let now = await calm(page, 'the lesson begins', (seen) => !seen.hidden && seen.name === name);
  let held = 0;
  for (let step = 1; step <= Number(now.of); step++) {
    assert.equal(now.step, String(step));
    assert.ok((await page.textContent('#lesson .say')).length > 5, `step ${step} says nothing`);
    const { section } = await json(`${kit.base}/api/lesson`);
    assert.equal(await page.textContent('#lesson > small'), (section ?? '').replaceAll('§ ', '§'));
    if (now.guess) {
      await page.click('[data-choice="0"]');
      await calm(page, 'the guess is judged', (seen) => seen.guess === 0);
      assert.equal((await page.$$('[data-choice][data-right="true"]')).length, 1);
      assert.ok((await page.textContent('#lesson .because')).length > 10, `step ${step} does not say why`);
    }
    now = await state(page);
    const sign = SIGNS[name]?.[step];
    const shown = sign && page.waitForSelector(sign, { state: 'attached', timeout: 2 * STEP_MS });
    const pictured = shown?.then(() => kit.picture(page, `lesson-${name}-${step}-sign`));
    // Where something else fails first, the page is closed and this fails as well; that is no news then.
    pictured?.catch(() => {});
    if (now.performed !== 'true') {
      await page.click('#next');
      now = await calm(
        page,
        `step ${step} is performed`,
        (seen) => seen.step === String(step) && (seen.performed === 'true' || seen.done === 'true'),
      );
    }
    if (sign)
      await Promise.race([pictured, late(SIGN_MS)]).catch((error) => {
        throw new Error(`step ${step}: ${sign} is not shown: ${error.message}`);
      });
    for (const check of now.checks) assert.equal(check.holds, 'true', `step ${step}: "${check.says}" (${check.saw})`);
    held += now.checks.length;
    const told = await json(`${kit.base}/api/lesson`);
    assert.equal(told.step, step);
    assert.deepEqual(
      told.checks.map((check) => check.says),
      now.checks.map((check) => check.says),
    );
    if (step === 1) await kit.axe(page, `lesson ${name}`);
    await kit.picture(page, `lesson-${name}-${step}`);
    if (now.done === 'true') break;
    await page.click('#next');
    now = await calm(page, 'the next step', (seen) => seen.step === String(step + 1) || seen.done === 'true');
  }
  assert.equal(now.done, 'true', 'the lesson is not done after its last step');
  assert.ok(held > 0, 'no step had a check');
  kit.figure(`checks that held in ${name}`, held);
  // What the page shows now is what the nodes say, wherever a leader is to be had.
  if (await leaderByNodes(kit.base, 1).catch(() => null)) await agree(kit, page);
  await page.click('#stop');
  await calm(page, 'the list of lessons is back', (seen) => seen.hidden);
}

/** A page that goes away takes no step with it. */
async function reloaded(kit) {
  const page = await openLed(kit);
  const name = 'one-way-cut';
  await page.click(`[data-lesson="${name}"]`);
  await calm(page, 'the lesson begins', (seen) => !seen.hidden && seen.name === name);
  await page.click('#next');
  await eventually('the step is under way', STEP_MS, async () => (await json(`${kit.base}/api/lesson`)).performing);
  await page.reload();
  const now = await calm(page, 'the step is performed', (seen) => seen.performed === 'true');
  for (const check of now.checks) assert.equal(check.holds, 'true', `"${check.says}" (${check.saw})`);
  await page.click('#stop');
  await calm(page, 'the list of lessons is back', (seen) => seen.hidden);
  await page.context().close();
}

export async function lessons(kit) {
  const all = (await json(`${kit.base}/api/lessons`)).map((lesson) => lesson.name);
  const wanted = kit.args.lesson ? kit.args.lesson.split(',') : all;
  await kit.check('there are twelve lessons', async () => assert.equal(all.length, 12));
  // The stand-in's steps are done at once.
  if (!kit.args.mock) await kit.check('a step goes on when its page is reloaded, and is shown', () => reloaded(kit));
  for (const name of wanted) {
    await mend(kit);
    await kit.check(`lesson ${name}`, async () => {
      // Half of them in the dark, so that every state of a lesson is seen by axe in both.
      const page = await openLed(kit, { colorScheme: all.indexOf(name) % 2 ? 'dark' : 'light' });
      await page.waitForSelector(`[data-lesson="${name}"]`);
      try {
        await take(kit, page, name);
      } finally {
        await kit.picture(page, `lesson-${name}-end`);
        await page.context().close();
      }
    });
  }
}
