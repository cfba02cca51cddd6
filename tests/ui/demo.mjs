// Starts what the check looks at: the real demo, or the stand-in; and asks its nodes directly, past the page.

import { spawn } from 'node:child_process';
import { mock } from './mock.mjs';

const START_MS = 120_000;

/** Starts `quiver demo` on a free port: `{url, pid, stop}`. */
export function startDemo(binary, args = []) {
  const child = spawn(binary, ['demo', '--port', '0', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => {
      child.kill('SIGTERM');
      reject(new Error(`the demo did not say its address in ${START_MS} ms; it said: ${said}`));
    }, START_MS);
    const listen = (part) => {
      said += part;
      const found = said.match(/http:\/\/127\.0\.0\.1:\d+/) ?? said.match(/http:\/\/localhost:\d+/);
      if (!found) return;
      clearTimeout(late);
      resolve({
        url: found[0],
        pid: child.pid,
        stop: () =>
          new Promise((ended) => {
            child.once('exit', ended);
            child.kill('SIGTERM');
            setTimeout(() => child.kill('SIGKILL'), 15_000).unref();
          }),
      });
    };
    child.stdout.on('data', listen);
    child.stderr.on('data', (part) => {
      said += part;
      // Nothing is expected there while it runs, so it is worth seeing.
      process.stderr.write(part);
    });
    child.once('exit', (code) => {
      clearTimeout(late);
      reject(new Error(`the demo ended with ${code}; it said: ${said}`));
    });
  });
}

export async function startMock() {
  const { url, close } = await mock();
  return { url, stop: async () => close() };
}

export async function json(url, options) {
  const response = await fetch(url, { signal: AbortSignal.timeout(10_000), ...options });
  const body = await response.json();
  if (!response.ok) throw new Error(`${url}: ${response.status} ${JSON.stringify(body)}`);
  return body;
}

export const post = (url, body = {}) =>
  json(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });

/** Tries until `check()` returns something true, and returns it; throws the last error, or `what`, after `ms`. */
export async function eventually(what, ms, check) {
  const end = Date.now() + ms;
  let last;
  do {
    try {
      const got = await check();
      if (got) return got;
      last = undefined;
    } catch (error) {
      last = error;
    }
    await new Promise((wake) => setTimeout(wake, 150));
  } while (Date.now() < end);
  throw new Error(`${what}${last ? `: ${last.message}` : ''} (waited ${ms / 1000} s)`);
}

/** Who leads a group of shards, asked from the nodes themselves: the leader of the highest term, or null. */
export async function leaderByNodes(base, group) {
  const { nodes } = await json(`${base}/api/state`);
  const told = await Promise.all(
    nodes
      .filter((node) => node.state === 'up')
      .map(async ({ name, url }) => {
        const { shards } = await json(`${url}/shards`);
        return shards
          .filter((row) => row.group === group && row.role === 'leader')
          .map((row) => ({ name, term: row.term }));
      }),
  );
  return told.flat().sort((a, b) => b.term - a.term)[0] ?? null;
}
