// The page's only door to the supervisor: its state, its event stream, its commands. Answers plain objects; every
// failure becomes an Error whose text can be shown.

import { FLEETING } from './history.js';

async function answer(response) {
  const text = await response.text();
  let body = null;
  try {
    body = text ? JSON.parse(text) : null;
  } catch {
    body = { error: text.slice(0, 200) };
  }
  if (!response.ok) {
    const error = body?.error ?? body?.status?.error ?? `the demo answered ${response.status}`;
    throw new Error(typeof error === 'string' ? error : JSON.stringify(error));
  }
  return body;
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error('the demo does not answer: is it still running?');
  }
  return answer(response);
}

export const get = (path) => ask(path);
export const post = (path, body = {}) =>
  ask(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });

/**
 * Follows the events: `take(event)` for each, `told(connected)` when the line comes or goes, `gap(missed)` where some were
 * lost. The browser resumes by itself. Returns what ends it.
 */
export function follow(take, told, gap) {
  let source;
  let again;
  const open = () => {
    source = new EventSource('api/events');
    source.onopen = () => told(true);
    source.onerror = () => {
      told(false);
      // A browser gives up on a stream that was refused; the demo may only be restarting.
      if (source.readyState === EventSource.CLOSED) again = setTimeout(open, 2000);
    };
    source.onmessage = ({ data }) => take(JSON.parse(data));
    source.addEventListener('gap', ({ data }) => gap(JSON.parse(data).missed ?? 0));
  };
  open();
  return () => {
    clearTimeout(again);
    source.close();
  };
}

/** Reads a recording, one JSON a line: `{state, events, cut}`. A first line without `kind` tells about the rest. */
export function readRecording(text) {
  let [state, cut] = [{}, 0];
  const events = [];
  for (const line of text.split('\n')) {
    if (!line.trim()) continue;
    let read;
    try {
      read = JSON.parse(line);
    } catch {
      cut++;
      continue;
    }
    if (typeof read.kind === 'string') events.push(read);
    else {
      state = read.state ?? state;
      cut += typeof read.cut === 'number' ? read.cut : 0;
    }
  }
  if (!events.length) throw new Error('that file holds no events of a demo');
  return { state, events, cut };
}

/** Events of the past that a page takes in when it opens, so that it can tell how it came to this; the last ones whole. */
const PAST = 12_000;
const WHOLE_PAST = 3000;

/** Reads what happened before the page was there, as a recording; an empty one where that cannot be had. */
export async function readPast() {
  try {
    const { state, events, cut } = readRecording(await (await fetch('api/recording')).text());
    const worth = events.filter(({ kind }, i) => i >= events.length - WHOLE_PAST || !FLEETING.has(kind));
    return { state, events: worth.slice(-PAST), cut: cut + Math.max(0, worth.length - PAST) };
  } catch {
    return { state: null, events: [], cut: 1 };
  }
}

/**
 * Joins the past with what was heard while it was read. What is heard begins with a status for each group, as of the
 * number they carry; then both tell the same events, and each is taken once.
 */
export function joinPast(past, heard) {
  const now = heard[0]?.seq ?? Infinity;
  const read = past.at(-1)?.seq ?? 0;
  return [
    ...past.filter((event) => event.seq <= now),
    ...heard.filter((event) => event.seq <= now),
    ...past.filter((event) => event.seq > now),
    ...heard.filter((event) => event.seq > Math.max(now, read)),
  ];
}
