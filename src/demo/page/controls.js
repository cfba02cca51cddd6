// What can be done to the chosen node and its links. Knows which command makes sense when; what it does is told by the
// events that follow, not by this pane.

import { byId, h, keyed, say, set } from './dom.js';
import { replicas } from './model.js';
import { post } from './net.js';

/** Commands by what they need: `state` the node is in, and whether they are about one group. */
const COMMANDS = [
  {
    does: 'kill',
    label: 'Kill',
    title: 'end the process at once, like a power cut',
    when: (node) => node.state !== 'down',
  },
  { does: 'restart', label: 'Restart', title: 'start it again on the same disk', when: () => true },
  { does: 'pause', label: 'Pause', title: 'freeze the process', when: (node) => node.state === 'up' },
  { does: 'resume', label: 'Resume', title: 'thaw the process', when: (node) => node.state === 'paused' },
  { does: 'isolate', label: 'Isolate', title: 'cut all of its links', when: (node) => node.state !== 'down' },
  { does: 'rejoin', label: 'Reconnect', title: 'mend all of its links', when: (node) => node.state !== 'down' },
  {
    does: 'step-down',
    label: 'Step down',
    title: 'ask the leader to hand over',
    group: true,
    when: (node, replica) => node.state === 'up' && replica.role === 'leader',
  },
  {
    does: 'campaign',
    label: 'Campaign',
    title: 'stand for leader now',
    group: true,
    when: (node, replica) => node.state === 'up' && replica.role !== 'leader' && replica.role !== 'learner',
  },
  { does: 'wipe', label: 'Wipe disk', title: 'lose all it has written', danger: true, when: () => true },
];

/** A delay that can be seen, and yet there and back within a heartbeat: a slow link, not a lost one. */
const delayOf = ({ heartbeat_ms: beat = 400 }) => Math.max(10, Math.round(beat / 40) * 10);

export class Controls {
  /** `tell(text, isError)` shows what came of a command. */
  constructor(parent, tell) {
    this.tell = tell;
    this.facts = h('dl', { class: 'facts' });
    this.buttons = h('div', { class: 'buttons' });
    this.links = h('tbody');
    for (const command of COMMANDS) {
      this.buttons.append(
        h(
          'button',
          {
            type: 'button',
            'data-do': command.does,
            title: command.title,
            class: command.danger ? 'danger' : null,
            onclick: () =>
              this.run(`api/nodes/${this.name}/${command.does}`, command.group ? { group: this.group } : {}),
          },
          command.label,
        ),
      );
    }
    const columns = h(
      'tr',
      {},
      h('th', { scope: 'col' }, 'link'),
      h('th', { scope: 'col' }, 'to it'),
      h('th', { scope: 'col' }, 'from it'),
      h('th', { scope: 'col' }, 'delay'),
    );
    this.table = h('table', { class: 'links' }, h('thead', {}, columns), this.links);
    parent.append(
      this.facts,
      this.buttons,
      this.table,
      h(
        'div',
        { class: 'buttons' },
        h('button', { type: 'button', id: 'heal', onclick: () => this.run('api/heal', {}) }, 'Mend all links'),
      ),
    );
  }

  async run(path, body) {
    try {
      const done = await post(path, body);
      this.tell(done?.done ?? 'Done.', false);
    } catch (error) {
      this.tell(error.message, true);
    }
  }

  draw(world, group, name, enabled) {
    Object.assign(this, { group, name, delayMs: delayOf(world.timings) });
    const row = replicas(world, group).find((candidate) => candidate.name === name);
    if (!row) return;
    const { node, replica } = row;
    say(byId('picked-name'), name);
    const facts = [
      ['state', node.state],
      ['role', replica.known ? replica.role : 'no copy'],
      ['term', replica.term],
      ['knows as leader', replica.leader ?? 'nobody'],
      ['log ends at', replica.lastLog],
      ['committed up to', replica.committed],
      ['carried out up to', replica.applied],
      ['snapshot up to', replica.snapshot || 'none'],
    ];
    keyed(
      this.facts,
      facts,
      ([key]) => key,
      ([key]) => h('div', {}, h('dt', {}, key), h('dd')),
      (element, [, value]) => say(element.lastChild, String(value)),
    );
    COMMANDS.forEach((command, i) =>
      set(this.buttons.children[i], 'disabled', !enabled || !command.when(node, replica)),
    );
    const others = world.order.filter((other) => other !== name);
    keyed(
      this.links,
      others,
      (other) => other,
      () => h('tr', {}, h('th', { scope: 'row' }), h('td'), h('td'), h('td')),
      (tr, other) => {
        say(tr.children[0], other);
        this.toggle(tr.children[1], world, name, other, enabled);
        this.toggle(tr.children[2], world, other, name, enabled);
        this.delay(tr.children[3], world, name, other, enabled);
      },
    );
  }

  toggle(td, world, from, to, enabled) {
    const cut = !!world.links[`${from}>${to}`]?.cut;
    const button = this.button(td, cut, enabled, { from, to, cut: !cut, both: false, delay_ms: 0 });
    set(button, 'aria-label', `${cut ? 'Mend' : 'Cut'} ${from} to ${to}`);
    set(button, 'data-toggle', `${from}>${to}`);
    say(button, cut ? 'mend' : 'cut');
  }

  delay(td, world, from, to, enabled) {
    const slow = (world.links[`${from}>${to}`]?.delay ?? 0) > 0;
    const wish = { from, to, cut: false, both: true, delay_ms: slow ? 0 : this.delayMs };
    const button = this.button(td, slow, enabled, wish);
    const what = slow ? 'Take away the delay' : `Delay by ${this.delayMs} ms`;
    set(button, 'aria-label', `${what} between ${from} and ${to}`);
    say(button, slow ? 'none' : `+${this.delayMs} ms`);
  }

  /** The button of a cell, made once; pressed, it asks for the link `wish` as it was drawn last. */
  button(td, isOn, enabled, wish) {
    const button =
      td.firstChild ??
      td.appendChild(h('button', { type: 'button', onclick: () => this.run('api/links', button.wish) }));
    button.wish = wish;
    set(button, 'aria-pressed', isOn ? 'true' : 'false');
    set(button, 'disabled', !enabled);
    return button;
  }
}
