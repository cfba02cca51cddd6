// What is known of the cluster: a world, and how each event changes it. Pure: no clock, no network, no page. The same
// events always make the same world, which is what lets the timeline go back. Event kinds and their members are those of
// the nodes' event stream.

/** Log entries kept for each replica. */
export const LOG_KEPT = 64;
/** Messages remembered, in flight or just landed. */
export const MESSAGES_KEPT = 96;
/** Milliseconds a message is drawn for. Real ones take less than one here; nobody could see them. */
export const FLIGHT_MS = 420;
/** Milliseconds that entries stay visible after they were cut off a log. */
export const GHOST_MS = 4000;

/** A world in which nothing has happened yet. `state` is what `/api/state` answers. */
export function newWorld(state = {}) {
  const world = {
    at: 0,
    seq: state.seq ?? 0,
    nodes: {},
    order: [],
    links: {},
    groups: state.groups ?? [],
    messages: [],
    arrivals: {},
    elected: {},
    timings: state.timings ?? {},
    messageCount: 0,
  };
  for (const node of state.nodes ?? [])
    Object.assign(nodeOf(world, node.name), { state: node.state ?? 'up', url: node.url });
  for (const link of state.links ?? [])
    world.links[`${link.from}>${link.to}`] = { cut: !!link.cut, delay: link.delay_ms ?? 0 };
  return world;
}

function newReplica() {
  return {
    known: false,
    role: 'follower',
    term: 0,
    leader: null,
    vote: null,
    voteTerm: 0,
    votes: [],
    asking: null,
    lastLog: 0,
    committed: 0,
    applied: 0,
    snapshot: 0,
    purged: 0,
    voters: [],
    learners: [],
    joint: false,
    silent: [],
    heardAt: null,
    leaseUntil: 0,
    acks: {},
    log: { base: 1, terms: [] },
    ghosts: [],
    unread: true,
  };
}

function nodeOf(world, name) {
  if (!world.nodes[name]) {
    world.nodes[name] = { name, state: 'up', url: null, groups: {} };
    world.order = Object.keys(world.nodes).sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  }
  return world.nodes[name];
}

/** A node's replica of a group, made when first asked for. */
export function replicaOf(world, name, group) {
  return (nodeOf(world, name).groups[group] ??= newReplica());
}

/** The replicas of a group: `[{name, node, replica}]` in the order of the ring. */
export function replicas(world, group) {
  return world.order.map((name) => ({
    name,
    node: world.nodes[name],
    replica: world.nodes[name].groups[group] ?? newReplica(),
  }));
}

/** The last index in a replica's log, as far as its entries were told. */
export const logEnd = (log) => log.base + log.terms.length - 1;

/** Who leads a group: the leader of the highest term that runs, or null. */
export function leaderOf(world, group) {
  const leaders = replicas(world, group).filter(
    ({ node, replica }) => node.state !== 'down' && replica.role === 'leader',
  );
  return leaders.sort((a, b) => b.replica.term - a.replica.term)[0] ?? null;
}

/** The voters of a group as its best informed replica knows them. */
export function votersOf(world, group) {
  const told = replicas(world, group).filter(({ replica }) => replica.voters.length);
  const best = told.sort((a, b) => b.replica.term - a.replica.term || b.replica.lastLog - a.replica.lastLog)[0];
  return best ? best.replica.voters : world.order;
}

/** Whether messages from one node to another are lost. */
export const isCut = (world, from, to) => !!world.links[`${from}>${to}`]?.cut;

function raiseTerm(replica, term) {
  if (term === undefined || term <= replica.term) return;
  Object.assign(replica, { term, votes: [], asking: null });
  if (replica.role === 'candidate' || replica.role === 'leader') replica.role = 'follower';
}

function fly(world, event, from, to, what, more = {}) {
  const lane = `${event.group}:${from}>${to}`;
  const back = `${event.group}:${to}>${from}`;
  const recent = (time) => (time !== undefined && time - event.at < 2 * FLIGHT_MS ? time : 0);
  // An answer leaves when its request has landed, or both would be drawn at once.
  const start = more.reply ? Math.max(event.at, recent(world.arrivals[back])) : event.at;
  const end = start + FLIGHT_MS + (world.links[`${from}>${to}`]?.delay ?? 0);
  world.arrivals[lane] = end;
  world.messages.push({
    id: ++world.messageCount,
    group: event.group,
    from,
    to,
    what,
    start,
    end,
    lost: false,
    reply: false,
    ok: true,
    ...more,
  });
  if (world.messages.length > MESSAGES_KEPT) world.messages.splice(0, world.messages.length - MESSAGES_KEPT);
}

function lose(world, event) {
  const family = event.what === 'append' ? ['append', 'heartbeat'] : [event.what];
  const sent = world.messages.findLast(
    (message) =>
      message.group === event.group &&
      message.from === event.node &&
      message.to === event.to &&
      family.includes(message.what) &&
      !message.lost &&
      !message.reply &&
      event.at - message.start < 5000,
  );
  if (sent && sent.end > event.at) Object.assign(sent, { lost: true, reason: event.reason });
  else fly(world, event, event.node, event.to, event.what ?? 'append', { lost: true, reason: event.reason });
}

/** Each majority of answers renews a leader's lease; the nodes tell of its beginning and its end only. */
function renewLease(own, at, ms) {
  const needed = Math.floor(own.voters.length / 2);
  if (own.role !== 'leader' || own.voters.length === 0) return;
  const answers = own.voters
    .map((voter) => own.acks[voter])
    .filter(Boolean)
    .sort((a, b) => b - a);
  const oldest = needed === 0 ? at : answers[needed - 1];
  if (oldest) own.leaseUntil = Math.max(own.leaseUntil, oldest + ms);
}

function cutLog(replica, from, at) {
  const { log } = replica;
  const kept = Math.max(0, from - log.base);
  const gone = log.terms
    .slice(kept)
    .map((term, offset) => ({ index: Math.max(from, log.base) + offset, term, until: at + GHOST_MS }));
  replica.ghosts = [...replica.ghosts.filter((ghost) => ghost.until > at && ghost.index < from), ...gone].slice(
    -LOG_KEPT,
  );
  log.terms.length = Math.min(log.terms.length, kept);
  if (from < log.base) log.base = from;
  replica.lastLog = Math.min(replica.lastLog, from - 1);
}

function extendLog(replica, first, last, term, at) {
  const { log } = replica;
  if (first <= logEnd(log)) cutLog(replica, first, at);
  if (first > logEnd(log) + 1 || log.terms.length === 0) {
    if (first > 1 && replica.lastLog > 0) replica.unread = true;
    Object.assign(log, { base: first, terms: [] });
  }
  // Entries told together may be of several terms, of which the event names one.
  if (last > first) replica.unread = true;
  const start = Math.max(first, last - LOG_KEPT + 1);
  if (start > first) Object.assign(log, { base: start, terms: [] });
  for (let index = start; index <= last; index++) log.terms.push(term);
  const over = log.terms.length - LOG_KEPT;
  if (over > 0) {
    log.terms.splice(0, over);
    log.base += over;
  }
  replica.lastLog = Math.max(replica.lastLog, last);
}

function readLog(replica, told) {
  const entries = (told.entries ?? []).slice(-LOG_KEPT);
  const next = (told.purged ?? 0) + 1;
  const log = { base: entries[0]?.index ?? next, terms: entries.map((entry) => entry.term) };
  // Entries that arrived while the answer was under way are newer than the answer.
  const missed = replica.log.base <= logEnd(log) + 1 ? logEnd(replica.log) - logEnd(log) : 0;
  if (missed > 0) log.terms.push(...replica.log.terms.slice(-missed));
  Object.assign(replica, {
    log,
    unread: false,
    purged: told.purged ?? replica.purged,
    snapshot: told.snapshot ?? replica.snapshot,
  });
  replica.lastLog = Math.max(replica.lastLog, logEnd(log));
  replica.committed = Math.max(replica.committed, told.committed ?? 0);
  replica.applied = Math.max(replica.applied, told.applied ?? 0);
  if (told.vote && told.vote.term >= replica.voteTerm)
    Object.assign(replica, { vote: told.vote.for, voteTerm: told.vote.term });
}

function takeStatus(replica, event) {
  raiseTerm(replica, event.term);
  const was = replica.role;
  const copy = {
    leader: 'leader',
    role: 'role',
    committed: 'committed',
    applied: 'applied',
    snapshot: 'snapshot',
    purged: 'purged',
    voters: 'voters',
    learners: 'learners',
    joint: 'joint',
    silent: 'silent',
  };
  for (const [theirs, ours] of Object.entries(copy))
    if (event[theirs] !== undefined) replica[ours] = event[theirs] ?? (ours === 'leader' ? null : 0);
  replica.known = true;
  if (event.last_log !== undefined) {
    if (event.last_log > logEnd(replica.log)) replica.unread = true;
    if (event.last_log < logEnd(replica.log)) cutLog(replica, event.last_log + 1, event.at);
    replica.lastLog = event.last_log;
  }
  if (replica.role === 'candidate' && was !== 'candidate') replica.heardAt = event.at;
  if (replica.role !== 'leader') replica.leaseUntil = 0;
  if (replica.role === 'follower' || replica.role === 'learner') replica.asking = null;
}

function forget(world, name) {
  delete world.nodes[name];
  world.order = world.order.filter((other) => other !== name);
  for (const key of Object.keys(world.links)) if (key.split('>').includes(name)) delete world.links[key];
}

function stopped(node) {
  for (const replica of Object.values(node.groups)) {
    Object.assign(replica, { leaseUntil: 0, acks: {}, heardAt: null, votes: [], asking: null, leader: null });
    if (replica.role !== 'learner') replica.role = 'follower';
  }
}

const nodeStates = {
  node_up: 'up',
  node_killed: 'down',
  node_paused: 'paused',
  node_resumed: 'up',
  node_restarted: 'up',
  node_wiped: 'up',
  node_died: 'down',
  node_removed: 'gone',
};

function machinery(world, event) {
  if (event.kind in nodeStates) {
    if (event.kind === 'node_removed') return forget(world, event.node);
    const node = nodeOf(world, event.node);
    if (event.kind === 'node_wiped') node.groups = {};
    // A node that is wiped may be started only later; the event that says so follows.
    node.state = event.state ?? nodeStates[event.kind];
    if (node.state === 'down' || event.kind === 'node_restarted') stopped(node);
    return undefined;
  }
  const link = (world.links[`${event.from}>${event.to}`] ??= { cut: false, delay: 0 });
  if (event.kind === 'link_cut') link.cut = true;
  else if (event.kind === 'link_healed') Object.assign(link, { cut: false, delay: 0 });
  else if (event.kind === 'link_delayed') link.delay = event.delay_ms ?? 0;
  return undefined;
}

const changes = {
  status: (world, event, own) => takeStatus(own, event),
  log_read: (world, event, own) => readLog(own, event.log),
  vote_asked(world, event, own) {
    // The question before the vote names a term that nobody has begun.
    if (!event.pre) {
      raiseTerm(own, event.term);
      if (own.role !== 'candidate' || own.vote !== event.node || own.voteTerm !== event.term) {
        Object.assign(own, {
          role: 'candidate',
          vote: event.node,
          voteTerm: event.term,
          votes: [event.node],
          heardAt: event.at,
        });
      }
      Object.assign(own, { leader: null, asking: 'votes' });
    } else if (own.role !== 'leader') own.asking = 'pre';
    fly(world, event, event.node, event.to, 'vote', { pre: !!event.pre });
  },
  vote_answered(world, event, own) {
    if (event.granted && !event.pre && own.term === event.term && !own.votes.includes(event.from))
      own.votes.push(event.from);
    fly(world, event, event.from, event.node, 'vote', { reply: true, ok: !!event.granted, pre: !!event.pre });
  },
  vote_granted(world, event, own) {
    if (event.pre) return;
    raiseTerm(own, event.term);
    Object.assign(own, { vote: event.candidate, voteTerm: event.term, heardAt: event.at });
  },
  vote_refused: (world, event, own) => {
    if (!event.pre && event.reason !== 'leader_alive' && event.reason !== 'no_member') raiseTerm(own, event.term);
  },
  append_sent(world, event, own) {
    // Only a leader sends these, so a page that came late learns who leads without waiting to be told.
    raiseTerm(own, event.term);
    if (own.term === event.term) Object.assign(own, { role: 'leader', leader: event.node, known: true });
    fly(world, event, event.node, event.to, event.count ? 'append' : 'heartbeat', { count: event.count });
  },
  append_acked(world, event, own) {
    // A node may name a peer that this page was not told of; the ring shows those that told something themselves.
    if (!world.nodes[event.from]) return;
    own.acks[event.from] = event.at;
    renewLease(own, event.at, world.timings.lease_ms ?? 0);
    const follower = replicaOf(world, event.from, event.group);
    raiseTerm(follower, event.term);
    Object.assign(follower, { heardAt: event.at, asking: null });
    if (follower.term === event.term)
      Object.assign(follower, { leader: event.node, role: follower.role === 'learner' ? 'learner' : 'follower' });
    const sent = world.messages.findLast(
      (message) =>
        message.group === event.group && message.from === event.node && message.to === event.from && !message.reply,
    );
    fly(world, event, event.from, event.node, sent?.what === 'heartbeat' ? 'heartbeat' : 'append', { reply: true });
  },
  append_refused: (world, event) => fly(world, event, event.from, event.node, 'append', { reply: true, ok: false }),
  message_lost: (world, event) => lose(world, event),
  appended: (world, event, own) => extendLog(own, event.first, event.last, event.entry_term, event.at),
  truncated: (world, event, own) => cutLog(own, event.from, event.at),
  purged: (world, event, own) => {
    own.purged = Math.max(own.purged, event.upto);
  },
  committed: (world, event, own) => {
    own.committed = Math.max(own.committed, event.index);
  },
  applied(world, event, own) {
    own.applied = Math.max(own.applied, event.index);
    own.committed = Math.max(own.committed, event.index);
  },
  snapshot_sent: (world, event) => fly(world, event, event.node, event.to, 'snapshot'),
  snapshot_installed(world, event, own) {
    if (logEnd(own.log) <= event.index)
      Object.assign(own, { log: { base: event.index + 1, terms: [] }, lastLog: event.index });
    for (const mark of ['snapshot', 'purged', 'committed', 'applied']) own[mark] = Math.max(own[mark], event.index);
  },
  membership: (world, event, own) =>
    Object.assign(own, { voters: event.voters, learners: event.learners ?? [], joint: !!event.joint }),
  elected(world, event, own) {
    raiseTerm(own, event.term);
    Object.assign(own, { role: 'leader', leader: event.node, asking: null, known: true, acks: {} });
    world.elected[event.group] = { node: event.node, term: event.term, at: event.at };
  },
  stepped_down: (world, event, own) =>
    Object.assign(own, {
      role: 'follower',
      leader: event.leader ?? null,
      votes: [],
      leaseUntil: 0,
      acks: {},
      heardAt: event.at,
    }),
  lease_granted: (world, event, own) => {
    own.leaseUntil = event.at + event.ms;
  },
  lease_expired: (world, event, own) => Object.assign(own, { leaseUntil: 0, acks: {} }),
};

/** Changes `world` by one event and returns it. Kinds it does not know change nothing but the time. */
export function apply(world, event) {
  world.at = Math.max(world.at, event.at ?? 0);
  if (event.seq !== undefined) world.seq = event.seq;
  if (event.kind in nodeStates || event.kind?.startsWith('link_')) machinery(world, event);
  else if (event.kind in changes && event.node) {
    if (event.group !== undefined && !world.groups.some(({ group }) => group === event.group)) {
      world.groups = [
        ...world.groups,
        { group: event.group, label: event.group === 0 ? 'cluster map' : `shard ${event.group - 1}` },
      ].sort((a, b) => a.group - b.group);
    }
    changes[event.kind](world, event, replicaOf(world, event.node, event.group));
  }
  return world;
}
