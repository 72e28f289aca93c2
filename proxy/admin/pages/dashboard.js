// The dashboard: asks its own server what happened, and shows it. Whatever it is told was written by others:
// it becomes text nodes, never markup, and a link only where it is one of the web. It changes nothing.
"use strict";

const MOST_ROWS = 200;
const EVERY = 3000;
const RETRY = 2000;
const PROOF = "keystile-proof";

const DECISIONS = { allow: "allowed", deny: "refused", would_deny: "would be refused" };
const STATES = { ready: "Ready", degraded: "Degraded", unready: "Not ready" };

const byId = (id) => document.getElementById(id);

// --- Text ---------------------------------------------------------------------------------------------

// What is invisible or turns the direction of what follows is shown as what it is.
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb]/g;
const plain = (value) =>
  String(value).replace(HIDDEN, (char) => `\\u{${char.codePointAt(0).toString(16).padStart(4, "0")}}`);

const counted = new Intl.NumberFormat("en");
const count = (value) => counted.format(value ?? 0);
const many = (value, one, more = `${one}s`) => `${count(value)} ${value === 1 ? one : more}`;

function duration(seconds) {
  const steps = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  for (let at = 0; at < steps.length - 1; at += 1) {
    const [size, unit] = steps[at];
    const [below, smaller] = steps[at + 1];
    if (seconds >= size) {
      const rest = Math.floor((seconds % size) / below);
      return `${Math.floor(seconds / size)} ${unit}${rest ? ` ${rest} ${smaller}` : ""}`;
    }
  }
  return `${Math.max(0, Math.floor(seconds))} s`;
}

const pad = (value, width = 2) => String(value).padStart(width, "0");
const clock = (at, milliseconds = false) =>
  `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}${milliseconds ? `.${pad(at.getMilliseconds(), 3)}` : ""}`;
const day = (at) => `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;

function moment(text, milliseconds = false) {
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) return bdi(text);
  const today = day(at) === day(new Date());
  const shown = today ? clock(at, milliseconds) : `${day(at)} ${clock(at, milliseconds)}`;
  return el("time", { datetime: at.toISOString(), title: at.toISOString() }, shown);
}

// --- Elements -----------------------------------------------------------------------------------------

function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

// Text of others: its direction ends with it.
const bdi = (value, attributes = {}) => el("bdi", attributes, plain(value));

function cell(attributes, ...children) {
  return el("td", { role: "cell", ...attributes }, ...children);
}

function row(...cells) {
  return el("tr", { role: "row" }, ...cells);
}

function press(label, action, attributes = {}) {
  const button = el("button", { type: "button", class: "link", ...attributes }, label);
  button.addEventListener("click", action);
  return button;
}

// A reason may go on in the next row behind each of its words.
function reason(value) {
  return plain(value).split(/(?<=_)/).flatMap((word) => [word, el("wbr")]);
}

function trail(url) {
  // The server has left out what is no link of the web; this is the second look.
  if (!url || !/^https?:\/\//i.test(url)) return "";
  return el("a", { href: url, target: "_blank", rel: "noopener noreferrer", title: plain(url) }, "open", el("span", { "aria-hidden": "true" }, " ↗"));
}

// Rows stay the same elements while they say the same: a reader's place and the focus are not lost.
function fill(list, items, keyOf, make) {
  const before = new Map([...list.children].map((child) => [child.dataset.key, child]));
  const after = items.map((item) => {
    const key = keyOf(item);
    const said = JSON.stringify(item);
    const known = before.get(key);
    if (known?.dataset.said === said) return known;
    const made = make(item);
    made.dataset.key = key;
    made.dataset.said = said;
    if (known?.contains(document.activeElement)) refocus(known, made);
    return made;
  });
  if (after.length !== list.children.length || after.some((child, at) => list.children[at] !== child)) {
    const focused = document.activeElement;
    list.replaceChildren(...after);
    if (focused && list.contains(focused) && focused !== document.activeElement) focused.focus({ preventScroll: true });
  }
}

function refocus(known, made) {
  const at = [...known.querySelectorAll("a, button")].indexOf(document.activeElement);
  queueMicrotask(() => made.querySelectorAll("a, button")[at]?.focus({ preventScroll: true }));
}

// --- Asking the server --------------------------------------------------------------------------------

class SignInNeeded extends Error {}

function proof() {
  let value = localStorage.getItem(PROOF);
  if (!value) {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    value = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    localStorage.setItem(PROOF, value);
  }
  return value;
}

async function ask(path, options = {}) {
  const headers = { "Keystile-Proof": proof(), ...options.headers };
  const response = await fetch(path, { credentials: "same-origin", cache: "no-store", ...options, headers });
  if (response.status === 401) throw new SignInNeeded();
  return response;
}

let signedIn = null;

// Shows the form, and settles when the person has signed in.
function signIn() {
  if (signedIn === null) {
    byId("main").hidden = true;
    byId("controls").hidden = true;
    byId("facts").replaceChildren();
    byId("login").hidden = false;
    status("Signed out", "");
    byId("token").focus();
    let settle;
    const settled = new Promise((resolve) => { settle = resolve; });
    signedIn = { settled, settle };
  }
  return signedIn.settled;
}

byId("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const [field, problem] = [byId("token"), byId("login-problem")];
  problem.textContent = "";
  const headers = { Authorization: `Bearer ${field.value.trim()}` };
  field.value = "";
  try {
    const response = await ask("/login", { method: "POST", headers });
    if (!response.ok) throw new Error((await response.text()).trim());
  } catch (error) {
    problem.textContent = error instanceof SignInNeeded ? "That is not the token." : plain(error.message);
    field.focus();
    return;
  }
  byId("login").hidden = true;
  const { settle } = signedIn;
  signedIn = null;
  settle();
});

byId("sign-out").addEventListener("click", async () => {
  await ask("/logout", { method: "POST" });
  localStorage.removeItem(PROOF);
  location.reload();
});

// --- The bar, the figures -----------------------------------------------------------------------------

function status(word, state) {
  byId("status").dataset.state = state;
  if (byId("status-word").textContent !== word) byId("status-word").textContent = word;
}

function live(word, state) {
  byId("live").dataset.state = state;
  if (byId("live").textContent !== word) byId("live").textContent = word;
}

function pair(term, ...description) {
  return [el("dt", {}, term), el("dd", {}, ...description)];
}

function figure(term, value, more = "") {
  return el("div", {}, ...pair(term, value, more && el("small", {}, ` ${more}`)));
}

function showState(told) {
  byId("main").hidden = false;
  byId("controls").hidden = false;
  byId("sign-out").hidden = !told.asks_for_token;
  status(STATES[told.status] ?? told.status, told.status);
  const { configured, answering } = told.workers;
  byId("facts").replaceChildren(
    el("span", {}, plain(told.version)),
    el("span", {}, told.mode === "observe" ? "observing" : "enforcing"),
    el("span", {}, configured === 1 ? "1 worker" : `${answering} of ${configured} workers`),
    ...(told.uptime_seconds === null ? [] : [el("span", {}, `up ${duration(told.uptime_seconds)}`)]),
  );
  byId("observe").hidden = told.mode !== "observe";
  byId("problems").hidden = told.problems.length === 0;
  fill(byId("problems"), told.problems, (text) => text, (text) => el("li", {}, plain(text)));
  showFigures(told);
  fill(byId("refusals"), told.refusals, (one) => JSON.stringify([one.reason, one.decision, one.agent, one.what]), refusalItem);
  fill(body("agents"), told.agents, (one) => JSON.stringify([one.issuer, one.agent_id]), agentRow);
  fill(body("tools"), told.tools, (one) => JSON.stringify([one.kind, one.name]), toolRow);
  fill(body("keys"), told.keys.map(rounded), (one) => one.issuer, keyRow);
  showProcess(told);
}

const body = (id) => byId(id).tBodies[0];

function showFigures(told) {
  const recent = told.recent;
  const since = recent.since === null ? "" : `since ${clock(new Date(recent.since))}`;
  byId("figures").replaceChildren(
    figure("Requests", count(recent.calls), since),
    figure("Refused", count(recent.denied), recent.untold ? `and ${count(recent.untold)} untold` : ""),
    ...(told.mode === "observe" || recent.would_deny ? [figure("Would be refused", count(recent.would_deny))] : []),
    figure("Failed", count(recent.failed)),
    figure("Agents", count(told.agents.filter((one) => one.agent_id !== null).length)),
    figure("Connections", count(told.connections)),
    figure("Streams", count(told.streams)),
  );
}

function agentCell(agent, name, attributes = {}) {
  if (agent === null || agent === undefined) return cell({ class: "who quiet", ...attributes }, "no verified agent");
  const asked = () => askAbout({ agent });
  const title = "Ask the log about this agent";
  if (!name) return cell({ class: "who", ...attributes }, press(bdi(agent, { class: "mono" }), asked, { title }));
  return cell({ class: "who", ...attributes }, press(bdi(name, { class: "name" }), asked, { title }), bdi(agent, { class: "id" }));
}

function issuerCell(issuer) {
  return cell({ class: "from quiet" }, issuer === null ? "" : bdi(issuer));
}

// What observe mode alone let through is told beside what was let through in all.
function callsCell(one) {
  const observed = one.would_deny ? el("span", { class: "quiet" }, ` (${count(one.would_deny)} observed)`) : null;
  return cell({ class: "number", "data-label": "calls" }, count(one.calls), observed);
}

function agentRow(one) {
  return row(
    agentCell(one.agent_id, one.agent_name),
    issuerCell(one.issuer),
    cell({ "data-label": "seen" }, moment(one.last)),
    callsCell(one),
    cell({ class: "number", "data-label": "refusals" }, count(one.refusals)),
    cell({}, trail(one.audit_url)),
  );
}

function toolRow(one) {
  const kind = one.kind === "tool" ? null : el("span", { class: "quiet" }, `${one.kind} `);
  const asked = () => askAbout(one.kind === "tool" ? { tool: one.name } : { target: one.name });
  return row(
    cell({ class: "about" }, kind, press(bdi(one.name), asked, { title: "Ask the log about it" })),
    cell({ "data-label": "used" }, moment(one.last)),
    cell({ class: "number", "data-label": "agents" }, count(one.agents)),
    cell({ class: "number", "data-label": "calls" }, count(one.calls)),
    cell({ class: "number", "data-label": "refusals" }, count(one.refusals)),
  );
}

function refusalItem(one) {
  return el("li", {},
    el("div", { class: "head" },
      decision(one.decision),
      el("span", { class: "reason" }, reason(one.reason ?? "")),
      el("span", { class: "times" }, one.count > 1 ? `${count(one.count)} times, last ` : null, moment(one.last))),
    el("p", { class: "what" }, bdi(one.what), el("span", { class: "quiet" }, one.agent === null ? " by nobody verified" : " by "), one.agent === null ? null : bdi(one.agent_name ?? one.agent, { class: "name" })),
    el("p", { class: "remedy" }, el("b", {}, "Allowed with: "), plain(one.remedy)),
  );
}

// A second more or less is no reason to draw a row anew.
const rounded = (one) => ({ ...one, age_seconds: one.age_seconds === null ? null : duration(one.age_seconds) });

function keyRow(one) {
  const [word, good] = !one.usable ? ["not usable", "no"] : one.stale ? ["stale", "so-so"] : ["usable", "yes"];
  return row(
    cell({ class: "from" }, bdi(one.issuer)),
    cell({}, el("span", { class: "flag", "data-good": good }, word)),
    cell({ class: "number", "data-label": "keys" }, count(one.keys)),
    cell({ class: "quiet" }, one.age_seconds === null ? "never" : `${one.age_seconds} ago`),
  );
}

function showProcess(told) {
  const reached = { true: "reachable", false: "cannot be reached", null: "not asked yet" };
  const revoked = told.revocations;
  const facts = [
    ["Version", plain(told.version)],
    ["Mode", told.mode],
    ["Up for", told.uptime_seconds === null ? "unknown" : duration(told.uptime_seconds)],
    ["Workers", `${told.workers.answering} of ${told.workers.configured} answer`],
    ["Upstream", reached[told.upstream.reachable]],
    ...(told.redis ? [["Redis", reached[told.redis.reachable]]] : []),
    ["Log", told.log.full ? "full" : told.log.queued_bytes ? `${count(told.log.queued_bytes)} bytes wait` : "up to date"],
    ...(revoked ? [["Revocations", revoked.ready ? `${many(revoked.entries, "entry", "entries")}${revoked.failing ? ", cannot be read now" : ""}` : "not read yet"]] : []),
  ];
  byId("process").replaceChildren(...facts.flatMap(([term, value]) => pair(term, value)));
}

// --- Requests -----------------------------------------------------------------------------------------

function decision(value) {
  return el("span", { class: "decision", "data-decision": value }, DECISIONS[value] ?? plain(value ?? "?"));
}

const operations = (line) => (line.mcp === undefined ? [] : Array.isArray(line.mcp) ? line.mcp : [line.mcp]);

function about(line) {
  const asked = operations(line);
  const said = asked.map((one) => one.tool ?? one.resource ?? one.prompt ?? one.method).filter((one) => one !== undefined);
  if (said.length === 0) return `${line.method ?? "?"} ${line.path ?? "?"}`;
  const values = Object.values(asked[0].arguments ?? {});
  const first = values.length ? `${said[0]}(${values.join(", ")})` : said[0];
  return said.length === 1 ? first : `${first} and ${said.length - 1} more`;
}

let made = 0;

// The row of a request; its button opens a second row with all that the line says.
function requestRow(line) {
  made += 1;
  const id = `line-${made}`;
  const opener = press(bdi(about(line)), () => toggle(opener, line, id), { "aria-expanded": "false", "aria-controls": id });
  const began = line.event === "stream_open";
  return row(
    cell({}, moment(line.timestamp, true)),
    cell({}, decision(line.decision), began ? el("span", { class: "quiet" }, " stream began") : null),
    cell({ class: "number" }, line.status ?? ""),
    agentCell(line.agent_id, line.agent_name),
    cell({ class: "about" }, opener),
    cell({ class: "reason" }, line.reason === undefined ? "" : reason(line.reason)),
    cell({ class: "number quiet milliseconds" }, line.duration_ms === undefined ? "" : `${line.duration_ms < 100 ? line.duration_ms.toFixed(1) : Math.round(line.duration_ms)}`),
  );
}

function toggle(opener, line, id) {
  const open = opener.getAttribute("aria-expanded") === "true";
  opener.setAttribute("aria-expanded", String(!open));
  if (open) byId(id)?.remove();
  else opener.closest("tr").after(el("tr", { class: "more", id, role: "row" }, el("td", { colspan: "7", role: "cell" }, members(line))));
}

function members(line) {
  const { remedy, ...known } = line;
  const list = el("dl", { class: "members" });
  if (remedy) list.append(el("dt", {}, "allowed with"), el("dd", { class: "remedy" }, plain(remedy)));
  for (const [name, value] of Object.entries(known)) {
    const text = Array.isArray(value) && value.every((item) => typeof item === "string") ? value.join(" ") : typeof value === "object" ? JSON.stringify(value) : value;
    list.append(...pair(plain(name.replaceAll("_", " ")), bdi(text)));
  }
  return list;
}

let paused = false;
let waiting = [];

function showLines(lines) {
  if (paused) {
    waiting = [...waiting, ...lines].slice(-MOST_ROWS);
    live(`Paused, ${count(waiting.length)} waiting`, "");
    return;
  }
  const rows = body("requests");
  for (const line of lines.slice(-MOST_ROWS)) {
    const made = requestRow(line);
    made.classList.add("new");
    rows.prepend(made);
  }
  for (let excess = rows.querySelectorAll("tr:not(.more)").length - MOST_ROWS; excess > 0; excess -= 1) {
    if (rows.lastElementChild.classList.contains("more")) rows.lastElementChild.remove();
    rows.lastElementChild.remove();
  }
}

byId("pause").addEventListener("click", () => {
  paused = !paused;
  byId("pause").setAttribute("aria-pressed", String(paused));
  byId("pause").textContent = paused ? "Resume" : "Pause";
  live(paused ? "Paused" : "Live", paused ? "" : "live");
  if (!paused) {
    showLines(waiting);
    waiting = [];
  }
});

let missed = 0;

function showMissed(number) {
  missed += number;
  byId("missed").hidden = false;
  byId("missed").textContent = `${many(missed, "line")} came too fast to be shown here. The log has them.`;
}

// --- The stream ---------------------------------------------------------------------------------------

const pause = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });

async function follow() {
  for (;;) {
    try {
      const response = await ask("/events");
      if (!response.ok) throw new Error((await response.text()).trim());
      body("requests").replaceChildren();
      waiting = [];
      if (!paused) live("Live", "live");
      await read(response.body);
    } catch (error) {
      if (error instanceof SignInNeeded) {
        await signIn();
        continue;
      }
    }
    live("Reconnecting", "away");
    await pause(RETRY);
  }
}

// Server-sent events, by hand: an EventSource cannot send the header with the proof.
async function read(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const events = (rest + value).split("\n\n");
    rest = events.pop();
    const lines = [];
    for (const event of events) {
      const data = /^data: (.*)$/m.exec(event)?.[1];
      if (data === undefined) continue;
      if (/^event: missed$/m.test(event)) showMissed(Number(data));
      else lines.push(JSON.parse(data));
    }
    if (lines.length) {
      showLines(lines);
      hurry();
    }
  }
}

let wake = () => {};
let stale = false;

// What the rows say has changed: ask sooner.
function hurry() {
  stale = true;
  wake();
}

async function refresh() {
  for (;;) {
    try {
      stale = false;
      const response = await ask("/state");
      if (!response.ok) throw new Error();
      showState(await response.json());
    } catch (error) {
      if (error instanceof SignInNeeded) {
        await signIn();
        continue;
      }
      status("No answer", "unready");
    }
    await pause(1200);
    if (!stale || document.hidden) {
      await new Promise((resolve) => {
        wake = resolve;
        setTimeout(resolve, EVERY);
      });
    }
    while (document.hidden) {
      await new Promise((resolve) => { document.addEventListener("visibilitychange", resolve, { once: true }); });
    }
  }
}

// --- The audit question -------------------------------------------------------------------------------

const form = byId("ask");

// The question as a fragment: it can be kept as a bookmark, and no server is sent it.
const asked = () => {
  const entries = [...new FormData(form)].filter(([, value]) => value !== "");
  return new URLSearchParams(entries);
};

function question() {
  const parameters = asked();
  for (const name of ["from", "to"]) {
    if (parameters.has(name)) parameters.set(name, new Date(parameters.get(name)).toISOString());
  }
  return parameters;
}

function askAbout(values) {
  form.reset();
  for (const [name, value] of Object.entries(values)) form.elements[name].value = value;
  form.requestSubmit();
  byId("ask-title").scrollIntoView({ block: "start" });
}

let turn = 0;

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  turn += 1;
  const mine = turn;
  history.replaceState(null, "", `#${asked()}`);
  said("Looking …");
  try {
    const response = await ask(`/audit?${question()}`);
    const told = response.headers.get("Content-Type") === "application/json" ? await response.json() : { problem: await response.text() };
    if (mine !== turn) return;
    if (response.ok) showAnswer(told);
    else said(told.problem, true);
  } catch (error) {
    if (error instanceof SignInNeeded) await signIn();
    else said("There was no answer.", true);
  }
});

form.addEventListener("reset", () => {
  turn += 1;
  history.replaceState(null, "", location.pathname);
  byId("answer").hidden = true;
});

function said(text, problem = false) {
  byId("answer").hidden = false;
  byId("answer-said").textContent = plain(text);
  byId("answer-said").classList.toggle("problem", problem);
  byId("answer-where").textContent = "";
  byId("answer-agents-box").hidden = true;
  byId("answer-lines-box").hidden = true;
}

function showAnswer(told) {
  const verified = told.agents.filter((one) => one.agent_id !== null).length;
  const sum = (name) => told.agents.reduce((all, one) => all + one[name], 0);
  const counts = `${many(sum("calls"), "call")}, ${many(sum("refusals"), "refusal")}`;
  said(told.count === 0 ? "Nobody did." : `${many(verified, "agent")}: ${counts}.`);
  byId("answer-where").textContent = plain(where(told));
  byId("answer-agents-box").hidden = told.agents.length === 0;
  byId("answer-lines-box").hidden = told.lines.length === 0;
  body("answer-agents").replaceChildren(...told.agents.map(answerRow));
  body("answer-lines").replaceChildren(...told.lines.map(requestRow));
  byId("answer-lines-title").textContent =
    told.lines.length === told.count ? many(told.count, "line") : `The latest ${count(told.lines.length)} of ${count(told.count)} lines`;
}

function answerRow(one) {
  return row(
    agentCell(one.agent_id, one.agent_name),
    issuerCell(one.issuer),
    cell({ "data-label": "first" }, moment(one.first)),
    cell({ "data-label": "last" }, moment(one.last)),
    callsCell(one),
    cell({ class: "number", "data-label": "refusals" }, count(one.refusals)),
    cell({ class: "quiet" }, bdi(Object.keys(one.tools).join(", "))),
    cell({}, trail(one.audit_url)),
  );
}

function where({ searched, unlogged }) {
  const parts = [];
  if (searched.file === null) {
    parts.push(`Looked for in the ${many(searched.lines, "line")} kept in memory; lines go to standard output, not to a file.`);
  } else {
    parts.push(`Looked for in ${many(searched.lines, "line")} of ${searched.file}.`);
    if (!searched.complete && !searched.problem) parts.push("That is not all of it: ask from a time on, or use keystile audit.");
  }
  if (searched.problem) parts.push(`Only recent lines were looked at: ${searched.problem}.`);
  if (unlogged) parts.push("The log shows no arguments (log.arguments), so what stands only in one cannot be found.");
  return parts.join(" ");
}

// --- Begin --------------------------------------------------------------------------------------------

for (const [name, value] of new URLSearchParams(location.hash.slice(1))) {
  if (form.elements[name] instanceof HTMLElement) form.elements[name].value = value;
}

refresh();
follow();
if (location.hash.length > 1) form.requestSubmit();
