// The client pane: writes and reads one point at the level that is chosen, and shows each answer beside the others, so
// that the levels can be compared. A stale answer is one older than a write that was acknowledged before the read began.

import { byId, h, keyed, say, set } from './dom.js';
import { post } from './net.js';

const ANSWERS = 8;
const LEVELS = ['one', 'quorum', 'all'];

export class Client {
  constructor(list) {
    this.list = list;
    this.answers = [];
    this.count = 0;
    this.form = byId('client');
    this.form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.ask(event.submitter?.value ?? 'read');
    });
  }

  get level() {
    return new FormData(this.form).get('level') ?? 'quorum';
  }

  async ask(op) {
    const levels = op === 'compare' ? LEVELS : [this.level];
    if (op === 'compare') op = 'read';
    for (const level of levels) {
      const request = {
        op,
        level,
        via: byId('via').value,
        key: Number(byId('key').value),
        ...(op === 'write' ? { value: byId('value').value } : {}),
      };
      const row = { n: ++this.count, request, state: 'waiting' };
      this.answers = [row, ...this.answers].slice(0, ANSWERS);
      this.draw();
      try {
        const got = await post('api/client', request);
        Object.assign(row, got, { state: got.ok === false ? 'failed' : 'done' });
      } catch (error) {
        Object.assign(row, { state: 'failed', error: error.message });
      }
      this.draw();
    }
    if (op === 'write') byId('value').value = `${byId('value').value.replace(/ ?\d*$/, '')} ${this.count + 1}`.trim();
  }

  /** Offers the nodes to talk to; `enabled` says whether the page looks at the present. */
  offer(names, enabled) {
    keyed(
      byId('via'),
      names,
      (name) => name,
      (name) => h('option', { value: name }, name),
      () => {},
    );
    for (const button of this.form.querySelectorAll('button')) set(button, 'disabled', !enabled);
  }

  draw() {
    keyed(
      this.list,
      this.answers,
      (row) => row.n,
      () => h('li', {}, h('span', { class: 'asked' }), h('strong'), h('small')),
      (li, row) => {
        const [asked, result, more] = li.children;
        const { op, level, via, value } = row.request;
        for (const [name, told] of Object.entries({
          op,
          level,
          state: row.state,
          ok: row.state === 'done',
          stale: row.stale === true,
          served: row.served_by,
        }))
          set(li, `data-${name}`, told);
        say(asked, `${op} at ${level.toUpperCase()} via ${via}`);
        if (row.state === 'waiting') say(result, '…');
        else if (row.state === 'failed') say(result, 'no answer');
        else
          say(
            result,
            op === 'write'
              ? `wrote "${value}"`
              : row.value === null || row.value === undefined
                ? 'nothing there'
                : `"${row.value}"`,
          );
        const by = row.served_by ? `answered by ${row.served_by}${row.role ? `, ${row.role}` : ''}` : '';
        const took = row.took_ms === undefined ? '' : `${Math.round(row.took_ms)} ms`;
        say(
          more,
          row.state === 'failed'
            ? (row.error ?? '')
            : [row.stale ? 'STALE: a newer write was acknowledged before this read' : '', by, took]
                .filter(Boolean)
                .join(' · '),
        );
      },
    );
  }
}
