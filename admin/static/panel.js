/*
 * The panel's behaviour, in one module that listens on attributes. Every page works without it: it adds keys, live
 * counts and the closing of menus.
 *
 *   data-action="all|clear|submit"   tick all, untick all, submit the form on change
 *   data-bulk                        the selection bar; counts ticks of name="rowid"
 *   data-rows, data-row              a list that J, K, X and Enter walk
 *   data-key="find|search|save|…"    the element that a key presses or focuses
 *   data-confirm                     a sentence to confirm before a form that cannot be undone is sent
 *   data-countdown                   an ISO moment; rewritten each minute
 */
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const one = (selector, root = document) => root.querySelector(selector);
const ticks = () => all('input[type="checkbox"][name="rowid"]');
const MINUS = "\u2212", NO_BREAK = "\u00a0";

function money(minor, currency) {
  const sign = document.documentElement.lang === "en" ? "." : ",";
  const digits = String(Math.abs(minor)).padStart(3, "0");
  const whole = digits.slice(0, -2).replace(/\B(?=(\d{3})+$)/g, NO_BREAK);
  return `${minor < 0 ? MINUS : ""}${whole}${sign}${digits.slice(-2)}${NO_BREAK}${currency}`;
}

function sums(rows) {
  const per = new Map();
  for (const tick of rows) per.set(tick.dataset.currency, (per.get(tick.dataset.currency) ?? 0) + Number(tick.dataset.minor));
  return [...per].map(([currency, minor]) => money(minor, currency)).join(" + ");
}

const bulk = one("[data-bulk]");
const idleText = bulk && one("[data-bulk-text]", bulk).textContent;

function count() {
  for (const tick of ticks()) tick.closest("tr").classList.toggle("is-selected", tick.checked);
  if (!bulk) return;
  const rows = ticks().filter((tick) => tick.checked), n = rows.length;
  const fill = (pattern) => pattern.replace("{n}", n).replace("{sum}", sums(rows));
  bulk.dataset.count = n;
  one("[data-bulk-text]", bulk).textContent = n ? fill(n === 1 ? bulk.dataset.one : bulk.dataset.many) : idleText;
  one("[data-bulk-actions]", bulk).hidden = n === 0;
  const clear = one('[data-action="clear"]', bulk);
  if (clear) clear.hidden = n === 0;
  const word = one("[data-bulk-button]", bulk);
  if (word) word.textContent = fill(n === 1 ? word.closest("button").dataset.one : word.closest("button").dataset.many);
  const every = one('[data-action="all"]');
  if (every) { every.checked = n > 0 && n === ticks().length; every.indeterminate = n > 0 && n < ticks().length; }
}

function tickAll(value) {
  for (const tick of ticks()) tick.checked = value;
  count();
}

document.addEventListener("change", (event) => {
  const field = event.target;
  if (field.dataset.action === "all") tickAll(field.checked);
  else if (field.name === "rowid") count();
  else if (field.dataset.action === "submit") field.form.requestSubmit();
});

document.addEventListener("click", (event) => {
  if (event.target.closest('[data-action="clear"]')) tickAll(false);
  for (const menu of all("details.switch[open]")) if (!menu.contains(event.target)) menu.open = false;
});

document.addEventListener("submit", (event) => {
  const sentence = event.target.dataset.confirm;
  if (sentence && !window.confirm(sentence)) { event.preventDefault(); return; }
  for (const button of all("button:not([name])", event.target)) button.setAttribute("aria-busy", "true");
});
window.addEventListener("pageshow", () => all("[aria-busy]").forEach((button) => button.removeAttribute("aria-busy")));

/* ---------- keys ---------- */
let here = -1;

function move(step) {
  const rows = all("[data-rows] [data-row]");
  if (!rows.length) return;
  here = Math.min(Math.max(here + step, 0), rows.length - 1);
  rows.forEach((row, n) => row.classList.toggle("is-here", n === here));
  rows[here].scrollIntoView({ block: "nearest" });
}

function tickHere() {
  const tick = here >= 0 && one('input[type="checkbox"][name="rowid"]', all("[data-rows] [data-row]")[here]);
  if (tick) { tick.checked = !tick.checked; count(); }
}

const keyed = (name) => one(`[data-key="${name}"]`);
const press = (name) => { const target = keyed(name); if (target && target.offsetParent) target.click(); };
const places = { t: "", f: "invoices/", i: "payments/", k: "customers/" };
let waitsForPlace = false;
const keys = {
  j: () => move(1), k: () => move(-1), x: tickHere, e: () => press("mark"), b: () => press("post"),
  "/": () => keyed("search")?.focus(), g: () => { waitsForPlace = true; setTimeout(() => { waitsForPlace = false; }, 1500); },
  Enter: () => { if (here >= 0) one("a", all("[data-rows] [data-row]")[here])?.click(); },
};

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.matches("input:not([type=checkbox]), textarea, select");
  if (event.key === "Escape") {
    const menu = one("details.switch[open]");
    if (menu) { menu.open = false; one("summary", menu).focus(); } else if (isTyping) event.target.blur(); else tickAll(false);
    return;
  }
  if (event.ctrlKey || event.metaKey) {
    const target = { k: "find", s: "save" }[event.key.toLowerCase()];
    if (target && keyed(target)) { event.preventDefault(); if (target === "find") keyed(target).focus(); else press(target); }
    return;
  }
  if (isTyping || event.altKey || (event.key === "Enter" && event.target.closest("a, button, summary"))) return;
  if (waitsForPlace && event.key in places) { location.assign(`/panel/${places[event.key]}`); return; }
  const act = keys[event.key];
  if (act) { event.preventDefault(); act(); }
});

/* ---------- work that goes on ---------- */
if (one("[data-reload]")) setTimeout(() => location.reload(), 5000);

/* ---------- countdown ---------- */
const clock = one("[data-countdown]");
if (clock) {
  const shown = Date.parse(clock.dataset.now), due = Date.parse(clock.dataset.countdown), began = Date.now();
  setInterval(() => {
    const left = Math.max(0, Math.floor((due - shown - (Date.now() - began)) / 60000));
    const hours = Math.floor(left / 60);
    clock.textContent = `${hours ? `${hours}${NO_BREAK}${clock.dataset.hours} ` : ""}${left % 60}${NO_BREAK}min`;
  }, 60000);
}
count();
