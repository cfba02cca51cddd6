// Shows the page of the working tree in front of a demo that runs, so that a change to the page needs no build.
// Run: node tests/ui/serve.mjs http://127.0.0.1:8080 [PORT]

import { createServer, request as ask } from 'node:http';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const pages = ['demo', 'console'].map((room) => fileURLToPath(new URL(`../../src/${room}/page/`, import.meta.url)));
const types = { html: 'text/html', js: 'text/javascript', css: 'text/css' };

/** Where the file is that a path means, or undefined. */
function asset(path) {
  const name =
    { '/': 'index.html', '/console': 'console.html' }[path] ?? path.match(/^\/(?:app|console)\/([\w.]+)$/)?.[1];
  return name && pages.map((page) => join(page, name)).find(existsSync);
}

/** Answers with a file of the page where the path means one, and says whether it did. */
export function serveAsset(path, response) {
  const file = asset(path);
  if (!file) return false;
  response.setHeader('content-type', types[file.split('.').at(-1)]);
  response.end(readFileSync(file));
  return true;
}

export function serve(base, port = 0) {
  const { hostname, port: theirs } = new URL(base);
  const server = createServer((request, response) => {
    if (serveAsset(new URL(request.url, base).pathname, response)) return;
    const headers = { ...request.headers, host: `${hostname}:${theirs}` };
    delete headers.origin;
    const there = ask({ hostname, port: theirs, path: request.url, method: request.method, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    there.on('error', () => {
      response.statusCode = 502;
      response.end();
    });
    response.on('close', () => there.destroy());
    request.pipe(there);
  });
  return new Promise((resolve) =>
    server.listen(port, '127.0.0.1', () =>
      resolve({
        url: `http://127.0.0.1:${server.address().port}`,
        close: () => {
          server.closeAllConnections();
          server.close();
        },
      }),
    ),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  console.log((await serve(process.argv[2], Number(process.argv[3] ?? 0))).url);
