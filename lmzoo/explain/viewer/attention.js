"use strict";

// Shows attention weights: a picture of each head to choose from, and the tokens, whose shades say
// where the chosen one looks. Texts are put into the page as text, never as HTML. The page of
// `lmzoo.explain.plot_attention` and the playground of `lmzoo serve` both use it.

function showAttention(parent, data, options = {}) {
  const make = (where, name, text, className) => {
    const element = document.createElement(name);
    if (text !== undefined) element.textContent = text;
    if (className) element.className = className;
    where.append(element);
    return element;
  };
  const decode = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const kinds = data.kinds.map((kind) => ({
    ...kind,
    weights: decode(kind.weights),
    rollout: kind.rollout && decode(kind.rollout),
    queries: kind.name !== "encoder" && data.target_tokens ? data.target_tokens : data.tokens,
    keys: kind.name === "decoder" && data.target_tokens ? data.target_tokens : data.tokens,
  }));
  const state = {
    kind: Math.max(0, kinds.findIndex((kind) => kind.name === options.kind)),
    view: options.view === "rollout" ? "rollout" : "heads",
    layer: options.layer ?? null,
    head: options.head ?? null,
    token: null,
  };

  // The chosen matrix (T, S), from 0 to 1: a head, a mean, or the rollout.
  function choose(layer = state.layer, head = state.head) {
    const { shape, weights, rollout } = kinds[state.kind];
    const [layers, heads, queries, keys] = shape;
    const size = queries * keys;
    if (state.view === "rollout") return Float32Array.from(rollout, (value) => value / 255);
    const found = new Float32Array(size);
    const some = (index, count) => (index === null ? [...Array(count).keys()] : [index]);
    const chosen = some(layer, layers).flatMap((l) => some(head, heads).map((h) => l * heads + h));
    for (const block of chosen) {
      for (let at = 0; at < size; at++) found[at] += weights[block * size + at];
    }
    return found.map((value) => value / 255 / chosen.length);
  }

  const root = make(parent, "div", undefined, "attention");
  const controls = make(root, "div", undefined, "attention-controls");
  const selects = {};
  for (const [name, label] of Object.entries({ kind: "Kind", view: "View", layer: "Layer", head: "Head" })) {
    const field = make(controls, "label", `${label} `);
    selects[name] = make(field, "select");
    selects[name].addEventListener("change", () => {
      const { value } = selects[name];
      state[name] = name === "view" ? value : value === "" ? null : Number(value);
      if (name === "kind") Object.assign(state, { layer: null, head: null, token: null });
      update();
    });
  }
  const rows = ["from", "to"].map((side) => {
    const row = make(root, "div", undefined, "attention-row");
    make(row, "span", side, "attention-side");
    return make(row, "div", undefined, "attention-tokens");
  });
  const words = make(root, "p", undefined, "attention-words");
  words.setAttribute("role", "status");
  const grid = make(root, "div", undefined, "attention-grid");
  const help = "Hover over a token, or reach it with Tab and arrows, to see where it looks. " +
    "Choose a head by a click, or with arrows between the pictures.";
  make(root, "p", help, "attention-help");

  function fill(name, entries, value) {
    selects[name].replaceChildren();
    for (const [key, text] of entries) make(selects[name], "option", text).value = key;
    selects[name].value = value ?? "";
  }

  // Moves among the children of a parent with the arrows.
  function moveWithArrows(event, width) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -width, ArrowDown: width };
    const step = steps[event.key];
    if (step === undefined) return;
    const all = [...event.currentTarget.querySelectorAll("button")];
    const next = all[all.indexOf(document.activeElement) + step];
    if (!next) return;
    event.preventDefault();
    next.focus();
  }

  function drawHead(canvas, matrix, queries, keys) {
    canvas.width = keys;
    canvas.height = queries;
    const context = canvas.getContext("2d");
    const image = context.createImageData(keys, queries);
    for (let at = 0; at < matrix.length; at++) {
      image.data.set([53, 132, 228, Math.round(255 * Math.sqrt(matrix[at]))], 4 * at);
    }
    context.putImageData(image, 0, 0);
  }

  function buildGrid() {
    grid.replaceChildren();
    const [layers, heads, queries, keys] = kinds[state.kind].shape;
    grid.hidden = state.view === "rollout";
    if (grid.hidden) return;
    grid.style.gridTemplateColumns = `repeat(${heads}, minmax(2rem, 5rem))`;
    for (let layer = 0; layer < layers; layer++) {
      for (let head = 0; head < heads; head++) {
        const name = `Layer ${layer + kinds[state.kind].first_layer}, head ${head}`;
        const button = make(grid, "button");
        button.type = "button";
        button.title = name;
        button.setAttribute("aria-label", name);
        button.addEventListener("click", () => {
          const isSame = state.layer === layer && state.head === head;
          Object.assign(state, isSame ? { layer: null, head: null } : { layer, head });
          update(false);
        });
        drawHead(make(button, "canvas"), choose(layer, head), queries, keys);
      }
    }
  }

  function markHead() {
    const [, heads] = kinds[state.kind].shape;
    [...grid.children].forEach((button, index) => {
      const isChosen = (state.layer ?? Math.floor(index / heads)) === Math.floor(index / heads) &&
        (state.head ?? index % heads) === index % heads;
      button.setAttribute("aria-pressed", String(isChosen));
    });
  }

  function buildTokens() {
    const { queries, keys } = kinds[state.kind];
    rows.forEach((row, side) => {
      row.replaceChildren();
      (side ? keys : queries).forEach(([text, , , part], index) => {
        const token = make(row, side ? "span" : "button", text, "attention-token");
        token.classList.toggle("attention-special", part === "special");
        if (side) return;
        token.type = "button";
        const look = () => {
          state.token = index;
          shade();
        };
        token.addEventListener("mouseenter", look);
        token.addEventListener("focus", look);
        token.addEventListener("click", look);
      });
    });
  }

  function shade() {
    const { queries, keys, shape } = kinds[state.kind];
    const matrix = choose();
    const values = keys.map((_, key) => {
      if (state.token !== null) return matrix[state.token * shape[3] + key];
      let sum = 0;
      for (let query = 0; query < shape[2]; query++) sum += matrix[query * shape[3] + key];
      return sum / shape[2];
    });
    const most = Math.max(...values, 1e-9);
    [...rows[1].children].forEach((token, key) => {
      token.style.background = `rgba(53, 132, 228, ${((0.85 * values[key]) / most).toFixed(3)})`;
      token.title = `${(100 * values[key]).toFixed(0)} %`;
    });
    [...rows[0].children].forEach((token, query) => {
      token.setAttribute("aria-pressed", String(query === state.token));
    });
    const best = values.map((value, key) => [value, keys[key][0]]).sort((a, b) => b[0] - a[0]);
    const list = best.slice(0, 5).map(([value, text]) => `${text} ${(100 * value).toFixed(0)} %`);
    const who = state.token === null ? "On average" : queries[state.token][0];
    words.textContent = `${who} → ${list.join(", ")}`;
  }

  function update(rebuild = true) {
    const { shape, rollout, first_layer: first } = kinds[state.kind];
    if (!rollout) state.view = "heads";
    const count = (number, shift) => [...Array(number).keys()].map((at) => [at, at + shift]);
    fill("kind", kinds.map((kind, at) => [at, kind.name]), state.kind);
    fill("view", [["heads", "heads"], ...(rollout ? [["rollout", "rollout"]] : [])], state.view);
    fill("layer", [["", "mean"], ...count(shape[0], first)], state.layer);
    fill("head", [["", "mean"], ...count(shape[1], 0)], state.head);
    selects.kind.parentElement.hidden = kinds.length < 2;
    selects.layer.disabled = selects.head.disabled = state.view === "rollout";
    if (rebuild) {
      buildGrid();
      buildTokens();
    }
    markHead();
    shade();
  }

  rows[0].addEventListener("keydown", (event) => moveWithArrows(event, 1));
  rows[0].addEventListener("mouseleave", () => {
    if (rows[0].contains(document.activeElement)) return;
    state.token = null;
    shade();
  });
  grid.addEventListener("keydown", (event) => moveWithArrows(event, kinds[state.kind].shape[1]));
  update();
  return root;
}
