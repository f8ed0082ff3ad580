/* An experiment of training: one slider moves a cursor over the curves, the clock, the diagram and the spectrum together. */
(() => {
  "use strict";

  const { el, number, calm, player } = todacomm;
  const grok = (todacomm.grok = todacomm.grok || {});
  const PACE = 90; // milliseconds between two frames

  const grouped = (step) => step.toLocaleString("en-US");

  grok.titled = (words) => ({ text: words, font: { size: 12.5 }, standoff: 6 });

  /* A row of buttons of which one is chosen. */
  grok.choice = (legend, options, chosen, choose) => {
    const buttons = options.map((label, i) =>
      el("button", {
        type: "button", "aria-pressed": String(i === chosen),
        onclick: () => {
          buttons.forEach((b, j) => b.setAttribute("aria-pressed", String(i === j)));
          choose(i);
        },
      }, label));
    return { element: el("fieldset", {}, el("legend", {}, legend), buttons), press: (i) => buttons[i].click() };
  };

  grok.select = (label, options, change) =>
    el("label", {}, el("span", {}, label),
      el("select", { onchange: (event) => change(event.target.selectedIndex) }, options.map((o) => el("option", {}, o))));

  /* The state of the page, and what is to move with it. */
  function stateOf(payload) {
    const movers = [];
    let asked = false;
    const state = {
      payload, cell: payload, frames: payload.frames, frame: payload.frames ? payload.frames.steps.length - 1 : 0,
      cloud: 0, view: 0, hidden: new Set(), large: 0, spectrum: 0, movers, told: () => {},
      step: () => state.frames.steps[state.frame],
      moves: () => state.frames !== null && state.cell === payload,
      moment: () => (state.frames.moments.find((m) => m.step === state.step()) || { label: "" }).label,
      go: (frame) => {
        state.frame = Math.min(Math.max(frame, 0), state.frames.steps.length - 1);
        state.told();
        document.documentElement.dataset.ready = "0"; // until the charts that move have come to rest
        if (asked) return;
        asked = true;
        requestAnimationFrame(() => {
          asked = false;
          movers.forEach((move) => move());
        });
      },
      goTo: (step) => state.go(nearest(state.frames.steps, step)),
    };
    return state;
  }

  function nearest(steps, step) {
    let best = 0;
    steps.forEach((s, i) => { if (Math.abs(s - step) < Math.abs(steps[best] - step)) best = i; });
    return best;
  }

  /* What is said of the step: its moment, and two numbers of the run there. */
  function reading(state) {
    const { runs, followed, followed_label: label } = state.payload;
    const run = runs.find((r) => r.label === state.frames.run);
    const place = run.steps.indexOf(state.step());
    const value = (key) => (run.series[key] && place >= 0 ? run.series[key][place] : null);
    const told = [[`test accuracy`, value("test_accuracy")], [label, value(followed)]].filter(([, x]) => x !== null);
    return [run.label, ...told.map(([name, x]) => `${name} ${number(x, 3)}`)].join(" · ");
  }

  /* The bar: play, slider, moments. */
  function bar(state) {
    const { steps, moments, of, run } = state.frames;
    const last = steps.length - 1;
    const marks = el("datalist", { id: "moments" }, moments.map((m) => el("option", { value: nearest(steps, m.step) })));
    const slider = el("input", {
      type: "range", id: "step", min: 0, max: last, step: 1, value: state.frame, list: "moments",
      "aria-label": `Training step of ${run}`,
      oninput: () => { play.stop(); state.go(Number(slider.value)); },
    });
    const told = el("output", { for: "step", class: "grok-step" });
    const more = el("span", { class: "grok-told" });
    const buttons = moments.map((m) =>
      el("button", { type: "button", "data-moment": m.label, onclick: () => { play.stop(); state.goTo(m.step); } }, m.label));
    const play = playing(state, moments.map((m) => nearest(steps, m.step)));
    state.told = () => {
      const moment = state.moment();
      slider.value = state.frame;
      slider.setAttribute("aria-valuetext", `step ${grouped(state.step())} of ${grouped(steps[last])}${moment && `, ${moment}`}`);
      told.textContent = `step ${grouped(state.step())}`;
      more.textContent = reading(state);
      buttons.forEach((b) => b.setAttribute("aria-pressed", String(b.dataset.moment === moment)));
    };
    state.told();
    const thinned = steps.length < of ? el("p", { class: "how" }, `${steps.length} of the ${of} checkpoints of this run are kept on this page, the moments among them.`) : null;
    return el("div", { class: "grok-bar screen" },
      el("div", { class: "grok-row" }, play.button, slider, told, marks),
      el("div", { class: "grok-row" }, el("div", { class: "grok-moments", role: "group", "aria-label": "Moments" }, buttons), more), thinned);
  }

  /* Play: frame by frame; from moment to moment where motion is to be reduced. */
  function playing(state, places) {
    const last = () => state.frames.steps.length - 1;
    const next = () => (calm() ? places.find((p) => p > state.frame) ?? last() : state.frame + 1);
    function advance() {
      if (state.frame >= last()) return false;
      state.go(next());
      return true;
    }
    return player(() => { if (state.frame >= last()) state.go(0); }, advance, PACE);
  }

  function cellChoice(state, change) {
    const cells = [state.payload, ...state.payload.others];
    if (cells.length === 1) return null;
    return el("div", { class: "controls" }, grok.select("Cell of the sweep", cells.map((c) => `${c.cell}: ${c.verdict}`), (i) => change(cells[i])));
  }

  todacomm.explorers.grok = (host, payload) => {
    const state = stateOf(payload);
    const stage = el("div", { class: "grok-stage" });
    const curves = el("div", { class: "grok-curves" });
    const grid = el("div", { class: "grok-grid" }, stage, curves);
    const below = el("div");
    const elsewhere = el("p", { class: "absent", hidden: true },
      `Slider, clock and diagram are of the cell ${payload.cell} alone; here are the curves and the signature.`);
    const steered = state.frames ? bar(state) : null;
    host.append(...[cellChoice(state, choose), elsewhere, steered].filter(Boolean), grid, below);
    if (state.frames) grok.stage(stage, below, state);
    else grid.before(el("p", { class: "absent" }, "No slider, no clock, no diagram: of no run are the diagrams and embeddings of every checkpoint at hand."));
    grid.classList.toggle("grok-alone", !state.frames);
    const redraw = grok.curves(curves, state);
    const judge = grok.signature(host, state);

    function choose(cell) {
      Object.assign(state, { cell, cloud: 0, view: 0, spectrum: 0, hidden: new Set() });
      const here = state.moves();
      [steered, stage, below].filter(Boolean).forEach((part) => { part.hidden = !here; });
      elsewhere.hidden = here || !state.frames;
      grid.classList.toggle("grok-alone", !here);
      redraw();
      judge();
    }
  };
})();
