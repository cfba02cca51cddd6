// Puts the page together: the event stream feeds the history, and at each frame the panes draw the world at the moment
// the timeline looks at. Nothing else here decides anything.

import { Client } from './client.js';
import { Controls } from './controls.js';
import { byId, h, keyed, say, set } from './dom.js';
import { headline } from './explain.js';
import { History } from './history.js';
import { Lessons } from './lessons.js';
import { LogGrid, logLegend } from './log.js';
import { leaderOf } from './model.js';
import { follow, get, joinPast, readPast, readRecording } from './net.js';
import { Ring, legend } from './ring.js';
import { Story } from './story.js';
import { Timeline } from './timeline.js';

/** Panes with text change at most this often, in ms; the ring moves at every frame. */
const TEXT_EVERY_MS = 120;
/** A log is asked for at most this often, in ms. */
const LOG_EVERY_MS = 1000;

let history = new History({});
/** The group in view: shard 0 at first, since that is where a client's values go. */
let group = 1;
let picked = null;
let clockAhead = Infinity;
let connected = false;
let lost = false;
let lastText = 0;
let lastLog = 0;
let lastFrame = performance.now();
let messageUntil = 0;
/** Ends the event stream; null while there is none. */
let hangUp = null;

const ring = new Ring(byId('ring'), pick);
const grid = new LogGrid(byId('log'));
const story = new Story(byId('story'), byId('detail'));
const timeline = new Timeline(history);
const controls = new Controls(byId('controls'), tell);
const client = new Client(byId('answers'));
const lessons = new Lessons(byId('lessons'), tell, (state) => {
  if (state.group !== undefined) chooseGroup(state.group);
  if (!timeline.follow && !timeline.ended) timeline.goLive();
});
byId('ring-legend').append(legend());
byId('log-legend').append(logLegend());

function tell(text, isError) {
  const line = byId('message');
  set(line, 'data-error', isError ? 'true' : null);
  say(line, text);
  messageUntil = performance.now() + 8000;
}

function pick(name) {
  picked = picked === name && !byId('node-pane').hidden ? null : name;
  lastText = 0;
}

function chooseGroup(wanted) {
  if (group === wanted) return;
  group = wanted;
  [lastText, lastLog] = [0, 0];
}

function begin(state, ended) {
  history = new History(state);
  timeline.history = history;
  Object.assign(timeline, { ended, follow: !ended, playing: false, at: 0, drawnAt: null });
  story.drawnFor = null;
  set(document.body, 'data-replay', ended ? 'true' : null);
}

/** The nodes' clock may not be the browser's: the smallest delay ever seen is the best guess at the difference. */
function noteClock(event) {
  if (event.at) clockAhead = Math.min(clockAhead, Date.now() - event.at);
}

function take(event) {
  noteClock(event);
  history.push(event);
  if (event.kind === 'elected') lastText = 0;
  if (event.kind === 'node_removed' && picked === event.node) picked = null;
}

/** Notes whether the demo is heard; another demo at the same address is another story, to be read from its beginning. */
async function lineChanged(now) {
  const again = now && lost;
  [connected, lost] = [now, lost || !now];
  if (!again) return;
  lost = false;
  // Events that come while the answer is under way count for nothing: it is as old as the question, at best.
  const seen = history.live.seq;
  const state = await get('api/state').catch(() => null);
  if (state && state.seq < seen) location.reload();
}

/** Asks where nodes that came later are to be found. */
async function learnAddresses() {
  const { nodes } = await get('api/state').catch(() => ({ nodes: [] }));
  for (const { name, url } of nodes) if (history.live.nodes[name]) history.live.nodes[name].url = url;
}

/** How things stood when a recording began: it tells the end, but one that nothing was dropped from began with all whole. */
function beginning({ state, cut }) {
  return cut ? state : { ...state, nodes: state.nodes?.map((node) => ({ ...node, state: 'up' })), links: [] };
}

function play(recording) {
  hangUp?.();
  begin(beginning(recording), true);
  for (const event of recording.events) history.push(event);
  timeline.look(history.range.first, true);
  tell(
    recording.cut
      ? `A recording of ${recording.events.length} events; ${recording.cut} older ones were dropped.`
      : `A recording of ${recording.events.length} events.`,
    false,
  );
}

async function start() {
  let state;
  try {
    state = await get('api/state');
  } catch (error) {
    tell(error.message, true);
    setTimeout(start, 2000);
    return;
  }
  begin(state, !!state.replay);
  say(byId('slow'), state.slow > 1 ? `slowed down ${state.slow} times` : '');
  if (state.replay) {
    byId('lessons-pane').hidden = true;
    play(readRecording(await (await fetch('api/recording')).text()));
    byId('live').hidden = true;
    return;
  }
  let waiting = [];
  hangUp = follow(
    (event) => (waiting ? waiting.push(event) : take(event)),
    lineChanged,
    (missed) => tell(`${missed} events came too fast and are not shown.`, true),
  );
  const past = await readPast();
  begin(past.state ? { ...state, ...beginning(past) } : state, false);
  for (const event of joinPast(past.events, waiting)) history.push(event);
  for (const event of waiting) noteClock(event);
  waiting = null;
  lessons.load(state.lesson);
}

/** Asks for what the events alone do not tell: addresses of nodes that came later, and logs of the group in view. */
async function askRest(now) {
  if (!timeline.follow || now - lastLog < LOG_EVERY_MS) return;
  lastLog = now;
  const into = history;
  if (Object.values(history.live.nodes).some(({ url }) => !url)) learnAddresses();
  for (const { name, groups, state } of Object.values(history.live.nodes)) {
    if (state !== 'up' || !groups[group]?.known || !groups[group].unread) continue;
    groups[group].unread = false;
    const asked = group;
    get(`api/log?node=${encodeURIComponent(name)}&group=${asked}&last=64`)
      .then((log) => {
        if (into === history) history.push({ kind: 'log_read', node: name, group: asked, at: history.time, log });
      })
      .catch(() => {
        if (groups[asked]) groups[asked].unread = true;
      });
  }
}

function drawText(world) {
  const now = headline(world, group);
  const leader = leaderOf(world, group);
  const line = byId('headline');
  say(line, now.say);
  say(byId('more'), now.more);
  for (const [name, value] of Object.entries({
    tone: now.tone,
    leader: leader?.name,
    term: leader?.replica.term,
    group,
  }))
    set(line, `data-${name}`, value);
  const elected = world.elected[group];
  if (elected && leader?.name === elected.node && line.electedAt !== elected.at) {
    line.electedAt = elected.at;
    set(line, 'data-elected-at', elected.at);
    set(line, 'data-shown-at', Date.now());
  }
  keyed(
    byId('groups'),
    world.groups,
    (known) => known.group,
    (known) =>
      h(
        'button',
        { type: 'button', 'data-group': known.group, onclick: () => chooseGroup(known.group) },
        h('span', {}, known.label),
        h('strong'),
      ),
    (button, known) => {
      const head = leaderOf(world, known.group);
      set(button, 'data-leader', head?.name ?? 'none');
      set(button, 'aria-pressed', known.group === group ? 'true' : 'false');
      say(button.lastChild, head?.name ?? 'no leader');
    },
  );
  keyed(
    byId('group'),
    world.groups,
    (known) => known.group,
    (known) => h('option', { value: known.group }, known.label),
    () => {},
  );
  if (byId('group').value !== String(group)) byId('group').value = String(group);
  const present = timeline.follow;
  byId('node-pane').hidden = !picked;
  byId('pick-hint').hidden = !!picked;
  if (picked) controls.draw(world, group, picked, present);
  byId('past').hidden = present;
  say(
    byId('past'),
    timeline.ended
      ? 'This is a recording: nothing can be changed in it.'
      : 'You are looking at the past. Go live to change anything.',
  );
  client.offer(world.order, present);
  grid.draw(world, group);
  story.draw(history, group, present ? Infinity : timeline.at);
  if (timeline.group !== group) Object.assign(timeline, { group, drawnAt: null });
  timeline.draw();
  set(byId('line'), 'data-connected', connected || timeline.ended ? 'true' : 'false');
  say(byId('line'), timeline.ended ? 'recording' : connected ? 'connected' : 'connecting…');
  set(document.body, 'data-seq', world.seq);
  keyed(
    byId('consoles'),
    Object.values(world.nodes).filter((node) => node.url),
    (node) => node.name,
    (node) => h('a', { href: `${node.url}/console`, rel: 'noopener' }, node.name),
    () => {},
  );
  if (messageUntil && performance.now() > messageUntil) {
    say(byId('message'), '');
    messageUntil = 0;
  }
}

function frame(time) {
  requestAnimationFrame(frame);
  timeline.tick(Math.min(200, time - lastFrame));
  lastFrame = time;
  const world = timeline.follow ? history.live : history.worldAt(timeline.at);
  const now = timeline.follow ? Date.now() - (Number.isFinite(clockAhead) ? clockAhead : 0) : timeline.at;
  ring.draw(world, group, now, picked);
  if (time - lastText >= TEXT_EVERY_MS) {
    lastText = time;
    drawText(world);
    askRest(time);
  }
}

byId('group').addEventListener('change', ({ target }) => chooseGroup(Number(target.value)));
byId('close-node').addEventListener('click', () => {
  const name = picked;
  pick(name);
  document.querySelector(`[data-node="${CSS.escape(name)}"] .hit`)?.focus();
});
byId('import').addEventListener('change', async ({ target }) => {
  const [file] = target.files;
  if (!file) return;
  try {
    play(readRecording(await file.text()));
  } catch (error) {
    tell(error.message, true);
  }
});
byId('theme').addEventListener('click', () => {
  const { dataset } = document.documentElement;
  const shown = dataset.theme ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light');
  dataset.theme = shown === 'dark' ? 'light' : 'dark';
});
addEventListener('keydown', (event) => {
  if (
    event.ctrlKey ||
    event.metaKey ||
    event.altKey ||
    /^(INPUT|SELECT|TEXTAREA|BUTTON|A|SUMMARY)$/.test(event.target.tagName)
  )
    return;
  const name = history.live.order[Number(event.key) - 1];
  if (event.key === ' ') {
    event.preventDefault();
    timeline.toggle();
  } else if (event.key === 'l') timeline.goLive();
  else if (event.key === '[') timeline.step(-1);
  else if (event.key === ']') timeline.step(1);
  else if (name) pick(name);
});

start();
requestAnimationFrame(frame);
