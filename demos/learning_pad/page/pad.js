// The drawing board: strokes become 28 x 28 pixels, which the device names and learns.

const SIZE = 28;
const MARGIN = 4;
const THICKNESS = 1.1; // half of a line's width in pixels, as drawings.py has it
const PAUSE_MS = 200; // after a stroke, before the model is asked
const KEY_STEP = 14;

const at = (id) => document.getElementById(id);
const pad = at("pad");
const ink = pad.getContext("2d");

let strokes = [];
let drawing = false;
let waiting = 0;
let asked = 0; // number of the last question: an answer to an older one is late
let known = [];
let shares = {};
const pen = { x: pad.width / 2, y: pad.height / 2, down: false };

// The value of a pixel: 1 on a line, falling to 0 within a pixel beside it.
function pixels() {
  const points = strokes.flat();
  const xs = points.map((p) => p.x);
  const ys = points.map((p) => p.y);
  const [left, right] = [Math.min(...xs), Math.max(...xs)];
  const [top, bottom] = [Math.min(...ys), Math.max(...ys)];
  const scale = (SIZE - 1 - 2 * MARGIN) / Math.max(right - left, bottom - top, 1e-6);
  const place = (p) => ({
    x: (p.x - (left + right) / 2) * scale + (SIZE - 1) / 2,
    y: (p.y - (top + bottom) / 2) * scale + (SIZE - 1) / 2,
  });
  const values = new Uint8Array(SIZE * SIZE);
  for (const stroke of strokes) {
    const placed = stroke.map(place);
    for (let i = 0; i < Math.max(1, placed.length - 1); i += 1) {
      addLine(values, placed[i], placed[i + 1] ?? placed[i]);
    }
  }
  return values;
}

function addLine(values, from, to) {
  const along = { x: to.x - from.x, y: to.y - from.y };
  const length = Math.max(along.x ** 2 + along.y ** 2, 1e-12);
  for (let y = 0; y < SIZE; y += 1) {
    for (let x = 0; x < SIZE; x += 1) {
      const share = ((x - from.x) * along.x + (y - from.y) * along.y) / length;
      const near = Math.min(Math.max(share, 0), 1);
      const distance = Math.hypot(from.x + near * along.x - x, from.y + near * along.y - y);
      const value = Math.round(255 * Math.min(Math.max(THICKNESS + 0.5 - distance, 0), 1));
      values[y * SIZE + x] = Math.max(values[y * SIZE + x], value);
    }
  }
}

function paint() {
  ink.clearRect(0, 0, pad.width, pad.height);
  ink.strokeStyle = ink.fillStyle = getComputedStyle(pad).color;
  ink.lineWidth = 22;
  ink.lineCap = ink.lineJoin = "round";
  for (const stroke of strokes) {
    ink.beginPath();
    ink.moveTo(stroke[0].x, stroke[0].y);
    for (const p of stroke) ink.lineTo(p.x, p.y);
    ink.lineTo(stroke[0].x === stroke.at(-1).x ? stroke.at(-1).x + 0.01 : stroke.at(-1).x, stroke.at(-1).y);
    ink.stroke();
  }
  if (document.activeElement === pad && pad.matches(":focus-visible")) {
    ink.lineWidth = 3;
    ink.strokeRect(pen.x - 8, pen.y - 8, 16, 16);
  }
}

function pointOf(event) {
  const box = pad.getBoundingClientRect();
  return {
    x: ((event.clientX - box.left) / box.width) * pad.width,
    y: ((event.clientY - box.top) / box.height) * pad.height,
  };
}

function begin(point) {
  clearTimeout(waiting);
  strokes.push([point]);
  paint();
}

function extend(point) {
  strokes.at(-1).push(point);
  paint();
}

function end() {
  clearTimeout(waiting);
  waiting = setTimeout(look, PAUSE_MS);
}

pad.addEventListener("pointerdown", (event) => {
  pad.setPointerCapture(event.pointerId);
  drawing = true;
  begin(pointOf(event));
});
pad.addEventListener("pointermove", (event) => {
  if (!drawing) return;
  const events = event.getCoalescedEvents?.() ?? [];
  for (const one of events.length ? events : [event]) extend(pointOf(one));
});
for (const name of ["pointerup", "pointercancel"]) {
  pad.addEventListener(name, () => {
    if (drawing) end();
    drawing = false;
  });
}
pad.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  if (event.key === " ") {
    pen.down = !pen.down;
    if (pen.down) begin({ x: pen.x, y: pen.y });
    else end();
  } else if (event.key in step) {
    const [right, down] = step[event.key];
    pen.x = Math.min(Math.max(pen.x + right * KEY_STEP, 0), pad.width);
    pen.y = Math.min(Math.max(pen.y + down * KEY_STEP, 0), pad.height);
    if (pen.down) extend({ x: pen.x, y: pen.y });
    else paint();
  } else return;
  event.preventDefault();
});
for (const name of ["focus", "blur"]) pad.addEventListener(name, paint);

async function ask(path, value) {
  const response = await fetch(path, value === undefined ? {} : {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(value),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

function encoded() {
  return btoa(String.fromCharCode(...pixels()));
}

async function look() {
  if (!strokes.length) return;
  asked += 1;
  const number = asked;
  try {
    const answer = await ask("api/predict", { pixels: encoded() });
    if (number === asked) show(answer.shares);
  } catch (error) {
    say(error.message, true);
  }
}

function show(found) {
  shares = found;
  const first = Object.keys(shares)[0];
  at("answer").textContent = first
    ? `A ${first}, says the model (${percent(shares[first])}).`
    : "Nothing is drawn.";
  drawClasses();
}

function percent(share) {
  return `${Math.round(100 * share)} %`;
}

function drawClasses() {
  const first = Object.keys(shares)[0];
  at("classes").replaceChildren(...known.map((name) => {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.name = name;
    button.className = name === first ? "first" : "";
    const meter = document.createElement("meter");
    meter.value = shares[name] ?? 0;
    meter.setAttribute("aria-hidden", "true");
    const share = document.createElement("span");
    share.textContent = name in shares ? percent(shares[name]) : "";
    button.append(name, share, meter);
    button.addEventListener("click", () => teach(name));
    return button;
  }));
}

function clear() {
  clearTimeout(waiting);
  asked += 1;
  strokes = [];
  pen.down = false;
  paint();
  show({});
}

async function teach(name) {
  if (!strokes.length) return say("Draw something first.", true);
  if (!name) return say("Say what it is.", true);
  busy(true);
  try {
    const status = await ask("api/teach", { pixels: encoded(), name });
    update(status);
    at("name").value = "";
    clear();
    say(`Learned: ${name}. Draw another one.`);
  } catch (error) {
    say(error.message, true);
  } finally {
    busy(false);
  }
}

async function go_back(path, text) {
  busy(true);
  try {
    update(await ask(path, {}));
    say(text);
    look();
  } catch (error) {
    say(error.message, true);
  } finally {
    busy(false);
  }
}

function busy(is) {
  document.body.setAttribute("aria-busy", String(is));
  at("learn").disabled = is;
}

function say(text, bad = false) {
  at("message").textContent = text;
  at("message").className = bad ? "message bad" : "message";
}

function update(status) {
  known = status.names;
  drawClasses();
  const left = status.most_classes - known.length;
  at("name").disabled = left === 0;
  at("name").placeholder = left ? `a new name (${left} left)` : "no class is left";
  at("undo").disabled = status.undo === 0;
  at("accuracy").textContent = status.accuracy === null ? "–" : percent(status.accuracy);
  at("lessons").textContent = status.lessons;
  at("step").textContent = status.step_ms === null ? "–" : `${status.step_ms.toFixed(2)} ms`;
  at("energy").textContent = `${status.energy_mj.toFixed(2)} mJ`;
  at("samples").textContent = `${status.samples} in ${kilo(status.memory.rehearsal_bytes)}`;
  at("process").textContent = `${(status.memory.process_bytes / 1e6).toFixed(0)} MB`;
  line("accuracy-line", status.curve);
  const top = Math.max(1, ...status.loss);
  line("loss-line", status.loss.map((value) => value / top));
  at("curve-text").textContent = status.lessons
    ? `After ${status.lessons} lessons, ${percent(status.curve.at(-1))} of the last ten were right before.`
    : "No lessons yet.";
}

function kilo(bytes) {
  return `${(bytes / 1000).toFixed(0)} kB`;
}

function line(id, values) {
  const step = 300 / Math.max(1, values.length - 1);
  at(id).setAttribute("points", values.map((v, i) => `${(i * step).toFixed(1)},${(85 - 80 * v).toFixed(1)}`).join(" "));
}

at("clear").addEventListener("click", clear);
at("undo").addEventListener("click", () => go_back("api/undo", "The last lesson is forgotten."));
at("reset").addEventListener("click", () => {
  if (confirm("Forget all lessons?")) go_back("api/reset", "All lessons are forgotten.");
});
at("teach").addEventListener("submit", (event) => {
  event.preventDefault();
  teach(at("name").value.trim());
});

ask("api/status").then(update, (error) => say(error.message, true));
paint();
