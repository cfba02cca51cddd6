// The page's only door to the supervisor: its state, its event stream, its commands. Answers plain objects; every
// failure becomes an Error whose text can be shown.

/** Events of the past that a page asks for when it opens, so that a reload does not lose the story. */
const PAST = 4000;

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
    source = new EventSource(`api/events?past=${PAST}`);
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
