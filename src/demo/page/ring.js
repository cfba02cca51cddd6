// Draws the nodes on a ring: who is what, who voted for whom, how long each will wait, what is on its way, what is cut.
// Role is told by shape, letter and colour at once. Elements are made once and moved; nothing grows with time.

import { h, keyed, s, say, set } from './dom.js';
import { FLIGHT_MS, isCut, leaderOf, replicas, votersOf } from './model.js';

const SIZE = 27;
const ARC = SIZE + 9;
const LETTERS = { leader: 'L', follower: 'F', candidate: 'C', learner: 'N' };
const DOTS = 48;

/** Outlines around (0,0), all of about the same weight to the eye. */
const SHAPES = {
  follower: circle(SIZE),
  leader: polygon(6, SIZE + 3, Math.PI / 6),
  candidate: polygon(4, SIZE + 5, 0),
  learner: `M${-SIZE + 4} ${-SIZE + 4}h${2 * SIZE - 8}v${2 * SIZE - 8}h${-2 * SIZE + 8}z`,
};
const DOT_SHAPES = { vote: polygon(4, 7, 0), append: circle(5.5), heartbeat: circle(3), snapshot: 'M-7 -7h14v14h-14z' };

function circle(r) {
  return `M${-r} 0a${r} ${r} 0 1 1 ${2 * r} 0a${r} ${r} 0 1 1 ${-2 * r} 0z`;
}
function polygon(corners, r, turn) {
  const points = Array.from({ length: corners }, (_, i) => {
    const angle = turn + (i * 2 * Math.PI) / corners;
    return `${(r * Math.cos(angle)).toFixed(1)} ${(r * Math.sin(angle)).toFixed(1)}`;
  });
  return `M${points.join('L')}z`;
}
/** An arc of `share` of a circle of radius `r`, from twelve o'clock on. */
function arc(r, share) {
  if (share <= 0.002) return 'M0 0';
  const end = 2 * Math.PI * Math.min(share, 0.999);
  return `M0 ${-r}A${r} ${r} 0 ${share > 0.5 ? 1 : 0} 1 ${(r * Math.sin(end)).toFixed(2)} ${(-r * Math.cos(end)).toFixed(2)}`;
}

export class Ring {
  /** `pick(name)` is called when a node is chosen. */
  constructor(parent, pick) {
    this.pick = pick;
    this.still = matchMedia('(prefers-reduced-motion: reduce)');
    this.links = s('g');
    this.cuts = s('g');
    this.dots = s('g', { 'aria-hidden': 'true' });
    this.nodes = s('g');
    this.svg = s(
      'svg',
      { class: 'ring', role: 'group', 'aria-label': 'The nodes on a ring' },
      this.links,
      this.cuts,
      this.dots,
      this.nodes,
    );
    parent.append(this.svg);
    this.pool = Array.from({ length: DOTS }, () =>
      this.dots.appendChild(s('path', { class: 'dot', visibility: 'hidden' })),
    );
    this.places = {};
    this.width = 600;
    new ResizeObserver(([{ contentRect }]) => {
      this.width = Math.max(300, Math.round(contentRect.width));
    }).observe(parent);
  }

  place(order) {
    const key = `${this.width}:${order.join()}`;
    if (key === this.placedFor) return;
    this.placedFor = key;
    const width = this.width;
    // Labels need room below each node: the more nodes, and the narrower, the higher.
    const height = (width < 480 ? [330, 420, 480] : [310, 355, 430])[order.length < 5 ? 0 : order.length < 6 ? 1 : 2];
    set(this.svg, 'viewBox', `0 0 ${width} ${height}`);
    const angles = order.map((_, i) => -Math.PI / 2 + (i * 2 * Math.PI) / order.length);
    // From the top node's pips to the lowest node's labels; an odd number of nodes does not reach the circle's bottom.
    const [top, bottom, lowest] = [58, height - 90, Math.max(0, ...angles.map(Math.sin))];
    const rx = Math.min(width / 2 - 52, 225);
    const ry = (bottom - top) / (1 + lowest);
    this.places = Object.fromEntries(
      order.map((name, i) => [
        name,
        { x: width / 2 + rx * Math.cos(angles[i]), y: top + ry + ry * Math.sin(angles[i]) },
      ]),
    );
  }

  /** Draws the world at time `now` (the cluster's clock, ms) for one group. */
  draw(world, group, now, picked) {
    this.place(world.order);
    const rows = replicas(world, group);
    this.drawLinks(world);
    this.drawNodes(world, group, rows, now, picked);
    this.drawDots(world, group, now);
  }

  drawLinks(world) {
    const pairs = world.order.flatMap((a, i) => world.order.slice(i + 1).map((b) => [a, b]));
    keyed(
      this.links,
      pairs,
      (pair) => pair.join('>'),
      () => s('line', { class: 'link' }),
      (line, [a, b]) => {
        const [from, to] = [this.places[a], this.places[b]];
        for (const [name, value] of [
          ['x1', from.x],
          ['y1', from.y],
          ['x2', to.x],
          ['y2', to.y],
        ])
          set(line, name, value.toFixed(1));
        set(
          line,
          'data-cut',
          isCut(world, a, b) && isCut(world, b, a) ? 'both' : isCut(world, a, b) || isCut(world, b, a) ? 'one' : null,
        );
      },
    );
    const marks = pairs
      .flatMap(([a, b]) => [
        [a, b],
        [b, a],
      ])
      .filter(([a, b]) => {
        const link = world.links[`${a}>${b}`];
        return link && (link.cut || link.delay > 0);
      });
    keyed(
      this.cuts,
      marks,
      (pair) => pair.join('>'),
      () => s('g', { class: 'cut' }, s('path'), s('text')),
      (mark, [a, b]) => {
        const link = world.links[`${a}>${b}`];
        const at = this.along(a, b, 0.32, 0);
        const turn =
          (Math.atan2(this.places[b].y - this.places[a].y, this.places[b].x - this.places[a].x) * 180) / Math.PI;
        set(mark, 'data-link', `${a}>${b}`);
        set(mark, 'data-cut', link.cut ? 'true' : null);
        set(mark, 'data-delay', link.delay || null);
        set(mark, 'transform', `translate(${at.x.toFixed(1)} ${at.y.toFixed(1)})`);
        // An arrow in the direction that is lost, stopped by a bar; a delayed one is an arrow with its time.
        set(mark.firstChild, 'd', link.cut ? 'M-14 0H2M-4 -5L2 0L-4 5M7 -9V9' : 'M-12 0H8M2 -5L8 0L2 5');
        set(mark.firstChild, 'transform', `rotate(${turn.toFixed(0)})`);
        set(mark.lastChild, 'y', -12);
        say(mark.lastChild, link.cut ? '' : `+${link.delay} ms`);
      },
    );
  }

  /** The point at `share` of the way, `aside` pixels to the right of it. */
  along(from, to, share, aside) {
    const [a, b] = [this.places[from], this.places[to]];
    const length = Math.hypot(b.x - a.x, b.y - a.y) || 1;
    return {
      x: a.x + (b.x - a.x) * share - ((b.y - a.y) / length) * aside,
      y: a.y + (b.y - a.y) * share + ((b.x - a.x) / length) * aside,
    };
  }

  drawNodes(world, group, rows, now, picked) {
    const voters = votersOf(world, group);
    const leader = leaderOf(world, group);
    keyed(
      this.nodes,
      rows,
      (row) => row.name,
      (row) => this.newNode(row.name),
      (g, { name, node, replica }) => {
        const { x, y } = this.places[name];
        const role = replica.role;
        const down = node.state === 'down';
        const away = !replica.known && !down;
        set(g, 'transform', `translate(${x.toFixed(1)} ${y.toFixed(1)})`);
        for (const [key, value] of Object.entries({
          role: away ? 'none' : role,
          state: node.state,
          term: replica.term,
          vote: replica.vote,
          votes: replica.votes.length,
          leads: leader?.name === name,
          picked: picked === name,
        }))
          set(g, `data-${key}`, value);
        set(g.parts.shape, 'd', SHAPES[role]);
        say(
          g.parts.letter,
          down
            ? '×'
            : away
              ? '–'
              : node.state === 'paused'
                ? 'II'
                : role === 'leader' && leader?.name !== name
                  ? 'L?'
                  : LETTERS[role],
        );
        const voted =
          replica.voteTerm === replica.term && replica.vote
            ? replica.vote === name
              ? 'voted for itself'
              : `voted for ${replica.vote}`
            : '';
        say(g.parts.facts, down ? 'down' : away ? 'no copy here' : `term ${replica.term}`);
        say(g.parts.vote, down || away ? '' : role === 'learner' ? 'learner, no vote' : voted);
        const counts = (role === 'candidate' || role === 'leader') && !down && replica.votes.length > 0;
        keyed(
          g.parts.pips,
          counts ? voters : [],
          (voter) => voter,
          () => s('circle', { class: 'pip', r: 4 }),
          (pip, voter) => {
            set(pip, 'cx', (voters.indexOf(voter) - (voters.length - 1) / 2) * 12);
            set(pip, 'cy', -ARC - 11);
            set(pip, 'data-got', replica.votes.includes(voter));
          },
        );
        this.drawArcs(g, world, node, replica, now);
        const state =
          role === 'leader' && !down && leader?.name !== name
            ? 'leader of an older term'
            : down
              ? 'down'
              : node.state === 'paused'
                ? `paused ${role}`
                : away
                  ? 'no copy of this group'
                  : role;
        set(
          g.button,
          'aria-label',
          `${name}: ${state}, term ${replica.term}${voted ? `, ${voted}` : ''}${counts ? `, ${replica.votes.length} of ${voters.length} votes received` : ''}`,
        );
        set(g.button, 'aria-pressed', picked === name ? 'true' : 'false');
      },
    );
  }

  newNode(name) {
    const parts = {
      track: s('path', { class: 'track', d: circle(ARC) }),
      timer: s('path', { class: 'timer' }),
      lease: s('path', { class: 'lease' }),
      shape: s('path', { class: 'shape' }),
      letter: s('text', { class: 'letter', y: 8 }),
      pips: s('g'),
      name: s('text', { class: 'name', y: ARC + 17 }, name),
      facts: s('text', { class: 'facts', y: ARC + 33 }),
      vote: s('text', { class: 'facts', y: ARC + 48 }),
    };
    const button = s('circle', {
      class: 'hit',
      r: ARC + 5,
      tabindex: 0,
      role: 'button',
      onkeydown: (event) => {
        if (event.key === 'Enter' || event.key === ' ') {
          event.preventDefault();
          event.stopPropagation();
          this.pick(name);
        }
      },
    });
    const g = s(
      'g',
      { class: 'node', 'data-node': name, onclick: () => this.pick(name) },
      s('circle', { class: 'halo', r: ARC + 5 }),
      s('g', { 'aria-hidden': 'true' }, ...Object.values(parts)),
      button,
    );
    Object.assign(g, { parts, button });
    return g;
  }

  drawArcs(g, world, node, replica, now) {
    const max = world.timings.election_max_ms ?? 1000;
    const waits =
      node.state === 'up' &&
      replica.known &&
      replica.heardAt &&
      (replica.role === 'follower' || replica.role === 'candidate');
    const waited = waits ? Math.min(1, Math.max(0, now - replica.heardAt) / max) : 0;
    const left =
      replica.role === 'leader' && node.state !== 'down'
        ? Math.max(0, replica.leaseUntil - now) / (world.timings.lease_ms || max)
        : 0;
    // Without motion an arc moves in quarters, and only then.
    const tidy = (share) => (this.still.matches ? Math.round(share * 4) / 4 : share);
    set(g.parts.timer, 'd', arc(ARC, tidy(waited)));
    set(g.parts.timer, 'data-late', waited * max > (world.timings.election_min_ms ?? max) ? 'true' : null);
    set(g.parts.lease, 'd', arc(ARC, tidy(Math.min(1, left))));
    set(g, 'data-lease', left > 0 ? 'true' : null);
  }

  drawDots(world, group, now) {
    const flying = world.messages
      .filter(
        (message) =>
          message.group === group &&
          message.start <= now &&
          now < message.end + (message.lost ? FLIGHT_MS : 0) &&
          this.places[message.from] &&
          this.places[message.to],
      )
      .slice(-DOTS);
    set(this.dots, 'data-flying', flying.length);
    this.pool.forEach((dot, i) => {
      const message = flying[i];
      set(dot, 'visibility', message ? null : 'hidden');
      if (!message) return;
      let share = Math.min(1, (now - message.start) / (message.end - message.start));
      if (message.lost) share = Math.min(0.5, share);
      if (this.still.matches) share = message.lost ? 0.5 : message.reply ? 0.65 : 0.35;
      const { x, y } = this.along(message.from, message.to, 0.12 + share * 0.76, 6);
      set(dot, 'd', message.lost ? 'M-6 -6L6 6M6 -6L-6 6' : (DOT_SHAPES[message.what] ?? DOT_SHAPES.append));
      set(dot, 'transform', `translate(${x.toFixed(1)} ${y.toFixed(1)})`);
      set(dot, 'data-what', message.what);
      set(dot, 'data-answer', message.reply ? (message.ok ? 'yes' : 'no') : null);
      set(dot, 'data-lost', message.lost);
    });
  }
}

/** The key to the drawing. */
export function legend() {
  const shape = (role) =>
    s(
      'svg',
      { class: 'key', viewBox: '-36 -36 72 72', 'aria-hidden': 'true' },
      s(
        'g',
        { class: 'node', 'data-role': role, 'data-state': 'up', 'data-leads': role === 'leader' },
        s('path', { class: 'shape', d: SHAPES[role] }),
        s('text', { class: 'letter', y: 9 }, LETTERS[role]),
      ),
    );
  const dot = (what, more = {}) =>
    s(
      'svg',
      { class: 'key', viewBox: '-12 -12 24 24', 'aria-hidden': 'true' },
      s('path', { class: 'dot', 'data-what': what, d: DOT_SHAPES[what], ...more }),
    );
  const ringArc = (name) =>
    s(
      'svg',
      { class: 'key', viewBox: '-44 -44 88 88', 'aria-hidden': 'true' },
      s(
        'g',
        { class: 'node' },
        s('path', { class: 'track', d: circle(ARC) }),
        s('path', { class: name, d: arc(ARC, 0.7) }),
      ),
    );
  const row = (drawing, text) => h('li', {}, drawing, h('span', {}, text));
  return h(
    'ul',
    { class: 'legend' },
    row(shape('leader'), 'leader: takes the writes'),
    row(shape('follower'), 'follower: copies the leader'),
    row(shape('candidate'), 'candidate: asks for votes'),
    row(shape('learner'), 'learner: copies, has no vote'),
    row(ringArc('timer'), 'time since it heard from a leader; amber: it may stand for leader any moment, full: at the latest'),
    row(ringArc('lease'), 'lease: the leader may answer reads alone'),
    row(dot('vote'), 'request for a vote'),
    row(dot('append'), 'log entries'),
    row(dot('heartbeat'), 'heartbeat'),
    row(dot('append', { 'data-answer': 'yes' }), 'answer yes (hollow)'),
    row(dot('snapshot'), 'snapshot'),
    row(dot('append', { 'data-lost': true, d: 'M-6 -6L6 6M6 -6L-6 6' }), 'lost on the way'),
  );
}
