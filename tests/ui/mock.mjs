// A stand-in for `quiver demo` that needs no cluster: a toy cluster behind the same HTTP paths and the same
// events. For working on the page and for checking its looks; what it shows proves nothing about Quiver.
// Run: node tests/ui/mock.mjs [PORT]

import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { serveAsset } from './serve.mjs';
import { groups, names, timings, toyCluster } from './toy.mjs';

export function mock(port = 0) {
  const { nodes, links, recorded, listeners, on, emit, status, setLink, acts, leader, stop } = toyCluster();
  const state = { lesson: null, values: {}, url: '' };

  function client({ op, via, level, key, value }) {
    const head = leader(1);
    const cell = (state.values[key] ??= { versions: [] });
    const event = {
      node: null,
      kind: 'client',
      op,
      level,
      via,
      value: value ?? null,
      answer: null,
      stale: false,
      error: null,
    };
    if (!head) {
      emit({ ...event, error: 'shard 0 has no leader' });
      return { ok: false, error: 'shard 0 has no leader' };
    }
    if (op === 'write') {
      const { log, term } = head.groups[1];
      log.push(term);
      on(head.name, 1, { kind: 'appended', first: log.length, last: log.length, entry_term: term });
      head.groups[1].beat = 0;
      cell.versions.push(value);
      emit(event);
      return { ok: true, value, stale: false, served_by: head.name, role: 'leader', took_ms: 4.2 };
    }
    const stale = level === 'one' && cell.versions.length > 1;
    const answer = cell.versions.at(stale ? -2 : -1) ?? null;
    emit({ ...event, answer, stale });
    return {
      ok: true,
      value: answer,
      stale,
      served_by: level === 'one' ? via : head.name,
      role: level === 'one' ? 'follower' : 'leader',
      took_ms: 2.1,
    };
  }

  const steps = [
    {
      say: 'Five nodes have just started. None of them leads: each waits a random time for a heartbeat from a leader.',
      section: 'Raft paper §5.2',
      question: {
        ask: 'What do you expect?',
        choices: [
          'The first node of the list leads',
          'Whoever loses patience first asks for votes',
          'An operator has to choose',
        ],
        answer: 1,
        because: 'Random waits make it likely that one node is clearly first, so votes are rarely split.',
      },
      did: 'Waited.',
      checks: [{ says: 'all nodes run', holds: true, saw: '5 of 5' }],
    },
    {
      say: 'A node stood for leader, and a majority gave it their one vote of the term.',
      section: 'Raft paper §5.2',
      question: null,
      did: 'Waited until shard 0 had a leader.',
      checks: [
        { says: 'exactly one node leads shard 0', holds: true, saw: 'node2 in term 1' },
        { says: 'all nodes agree on it', holds: true, saw: 'node2, five times' },
      ],
    },
  ];
  function lessonState() {
    const { lesson } = state;
    if (!lesson) return null;
    const step = steps[lesson.step - 1];
    const question = step.question && {
      ask: step.question.ask,
      choices: step.question.choices,
      ...(lesson.answered ? { right: step.question.answer, because: step.question.because } : {}),
    };
    return {
      name: lesson.name,
      title: 'The first election',
      step: lesson.step,
      of: steps.length,
      say: step.say,
      section: step.section,
      question,
      did: lesson.performed ? step.did : null,
      checks: lesson.performed ? step.checks : [],
      done: lesson.done,
      group: 1,
    };
  }

  function route(method, path, body, own) {
    if (path === '/api/state')
      return {
        nodes: names.map((name) => ({ name, url: `${state.url}/${name}`, pid: 1, state: nodes[name].state })),
        links: Object.entries(links).map(([key, link]) => ({
          from: key.split('>')[0],
          to: key.split('>')[1],
          cut: link.cut,
          delay_ms: link.delay,
        })),
        groups,
        timings,
        slow: 5,
        collection: 'demo',
        lesson: state.lesson?.name ?? null,
        replay: false,
        seq: recorded.at(-1)?.seq ?? 0,
      };
    if (path === '/api/lessons')
      return [
        ['first-election', 'The first election'],
        ['leader-crash', 'The leader crashes'],
        ['split-vote', 'A split vote'],
        ['no-quorum', 'No majority, no answer'],
        ['stale-leader', 'A leader that does not know'],
        ['log-repair', 'Two logs disagree'],
        ['why-votes-check-the-log', 'Why votes check the log'],
        ['membership-change', 'A node joins'],
        ['snapshot-catch-up', 'Far behind'],
        ['three-reads', 'Three ways to read'],
        ['one-way-cut', 'A link that works one way'],
        ['eight-groups', 'Eight groups at once'],
      ].map(([name, title]) => ({ name, title, steps: 2 }));
    if (path === '/api/lesson') return lessonState();
    const lesson = path.match(/^\/api\/lessons\/(?:([\w-]+)\/)?(\w+)$/);
    if (lesson && method === 'POST') {
      if (lesson[2] === 'start')
        state.lesson = { name: lesson[1], step: 1, answered: false, performed: false, done: false };
      else if (lesson[2] === 'answer') state.lesson.answered = true;
      else if (lesson[2] === 'next')
        Object.assign(
          state.lesson,
          state.lesson.performed
            ? { step: state.lesson.step + 1, answered: false, performed: false }
            : { performed: true, done: state.lesson.step === steps.length },
        );
      else state.lesson = null;
      return lessonState() ?? {};
    }
    const act = path.match(/^\/api\/nodes\/(\w+)\/([\w-]+)$/);
    if (act) {
      acts[act[2]](nodes[act[1]], body);
      return { done: `${act[1]}: ${act[2]}` };
    }
    if (path === '/api/links') {
      setLink(body.from, body.to, body.cut, body.delay_ms);
      if (body.both) setLink(body.to, body.from, body.cut, body.delay_ms);
      return { done: 'ok' };
    }
    if (path === '/api/heal') {
      for (const key of Object.keys(links)) setLink(...key.split('>'), false, 0);
      return { done: 'all links are mended' };
    }
    if (path === '/api/client') return client(body);
    return consoleRoute(path, own);
  }

  /** What a node answers to the console; sick on purpose, so that there is something to see. */
  function consoleRoute(path, own) {
    const node = (id, i) => ({
      id,
      host: 'localhost',
      port: 8001 + i,
      status: nodes[id].state === 'up' ? 'healthy' : 'unavailable',
      load: 0.1 + i / 10,
      vector_count: 350 * (i + 1),
      collections: ['docs', 'demo'],
    });
    const list = names.map(node);
    if (path === '/cluster/status')
      return {
        total_nodes: 5,
        healthy_nodes: 5,
        total_shards: 2,
        total_collections: 2,
        total_vectors: 1400,
        replication_factor: 3,
        consistency_level: 'quorum',
        meta_leader: 'node1',
        nodes: list,
      };
    if (path === '/cluster/health')
      return {
        status: 'degraded',
        can_lose_nodes: 1,
        groups: { total: 3, with_leader: 3, under_replicated: 1 },
        nodes: list,
        issues: [
          {
            code: 'node_unreachable',
            severity: 'warning',
            message: 'node4 does not answer.',
            fix: 'Start it again, or `quiver node leave node4` if it is gone for good.',
          },
        ],
      };
    if (path === '/cluster/nodes')
      return {
        nodes: list.map((n, i) => ({
          ...n,
          number: i + 1,
          peer_addr: `localhost:${9001 + i}`,
          incarnation: 'a',
          state: i === 4 ? 'joining' : 'member',
          labels: { zone: `z${i % 3}` },
          shards: 2,
          leads: 1,
          memory_bytes: 1e6 * (i + 40),
          disk_bytes: 1e7 * (i + 3),
        })),
      };
    if (path === '/cluster/sharding')
      return {
        strategy: 'consistent_hashing',
        hash: 'xxh3',
        shard_count: 2,
        shards: [0, 1].map((shard) => ({
          shard,
          range: [`0x${shard ? '8' : '0'}000000000000000`, `0x${shard ? 'f' : '7'}fffffffffffffff`],
          leader: leader(shard + 1)?.name ?? null,
          replicas: names
            .slice(0, 3)
            .map((n, i) => ({ node: n, state: i === 2 ? 'learner' : 'voter', lag: i === 2 ? 120 : 0 })),
          vectors: 700,
        })),
        moves_in_progress: [{ shard: 1, to: ['node5'], from: ['node3'] }],
      };
    if (path === '/shards')
      return {
        node_id: own,
        shards: groups.slice(1).map(({ group }) => {
          const r = nodes[own].groups[group];
          return {
            shard: group - 1,
            group,
            role: r.role,
            term: r.term,
            leader: r.leader,
            last_log: r.log.length,
            committed: r.committed,
            applied: r.committed,
            vectors: 350,
            index: { indexed: 0, waiting: 0, dead: 0 },
            state: 'active',
            replicas: names,
            snapshot: 0,
            purged: 0,
          };
        }),
      };
    if (path === '/health')
      return { status: 'healthy', node_id: own, version: '0.1.0', uptime_seconds: 4000, load: 0.1, checks: {} };
    if (path === '/collections')
      return {
        result: {
          collections: [
            { name: 'docs', vector_size: 384, distance: 'cosine', points: 1200 },
            { name: 'demo', vector_size: 2, distance: 'dot', points: 200 },
          ],
        },
        status: 'ok',
        time: 0.001,
      };
    if (path === '/quiver/v1/operations')
      return {
        operations: [
          {
            operation_id: 'op-19',
            kind: 'join',
            subject: 'node5',
            state: 'running',
            started_ms: Date.now() - 65000,
            ended_ms: null,
            replicas_left: 1,
            bytes_left: 3.2e6,
          },
        ],
      };
    return undefined;
  }

  const server = createServer((request, response) => {
    const url = new URL(request.url, 'http://localhost');
    // Each node's own API is under its name: /node2/shards.
    const [, own = 'node1', rest = url.pathname] = url.pathname.match(/^\/(node\d)(\/.*)$/) ?? [];
    url.pathname = rest;
    if (serveAsset(url.pathname, response)) return undefined;
    if (url.pathname === '/api/events') {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
      const send = (event) => response.write(`id: ${event.seq}\ndata: ${JSON.stringify(event)}\n\n`);
      for (const name of names)
        for (const { group } of groups) if (nodes[name].state !== 'down') status(name, group, send);
      listeners.add(send);
      return request.on('close', () => listeners.delete(send));
    }
    if (url.pathname === '/api/recording')
      return response.end(
        [
          JSON.stringify({ recording: 1, state: route('GET', '/api/state'), cut: 0 }),
          ...recorded.map((event) => JSON.stringify(event)),
        ].join('\n'),
      );
    if (url.pathname === '/api/log') {
      const r = nodes[url.searchParams.get('node')].groups[url.searchParams.get('group')];
      return response.end(
        JSON.stringify({
          group: 1,
          entries: r.log.map((term, i) => ({ index: i + 1, term, kind: 'command' })),
          committed: r.committed,
          applied: r.committed,
          snapshot: 0,
          purged: 0,
          vote: { term: r.term, for: r.vote, committed: r.role === 'leader' },
        }),
      );
    }
    let text = '';
    request.on('data', (part) => {
      text += part;
    });
    request.on('end', () => {
      const answer = route(request.method, url.pathname, text ? JSON.parse(text) : {}, own);
      response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(answer === undefined ? { error: `no ${url.pathname}` } : answer));
    });
  });
  return new Promise((resolve) =>
    server.listen(port, '127.0.0.1', () => {
      state.url = `http://127.0.0.1:${server.address().port}`;
      resolve({
        url: state.url,
        close: () => {
          stop();
          server.closeAllConnections();
          server.close();
        },
        leader: (group) => leader(group)?.name,
      });
    }),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log((await mock(Number(process.argv[2] ?? 0))).url);
