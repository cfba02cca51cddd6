// The operators' console: reads what any node of a cluster answers about it and shows it as tables. Changes nothing.

import { byId, h, keyed, say, set } from './dom.js';

const EVERY_MS = 2000;
const PATIENCE_MS = 8000;
const PATHS = {
  own: 'health',
  status: 'cluster/status',
  health: 'cluster/health',
  nodes: 'cluster/nodes',
  sharding: 'cluster/sharding',
  shards: 'shards',
  collections: 'collections',
  operations: 'quiver/v1/operations',
};

const number = (value) => (typeof value === 'number' ? value.toLocaleString('en') : '–');
const many = (value, one) => `${number(value)} ${one}${value === 1 ? '' : 's'}`;
const percent = (value) => (typeof value === 'number' ? `${Math.round(value * 100)} %` : '–');
function bytes(value) {
  if (typeof value !== 'number') return '–';
  const power = value < 1 ? 0 : Math.min(4, Math.floor(Math.log(value) / Math.log(1024)));
  return `${(value / 1024 ** power).toFixed(power ? 1 : 0)} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][power]}`;
}
function since(ms) {
  const seconds = Math.max(0, Math.round((Date.now() - ms) / 1000));
  return seconds < 90
    ? `${seconds} s`
    : seconds < 5400
      ? `${Math.round(seconds / 60)} min`
      : `${Math.round(seconds / 3600)} h`;
}
const tones = {
  healthy: 'good',
  member: 'good',
  active: 'good',
  done: 'good',
  unavailable: 'bad',
  failed: 'bad',
  stopped: 'bad',
};
const state = (word) => ({ text: word ?? 'unknown', tone: tones[word] ?? 'plain' });

/**
 * Fills a table. A column is `[heading, what of a row, numeric]`; a cell is text or `{text, tone}`. The first column names
 * the row. Elements are reused, so nothing grows with time.
 */
function table(id, columns, rows) {
  const element = byId(id);
  element.hidden = rows.length === 0;
  if (!element.tHead)
    element.append(
      h(
        'thead',
        {},
        h(
          'tr',
          {},
          ...columns.map(([heading, , numeric]) =>
            h('th', { scope: 'col', class: numeric ? 'number' : null }, heading),
          ),
        ),
      ),
      h('tbody'),
    );
  const key = columns[0][1];
  keyed(
    element.tBodies[0],
    rows,
    (row) => String(key(row)),
    (row) =>
      h(
        'tr',
        { 'data-row': key(row) },
        ...columns.map(([, , numeric], i) =>
          h(i ? 'td' : 'th', { scope: i ? null : 'row', class: numeric ? 'number' : null }, h('span')),
        ),
      ),
    (tr, row) => {
      columns.forEach(([, of], i) => {
        const cell = of(row);
        const span = tr.children[i].firstChild;
        set(span, 'class', cell?.tone ? 'state' : null);
        set(span, 'data-tone', cell?.tone);
        say(span, String(cell?.text ?? cell ?? '–'));
      });
    },
  );
}

async function ask(path) {
  const response = await fetch(path, {
    signal: AbortSignal.timeout(PATIENCE_MS),
    headers: { accept: 'application/json' },
  });
  const body = await response.json();
  // An unavailable cluster is told with 503 and the same body.
  if (!response.ok && !body.status?.length) throw new Error(body.status?.error ?? `answered ${response.status}`);
  return body;
}

const show = {
  own: (own) => say(byId('who'), `seen from ${own.node_id}, version ${own.version}`),
  status(status) {
    say(
      byId('more'),
      `${status.healthy_nodes} of ${many(status.total_nodes, 'node')} serve · ${many(status.total_vectors, 'point')} in ${many(status.total_collections, 'collection')} on ${many(status.total_shards, 'shard')} · ${status.replication_factor} copies of each · the cluster map is led by ${status.meta_leader ?? 'nobody'}`,
    );
  },
  health(health) {
    const lose = health.can_lose_nodes;
    const words = {
      healthy: 'The cluster is healthy',
      degraded: 'The cluster serves, with less to spare than it should have',
      unavailable: 'The cluster does not serve everything',
      starting: 'The cluster is starting',
      draining: 'The cluster is draining',
    };
    const line = byId('headline');
    say(
      line,
      `${words[health.status] ?? health.status}. ${lose === 0 ? 'No node may fail now.' : lose === 1 ? 'Any one node may fail.' : `Any ${lose} nodes may fail.`}`,
    );
    set(line, 'data-tone', health.status === 'healthy' ? 'good' : 'bad');
    set(line, 'data-status', health.status);
    byId('no-issues').hidden = health.issues.length > 0;
    keyed(
      byId('issues'),
      health.issues,
      (issue) => `${issue.code} ${issue.message}`,
      () => h('li', {}, h('strong'), h('p'), h('p', { class: 'quiet' })),
      (li, issue) => {
        set(li, 'data-severity', issue.severity);
        set(li, 'data-code', issue.code);
        say(li.children[0], issue.severity);
        say(li.children[1], issue.message);
        say(li.children[2], `What to do: ${issue.fix}`);
      },
    );
  },
  nodes: ({ nodes }) =>
    table(
      'nodes',
      [
        ['node', (n) => n.id],
        ['health', (n) => state(n.status)],
        ['membership', (n) => n.state],
        ['address', (n) => `${n.host}:${n.port}`],
        ['shards', (n) => n.shards, true],
        ['leads', (n) => n.leads, true],
        ['points', (n) => number(n.vector_count), true],
        ['memory', (n) => bytes(n.memory_bytes), true],
        ['disk', (n) => bytes(n.disk_bytes), true],
        ['load', (n) => percent(n.load), true],
        [
          'labels',
          (n) =>
            Object.entries(n.labels ?? {})
              .map(([k, v]) => `${k}=${v}`)
              .join(' ') || '–',
        ],
      ],
      nodes,
    ),
  sharding({ shards, moves_in_progress: moves }) {
    const replica = (r) =>
      `${r.node}${r.state === 'voter' ? '' : ` (${r.state})`}${r.lag ? `, ${number(r.lag)} behind` : ''}`;
    table(
      'shards',
      [
        ['shard', (s) => s.shard],
        ['leader', (s) => (s.leader ? { text: s.leader, tone: 'good' } : { text: 'none', tone: 'bad' })],
        ['copies', (s) => s.replicas.map(replica).join(' · ')],
        ['points', (s) => number(s.vectors), true],
        ['first hash', (s) => s.range[0]],
        ['last hash', (s) => s.range[1]],
      ],
      shards,
    );
    table(
      'moves',
      [
        ['shard on the move', (m) => m.shard],
        ['comes to', (m) => m.to?.join(', ') || '–'],
        ['leaves', (m) => m.from?.join(', ') || '–'],
      ],
      moves ?? [],
    );
    quietMoves();
  },
  operations({ operations }) {
    const row = [...operations].reverse().slice(0, 20);
    table(
      'operations',
      [
        ['operation', (o) => o.operation_id],
        ['what', (o) => `${o.kind} ${o.subject}`],
        ['state', (o) => state(o.state)],
        ['began', (o) => `${since(o.started_ms)} ago`],
        ['copies left', (o) => (o.state === 'running' ? number(o.replicas_left) : '–'), true],
        ['bytes left', (o) => (o.state === 'running' ? bytes(o.bytes_left) : '–'), true],
        ['why', (o) => o.reason ?? '–'],
      ],
      row,
    );
    quietMoves();
  },
  shards: ({ shards }) =>
    table(
      'here',
      [
        ['shard', (s) => s.shard],
        ['role', (s) => s.role],
        ['state', (s) => state(s.state)],
        ['term', (s) => s.term, true],
        ['last entry', (s) => number(s.last_log), true],
        ['committed', (s) => number(s.committed), true],
        ['applied', (s) => number(s.applied), true],
        ['points', (s) => number(s.vectors), true],
        ['waiting for the index', (s) => number(s.index?.waiting), true],
      ],
      shards,
    ),
  collections: ({ result }) =>
    table(
      'collections',
      [
        ['collection', (c) => c.name],
        ['points', (c) => number(c.points), true],
        [
          'vectors',
          (c) =>
            [
              c.vector_size ? `${c.vector_size} × ${c.distance}` : '',
              ...Object.entries(c.vectors ?? {}).map(([name, v]) => `${name}: ${v.size} × ${v.distance}`),
            ]
              .filter(Boolean)
              .join(' · '),
        ],
        ['indexed fields', (c) => Object.keys(c.payload_schema ?? {}).join(', ') || '–'],
      ],
      result.collections,
    ),
};

function quietMoves() {
  byId('no-moves').hidden = !byId('moves').hidden || !byId('operations').hidden;
}

/** Reads everything once; a part that fails says so in its own pane and keeps what it showed. */
async function read() {
  const heard = await Promise.all(
    Object.entries(PATHS).map(async ([name, path]) => {
      const trouble = document.querySelector(`.trouble[data-of="${name}"]`);
      try {
        show[name](await ask(path));
        if (trouble) say(trouble, '');
        return true;
      } catch (error) {
        if (trouble) say(trouble, `Could not be read: ${error.message}`);
        return false;
      }
    }),
  );
  const any = heard.some(Boolean);
  set(byId('line'), 'data-connected', any ? 'true' : 'false');
  say(byId('line'), any ? 'connected' : 'this node does not answer');
  set(document.body, 'data-ready', any);
}

async function watch() {
  if (!document.hidden) await read();
  setTimeout(watch, EVERY_MS);
}
watch();
