// A toy cluster: enough of Raft in one process that the page has something to show. It emits the events that real nodes do;
// nothing about Quiver follows from it.

export const timings = { heartbeat_ms: 400, election_min_ms: 2000, election_max_ms: 4000, lease_ms: 1800 };
export const names = ['node1', 'node2', 'node3', 'node4', 'node5'];
export const groups = [
  { group: 0, label: 'cluster map' },
  { group: 1, label: 'shard 0' },
  { group: 2, label: 'shard 1' },
];

/** Events remembered. */
const RECORDED = 20_000;

export function toyCluster() {
  const nodes = Object.fromEntries(names.map((name) => [name, { name, state: 'up', groups: {} }]));
  const links = {};
  const recorded = [];
  const listeners = new Set();
  let seq = 0;

  function emit(event) {
    const full = { seq: ++seq, at: Date.now() + Math.random(), ...event };
    recorded.push(full);
    if (recorded.length > RECORDED) recorded.shift();
    for (const send of listeners) send(full);
  }
  const on = (name, group, more) => emit({ node: name, group, term: nodes[name].groups[group].term, ...more });
  const reach = (a, b) => nodes[a].state === 'up' && nodes[b].state === 'up' && !links[`${a}>${b}`]?.cut;
  const patience = () =>
    Date.now() + timings.election_min_ms + Math.random() * (timings.election_max_ms - timings.election_min_ms);
  const status = (name, group, only) => {
    const r = nodes[name].groups[group];
    const tell = only ? (_, __, more) => only({ seq, at: Date.now(), node: name, group, term: r.term, ...more }) : on;
    tell(name, group, {
      kind: 'status',
      role: r.role,
      leader: r.leader,
      last_log: r.log.length,
      committed: r.committed,
      applied: r.committed,
      snapshot: 0,
      purged: 0,
      voters: names,
      learners: [],
      joint: false,
      silent: [],
    });
  };
  const fresh = () => ({
    role: 'follower',
    term: 0,
    vote: null,
    leader: null,
    log: [],
    committed: 0,
    deadline: patience(),
    beat: 0,
  });
  for (const name of names) for (const { group } of groups) nodes[name].groups[group] = fresh();

  function campaign(name, group) {
    const r = nodes[name].groups[group];
    Object.assign(r, { role: 'candidate', term: r.term + 1, vote: name, leader: null, deadline: patience() });
    let votes = 1;
    for (const peer of names.filter((other) => other !== name)) {
      on(name, group, {
        kind: 'vote_asked',
        to: peer,
        pre: false,
        last_log: { term: r.log.at(-1) ?? 0, index: r.log.length },
      });
      if (!reach(name, peer)) {
        on(name, group, {
          kind: 'message_lost',
          to: peer,
          what: 'vote',
          reason: nodes[peer].state === 'down' ? 'unreachable' : 'cut',
        });
        continue;
      }
      const p = nodes[peer].groups[group];
      const behind =
        (r.log.at(-1) ?? 0) < (p.log.at(-1) ?? 0) ||
        ((r.log.at(-1) ?? 0) === (p.log.at(-1) ?? 0) && r.log.length < p.log.length);
      const reason =
        r.term < p.term
          ? 'term_behind'
          : behind
            ? 'log_behind'
            : r.term === p.term && p.vote && p.vote !== name
              ? 'voted_for_other'
              : null;
      if (r.term > p.term) Object.assign(p, { term: r.term, vote: null, role: 'follower' });
      if (!reason) {
        Object.assign(p, { vote: name, deadline: patience() });
        votes++;
      }
      on(peer, group, {
        kind: reason ? 'vote_refused' : 'vote_granted',
        candidate: name,
        pre: false,
        ...(reason ? { reason } : {}),
      });
      if (reach(peer, name))
        on(name, group, {
          kind: 'vote_answered',
          from: peer,
          pre: false,
          granted: !reason,
          reason: reason ?? undefined,
        });
    }
    status(name, group);
    if (votes * 2 <= names.length) return;
    Object.assign(r, { role: 'leader', leader: name, beat: 0 });
    on(name, group, { kind: 'elected' });
    r.log.push(r.term);
    on(name, group, { kind: 'appended', first: r.log.length, last: r.log.length, entry_term: r.term });
    status(name, group);
  }

  function lead(name, group) {
    const r = nodes[name].groups[group];
    r.beat = Date.now() + timings.heartbeat_ms;
    let acks = 1;
    for (const peer of names.filter((other) => other !== name)) {
      const p = nodes[peer].groups[group];
      const count = reach(name, peer) ? Math.max(0, r.log.length - p.log.length) : 0;
      on(name, group, { kind: 'append_sent', to: peer, prev: r.log.length - count, count, commit: r.committed });
      if (!reach(name, peer)) {
        on(name, group, {
          kind: 'message_lost',
          to: peer,
          what: 'append',
          reason: nodes[peer].state === 'down' ? 'unreachable' : 'cut',
        });
        continue;
      }
      if (p.term > r.term) {
        Object.assign(r, { role: 'follower', term: p.term, leader: null, vote: null, deadline: patience() });
        on(name, group, { kind: 'stepped_down', leader: null });
        return status(name, group);
      }
      const changed = p.leader !== name || p.term !== r.term;
      Object.assign(p, { term: r.term, leader: name, role: 'follower', deadline: patience() });
      const agree = p.log.findIndex((term, i) => term !== r.log[i]);
      if (agree >= 0) {
        p.log.length = agree;
        on(peer, group, { kind: 'truncated', from: agree + 1 });
      }
      while (p.log.length < r.log.length) {
        p.log.push(r.log[p.log.length]);
        on(peer, group, { kind: 'appended', first: p.log.length, last: p.log.length, entry_term: p.log.at(-1) });
      }
      if (reach(peer, name)) {
        acks++;
        on(name, group, { kind: 'append_acked', from: peer, matched: p.log.length });
      }
      if (p.committed !== r.committed) {
        p.committed = r.committed;
        on(peer, group, { kind: 'committed', index: p.committed });
        on(peer, group, { kind: 'applied', index: p.committed });
      }
      if (changed) status(peer, group);
    }
    if (acks * 2 > names.length) {
      on(name, group, { kind: 'lease_granted', ms: timings.lease_ms });
      if (r.committed !== r.log.length) {
        r.committed = r.log.length;
        on(name, group, { kind: 'committed', index: r.committed });
        on(name, group, { kind: 'applied', index: r.committed });
        r.beat = Date.now() + 60;
      }
    }
  }

  const timer = setInterval(() => {
    for (const name of names) {
      if (nodes[name].state !== 'up') continue;
      for (const { group } of groups) {
        const r = nodes[name].groups[group];
        if (r.role === 'leader') {
          if (Date.now() > r.beat) lead(name, group);
        } else if (Date.now() > r.deadline) campaign(name, group);
      }
    }
  }, 40);

  const setLink = (from, to, cut, delay) => {
    links[`${from}>${to}`] = { cut, delay };
    emit({ node: null, kind: delay ? 'link_delayed' : cut ? 'link_cut' : 'link_healed', from, to, delay_ms: delay });
  };
  const acts = {
    kill(node) {
      node.state = 'down';
      emit({ node: node.name, kind: 'node_killed' });
    },
    pause(node) {
      node.state = 'paused';
      emit({ node: node.name, kind: 'node_paused' });
    },
    resume(node) {
      node.state = 'up';
      emit({ node: node.name, kind: 'node_resumed' });
    },
    restart(node) {
      node.state = 'up';
      for (const r of Object.values(node.groups))
        Object.assign(r, { role: 'follower', leader: null, deadline: patience() });
      emit({ node: node.name, kind: 'node_restarted' });
      for (const { group } of groups) status(node.name, group);
    },
    wipe(node) {
      for (const { group } of groups) node.groups[group] = fresh();
      node.state = 'up';
      emit({ node: node.name, kind: 'node_wiped' });
      for (const { group } of groups) status(node.name, group);
    },
    isolate(node) {
      for (const other of names)
        if (other !== node.name) {
          setLink(node.name, other, true, 0);
          setLink(other, node.name, true, 0);
        }
    },
    rejoin(node) {
      for (const other of names)
        if (other !== node.name) {
          setLink(node.name, other, false, 0);
          setLink(other, node.name, false, 0);
        }
    },
    campaign(node, body) {
      campaign(node.name, body.group);
    },
    'step-down'(node, body) {
      const r = node.groups[body.group];
      r.role = 'follower';
      r.deadline = Date.now() + 9000;
      emit({ node: node.name, group: body.group, term: r.term, kind: 'stepped_down', leader: null });
      status(node.name, body.group);
    },
  };

  const leader = (group) =>
    names
      .map((name) => nodes[name])
      .filter((n) => n.state === 'up' && n.groups[group].role === 'leader')
      .sort((a, b) => b.groups[group].term - a.groups[group].term)[0];

  return {
    nodes,
    links,
    recorded,
    listeners,
    on,
    emit,
    status,
    setLink,
    acts,
    leader,
    stop: () => clearInterval(timer),
  };
}
