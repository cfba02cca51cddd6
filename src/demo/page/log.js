// Draws the logs: a row for each node, a cell for each index, the term as colour and number. A dashed cell is only
// written, a full one is committed, a bar below means carried out, a struck one was cut off.

import { h, keyed, say, set } from './dom.js';
import { GHOST_MS, leaderOf, logEnd, replicas } from './model.js';

/** Columns shown at most and at least; the newest entries of the longest log. */
const MOST = 24;
const LEAST = 6;
/** Pixels of the nodes' names, of a column, and of each digit of its number beyond three. */
const [NAME, COLUMN, DIGIT] = [96, 27, 7];

export class LogGrid {
  constructor(parent) {
    this.head = h('tr');
    this.body = h('tbody');
    this.width = parent.clientWidth;
    new ResizeObserver(([{ contentRect }]) => {
      this.width = contentRect.width;
    }).observe(parent);
    parent.append(h('table', { class: 'log' }, h('thead', {}, this.head), this.body));
  }

  draw(world, group) {
    // Only nodes that hold a copy of the group have a log of it.
    const rows = replicas(world, group).filter(({ node, replica }) => replica.known || node.state !== 'up');
    const ends = rows.map(({ replica }) =>
      Math.max(
        replica.lastLog,
        logEnd(replica.log),
        ...replica.ghosts.filter((g) => g.until > world.at).map((g) => g.index),
      ),
    );
    const last = Math.max(1, ...ends);
    const column = COLUMN + DIGIT * Math.max(0, String(last).length - 3);
    const columns = Math.min(MOST, Math.max(LEAST, Math.floor((this.width - NAME) / column)));
    // A group's first membership is its entry 0, on nodes that were there from the beginning.
    const lowest = rows.some(({ replica }) => replica.log.terms.length && replica.log.base === 0) ? 0 : 1;
    const first = Math.max(lowest, last - columns + 1);
    const indexes = Array.from({ length: Math.min(columns, last - first + 1) }, (_, i) => first + i);
    // Columns are reused by position, so a growing log makes no new elements.
    keyed(
      this.head,
      ['entry', ...indexes.map((_, i) => i)],
      (key) => key,
      (key) => h('th', { scope: 'col' }, key === 'entry' ? 'entry' : ''),
      (cell, key) => {
        if (key !== 'entry') say(cell, String(indexes[key]));
      },
    );
    const leader = leaderOf(world, group)?.name;
    keyed(
      this.body,
      rows,
      (row) => row.name,
      (row) => h('tr', { 'data-log': row.name }, h('th', { scope: 'row' })),
      (tr, row) => {
        const { replica, node, name } = row;
        set(tr, 'data-state', node.state);
        set(tr, 'data-last', replica.lastLog);
        set(tr, 'data-committed', replica.committed);
        set(tr, 'data-applied', replica.applied);
        say(tr.firstChild, name === leader ? `${name} (L)` : name);
        for (let i = tr.children.length - 1; i > indexes.length; i--) tr.lastChild.remove();
        indexes.forEach((index, i) => {
          const td = tr.children[i + 1] ?? tr.appendChild(h('td'));
          this.cell(td, replica, index, world.at);
        });
      },
    );
    return { first, last };
  }

  cell(td, replica, index, now) {
    const term = replica.log.terms[index - replica.log.base];
    const ghost = replica.ghosts.find((gone) => gone.index === index && gone.until > now);
    const end = Math.max(replica.lastLog, logEnd(replica.log));
    // Another entry stands there within milliseconds; the one cut off is shown long enough to be seen.
    const isGone = ghost && (term === undefined || now < ghost.until - GHOST_MS / 2);
    const mark = isGone
      ? 'truncated'
      : index > end
        ? 'none'
        : term === undefined
          ? index > 0 && index <= Math.max(replica.purged, replica.snapshot)
            ? 'snapshot'
            : 'unknown'
          : index <= replica.applied
            ? 'applied'
            : index <= replica.committed
              ? 'committed'
              : 'written';
    set(td, 'data-index', index);
    set(td, 'data-mark', mark);
    const shown = isGone ? ghost.term : term;
    set(td, 'data-term', shown);
    set(td, 'data-hue', shown === undefined ? null : shown % 6);
    set(td, 'data-mended', !isGone && !!ghost);
    say(td, { none: '', snapshot: 's', unknown: '·' }[mark] ?? String(shown));
    set(
      td,
      'title',
      mark === 'none'
        ? null
        : ({ snapshot: `entry ${index}: in a snapshot`, unknown: `entry ${index}: not told yet` }[mark] ??
            `entry ${index}, term ${shown}: ${mark}`),
    );
  }
}

export function logLegend() {
  const key = (mark, text, label) =>
    h(
      'li',
      {},
      h(
        'span',
        { class: 'cell', 'data-mark': mark, 'data-hue': mark === 'snapshot' ? null : 2, 'aria-hidden': 'true' },
        text,
      ),
      h('span', {}, label),
    );
  return h(
    'ul',
    { class: 'legend' },
    key('written', '2', 'written, not committed'),
    key('committed', '2', 'committed: on a majority'),
    key('applied', '2', 'carried out'),
    key('truncated', '2', 'cut off'),
    key('snapshot', 's', 'in a snapshot'),
    h('li', {}, h('span', {}, 'number and colour: the term it was written in')),
  );
}
