"use strict";

// What each kind of model is asked, and how its answer is shown. Texts of users and models are put
// into the page as text, never as HTML.

const find = (id) => document.getElementById(id);
const COLORS = 5;
let models = [];
let running = null;

const KINDS = {
  generate: { label: "Prompt", run: generate },
  classify: { label: "Text", run: classify },
  score: { label: "Text", run: score },
  tag: { label: "Text", run: tag },
  answer: { label: "Question", second: "Context", run: answer },
  embed: { label: "Query", second: "Texts to search, one a line", run: embed },
  fill: { label: "Text with the model's mask token, such as [MASK]", run: fill },
  predict: { label: "Text", run: predict },
};

async function ask(path, body, signal) {
  const headers = { "content-type": "application/json" };
  if (find("token").value) headers.authorization = `Bearer ${find("token").value}`;
  const options = { method: body ? "POST" : "GET", headers, signal };
  if (body) options.body = JSON.stringify(body);
  const response = await fetch(path, options);
  if (response.ok) return response;
  find("token-field").hidden = find("token-field").hidden && response.status !== 401;
  let message = `The server answered ${response.status}.`;
  try {
    const { error } = await response.json();
    message = error.message || error;
  } catch {
    // The status must do.
  }
  throw new Error(message);
}

async function predictRows(model, instances, signal) {
  const response = await ask(`/v1/models/${model}:predict`, { instances }, signal);
  return (await response.json()).predictions;
}

// Showing

function add(parent, name, text, className) {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  parent.append(element);
  return element;
}

function showBars(rows) {
  for (const [name, value] of rows) {
    const row = add(find("answer"), "div", undefined, "bar");
    add(row, "span", name).title = name;
    const meter = add(row, "meter");
    meter.min = 0;
    meter.max = 1;
    meter.value = value;
    meter.setAttribute("aria-label", name);
    add(row, "span", value.toFixed(3));
  }
}

function showMarks(text, spans) {
  // Offsets count characters of Unicode, where JavaScript counts halves of some.
  const characters = Array.from(text);
  const part = (start, end) => characters.slice(start, end).join("");
  const names = [...new Set(spans.map((span) => span.label))];
  const paragraph = add(find("answer"), "pre");
  let at = 0;
  for (const { start, end, label } of spans) {
    if (start < at) continue;
    paragraph.append(part(at, start));
    const mark = add(paragraph, "mark", part(start, end));
    mark.style.background = `var(--mark-${names.indexOf(label) % COLORS})`;
    if (label) add(mark, "small", label);
    at = end;
  }
  paragraph.append(part(at, characters.length));
}

// Kinds

async function generate(model, text, _, signal) {
  const block = add(find("answer"), "pre");
  add(block, "span", text, "prompt");
  const body = { model, prompt: text, stream: true, stream_options: { include_usage: true } };
  for (const name of ["max_tokens", "temperature", "top_p", "seed"]) {
    body[name] = Number(find(name).value);
  }
  const started = performance.now();
  const response = await ask("/v1/completions", body, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return "";
    const lines = (rest + value).split("\n\n");
    rest = lines.pop();
    for (const line of lines) {
      if (!line.startsWith("data: ") || line === "data: [DONE]") continue;
      const event = JSON.parse(line.slice(6));
      if (event.error) throw new Error(event.error.message);
      if (event.choices.length) block.append(event.choices[0].text);
      if (event.usage) {
        const seconds = (performance.now() - started) / 1000;
        const count = event.usage.completion_tokens;
        find("status").textContent = `${count} tokens, ${(count / seconds).toFixed(1)} a second`;
      }
    }
  }
}

async function classify(model, text, _, signal) {
  const [row] = await predictRows(model, [text], signal);
  showBars(row.labels.map((label, index) => [label, row.scores[index]]));
}

async function score(model, text, _, signal) {
  const [row] = await predictRows(model, [text], signal);
  add(find("answer"), "pre", row.map((value) => value.toFixed(3)).join(", "));
}

async function tag(model, text, _, signal) {
  const [row] = await predictRows(model, [text], signal);
  const spans = row.spans.map(([start, end], index) => ({ start, end, label: row.labels[index] }));
  showMarks(text, spans.filter((span) => span.end > span.start && span.label));
}

async function answer(model, question, context, signal) {
  const [row] = await predictRows(model, [{ question, context }], signal);
  showMarks(context, row.end > row.start ? [{ start: row.start, end: row.end, label: "" }] : []);
  const scores = `score ${row.score.toFixed(3)}, no answer ${row.no_answer_score.toFixed(3)}`;
  add(find("answer"), "p", scores, "prompt");
}

async function embed(model, query, candidates, signal) {
  const texts = candidates.split("\n").filter((line) => line.trim());
  const response = await ask("/v1/embeddings", { model, input: [query, ...texts] }, signal);
  const [first, ...others] = (await response.json()).data.map((one) => one.embedding);
  const dot = (a, b) => a.reduce((sum, value, index) => sum + value * b[index], 0);
  const cosine = (vector) => dot(first, vector) / Math.sqrt(dot(first, first) * dot(vector, vector));
  const rows = texts.map((text, index) => [text, cosine(others[index])]);
  showBars(rows.sort((a, b) => b[1] - a[1]));
}

async function fill(model, text, _, signal) {
  const [row] = await predictRows(model, [text], signal);
  row.tokens.forEach((tokens, mask) => {
    if (row.tokens.length > 1) add(find("answer"), "p", `Mask ${mask + 1}`, "prompt");
    showBars(tokens.map((token, index) => [token, row.scores[mask][index]]));
  });
}

async function predict(model, text, _, signal) {
  const rows = await predictRows(model, [text], signal);
  add(find("answer"), "pre", JSON.stringify(rows[0], null, 1));
}

async function look(model, text, second, signal) {
  const body = { text };
  // The context of a question is read with it; the texts of a search are not.
  if (second && !find("second").hidden && chosen().kind === "answer") body.pair = second;
  const response = await ask(`/v1/models/${model}:attention`, body, signal);
  showAttention(find("answer"), await response.json());
}

// The form

function chosen() {
  return models.find((one) => one.id === find("model").value);
}

function chooseModel() {
  const model = chosen();
  const kind = KINDS[(model && model.kind) || "predict"];
  find("text-label").textContent = kind.label;
  find("second-label").textContent = kind.second || "";
  find("second-label").hidden = find("second").hidden = !kind.second;
  find("numbers").hidden = kind !== KINDS.generate;
  find("look").hidden = !(model && model.has_attention);
  find("answer").replaceChildren();
  return kind;
}

function tell(words, isError) {
  find("status").textContent = words;
  find("status").classList.toggle("error", Boolean(isError));
}

// Asks the model: what its kind is asked or, with `question`, something else.
async function run(event, question) {
  event.preventDefault();
  if (running) running.abort();
  const own = (running = new AbortController());
  find("answer").replaceChildren();
  find("run").disabled = find("look").disabled = true;
  find("stop").disabled = false;
  tell("…");
  try {
    if (!models.length) await listModels();
    const kind = chooseModel();
    await (question || kind.run)(find("model").value, find("text").value, find("second").value, own.signal);
    if (find("status").textContent === "…") tell("");
  } catch (error) {
    if (error.name === "AbortError") tell("Stopped.");
    else tell(error.message, true);
  } finally {
    if (running === own) running = null;
    find("run").disabled = find("look").disabled = false;
    find("stop").disabled = true;
  }
}

async function listModels() {
  const response = await ask("/v1/models");
  models = (await response.json()).data;
  for (const model of models) {
    add(find("model"), "option", model.id).value = model.id;
  }
  tell(models.length ? "" : "No model is served.", !models.length);
  chooseModel();
}

find("form").addEventListener("submit", (event) => run(event));
find("look").addEventListener("click", (event) => run(event, look));
find("model").addEventListener("change", chooseModel);
find("stop").addEventListener("click", () => running && running.abort());
find("token").addEventListener("change", () => {
  if (!models.length) listModels().catch((error) => tell(error.message, true));
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    if (!event.shiftKey) find("form").requestSubmit();
    else if (!find("look").hidden) find("look").click();
  }
  if (event.key === "Escape" && running) running.abort();
});
listModels().catch((error) => tell(error.message, true));
