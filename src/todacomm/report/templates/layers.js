/* The explorer along the layers: what is chosen, the controls, and the charts that follow them. */
(() => {
  "use strict";

  const { el, number } = todacomm;

  /* Words and numbers */

  /* Two digits of the width of an interval, at least two and at most six. */
  function digitsOf(low, high) {
    const [largest, width] = [Math.max(Math.abs(low), Math.abs(high)), high - low];
    if (!(width > 0) || !(largest > 0)) return 4;
    return Math.min(6, Math.max(2, Math.floor(Math.log10(largest)) - Math.floor(Math.log10(width)) + 2));
  }

  const known = (x) => x !== null && x !== undefined;

  function between(low, high) {
    if (!known(low) || !known(high)) return "";
    const digits = digitsOf(low, high);
    const largest = Math.max(Math.abs(low), Math.abs(high));
    const decimals = largest > 0 ? digits - 1 - Math.floor(Math.log10(largest)) : 0;
    if ((Number.isInteger(low) && Number.isInteger(high)) || decimals < 0 || decimals > 6) return `[${number(low, digits)}, ${number(high, digits)}]`;
    const fixed = (x) => x.toLocaleString("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
    return `[${fixed(low)}, ${fixed(high)}]`;
  }

  /* A number with the zeros that belong to its digits; whole ones as they are. */
  function padded(x, digits) {
    const short = number(x, digits);
    return !known(x) || !Number.isFinite(x) || Number.isInteger(x) || /[,e]/.test(short) ? short : x.toPrecision(digits);
  }

  const valued = (x, low, high) => padded(x, known(low) && known(high) ? digitsOf(low, high) : 4);
  const pText = (p) => (known(p) ? (p < 0.0995 ? Number(p.toPrecision(2)).toString() : p.toFixed(2)) : "");
  const percent = (x) => (known(x) ? `${number(100 * x, x >= 0.9995 ? 4 : 3)} %` : "undefined");
  const sentence = (words) => words.charAt(0).toUpperCase() + words.slice(1).replace(/\.*$/, ".");
  const listed = (words) => [words.slice(0, -1).join(", "), ...words.slice(-1)].filter(Boolean).join(" and ");

  /* What is asked for: the key of a number and its label with the unit. */

  const free = (state) => state.free && Boolean(state.metric.scaled);
  const keyOf = (metric, isFree) => (isFree && metric.scaled ? metric.scaled : metric.key);

  function labelOf(metric, isFree, profiles) {
    if (isFree && metric.scaled) return `${metric.label} / median distance`;
    const units = [...new Set(profiles.map((p) => p.unit))];
    return metric.degree === 0 || metric.integer ? metric.label : `${metric.label} (${units.join(" or ")})`;
  }

  /* A number of one layer with all that is claimed of it. */
  function claim(profile, key, i) {
    const at = (columns) => (columns && columns[key] ? columns[key][i] : null);
    const tested = profile.null[key] || {};
    const test = Object.fromEntries(Object.entries(tested).map(([name, column]) => [name, column ? column[i] : null]));
    return { value: at(profile.values), low: at(profile.low), high: at(profile.high), test };
  }

  const inkOf = (profile, theme) => (profile.colour === "#000000" ? theme.ink : profile.colour);
  const cut = (s, most) => (s.length <= most ? s : `${s.slice(0, most - 1)}…`);

  /* What is chosen at first: the loops, scale-free, at the sound layer where they are largest */

  function peakOf(profile, metric, isFree) {
    const values = profile.values[keyOf(metric, isFree)] || [];
    const order = profile.layers.map((_, i) => i).filter((i) => known(values[i]));
    const sound = order.filter((i) => !profile.strip.doubt[i]);
    return (sound.length ? sound : order).reduce((best, i) => (best === -1 || values[i] > values[best] ? i : best), -1);
  }

  function initial({ metrics, profiles }) {
    const metric = metrics.find((m) => m.key === "H1_max_lifetime") || metrics[0];
    const layer = Math.max(0, peakOf(profiles[0], metric, true));
    return { metric, free: true, band: true, null: true, on: new Set(profiles.map((p) => p.id)), profile: 0, layer, same: true, colour: null, view: null, reader: null };
  }

  /* Controls */

  const labelled = (words, control) => el("label", {}, el("span", {}, words), control);

  let groups = 0;

  function choice(legend, control, options, chosen, choose) {
    const name = `${control}-${(groups += 1)}`;
    const radios = options.map(([value, words]) => el("label", {},
      el("input", { type: "radio", name, value, "data-control": control, checked: value === chosen, onchange: () => choose(value) }), words));
    return el("fieldset", {}, el("legend", {}, legend), radios);
  }

  const toggle = (words, control, checked, change) => el("label", {}, el("input", { type: "checkbox", "data-control": control, checked, onchange: (e) => change(e.target.checked) }), words);

  function metricChoice({ payload, state }, change) {
    const select = el("select", { "data-control": "metric", onchange: (e) => change(() => { state.metric = payload.metrics.find((m) => m.key === e.target.value); }) },
      payload.metrics.map((m) => el("option", { value: m.key, selected: m === state.metric }, m.label)));
    return labelled("Number", select);
  }

  function modelToggles({ profiles, state }, change) {
    if (profiles.length < 2) return null;
    const one = (p) => el("label", {},
      el("input", { type: "checkbox", "data-profile": p.id, checked: true, onchange: (e) => change(() => state.on[e.target.checked ? "add" : "delete"](p.id)) }),
      el("span", { class: "swatch", style: `background:${p.colour === "#000000" ? "var(--ink)" : p.colour}` }), p.label);
    return el("fieldset", {}, el("legend", {}, "Models"), profiles.map(one));
  }

  function spineControls(context, change) {
    const { state, profiles } = context;
    const some = (name) => profiles.some((p) => Object.keys(p[name]).length);
    const confidence = profiles.map((p) => p.confidence).find(known);
    return el("div", { class: "controls" },
      metricChoice(context, change),
      context.payload.metrics.some((m) => m.scaled) && choice("Unit", "unit", [["free", "scale-free"], ["raw", "raw"]], "free", (v) => change(() => { state.free = v === "free"; }, true)),
      some("low") && toggle(known(confidence) ? `${number(100 * confidence, 3)} % intervals` : "intervals", "intervals", true, (on) => change(() => { state.band = on; })),
      some("null") && toggle("noise", "noise", true, (on) => change(() => { state.null = on; })),
      modelToggles(context, change));
  }

  /* What is not there, in words */

  function absences({ state, profiles }) {
    const key = keyOf(state.metric, free(state));
    const without = (has) => profiles.filter((p) => !has(p)).map((p) => p.label);
    const whose = (labels) => (labels.length === profiles.length ? "" : ` of ${listed(labels)}`);
    const said = [];
    if (state.free && !state.metric.scaled) said.push(`${state.metric.label}: raw and scale-free are the same here.`);
    const [numbers, intervals, nulls] = [(p) => (p.values[key] || []).some(known), (p) => p.low[key], (p) => p.null[key]].map(without);
    if (numbers.length) said.push(`This number is undefined at every layer${whose(numbers)}.`);
    if (intervals.length) said.push(`No interval was computed for this number${whose(intervals)}.`);
    if (nulls.length) said.push(`No noise was drawn for this number${whose(nulls)}: nothing here says that it differs from noise.`);
    return said.join(" ");
  }

  /* The choice of a layer: one button for each, arrow keys between them */

  function move(event, count, current) {
    const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -count, End: count };
    if (!(event.key in steps)) return null;
    event.preventDefault();
    return Math.min(count - 1, Math.max(0, current + steps[event.key]));
  }

  function layerButtons(context, choose) {
    const { state, profiles } = context;
    const profile = profiles[state.profile];
    const button = (layer, i) => el("button", {
      type: "button", role: "radio", "data-layer": layer, "aria-label": `${layer}${profile.strip.doubt[i] ? ", doubtful" : ""}`, title: layer,
      class: profile.strip.doubt[i] ? "doubtful" : "", onclick: () => choose(state.profile, i),
    }, profile.short[i]);
    const row = el("div", { class: "layer-row", role: "radiogroup", "aria-label": "Layer", onkeydown: (event) => {
      const next = move(event, profile.layers.length, state.layer);
      if (next === null) return;
      choose(state.profile, next);
      row.children[next].focus();
    } }, profile.layers.map(button));
    return row;
  }

  function mark(row, chosen) {
    [...row.children].forEach((button, i) => {
      button.setAttribute("aria-checked", String(i === chosen));
      button.tabIndex = i === chosen ? 0 : -1;
    });
    const button = row.children[chosen];
    row.scrollLeft = button.offsetLeft - (row.clientWidth - button.clientWidth) / 2;
  }

  /* The layer of the other profile that lies nearest in depth: the same one where both have it. */
  function counterpart(from, layer, to) {
    const same = to.layers.indexOf(from.layers[layer]);
    if (same >= 0 && to.layers.length === from.layers.length) return same;
    return to.places.reduce((best, x, i) => (Math.abs(x - from.places[layer]) < Math.abs(to.places[best] - from.places[layer]) ? i : best), 0);
  }

  function readout({ state, profiles }) {
    const [profile, i] = [profiles[state.profile], state.layer];
    const { value, low, high, test } = claim(profile, keyOf(state.metric, free(state)), i);
    const noise = known(test.mean) ? `; noise ${valued(test.mean, test.low, test.high)} ${between(test.low, test.high)}${known(test.p) ? `, p ${pText(test.p)}` : ""}` : "";
    return `${profiles.length > 1 ? `${profile.label}, ` : ""}${profile.layers[i]}: ${state.metric.label} ${valued(value, low, high)} ${between(low, high)}${noise}${profile.strip.doubt[i] ? "; doubtful" : ""}`;
  }

  function chooser(context, choose) {
    const { profiles, state } = context;
    const told = el("p", { class: "readout", "aria-live": "polite" });
    const down = el("a", { href: `#${context.place}`, class: "down" }, "in detail ↓");
    const bar = el("div", { class: "chooser screen" });
    let [row, owner] = [null, -1];
    const select = profiles.length > 1 && el("select", { "data-control": "profile", "aria-label": "Model whose layers are shown", onchange: (e) => {
      const next = Number(e.target.value);
      choose(next, counterpart(profiles[state.profile], state.layer, profiles[next]));
    } }, profiles.map((p, i) => el("option", { value: i }, p.label)));
    const refresh = () => {
      if (owner !== state.profile) {
        owner = state.profile;
        row = layerButtons(context, choose);
        bar.replaceChildren(...[el("span", { class: "lead" }, `${context.payload.along}${profiles.length > 1 ? " of" : ""}`), select, row, down, told].filter(Boolean));
        if (select) select.value = String(owner);
      }
      mark(row, state.layer);
      told.textContent = readout(context);
    };
    return { bar, refresh };
  }

  function explorer(host, payload) {
    const { axisOf, profileChart, stripChart, growthChart, growthTitle, apart, panel } = todacomm.layers;
    const { profiles } = payload;
    const context = { payload, profiles, state: initial(payload), axis: axisOf(profiles), place: `one-layer-${host.dataset.explorer}` };
    const absent = el("p", { class: "absent", "aria-live": "polite" });
    const chosen = chooser(context, choose);
    let along = [];
    let details = null;
    let growth = null;

    function choose(profile, layer) {
      Object.assign(context.state, { profile, layer, reader: null });
      chosen.refresh();
      details.refresh();
      follow();
    }

    /* The charts along the layers after a choice; that of expansions is of one baseline, that of the model that is chosen. */
    function follow() {
      if (growth) {
        growth.retitle(growthTitle(context));
        growth.note(apart(context));
      }
      along.forEach((chart) => chart.update());
    }

    function change(act, everywhere = false) {
      act();
      along[0].retitle(titleOf(context));
      absent.textContent = absences(context);
      follow();
      chosen.refresh();
      if (everywhere) details.refresh();
    }

    const on = { plotly_click: ({ points }) => { const at = points.map((p) => p.customdata).find(Array.isArray); if (at) choose(...at); } };
    host.append(chosen.bar, spineControls(context, change));
    along = [profileChart(host, context, on)];
    host.append(absent);
    along.push(stripChart(host, context, on));
    if (profiles.some((p) => p.growth)) along.push((growth = growthChart(host, context, on)));
    else host.append(el("p", { class: "absent" }, "Expansion is not shown: no layer can be its baseline, or there is one layer alone."));
    details = panel(host, context, choose);
    chosen.refresh();
    details.refresh();
    along[0].retitle(titleOf(context));
    absent.textContent = absences(context);
    if (growth) growth.note(apart(context));
  }

  const titleOf = ({ state, profiles }) => `${labelOf(state.metric, free(state), profiles)} along the layers`;

  todacomm.layers = { known, between, padded, valued, pText, percent, listed, sentence, cut, free, keyOf, labelOf, claim, inkOf, labelled, choice, toggle };
  todacomm.explorers.layers = explorer;
})();
