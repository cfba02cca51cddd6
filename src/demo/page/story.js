// The explain panel: what happened, newest first, a sentence for each event. Keeps a fixed number of lines.

import { h, keyed, say, set } from './dom.js';
import { DETAIL, ROUTINE, STORY, explain, weightOf } from './explain.js';

const LINES = 40;
/** Kinds told in one sentence where they differ in one member alone, and how many lines and ms apart they may be. */
const MERGED = {
  vote_asked: 'to',
  link_cut: 'to',
  link_healed: 'to',
  link_delayed: 'to',
  membership: 'node',
  committed: 'node',
  applied: 'node',
  purged: 'node',
};
const MERGE_REACH = 12;
const MERGE_MS = 1500;

/** What two events must have in common to be told together. */
const gist = (event) => JSON.stringify({ ...event, [MERGED[event.kind]]: 0, at: 0, seq: 0, t: 0, n: 0 });

export class Story {
  constructor(parent, detail) {
    this.list = h('ol', { class: 'story' });
    this.empty = h('p', { class: 'quiet' }, 'Nothing yet. Start a lesson, or choose a node and kill it.');
    this.detail = detail;
    parent.append(this.list, this.empty);
    detail.addEventListener('change', () => {
      this.drawnFor = null;
    });
  }

  /** The least weight that is told. */
  get least() {
    return { story: STORY, detail: DETAIL, all: ROUTINE }[this.detail.value] ?? STORY;
  }

  /** Tells the events up to `t` that concern `group` or no group. */
  draw(history, group, t) {
    const key = `${group}:${this.least}:${t === Infinity ? history.count : t}`;
    if (key === this.drawnFor) return;
    this.drawnFor = key;
    const told = [];
    for (let c = history.chunks.length - 1; c >= 0 && told.length < LINES; c--) {
      const { events } = history.chunks[c];
      for (let i = events.length - 1; i >= 0 && told.length < LINES; i--) {
        const event = events[i];
        if (event.t > t || (event.group !== undefined && event.group !== group)) continue;
        if (weightOf(event) < this.least) continue;
        const member = MERGED[event.kind];
        const key = member && gist(event);
        const same =
          member && told.slice(-MERGE_REACH).find((line) => line.key === key && line.event.at - event.at < MERGE_MS);
        if (same)
          Object.assign(same, {
            n: event.n,
            event: { ...same.event, at: event.at, [member]: [...new Set([event[member], same.event[member]].flat())] },
          });
        else told.push({ n: event.n, event, key });
      }
    }
    this.empty.hidden = told.length > 0;
    for (const line of told) line.words = explain(line.event);
    keyed(
      this.list,
      told,
      ({ n }) => n,
      () => h('li', {}, h('time'), h('span'), h('small')),
      (li, { event, words }) => {
        if (li.told === words.say) return;
        li.told = words.say;
        for (const [name, value] of Object.entries({
          kind: event.kind,
          seq: event.seq,
          tone: words.tone,
          weight: words.weight,
          section: words.section || null,
        }))
          set(li, `data-${name}`, value);
        const [time, sentence, section] = li.children;
        say(time, clock(event.at));
        say(sentence, words.say);
        say(section, words.section ? `§${words.section}` : '');
      },
    );
  }
}

/** Minutes, seconds and milliseconds of a moment: enough to see what came first. */
export function clock(at) {
  const date = new Date(at);
  const two = (number) => String(number).padStart(2, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}
