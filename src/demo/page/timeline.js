// The timeline: marks where something happened, a slider to go back, and play. Says where the page looks; draws nothing else.

import { byId, say, set, s } from './dom.js';
import { HEADLINE, STORY, explain, weightOf } from './explain.js';

/** Marks drawn; each stands for the weightiest event of its share of the time. */
const MARKS = 160;
const MARKS_EVERY_MS = 400;

export class Timeline {
  constructor(history) {
    this.history = history;
    this.slider = byId('slider');
    this.follow = true;
    this.playing = false;
    this.at = 0;
    this.drawnAt = null;
    this.svg = byId('marks');
    this.bars = Array.from({ length: MARKS }, (_, i) =>
      this.svg.appendChild(s('rect', { class: 'mark', x: i * 5 + 1, width: 3, y: 14, height: 0 })),
    );
    set(this.svg, 'viewBox', `0 0 ${MARKS * 5} 28`);
    this.slider.addEventListener('input', () => this.look(this.fromSlider(), false));
    byId('play').addEventListener('click', () => this.toggle());
    byId('live').addEventListener('click', () => this.goLive());
    byId('back').addEventListener('click', () => this.step(-1));
    byId('forward').addEventListener('click', () => this.step(1));
  }

  fromSlider() {
    const { first, last } = this.history.range;
    return first + ((last - first) * Number(this.slider.value)) / Number(this.slider.max);
  }

  /** Looks at the moment `t`. */
  look(t, playing) {
    const { first, last } = this.history.range;
    this.follow = false;
    this.at = Math.min(Math.max(t, first), last);
    this.playing = playing;
  }

  goLive() {
    this.follow = !this.ended;
    this.playing = false;
    if (this.ended) this.look(this.history.range.last, false);
  }

  toggle() {
    const { first, last } = this.history.range;
    if (this.follow) this.look(last, false);
    else if (this.playing) this.playing = false;
    else this.look(this.at >= last && this.ended ? first : this.at, true);
  }

  /** Whether an event is about the group in view, or about no group. */
  concerns(event) {
    return event.group === undefined || event.group === this.group;
  }

  /** Goes to the next event worth telling, forwards (1) or back (-1). */
  step(way) {
    const here = this.follow ? this.history.range.last : this.at;
    const worth = (event) => this.concerns(event) && weightOf(event) >= STORY;
    let found = null;
    for (const event of this.history.events()) {
      if (!worth(event)) continue;
      if (way < 0 && event.t < here) found = event.t;
      if (way > 0 && event.t > here) {
        found = event.t;
        break;
      }
    }
    if (found !== null) this.look(found, false);
    else if (way > 0) this.goLive();
  }

  /** Moves on by `ms` of real time where it plays. */
  tick(ms) {
    if (!this.playing) return;
    this.at += ms;
    if (this.at >= this.history.range.last) {
      this.playing = false;
      this.at = this.history.range.last;
      if (!this.ended) this.goLive();
    }
  }

  draw() {
    const { first, last } = this.history.range;
    const length = Math.max(1, last - first);
    const share = this.follow ? 1 : (this.at - first) / length;
    if (document.activeElement !== this.slider || this.follow || this.playing)
      this.slider.value = String(Math.round(share * Number(this.slider.max)));
    const ago = this.follow ? 0 : (last - this.at) / 1000;
    const words = this.follow
      ? 'live'
      : this.ended
        ? `${((this.at - first) / 1000).toFixed(1)} s of ${(length / 1000).toFixed(1)} s`
        : `${ago.toFixed(1)} s ago`;
    set(this.slider, 'aria-valuetext', words);
    say(byId('when'), words);
    say(byId('play'), this.follow ? 'Pause' : this.playing ? 'Pause' : 'Play');
    set(byId('live'), 'aria-pressed', this.follow ? 'true' : 'false');
    set(document.body, 'data-live', this.follow ? 'live' : this.playing ? 'playing' : 'paused');
    const now = performance.now();
    if (this.drawnAt !== null && (this.drawnFor === this.history.count || now - this.drawnAt < MARKS_EVERY_MS)) return;
    Object.assign(this, { drawnFor: this.history.count, drawnAt: now });
    const best = new Array(MARKS).fill(null);
    for (const event of this.history.events()) {
      if (!this.concerns(event) || weightOf(event) < STORY) continue;
      const words = explain(event);
      const slot = Math.min(MARKS - 1, Math.floor(((event.t - first) / length) * MARKS));
      if (!best[slot] || words.weight > best[slot].weight) best[slot] = words;
    }
    this.bars.forEach((bar, i) => {
      const height = best[i] ? (best[i].weight >= HEADLINE ? 22 : 10) : 0;
      set(bar, 'height', height);
      set(bar, 'y', 14 - height / 2);
      set(bar, 'data-tone', best[i]?.tone ?? null);
    });
  }
}
