// Says what happened in words: one plain sentence for each event, with the place in the Raft paper (extended version)
// that asks for it, and one sentence for how things stand now. Pure.

import { isCut, leaderOf, replicas, votersOf } from './model.js';

/** How much an event matters to a reader: routine is told only on request. */
export const ROUTINE = 0;
export const DETAIL = 1;
export const STORY = 2;
export const HEADLINE = 3;

const many = (count, one, more = `${one}s`) => `${count} ${count === 1 ? one : more}`;
const list = (names) => (names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`);
const span = (first, last) => (first === last ? `entry ${first}` : `entries ${first} to ${last}`);

const voteReasons = {
  term_behind: ['the term it is asked for is an old one', '5.1'],
  log_behind: ["the candidate's log misses entries that may be committed", '5.4.1'],
  voted_for_other: ['it has already voted for another in this term', '5.2'],
  leader_alive: ['it still hears from a leader', '6'],
  no_member: ['the candidate is no voter of this group', '6'],
  silent_after_restart: ['it restarted just now and waits until any promise it may have forgotten has run out', '8'],
};
const lostReasons = {
  cut: 'the link is cut',
  unreachable: 'nobody answers there',
  timeout: 'no answer came in time',
};
const readModes = { follower: 'ONE', lease: 'QUORUM', linearizable: 'ALL' };
const messages = { vote: 'request for a vote', append: 'message', heartbeat: 'heartbeat', snapshot: 'snapshot' };

/** Where one sentence tells of several events that differ in one member, such as `to`, that member is a list. */
const each = (to, one, more) => `${list([to].flat())}${Array.isArray(to) && to.length > 1 ? more : one}`;

/** The node or nodes an event tells of, with the verb that fits. */
const who = (e, one, more) => each(e.node, ` ${one}`, ` ${more}`);

/** What each kind says: `[sentence, section, weight, tone]`; tones are good, bad and plain. */
const tell = {
  status: (e) => [`${e.node} is ${e.role} in term ${e.term}, its log ends at ${e.last_log ?? 0}.`, '5.1', ROUTINE],
  log_read: (e) => [`The page read the log of ${e.node}.`, '', ROUTINE],
  vote_asked: (e) =>
    e.pre
      ? [
          `${e.node} has heard from no leader for too long and asks ${list([e.to].flat())} whether it could win term ${e.term}; nothing is promised yet.`,
          '5.2',
          DETAIL,
        ]
      : [
          `${e.node} stands for leader in term ${e.term}, votes for itself and asks ${each(e.to, ' for its vote', ' for their votes')}.`,
          '5.2',
          STORY,
        ],
  vote_answered(e) {
    const why = e.granted ? '' : `: ${voteReasons[e.reason]?.[0] ?? 'it refused'}`;
    const section = e.granted ? '5.2' : (voteReasons[e.reason]?.[1] ?? '5.2');
    return [
      e.granted ? `${e.node} hears yes from ${e.from}.` : `${e.node} hears no from ${e.from}${why}.`,
      section,
      DETAIL,
    ];
  },
  vote_granted: (e) =>
    e.pre
      ? [`${e.node} would vote for ${e.candidate}.`, '5.2', DETAIL]
      : [`${e.node} gives its one vote of term ${e.term} to ${e.candidate}.`, '5.2', STORY, 'good'],
  vote_refused(e) {
    const [why, section] = voteReasons[e.reason] ?? ['it has a reason to', '5.2'];
    if (!e.pre) return [`${e.node} refuses ${e.candidate} its vote: ${why}.`, section, STORY, 'bad'];
    // That a leader is kept although somebody does not hear it is what the question before the vote is for.
    const weight = e.reason === 'leader_alive' ? STORY : DETAIL;
    return [`Asked before any vote, ${e.node} would not elect ${e.candidate}: ${why}.`, section, weight];
  },
  append_sent: (e) =>
    e.count
      ? [`${e.node} sends ${many(e.count, 'log entry', 'log entries')} to ${e.to}.`, '5.3', DETAIL]
      : [`${e.node} sends ${e.to} a heartbeat: I still lead term ${e.term}.`, '5.2', ROUTINE],
  append_acked: (e) => [
    `${e.from} confirms to ${e.node} that its log matches${e.matched ? ` up to entry ${e.matched}` : ''}.`,
    '5.3',
    ROUTINE,
  ],
  append_refused: (e) =>
    e.reason === 'higher_term'
      ? [`${e.from} no longer listens to ${e.node}: it knows of a newer term than ${e.term}.`, '5.1', STORY, 'bad']
      : [
          `${e.from} does not find the entry that ${e.node} builds on; the leader looks further back for where their logs agree.`,
          '5.3',
          STORY,
          'bad',
        ],
  message_lost: (e) => [
    `A ${messages[e.what] ?? e.what} from ${e.node} to ${e.to} is lost: ${lostReasons[e.reason] ?? e.reason}.`,
    '5.5',
    ROUTINE,
    'bad',
  ],
  appended: (e) => [
    `${e.node} writes ${span(e.first, e.last)} of term ${e.entry_term} to its log; not yet committed.`,
    '5.3',
    DETAIL,
  ],
  truncated: (e) => [
    `${e.node} throws away entry ${e.from} and all after it: they were never committed, and the leader's log says otherwise.`,
    '5.3',
    HEADLINE,
    'bad',
  ],
  purged: (e) => [
    `${who(e, 'forgets its', 'forget their')} log up to entry ${e.upto}; a snapshot holds what the entries did.`,
    '7',
    STORY,
  ],
  committed: (e) => [
    `${who(e, 'knows', 'know')} that everything up to entry ${e.index} is on a majority: committed, it can never be lost.`,
    '5.4.2',
    DETAIL,
    'good',
  ],
  applied: (e) => [`${who(e, 'carries', 'carry')} out everything up to entry ${e.index}.`, '5.3', ROUTINE],
  snapshot_sent: (e) => [
    `${e.node} no longer has the entries that ${e.to} needs and sends its whole state instead, as of entry ${e.index}.`,
    '7',
    STORY,
  ],
  snapshot_installed: (e) => [
    `${e.node} takes a snapshot as its state; it stands at entry ${e.index} now.`,
    '7',
    STORY,
    'good',
  ],
  membership: (e) => [
    `${who(e, 'now counts', 'now count')} ${list(e.voters ?? [])} as voters${e.joint ? ' of two overlapping majorities' : ''}${e.learners?.length ? `, and ${list(e.learners)} as learning` : ''}.`,
    '6',
    STORY,
  ],
  elected: (e) => [`${e.node} has a majority of the votes: it leads term ${e.term}.`, '5.2', HEADLINE, 'good'],
  stepped_down: (e) => [
    `${e.node} stops leading${e.leader ? ` and follows ${e.leader}` : ': it met a newer term, or could not reach a majority'}.`,
    '5.1',
    STORY,
  ],
  lease_granted: (e) => [
    `A majority answered ${e.node}: for ${Math.round(e.ms)} ms nobody else can be elected, so it may answer reads alone.`,
    '8',
    ROUTINE,
  ],
  lease_expired: (e) => [
    `The lease of ${e.node} ran out: it no longer answers reads alone, since another may lead by now.`,
    '8',
    STORY,
    'bad',
  ],
  read: (e) => [
    e.outcome === 'ok'
      ? `${e.node} answers a read at ${readModes[e.mode] ?? e.mode} from its state at entry ${e.index ?? '?'}.`
      : `${e.node} refuses a read at ${readModes[e.mode] ?? e.mode}${e.reason ? `: ${String(e.reason).replaceAll('_', ' ')}` : ''}.`,
    '8',
    DETAIL,
  ],
  node_up: (e) => [`${e.node} is up.`, '5.5', STORY],
  node_killed: (e) => [
    `${e.node} is killed without a goodbye. What it had written to disk stays.`,
    '5.5',
    HEADLINE,
    'bad',
  ],
  node_paused: (e) => [`${e.node} is frozen: it holds its memory, but hears and says nothing.`, '5.5', HEADLINE, 'bad'],
  node_resumed: (e) => [`${e.node} thaws and goes on as if no time had passed.`, '5.5', HEADLINE, 'good'],
  node_restarted: (e) => [`${e.node} starts again with what is on its disk.`, '5.5', HEADLINE, 'good'],
  node_wiped: (e) => [
    `${e.node} lost its disk. It must not vote with a forgotten past, and joins as someone new.`,
    '6',
    HEADLINE,
    'bad',
  ],
  node_died: (e) => [`${e.node} ended by itself${e.reason ? `: ${e.reason}` : ''}.`, '5.5', HEADLINE, 'bad'],
  node_removed: (e) => [`${e.node} has left the cluster.`, '6', HEADLINE],
  gap: (e) => [`${e.missed} events${e.node ? ` of ${e.node}` : ''} came too fast and are not told.`, '', DETAIL, 'bad'],
  link_cut: (e) => [
    `${e.from} can no longer send to ${list([e.to].flat())}: the link that way is cut.`,
    '5.5',
    STORY,
    'bad',
  ],
  link_healed: (e) => [`${e.from} can send to ${list([e.to].flat())} again.`, '5.5', STORY, 'good'],
  link_delayed: (e) => [
    `Messages from ${e.from} to ${list([e.to].flat())} now take ${e.delay_ms} ms longer.`,
    '5.6',
    STORY,
  ],
  client(e) {
    const level = String(e.level ?? '').toUpperCase();
    if (e.error) return [`A client's ${e.op} at ${level} through ${e.via} failed: ${e.error}.`, '8', STORY, 'bad'];
    if (e.op === 'write') return [`A client wrote "${e.value}" at ${level} through ${e.via}.`, '8', STORY, 'good'];
    const got = e.answer === null || e.answer === undefined ? 'nothing' : `"${e.answer}"`;
    return [
      `A client read ${got} at ${level} through ${e.via}${e.stale ? ': stale, a newer write had been acknowledged before' : ''}.`,
      '8',
      STORY,
      e.stale ? 'bad' : 'good',
    ];
  },
  lesson: (e) => [
    `Lesson ${String(e.name).replaceAll('-', ' ')}: step ${e.step}${e.state ? `, ${e.state}` : ''}.`,
    '',
    DETAIL,
  ],
};

/** Tells one event: `{say, section, weight, tone}`, or null for a kind without words. */
export function explain(event) {
  const told = tell[event.kind]?.(event);
  if (!told) return null;
  const [say, section, weight, tone = 'plain'] = told;
  return { say, section, weight, tone };
}

/** How much an event matters, without its words; -1 where it has none. Remembered, since long pasts are looked through. */
export const weightOf = (event) => (event.weight ??= explain(event)?.weight ?? -1);

/** The words for a group: `shard 0`, `the cluster map`. */
export function groupName(world, group) {
  const label = world.groups.find((known) => known.group === group)?.label ?? `group ${group}`;
  return label.startsWith('shard') ? label : `the ${label}`;
}

/** How a group stands: `{say, more, tone}`. */
export function headline(world, group) {
  const rows = replicas(world, group);
  const name = groupName(world, group);
  if (!rows.some(({ replica }) => replica.known))
    return { say: 'Listening for the cluster…', more: 'The nodes are starting.', tone: 'plain' };
  const voters = votersOf(world, group);
  const majority = Math.floor(voters.length / 2) + 1;
  const up = voters.filter((voter) => world.nodes[voter]?.state === 'up');
  const leader = leaderOf(world, group);
  const leaders = rows.filter(({ node, replica }) => node.state !== 'down' && replica.role === 'leader');
  const candidates = rows
    .filter(({ node, replica }) => node.state === 'up' && replica.role === 'candidate')
    .map((row) => row.name);
  if (leaders.length > 1) {
    const old = leaders.filter((row) => row.name !== leader.name);
    const frozen = old.every(({ node }) => node.state === 'paused');
    const verb = frozen
      ? ['is frozen and does not know', 'are frozen and do not know']
      : ['still thinks it does', 'still think they do'];
    return {
      say: `${leader.name} leads ${name} in term ${leader.replica.term}; ${each(
        old.map((row) => row.name),
        ` ${verb[0]}`,
        ` ${verb[1]}`,
      )}.`,
      more: 'Only the newer term counts: no majority follows the older leader any more, so nothing it is told can be committed.',
      tone: 'bad',
    };
  }
  if (leader && leader.node.state === 'paused') {
    return {
      say: `${leader.name} leads ${name} in term ${leader.replica.term}, but is frozen.`,
      more: 'The others wait for a heartbeat that does not come; soon one of them stands for leader.',
      tone: 'bad',
    };
  }
  if (leader) {
    const reached = up.filter(
      (voter) => voter === leader.name || (!isCut(world, leader.name, voter) && !isCut(world, voter, leader.name)),
    );
    const enough = reached.length >= majority;
    return {
      say: `${leader.name} leads ${name} in term ${leader.replica.term}.`,
      more: enough
        ? `It reaches ${reached.length} of ${many(voters.length, 'voter')}; ${majority} are a majority, so writes are accepted.`
        : `But it reaches only ${reached.length} of ${many(voters.length, 'voter')}, and a majority is ${majority}: it cannot commit anything.`,
      tone: enough ? 'good' : 'bad',
    };
  }
  if (candidates.length) {
    const term = Math.max(...rows.map(({ replica }) => replica.term));
    return {
      say: `${list(candidates)} ${candidates.length === 1 ? 'stands' : 'stand'} for leader of ${name} in term ${term}.`,
      more: `Each node has one vote a term. ${majority} of ${voters.length} votes are needed.`,
      tone: 'plain',
    };
  }
  if (up.length < majority) {
    return {
      say: `${name[0].toUpperCase()}${name.slice(1)} has no leader and cannot elect one.`,
      more: `${up.length} of ${many(voters.length, 'voter')} run${up.length === 1 ? 's' : ''}; a majority is ${majority}. Rather no answer than a wrong one.`,
      tone: 'bad',
    };
  }
  return {
    say: `${name[0].toUpperCase()}${name.slice(1)} has no leader right now.`,
    more: 'Each node waits a random time for a heartbeat. The first to run out of patience asks the others for their votes.',
    tone: 'plain',
  };
}
