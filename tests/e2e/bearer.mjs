// Preloaded into a program that has no option for a token (NODE_OPTIONS=--import): every request that it sends,
// by whichever of Node's ways, carries `Authorization: Bearer $BEARER`.

import http from "node:http";
import { createRequire } from "node:module";

// The program's own undici: it shares its dispatcher with Node's `fetch`.
const { getGlobalDispatcher, setGlobalDispatcher } = createRequire(process.argv[1])("undici");

const authorization = `Bearer ${process.env.BEARER}`;
const request = http.request;

http.request = (options, callback) =>
  request({ ...options, headers: { ...options.headers, authorization } }, callback);

setGlobalDispatcher(
  getGlobalDispatcher().compose((dispatch) => (options, handler) => {
    const { headers } = options;
    const all = Array.isArray(headers) ? [...headers, "authorization", authorization] : { ...headers, authorization };
    return dispatch({ ...options, headers: all }, handler);
  }),
);
