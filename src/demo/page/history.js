// The events so far, so that the page can go back. Bounded: old chunks lose their heartbeats and are joined, so that few
// hold a long quiet time, then go altogether. Each chunk starts with a copy of the world, so any moment is at most one chunk
// of events away. Pure but for that memory.

import { apply, newWorld } from './model.js';

const CHUNK = 400;
const FULL_CHUNKS = 10;
const CHUNKS = 60;
/** Kinds that come with every heartbeat, and that an old past can do without. */
export const FLEETING = new Set(['append_sent', 'append_acked', 'lease_granted', 'status', 'read', 'message_lost']);

export class History {
  constructor(state) {
    this.live = newWorld(state);
    this.chunks = [];
    this.time = 0;
    this.count = 0;
  }

  /** Takes one event into the live world. `t`, the place on the timeline, never goes back, unlike the nodes' `at`. */
  push(event) {
    let chunk = this.chunks.at(-1);
    if (!chunk || chunk.taken >= CHUNK) chunk = this.open(event);
    this.time = Math.max(this.time, event.at ?? 0);
    event.t = this.time;
    event.n = ++this.count;
    chunk.events.push(event);
    chunk.taken++;
    apply(this.live, event);
    return event;
  }

  open(event) {
    const chunk = {
      id: (this.chunks.at(-1)?.id ?? 0) + 1,
      t: Math.max(this.time, event.at ?? 0),
      start: structuredClone(this.live),
      events: [],
      taken: 0,
    };
    this.chunks.push(chunk);
    this.thin(this.chunks.length - 1 - FULL_CHUNKS);
    if (this.chunks.length > CHUNKS) this.chunks.shift();
    return chunk;
  }

  /** Takes what is fleeting out of the chunk at `i`, and joins it with the one before where both together are small. */
  thin(i) {
    const old = this.chunks[i];
    if (!old) return;
    old.events = old.events.filter(({ kind }) => !FLEETING.has(kind));
    const before = this.chunks[i - 1];
    if (!before || before.events.length + old.events.length > CHUNK) return;
    before.events.push(...old.events);
    this.chunks.splice(i, 1);
  }

  /** First and last place on the timeline. */
  get range() {
    return { first: this.chunks[0]?.t ?? 0, last: this.time };
  }

  /** All events still known from `from` to `to`, oldest first. */
  *events(from = 0, to = Infinity) {
    for (let i = 0; i < this.chunks.length; i++) {
      if ((this.chunks[i + 1]?.t ?? Infinity) < from) continue;
      for (const event of this.chunks[i].events) if (event.t >= from && event.t <= to) yield event;
    }
  }

  /** The world as it was at `t`. Going forward from the last question is cheap, so playing is. */
  worldAt(t) {
    const chunk = this.chunks.findLast((candidate) => candidate.t <= t) ?? this.chunks[0];
    if (!chunk) return this.live;
    const cursor = this.cursor;
    const ahead = cursor && t >= cursor.t && cursor.chunk === chunk.id;
    if (!ahead) this.cursor = { chunk: chunk.id, world: structuredClone(chunk.start), n: 0, t: 0 };
    for (const event of chunk.events) {
      if (event.t > t) break;
      if (event.n > this.cursor.n) {
        apply(this.cursor.world, event);
        this.cursor.n = event.n;
      }
    }
    this.cursor.t = t;
    return this.cursor.world;
  }
}
