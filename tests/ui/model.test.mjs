// The page's pure parts: what events do to the world, what the history remembers, what the sentences say.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explain, headline } from '../../src/demo/page/explain.js';
import { History } from '../../src/demo/page/history.js';
import {
  GHOST_MS,
  LOG_KEPT,
  MESSAGES_KEPT,
  apply,
  leaderOf,
  logEnd,
  newWorld,
  replicaOf,
} from '../../src/demo/page/model.js';
import { joinPast, readRecording } from '../../src/demo/page/net.js';

const names = ['node1', 'node2', 'node3'];
const base = () =>
  newWorld({ nodes: names.map((name) => ({ name, state: 'up' })), groups: [{ group: 1, label: 'shard 0' }] });
let at = 1000;
const event = (node, kind, more = {}) => ({ seq: at, at: at++, node, group: 1, term: 2, kind, ...more });
const play = (world, ...events) => events.reduce(apply, world);

test('an election makes one leader, and counts the votes it got', () => {
  const world = play(
    base(),
    event('node1', 'vote_asked', { to: 'node2', pre: false }),
    event('node1', 'vote_asked', { to: 'node3', pre: false }),
  );
  const own = replicaOf(world, 'node1', 1);
  assert.equal(own.role, 'candidate');
  assert.deepEqual(own.votes, ['node1']);
  play(
    world,
    event('node2', 'vote_granted', { candidate: 'node1', pre: false }),
    event('node1', 'vote_answered', { from: 'node2', granted: true, pre: false }),
    event('node1', 'elected'),
  );
  assert.equal(leaderOf(world, 1).name, 'node1');
  assert.deepEqual(own.votes, ['node1', 'node2']);
  assert.equal(replicaOf(world, 'node2', 1).vote, 'node1');
});

test('a question before the vote promises nothing', () => {
  const world = play(
    base(),
    event('node1', 'vote_asked', { to: 'node2', pre: true }),
    event('node2', 'vote_granted', { candidate: 'node1', pre: true }),
    event('node1', 'vote_answered', { from: 'node2', granted: true, pre: true }),
  );
  assert.equal(replicaOf(world, 'node1', 1).role, 'follower');
  assert.deepEqual(replicaOf(world, 'node1', 1).votes, []);
  assert.equal(replicaOf(world, 'node1', 1).term, 0);
  assert.equal(replicaOf(world, 'node2', 1).vote, null);
});

test('a lease is renewed by each majority of answers, and ends with the last', () => {
  const world = newWorld({ nodes: names.map((name) => ({ name, state: 'up' })), timings: { lease_ms: 400 } });
  play(
    world,
    event('node1', 'elected'),
    event('node1', 'membership', { voters: names }),
    event('node1', 'append_acked', { from: 'node2' }),
  );
  const own = replicaOf(world, 'node1', 1);
  assert.equal(own.leaseUntil, at - 1 + 400);
  play(world, event('node1', 'lease_expired', { ms: 400 }));
  assert.equal(own.leaseUntil, 0);
});

test('of two that think they lead, the one of the newer term counts', () => {
  const world = play(base(), event('node1', 'elected'), event('node2', 'elected', { term: 3 }));
  assert.equal(leaderOf(world, 1).name, 'node2');
  assert.match(headline(world, 1).say, /node2 leads shard 0 in term 3; node1 still thinks it does/);
});

test('a newer term ends an older leadership', () => {
  const world = play(
    base(),
    event('node1', 'elected'),
    event('node1', 'vote_refused', { candidate: 'node2', pre: false, reason: 'log_behind', term: 5 }),
  );
  assert.equal(replicaOf(world, 'node1', 1).role, 'follower');
  assert.equal(replicaOf(world, 'node1', 1).term, 5);
});

test('what is cut off a log is shown for a while, then forgotten', () => {
  const world = play(
    base(),
    event('node1', 'appended', { first: 1, last: 5, entry_term: 1 }),
    event('node1', 'truncated', { from: 3 }),
  );
  const own = replicaOf(world, 'node1', 1);
  assert.equal(logEnd(own.log), 2);
  assert.deepEqual(
    own.ghosts.map((ghost) => ghost.index),
    [3, 4, 5],
  );
  play(world, event('node1', 'appended', { first: 3, last: 3, entry_term: 2 }));
  assert.deepEqual(own.log.terms, [1, 1, 2]);
  at += GHOST_MS + 1;
  play(world, event('node1', 'truncated', { from: 3 }));
  assert.deepEqual(
    own.ghosts.map((ghost) => ghost.index),
    [3],
  );
});

test('a log may begin with entry 0, and be rewritten from there', () => {
  const world = play(
    base(),
    event('node1', 'appended', { first: 0, last: 0, entry_term: 0 }),
    event('node1', 'appended', { first: 0, last: 1, entry_term: 1 }),
  );
  assert.deepEqual(replicaOf(world, 'node1', 1).log, { base: 0, terms: [1, 1] });
  assert.equal(replicaOf(world, 'node1', 1).lastLog, 1);
});

test('an answer about a log fills what the events did not tell, and loses nothing newer', () => {
  const world = play(
    base(),
    event('node1', 'status', { role: 'follower', last_log: 4, committed: 3, applied: 3, voters: names }),
  );
  const own = replicaOf(world, 'node1', 1);
  assert.equal(own.unread, true);
  play(
    world,
    event('node1', 'appended', { first: 5, last: 5, entry_term: 2 }),
    event('node1', 'log_read', {
      log: { entries: [1, 2, 3, 4].map((index) => ({ index, term: 1 })), committed: 3, applied: 3 },
    }),
  );
  assert.deepEqual(own.log, { base: 1, terms: [1, 1, 1, 1, 2] });
  assert.equal(own.unread, false);
});

test('a lost message is marked on its way, or shown as lost by itself', () => {
  const world = play(
    base(),
    event('node1', 'append_sent', { to: 'node2', count: 0 }),
    event('node1', 'message_lost', { to: 'node2', what: 'append', reason: 'cut' }),
  );
  assert.deepEqual(
    world.messages.map((message) => message.lost),
    [true],
  );
  play(world, event('node1', 'message_lost', { to: 'node3', what: 'vote', reason: 'unreachable' }));
  assert.deepEqual(
    world.messages.map((message) => [message.to, message.lost]),
    [
      ['node2', true],
      ['node3', true],
    ],
  );
});

test('an answer is drawn after its question has landed', () => {
  const world = play(
    base(),
    event('node1', 'append_sent', { to: 'node2', count: 1 }),
    event('node1', 'append_acked', { from: 'node2', matched: 1 }),
  );
  const [sent, answer] = world.messages;
  assert.equal(answer.from, 'node2');
  assert.ok(answer.start >= sent.end);
});

test('a killed node keeps its log and loses its office; a wiped one keeps nothing', () => {
  const world = play(
    base(),
    event('node1', 'appended', { first: 1, last: 2, entry_term: 1 }),
    event('node1', 'elected'),
    event('node1', 'node_killed'),
  );
  assert.equal(world.nodes.node1.state, 'down');
  assert.equal(leaderOf(world, 1), null);
  assert.equal(logEnd(replicaOf(world, 'node1', 1).log), 2);
  play(world, event('node1', 'node_wiped'));
  assert.equal(replicaOf(world, 'node1', 1).lastLog, 0);
});

test('links are cut and mended one way at a time', () => {
  const world = play(
    base(),
    event(null, 'link_cut', { from: 'node1', to: 'node2' }),
    event(null, 'link_delayed', { from: 'node2', to: 'node3', delay_ms: 40 }),
  );
  assert.deepEqual(world.links, { 'node1>node2': { cut: true, delay: 0 }, 'node2>node3': { cut: false, delay: 40 } });
  play(world, event(null, 'link_healed', { from: 'node1', to: 'node2' }));
  assert.equal(world.links['node1>node2'].cut, false);
});

test('nothing grows without bound', () => {
  const history = new History({ nodes: names.map((name) => ({ name, state: 'up' })) });
  for (let i = 1; i <= 60_000; i++) {
    history.push(event('node1', 'append_sent', { to: 'node2', count: 0 }));
    history.push(event('node1', 'appended', { first: i, last: i, entry_term: 2 }));
  }
  assert.ok(history.live.messages.length <= MESSAGES_KEPT);
  assert.ok(replicaOf(history.live, 'node1', 1).log.terms.length <= LOG_KEPT);
  assert.ok([...history.events()].length < 30_000);
  assert.ok(history.chunks.length <= 60);
});

test('a long quiet time does not push out what happened before it', () => {
  const history = new History({ nodes: names.map((name) => ({ name, state: 'up' })) });
  const { t } = history.push(event('node1', 'elected'));
  for (let i = 0; i < 100_000; i++) history.push(event('node1', i % 2 ? 'append_sent' : 'message_lost', { to: 'node2', count: 0 }));
  const told = [...history.events()].filter(({ kind }) => kind === 'elected');
  assert.equal(told.length, 1);
  assert.equal(leaderOf(history.worldAt(t), 1).name, 'node1');
  assert.ok(history.chunks.length <= 60 && [...history.events()].length < 30_000);
});

test('the past can be looked at, forwards and back, and is what it was', () => {
  const history = new History({ nodes: names.map((name) => ({ name, state: 'up' })) });
  const seen = new Map();
  for (let i = 1; i <= 1500; i++) {
    const { t } = history.push(event('node1', 'appended', { first: i, last: i, entry_term: 2 }));
    seen.set(t, logEnd(replicaOf(history.live, 'node1', 1).log));
  }
  const times = [...seen.keys()];
  for (const index of [5, 700, 1499, 1200, 401, 399, 0])
    assert.equal(replicaOf(history.worldAt(times[index]), 'node1', 1).lastLog, seen.get(times[index]));
  assert.equal(replicaOf(history.live, 'node1', 1).lastLog, 1500);
});

test('every kind of event has a sentence that ends, and a section of the paper', () => {
  const common = {
    what: 'append',
    to: 'node2',
    from: 'node2',
    candidate: 'node2',
    reason: 'log_behind',
    count: 1,
    first: 1,
    last: 2,
    entry_term: 1,
    index: 3,
    upto: 3,
    ms: 100,
    voters: names,
    op: 'read',
    level: 'one',
    via: 'node1',
    answer: 'x',
    stale: true,
    name: 'a',
    step: 1,
    mode: 'lease',
    outcome: 'ok',
    delay_ms: 5,
    role: 'leader',
  };
  const kinds = [
    'status',
    'vote_asked',
    'vote_answered',
    'vote_granted',
    'vote_refused',
    'append_sent',
    'append_acked',
    'append_refused',
    'message_lost',
    'appended',
    'truncated',
    'purged',
    'committed',
    'applied',
    'snapshot_sent',
    'snapshot_installed',
    'membership',
    'elected',
    'stepped_down',
    'lease_granted',
    'lease_expired',
    'read',
    'node_up',
    'node_killed',
    'node_paused',
    'node_resumed',
    'node_restarted',
    'node_wiped',
    'link_cut',
    'link_healed',
    'link_delayed',
    'client',
  ];
  for (const kind of kinds) {
    const words = explain(event('node1', kind, common));
    assert.match(words.say, /^[A-Za-z].*\.$/, kind);
    assert.match(words.section, /^\d(\.\d(\.\d)?)?$/, kind);
    assert.ok(!words.say.includes('undefined'), words.say);
  }
  assert.equal(explain(event('node3', 'vote_refused', common)).section, '5.4.1');
});

test('the past and the present are joined, and nothing is taken twice', () => {
  const numbered = (...all) => all.map((seq) => ({ seq }));
  const seqs = (events) => events.map((event) => event.seq + (event.kind ?? ''));
  const status = { seq: 3, kind: 's' };
  assert.deepEqual(seqs(joinPast(numbered(1, 2, 3, 4, 5), [status, ...numbered(4, 5, 6)])), [
    '1',
    '2',
    '3',
    '3s',
    '4',
    '5',
    '6',
  ]);
  assert.deepEqual(seqs(joinPast(numbered(1, 2), [])), ['1', '2']);
  assert.deepEqual(seqs(joinPast([], [status, ...numbered(4)])), ['3s', '4']);
});

test('a recording is read line by line, and says what is missing', () => {
  const told = readRecording(
    ['{"recording":1,"state":{"slow":5},"cut":3}', JSON.stringify(event('node1', 'elected')), 'half a li'].join('\n'),
  );
  assert.equal(told.state.slow, 5);
  assert.equal(told.events.length, 1);
  assert.equal(told.cut, 4);
  assert.throws(() => readRecording('hello'), /no events/);
});
