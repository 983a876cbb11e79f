// The page of the live view: state and events of a network, and commands to it. All bounds are on this side, too.
"use strict";

const ROWS_MAX = 400, TEXT_MAX = 40000, DOTS_MAX = 60, FLIGHT_MS = 700, HISTORY_MAX = 100;
const SVG = "http://www.w3.org/2000/svg";
const find = (selector) => document.querySelector(selector);
const still = matchMedia("(prefers-reduced-motion: reduce)");
const texts = new Map(), history = [];
let network = null, links = new Map(), chosenHost = "", chosenLink = 0, paused = false, omitted = 0, recalled = 0;
let kept = [];

async function post(command, fields) {
  find("#problem").hidden = true;
  try {
    const answer = await fetch(command, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(fields),
    });
    const kind = answer.headers.get("Content-Type") || "";
    const said = kind.includes("json") ? await answer.json() : { error: await answer.text() };
    if (said.error) throw new Error(said.error);
    return said;
  } catch (error) {
    complain(error.message);
    return null;
  }
}

function complain(sentence) {
  const place = find("#problem");
  place.textContent = sentence;
  place.hidden = false;
}

function set_status(text, is_down) {
  const place = find("#status");
  place.textContent = text;
  place.classList.toggle("down", Boolean(is_down));
}

function rate(bits) {
  if (bits >= 1e6) return (bits / 1e6).toFixed(1) + " Mbit/s";
  if (bits >= 1e3) return (bits / 1e3).toFixed(0) + " kbit/s";
  return bits.toFixed(0) + " bit/s";
}

// Terminals

function choose_host(name, focus) {
  chosenHost = name;
  find("#host-choice").value = name;
  for (const node of document.querySelectorAll(".node")) node.classList.toggle("chosen", node.dataset.node === name);
  const host = network && network.hosts.find((one) => one.name === name);
  if (host) {
    const addresses = host.interfaces.map((one) => one.ip).filter(Boolean).join(", ");
    find("#host-addresses").textContent = [addresses, ...host.names].filter(Boolean).join(" \u00b7 ");
    show_services(host);
  }
  show_output();
  if (focus) find("#line").focus();
}

function show_output() {
  const place = find("#output");
  place.textContent = texts.get(chosenHost) || "";
  place.scrollTop = place.scrollHeight;
}

function add_output(host, text) {
  texts.set(host, ((texts.get(host) || "") + text).slice(-TEXT_MAX));
  if (host === chosenHost) show_output();
}

function type_line(host, line) {
  return post("terminal", { host: host, text: line + "\n" });
}

function show_services(host) {
  const items = host.services.map((service, place) => {
    const item = document.createElement("li"), command = document.createElement("code");
    command.textContent = service.command;
    item.append(command, service.runs ? "runs" : "has ended");
    if (place === 0) {
      for (const [action, label] of [["kill", "Kill"], ["restart", "Restart"]]) {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = label;
        button.dataset.action = action;
        button.addEventListener("click", () => change_service(host.name, action));
        item.append(button);
      }
    }
    return item;
  });
  find("#services").replaceChildren(...items);
}

async function change_service(host, action) {
  const said = await post("service", { host: host, action: action });
  if (said) {
    replace_host(said);
    if (chosenHost === host) show_services(said);
  }
}

function replace_host(said) {
  network.hosts = network.hosts.map((one) => (one.name === said.name ? said : one));
}

// Links

function choose_link(number) {
  chosenLink = number;
  find("#link-choice").value = String(number);
  for (const cable of document.querySelectorAll(".cable")) {
    cable.classList.toggle("chosen", Number(cable.dataset.link) === number);
  }
  show_link(true);
}

function shape_text(shape) {
  if (!shape) return "no delay, no loss, no limit of rate";
  const words = [];
  if (shape.rate_bps) words.push(shape.rate_bps / 1e6 + " Mbit/s");
  if (shape.delay_s) words.push("delay " + +(shape.delay_s * 1e3).toFixed(6) + " ms");
  if (shape.loss) words.push("loss " + +(shape.loss * 100).toFixed(4) + " %");
  return words.join(", ") || "no delay, no loss, no limit of rate";
}

function settings_text(link) {
  const [there, back] = link.shapes.map(shape_text);
  return there === back ? there : `from ${link.nodes[0]}: ${there}; from ${link.nodes[1]}: ${back}`;
}

function show_link(fill) {
  const link = network && network.links[chosenLink];
  if (!link) return;
  const fixed = !link.shapes[0] && network.backend === "wire";
  find("#link-state").textContent = `${link.up ? "up" : "down: the cable is pulled"}; ${settings_text(link)}`
    + (fixed ? " (a link without settings cannot get any)" : "");
  find("#cable").textContent = link.up ? "Pull the cable" : "Plug the cable in";
  for (const field of find("#shape").elements) field.disabled = fixed;
  if (fill) {
    const shape = link.shapes[0] || {};
    find("#delay").value = +((shape.delay_s || 0) * 1e3).toFixed(6);
    find("#loss").value = +((shape.loss || 0) * 100).toFixed(4);
    find("#bw").value = shape.rate_bps ? shape.rate_bps / 1e6 : "";
  }
}

function show_cables() {
  network.links.forEach((link, number) => {
    const cable = find(`[data-link="${number}"]`);
    if (cable) cable.classList.toggle("down", !link.up);
    show_row(link, number);
  });
}

function show_row(link, number) {
  const cells = find("#link-rows").rows[number].cells;
  cells[1].textContent = link.up ? "up" : "down";
  cells[2].textContent = settings_text(link);
}

function make_rows() {
  find("#link-rows").replaceChildren(...network.links.map((link) => {
    const row = document.createElement("tr");
    for (const text of [link.name, "", "", "", "", ""]) row.append(cell(text));
    for (const place of [3, 4, 5]) row.cells[place].className = "number";
    return row;
  }));
}

function cell(text, kind) {
  const made = document.createElement("td");
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function show_sample(event) {
  for (const row of event.links) {
    const place = links.get(row.link);
    if (place === undefined) continue;
    const link = network.links[place], back = row.from !== link.nodes[0];
    link.load = link.load || [{ bits: 0, queue: 0 }, { bits: 0, queue: 0 }];
    link.load[Number(back)] = { bits: row.bits_per_s, queue: row.queue };
    const bits = link.load[0].bits + link.load[1].bits;
    const queue = Math.max(link.load[0].queue, link.load[1].queue);
    const text = bits ? rate(bits) + (queue ? `, ${queue} queued` : "") : "";
    const load = find(`[data-load="${place}"]`), cable = find(`[data-link="${place}"]`);
    if (load) {
      load.textContent = text;
      load.classList.toggle("busy", bits > 0);
    }
    if (cable) cable.classList.toggle("busy", bits > 0);
    const cells = find("#link-rows").rows[place].cells;
    cells[3].textContent = rate(link.load[0].bits);
    cells[4].textContent = rate(link.load[1].bits);
    cells[5].textContent = String(queue);
  }
}

// Packets

let dots = [];

function fly(event) {
  const place = links.get(event.link);
  if (place === undefined || still.matches || document.hidden || dots.length >= DOTS_MAX) return;
  const path = find(`[data-link="${place}"] .wire`);
  if (!path) return;
  const dot = document.createElementNS(SVG, "circle");
  dot.setAttribute("r", "4.5");
  dot.setAttribute("class", "packet " + event.protocol);
  path.ownerSVGElement.append(dot);
  const back = event.from !== network.links[place].nodes[0];
  dots.push({ dot: dot, path: path, length: path.getTotalLength(), back: back, began: performance.now() });
  if (dots.length === 1) requestAnimationFrame(move);
}

function move(now) {
  dots = dots.filter((one) => {
    const share = (now - one.began) / FLIGHT_MS;
    if (share >= 1) {
      one.dot.remove();
      return false;
    }
    const at = one.path.getPointAtLength(one.length * Math.max(0, one.back ? 1 - share : share));
    one.dot.setAttribute("cx", at.x);
    one.dot.setAttribute("cy", at.y);
    return true;
  });
  if (dots.length) requestAnimationFrame(move);
}

function wanted(event) {
  const text = find("#filter").value.toLowerCase();
  if (!event.first && !find("#every").checked) return false;
  return !text || `${event.link} ${event.source} ${event.target} ${event.protocol} ${event.summary}`.toLowerCase().includes(text);
}

function packet_row(event) {
  const row = document.createElement("tr");
  const time = new Date(event.time * 1000);
  const clock = time.toLocaleTimeString("en-GB") + "." + String(time.getMilliseconds()).padStart(3, "0");
  row.append(cell(clock), cell(`${event.from} \u2192 ${event.to}`), cell(event.source), cell(event.target),
    cell(event.protocol), cell(String(event.bytes), "number"), cell(event.summary));
  return row;
}

let fresh = [], waiting = false;

function add_packet(event) {
  kept.push(event);
  if (kept.length > 2 * ROWS_MAX) kept = kept.slice(-ROWS_MAX);
  fly(event);
  if (paused || !wanted(event)) return;
  fresh.push(event);
  if (fresh.length > ROWS_MAX) fresh = fresh.slice(-ROWS_MAX);
  if (!waiting) {
    waiting = true;
    setTimeout(show_fresh, 100);
  }
}

function show_fresh() {
  waiting = false;
  const rows = find("#rows"), box = rows.closest(".scroll");
  const at_end = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
  rows.append(...fresh.map(packet_row));
  fresh = [];
  while (rows.rows.length > ROWS_MAX) rows.deleteRow(0);
  if (at_end) box.scrollTop = box.scrollHeight;
}

function show_all() {
  fresh = kept.filter(wanted).slice(-ROWS_MAX);
  find("#rows").replaceChildren();
  show_fresh();
  const box = find("#rows").closest(".scroll");
  box.scrollTop = box.scrollHeight;
}

// Events

const handlers = {
  packet: add_packet,
  sample: show_sample,
  output(event) {
    add_output(event.host, event.text === null ? "\n(the shell has ended)\n" : event.text);
  },
  link(event) {
    const place = links.get(event.link);
    if (place === undefined) return;
    Object.assign(network.links[place], { up: event.up, shapes: event.shapes });
    show_cables();
    if (place === chosenLink) show_link(true);
  },
  service(event) {
    load_state();
    if (event.text) complain(event.text);
  },
  omitted(event) {
    omitted += event.packets;
    find("#omitted").textContent = `${omitted} packets passed too fast to be listed`;
  },
  dropped(event) {
    handlers.omitted(event);
  },
  missed() {
    load_state();
  },
  down() {
    set_status("the network is down", true);
    stream.close();
  },
};

async function load_state() {
  const answer = await fetch("state");
  if (!answer.ok) return;
  const state = await answer.json();
  const loads = network ? network.links.map((one) => one.load) : [];
  network = state.network;
  network.links.forEach((link, number) => { link.load = loads[number]; });
  links = new Map(network.links.map((link, number) => [link.name, number]));
  if (!find("#link-rows").rows.length) make_rows();
  show_cables();
  const host = network.hosts.find((one) => one.name === chosenHost);
  if (host) show_services(host);
  return state;
}

let stream = null;

function listen(last) {
  stream = new EventSource(`events?after=${last}`);
  stream.onopen = () => set_status(`${network.hosts.length} hosts, ${network.links.length} links, up`);
  stream.onerror = () => {
    if (!find("#status").classList.contains("down")) set_status("the connection to lab7 is lost", true);
  };
  stream.onmessage = (message) => {
    const event = JSON.parse(message.data);
    if (handlers[event.event]) handlers[event.event](event);
  };
}

async function begin() {
  const state = await load_state();
  for (const [host, text] of Object.entries(state.terminals)) texts.set(host, text);
  const first = find(".try") ? find(".try").dataset.line.split(" ")[0] : "";
  const start = network.hosts.find((one) => one.name === first) || network.hosts[0];
  if (start) choose_host(start.name, false);
  if (network.links.length) choose_link(Math.max(0, network.links.findIndex((one) => one.shapes[0])));
  listen(state.last);
}

function activate(element, action) {
  element.addEventListener("click", action);
  element.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      action();
    }
  });
}

for (const node of document.querySelectorAll('.node[role="button"]')) {
  activate(node, () => choose_host(node.dataset.node, true));
}
for (const cable of document.querySelectorAll(".cable")) activate(cable, () => choose_link(Number(cable.dataset.link)));
for (const button of document.querySelectorAll(".try")) {
  button.addEventListener("click", () => {
    const [host, ...words] = button.dataset.line.split(" ");
    choose_host(host, true);
    type_line(host, words.join(" "));
  });
}
find("#host-choice").addEventListener("change", (event) => choose_host(event.target.value, false));
find("#link-choice").addEventListener("change", (event) => choose_link(Number(event.target.value)));
find("#prompt").addEventListener("submit", (event) => {
  event.preventDefault();
  const field = find("#line");
  history.push(field.value);
  if (history.length > HISTORY_MAX) history.shift();
  recalled = history.length;
  type_line(chosenHost, field.value);
  field.value = "";
});
find("#line").addEventListener("keydown", (event) => {
  const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (step) {
    event.preventDefault();
    recalled = Math.min(history.length, Math.max(0, recalled + step));
    event.target.value = history[recalled] || "";
  } else if (event.key === "c" && event.ctrlKey && event.target.selectionStart === event.target.selectionEnd) {
    event.preventDefault();
    post("terminal", { host: chosenHost, text: "\u0003" });
  }
});
find("#interrupt").addEventListener("click", () => post("terminal", { host: chosenHost, text: "\u0003" }));
find("#cable").addEventListener("click", () => {
  const link = network.links[chosenLink];
  post("cable", { link: link.name, up: !link.up });
});
find("#shape").addEventListener("submit", (event) => {
  event.preventDefault();
  const settings = `delay=${find("#delay").value || 0}ms loss=${find("#loss").value || 0} bw=${find("#bw").value || "unlimited"}`;
  post("link", { link: network.links[chosenLink].name, settings: settings });
});
find("#pause").addEventListener("click", (event) => {
  paused = !paused;
  event.target.setAttribute("aria-pressed", String(paused));
  event.target.textContent = paused ? "Go on" : "Pause";
  if (!paused) show_all();
});
find("#filter").addEventListener("input", show_all);
find("#every").addEventListener("change", show_all);
begin();
