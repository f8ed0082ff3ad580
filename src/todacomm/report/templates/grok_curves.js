/* The curves of all runs and controls on one axis of steps, panel under panel, with milestones, null band and cursor. */
(() => {
  "use strict";

  const { el, text, chart, faint } = todacomm;
  const grok = (todacomm.grok = todacomm.grok || {});
  const TITLE = 24, GAP = 12, TOP = 42, FOOT = 46, BAR = 52, LEGEND = 44; // pixels
  const PLOT = 92, HEAT = 150;
  const LEAST = 1e-3; // of the variance; less is not told apart
  const DASH_WORDS = { solid: "solid", dot: "dotted", dash: "dashed" };

  /* Where a step stands on the axis: on a logarithmic one, step 0 stands before the first that is not. */
  function axisOf(cell) {
    const all = cell.runs.flatMap((r) => r.steps);
    const last = Math.max(...all, 1);
    if (!cell.log_steps) {
      return { place: (s) => s, x: { range: [-0.012 * last, 1.012 * last], nticks: 9, tickformat: ",d" } };
    }
    const first = Math.min(...all.filter((s) => s > 0));
    const zero = first / 2;
    const decades = Array.from({ length: 12 }, (_, k) => [1, 2, 5].map((m) => m * 10 ** k)).flat();
    const ticks = decades.filter((s) => s >= first && s <= last);
    return {
      place: (s) => (s > 0 ? s : zero),
      x: {
        type: "log", range: [Math.log10(zero * 0.94), Math.log10(last * 1.04)],
        tickvals: [zero, ...ticks], ticktext: ["0", ...ticks.map((s) => s.toLocaleString("en-US"))],
      },
    };
  }

  const viewOf = (state) => state.cell.views[state.view];
  const keyOf = (state, panel, line) => {
    const view = viewOf(state);
    return panel.of_cloud ? `${state.cell.clouds[state.cloud].key}/${view.key}/${line.key}${view.suffix}` : line.key;
  };
  const unitOf = (state, panel) =>
    panel.of_cloud ? `${state.cell.clouds[state.cloud].label}, ${viewOf(state).unit}` : panel.unit;

  const isControl = (run) => run.kind !== "run" && run.kind !== "median";
  const shown = (state, run) => !state.hidden.has(isControl(run) ? "controls" : run.label);

  /* The panels that have a line to draw, with the room that each takes from the top. */
  function rows(state) {
    const heat = state.cell.spectra.length ? [{ heat: true, height: HEAT }] : [];
    let top = 0;
    return [...state.cell.panels, ...heat].map((panel) => {
      const height = panel.heat ? HEAT : PLOT;
      const row = { panel, top: top + TITLE, height };
      top += TITLE + height + GAP;
      return row;
    });
  }

  const whole = (state) => rows(state).reduce((sum, row) => sum + TITLE + row.height + GAP, 0) - GAP;
  const axisName = (i) => (i ? `y${i + 1}` : "y");

  /* Traces */

  function lineTrace(state, panel, line, run, axis, place) {
    const values = run.series[keyOf(state, panel, line)];
    if (!values || !values.some((v) => v !== null)) return null;
    const kept = panel.log ? values.map((v) => (v > 0 ? v : null)) : values;
    const control = isControl(run);
    const many = state.cell.runs.some((r) => r.kind === "median");
    const name = [panel.label, line.label].filter(Boolean).join(", ");
    return {
      type: "scatter", mode: kept.filter((v) => v !== null).length === 1 ? "markers" : "lines", name: run.label, showlegend: false,
      x: run.steps.map(place), y: kept, customdata: run.steps, xaxis: "x", yaxis: axis,
      line: {
        color: run.colour, dash: line.dash === "dot" ? "dot" : run.dash,
        width: control ? 1 : run.kind === "median" ? 2.6 : many ? 1 : 1.9,
      },
      opacity: many && run.kind === "run" ? 0.75 : 1,
      hovertemplate: `${text(run.label)}<br>${text(name)}: %{y:.4~g}<br>step %{customdata:,d}<extra></extra>`,
    };
  }

  function bandTraces(state, panel, axis, place) {
    const { band } = state.cell;
    if (!band || !panel.of_cloud || !panel.lines.some((line) => keyOf(state, panel, line) === band.key)) return [];
    const edge = { type: "scatter", mode: "lines", x: band.steps.map(place), line: { width: 0 }, hoverinfo: "skip", showlegend: false, xaxis: "x", yaxis: axis };
    return [{ ...edge, y: band.low }, { ...edge, y: band.high, fill: "tonexty", fillcolor: "rgba(140,140,140,0.45)" }];
  }

  function heatTrace(state, axis, place, room) {
    const { steps, shares, run } = state.cell.spectra[Math.min(state.spectrum, state.cell.spectra.length - 1)];
    const table = shares[0].map((_, k) => shares.map((row) => row[k]));
    return {
      type: "heatmap", x: steps.map(place), y: table.map((_, k) => k + 1), xaxis: "x", yaxis: axis, colorscale: "Cividis",
      z: table.map((row) => row.map((share) => Math.log10(Math.max(share, LEAST)))), customdata: table, zmin: -3, zmax: 0, text: table.map(() => steps),
      hovertemplate: `${text(run)}<br>frequency %{y}: %{customdata:.2%} of the variance<br>step %{text:,d}<extra></extra>`,
      colorbar: {
        orientation: "h", thickness: 9, len: Math.min(0.92, 330 / (room.width - 70)), x: 0, xanchor: "left", outlinewidth: 0,
        y: -FOOT / whole(state), yanchor: "top", ypad: 0, xpad: 0, tickvals: [-3, -2, -1, 0], ticktext: ["≤ 0.1 %", "1 %", "10 %", "100 %"],
        tickfont: { size: 11 }, title: { text: "share of the variance of the embedding", side: "top", font: { size: 11.5 } },
      },
    };
  }

  function keys(state) {
    const entries = state.cell.runs.filter((run) => shown(state, run));
    const told = new Map(entries.map((run) => [isControl(run) ? `control: ${run.kind}` : run.label, run]));
    return [...told].map(([name, run]) => ({
      type: "scatter", mode: "lines", x: [null], y: [null], name: text(name), line: { color: run.colour, dash: run.dash, width: 2 },
    }));
  }

  function traces(state, room) {
    const { place } = axisOf(state.cell);
    const order = [...state.cell.runs].sort((a, b) => isControl(b) - isControl(a));
    const drawn = rows(state).flatMap(({ panel }, i) => {
      const axis = axisName(i);
      if (panel.heat) return [heatTrace(state, axis, place, room)];
      const lines = panel.lines.flatMap((line) =>
        order.filter((run) => shown(state, run) && (line.controls || !isControl(run))).map((run) => lineTrace(state, panel, line, run, axis, place)));
      return [...bandTraces(state, panel, axis, place), ...lines.filter(Boolean)];
    });
    return room.exported ? [...drawn, ...keys(state)] : drawn;
  }

  /* Layout */

  const dashed = (panel) => panel.lines.map((line) => `${DASH_WORDS[line.dash]}: ${line.label}`).join(", ");

  function titleOf(state, panel, width) {
    if (panel.heat) {
      const { run } = state.cell.spectra[Math.min(state.spectrum, state.cell.spectra.length - 1)];
      return `<b>Spectrum over time</b> frequency k, ${text(run)}`;
    }
    const dashes = panel.lines.length > 1 && width > 500 ? ` · ${dashed(panel)}` : "";
    return `<b>${text(panel.label)}</b> ${text(unitOf(state, panel))}${text(dashes)}`;
  }

  const raised = (k) => String(k).replace(/./g, (c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] || "⁻");

  const worded = (ticks) => ticks.map((v) =>
    ticks.every((t) => t >= 0.01 && t <= 1000) || v === 1 ? String(Number(v.toPrecision(1))) : `10${raised(Math.round(Math.log10(v)))}`);

  /* Powers of ten: every one where they are few, else every second, third …; within less than a decade a half also 2 and 5 times each. */
  function logTicks(state, panel) {
    const known = panel.lines.flatMap((line) => state.cell.runs.flatMap((run) => run.series[keyOf(state, panel, line)] || [])).filter((v) => v > 0);
    const [least, most] = [known.reduce((a, b) => Math.min(a, b), Infinity), known.reduce((a, b) => Math.max(a, b), 0)];
    const [low, high] = [Math.floor(Math.log10(least)), Math.ceil(Math.log10(most))];
    const every = Math.max(1, Math.ceil((high - low) / 4));
    const powers = Array.from({ length: high - low + 1 }, (_, i) => low + i).filter((k) => k % every === 0);
    const ticks = powers.flatMap((k) => (most / least < 30 ? [1, 2, 5] : [1]).map((m) => m * 10 ** k));
    return { type: "log", tickvals: ticks, ticktext: worded(ticks) };
  }

  function yAxis(state, row, height) {
    const { panel } = row;
    const domain = [1 - (row.top + row.height) / height, 1 - row.top / height];
    const own = panel.heat
      ? { range: [0.5, state.cell.spectra[0].shares[0].length + 0.5], nticks: 4, showgrid: false }
      : panel.log ? logTicks(state, panel) : { nticks: 4, ...(panel.range ? { range: panel.range } : {}) };
    return { domain: domain.map((d) => Math.max(0, Math.min(1, d))), fixedrange: true, ticklen: 3, tickfont: { size: 11.5 }, ...own };
  }

  function milestones(state, place) {
    return state.cell.runs.filter((run) => run.kind === "run" && shown(state, run)).flatMap((run) =>
      [[run.memorised, "dot"], [run.generalised, "dash"]].filter(([step]) => step !== null).map(([step, dash]) => ({
        type: "line", xref: "x", yref: "paper", x0: place(step), x1: place(step), y0: 0, y1: 1, layer: "below", opacity: 0.7,
        line: { color: run.colour, width: 1.1, dash },
      })));
  }

  /* The most of what is drawn in a panel: a band that reaches far beyond it ends there. */
  const highest = (state, panel) => state.cell.runs.filter((run) => shown(state, run))
    .reduce((most, run) => Math.max(most, ...panel.lines.flatMap((line) => run.series[keyOf(state, panel, line)] || [])), 0);

  function nullShapes(state) {
    const { band } = state.cell;
    if (!band || !band.one_more) return [];
    return rows(state).flatMap(({ panel }, i) =>
      panel.of_cloud && panel.lines.some((line) => keyOf(state, panel, line) === band.key)
        ? [{ type: "rect", xref: "paper", x0: 0, x1: 1, yref: axisName(i), y0: band.one_more[0], y1: Math.max(band.one_more[0], Math.min(band.one_more[1], 1.1 * highest(state, panel))), layer: "below", line: { width: 0 }, fillcolor: "rgba(140,140,140,0.22)" }]
        : []);
  }

  /* In a figure that is kept; on the page the cursor is an element over it. */
  function cursor(state, place, theme, room) {
    if (!room.exported || !state.moves()) return { shapes: [], annotations: [] };
    const at = place(state.step());
    return {
      shapes: [{ type: "line", xref: "x", yref: "paper", x0: at, x1: at, y0: 0, y1: 1 + (TOP - 20) / whole(state), line: { color: theme.accent, width: 2 } }],
      annotations: [{
        xref: "x", x: state.cell.log_steps ? Math.log10(at) : at, xanchor: "center", yref: "paper", y: 1, yanchor: "bottom", showarrow: false, text: `<b>${cursorText(state)}</b>`,
        yshift: 18, font: { color: theme.accent, size: 12 }, bgcolor: theme.paper, borderpad: 0,
      }],
    };
  }

  const cursorText = (state) => `step ${state.step().toLocaleString("en-US")}`;

  function layout(state, theme, room) {
    const { place, x } = axisOf(state.cell);
    const height = whole(state);
    const found = rows(state);
    const { shapes, annotations } = cursor(state, place, theme, room);
    const titles = found.map(({ panel, top }) => ({
      xref: "paper", x: 0, xanchor: "left", yref: "paper", y: 1 - top / height, yanchor: "bottom", showarrow: false,
      text: titleOf(state, panel, room.width), font: { size: 12 }, align: "left", bgcolor: theme.paper, borderpad: 0, yshift: 2,
    }));
    return {
      ...Object.fromEntries(found.map((row, i) => [`yaxis${i ? i + 1 : ""}`, yAxis(state, row, height)])),
      xaxis: { ...x, anchor: axisName(found.length - 1), title: grok.titled("training step"), side: "bottom" },
      margin: { l: 46, r: 10, t: room.exported ? TOP + LEGEND : TOP, b: FOOT + (state.cell.spectra.length ? BAR : 0) },
      shapes: [...shapes, ...nullShapes(state), ...milestones(state, place)],
      annotations: [...annotations, ...titles], hoverdistance: 14, showlegend: Boolean(room.exported),
      legend: { y: 1 + TOP / height, yanchor: "bottom", yref: "paper", traceorder: "normal" },
    };
  }

  const heightOf = (state) => whole(state) + TOP + FOOT + (state.cell.spectra.length ? BAR : 0);

  function data(state) {
    const names = [...new Set(state.cell.runs.flatMap((run) => Object.keys(run.series)))];
    const value = (run, name, i) => (run.series[name] ? run.series[name][i] : null);
    return {
      header: ["run", "kind", "step", ...names],
      rows: state.cell.runs.flatMap((run) => run.steps.map((step, i) => [run.label, run.kind, step, ...names.map((n) => value(run, n, i))])),
    };
  }

  /* Controls */

  function toggles(state, redraw) {
    const { runs } = state.cell;
    const controls = runs.filter(isControl);
    const toggle = (id, label, swatches) => {
      const box = el("input", { type: "checkbox", "data-profile": id, checked: true, onchange: () => {
        if (box.checked) state.hidden.delete(id);
        else state.hidden.add(id);
        redraw();
      } });
      return el("label", {}, box, swatches, el("b", {}, label));
    };
    const swatch = (run) => el("i", { class: "grok-swatch", style: `border-top: 3px ${run.dash === "dash" ? "dashed" : "solid"} ${run.colour === "ink" ? "var(--ink)" : run.colour}` });
    const kinds = [...new Map(controls.map((run) => [run.kind, run])).values()];
    const mark = (style, word) => [el("i", { class: "grok-mark", style: `border-left: 2px ${style} var(--soft)` }), word];
    return el("div", { class: "grok-legend" },
      runs.filter((run) => !isControl(run)).map((run) => toggle(run.label, run.label, swatch(run))),
      controls.length ? toggle("controls", `controls: ${kinds.map((run) => run.kind).join(", ")}`, kinds.map(swatch)) : null,
      runs.some((run) => run.memorised !== null) ? el("span", {}, mark("dotted", "memorised")) : null,
      runs.some((run) => run.generalised !== null) ? el("span", {}, mark("dashed", "generalised")) : null,
      state.cell.band && state.cell.band.one_more ? el("span", {}, el("i", { class: "grok-band" }), "null band") : null);
  }

  function choices(state, redraw) {
    const { clouds, views, spectra } = state.cell;
    const set = (name) => (i) => { state[name] = i; redraw(); };
    return [
      clouds.length ? grok.select("Topology of", clouds.map((c) => c.label), set("cloud")) : null,
      clouds.length ? grok.select("lengths", views.map((v) => v.label), set("view")) : null,
      spectra.length > 1 ? grok.select("Spectrum of", spectra.map((s) => s.run), set("spectrum")) : null,
    ].filter(Boolean);
  }

  function explained(state) {
    return el("details", { class: "grok-panels" }, el("summary", {}, "What each panel shows"),
      el("dl", {}, state.cell.panels.flatMap((panel) => [el("dt", {}, panel.label), el("dd", {}, panel.how, panel.lines.length > 1 ? ` Here ${dashed(panel)}.` : "")])));
  }

  grok.curves = (host, state) => {
    const chosen = el("div", { class: "controls" });
    const legend = el("div");
    const handle = chart(host, {
      name: "training", title: "Training curves, and topology below them",
      how: "All panels share one axis of steps. One colour is one seed everywhere, grey lines are controls. Dotted and dashed vertical lines are where the run of " +
        "that colour memorised and generalised. A press on a curve moves the cursor there; dragging along the steps zooms in, a double press zooms out.",
      controls: [chosen, legend], height: () => heightOf(state),
      traces: (_, room) => traces(state, room), layout: (theme, room) => layout(state, theme, room), data: () => data(state),
      on: {
        plotly_click: ({ points }) => { if (state.moves()) state.goTo(points[0].data.type === "heatmap" ? points[0].text : points[0].customdata); },
        plotly_afterplot: () => moved(),
      },
    });
    const moved = grok.cursor(handle, () => ({ at: axisOf(state.cell).place(state.step()), words: cursorText(state) }), state.moves);
    state.movers.push(moved);
    const details = el("div");
    handle.figure.append(details);
    function fill() {
      chosen.replaceChildren(...choices(state, handle.update));
      legend.replaceChildren(toggles(state, handle.update));
      details.replaceChildren(explained(state));
    }
    fill();
    return () => {
      fill();
      handle.update();
    };
  };
})();
