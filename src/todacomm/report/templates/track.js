/* A track: one slider over the checkpoints moves the heat map's cursor, the profile along the layers and the diagram. */
(() => {
  "use strict";

  const { el, text, number, faint, scale, chart, player } = todacomm;
  const BLUE = "#0072B2", ORANGE = "#D55E00", AMBER = "#E69F00";

  const grouped = (step) => step.toLocaleString("en-US");
  const known = (values) => values.flat(2).filter((v) => v !== null);
  const column = (table, i) => table.map((row) => row[i]);
  const short = (layer) => (layer === "embedding" ? "emb" : layer.replace(/^layer_/, ""));

  function select(label, options, chosen, change) {
    const list = el("select", { onchange: (event) => change(event.target.selectedIndex) }, options.map((o) => el("option", {}, o)));
    list.selectedIndex = chosen;
    return { element: el("label", {}, el("span", {}, label), list), choose: (i) => { list.selectedIndex = i; } };
  }

  /* The range of all values of a number, so that nothing jumps while the slider moves; logarithms on a log axis. */
  function range(of) {
    const all = known([of.values, of.low || [], of.high || []]).filter((v) => !of.log || v > 0).map((v) => (of.log ? Math.log10(v) : v));
    const low = Math.min(...all), high = Math.max(...all), room = 0.06 * (high - low) || 0.5;
    return [low - room, high + room];
  }

  function band(x, low, high, name) {
    const there = x.map((_, i) => i).filter((i) => low && low[i] !== null && high[i] !== null);
    const ends = there.map((i) => high[i]).concat(there.map((i) => low[i]).reverse());
    return {
      type: "scatter", mode: "lines", x: there.map((i) => x[i]).concat(there.map((i) => x[i]).reverse()), y: ends, name,
      fill: "toself", fillcolor: faint(BLUE, 0.18), line: { width: 0 }, hoverinfo: "skip", showlegend: false,
    };
  }

  todacomm.explorers.track = (host, payload) => {
    const state = { series: payload.series[0], number: payload.series[0].first[0], layer: payload.series[0].first[1], place: 0 };
    const of = () => state.series.numbers[state.number];
    const layerName = () => state.series.layers[state.layer];
    const stepName = (t = state.place) => (state.series.ordered ? `step ${grouped(state.series.steps[t])}` : state.series.labels[t]);
    const last = () => state.series.steps.length - 1;
    const drawn = [];

    /* The bar */

    const slider = el("input", { type: "range", min: 0, step: 1, "aria-label": "Checkpoint", oninput: () => { playing.stop(); go(Number(slider.value)); } });
    const told = el("output", { class: "grok-step" });
    const more = el("span", { class: "grok-told" });
    const playing = player(() => { if (state.place >= last()) go(0); }, next);
    const choices = el("div", { class: "controls track-choices" });
    const thinned = el("p", { class: "how" });
    host.append(el("div", { class: "grok-bar screen" }, choices, el("div", { class: "grok-row" }, playing.button, slider, told), el("div", { class: "grok-row" }, more)), thinned);
    let layers = null;

    function offer() {
      const series = payload.series.length < 2 ? null : select("Series", payload.series.map((s) => s.name), payload.series.indexOf(state.series), (i) => change(payload.series[i]));
      const numbers = select("Number", state.series.numbers.map((n) => n.label), state.number, (i) => { state.number = i; retitle(); });
      layers = select("Layer", state.series.layers, state.layer, (i) => { state.layer = i; retitle(); });
      choices.replaceChildren(...[series, numbers, layers].filter(Boolean).map((s) => s.element));
      slider.max = last();
      const { of: whole, steps } = state.series;
      thinned.textContent = steps.length < whole ? `${steps.length} of the ${whole} checkpoints are kept on this page.` : "";
    }

    function change(series) {
      Object.assign(state, { series, number: series.first[0], layer: series.first[1], place: series.steps.length - 1 });
      offer();
      say();
      retitle();
    }

    function say() {
      slider.value = state.place;
      slider.setAttribute("aria-valuetext", stepName());
      told.textContent = stepName();
      const value = of().values[state.place][state.layer];
      const language = state.series.language;
      const words = language && language.values[state.place] !== null ? ` · ${language.label} ${number(language.values[state.place], 3)}` : "";
      more.textContent = `${layerName()}: ${of().label} ${number(value, 4)}${words}`;
    }

    function go(place) {
      state.place = Math.min(Math.max(place, 0), last());
      say();
      drawn.forEach((one) => one.update());
    }

    function next() {
      if (state.place >= last()) return false;
      go(state.place + 1);
      return true;
    }

    /* What is told at one place, for hover */

    function cell(t, i) {
      const n = of(), low = n.low && n.low[t][i], high = n.high && n.high[t][i];
      const ends = low !== null && low !== undefined && high !== null ? ` [${number(low, 3)}, ${number(high, 3)}]` : "";
      const p = state.series.loop_p && state.series.loop_p[t][i];
      const loop = n.key.startsWith("H1") && p !== null && p !== undefined ? `<br>loop test: p ${number(p, 2)}` : "";
      const doubt = state.series.doubtful[t][i] ? "<br>doubtful layer" : "";
      return `${text(state.series.layers[i])}, ${text(stepName(t))}<br>${text(n.label)} ${number(n.values[t][i], 4)}${ends}${loop}${doubt}`;
    }

    const rows = () => state.series.steps.flatMap((step, t) => state.series.layers.map((layer, i) => {
      const n = of();
      return [state.series.name, step, layer, n.values[t][i], n.low && n.low[t][i], n.high && n.high[t][i]];
    }));
    const data = () => ({ header: ["series", "step", "layer", of().key, "low", "high"], rows: rows() });

    /* Ticks of the checkpoints side by side */
    function columns(width) {
      const most = Math.max(3, Math.floor(width / 95)), every = Math.ceil(state.series.steps.length / most);
      const kept = state.series.steps.map((_, t) => t).filter((t) => (t % every === 0 && last() - t >= every) || t === last());
      return { tickvals: kept, ticktext: kept.map((t) => text(state.series.ordered ? grouped(state.series.steps[t]) : state.series.labels[t])) };
    }

    /* Heat map: layers over steps */

    const grid = el("div", { class: "charts" });
    host.append(grid);
    const heat = () => {
      const n = of();
      return state.series.layers.map((_, i) => column(n.values, i).map((v) => (v === null ? null : n.log ? Math.log10(v) : v)));
    };
    const wide = el("div", { class: "wide" });
    grid.append(wide);
    drawn.push(chart(wide, {
      name: "track-heat", title: "", data,
      how: "A row is a layer, a column a checkpoint; dark is large. The frame is the checkpoint of the slider, the dashed one the layer that is chosen; a press on a place chooses both.",
      height: (width) => Math.max(200, (width < 600 ? 22 : 28) * state.series.layers.length + 90),
      traces: (colours) => [{
        type: "heatmap", z: heat(), hovertext: state.series.layers.map((_, i) => state.series.steps.map((__, t) => cell(t, i))), hoverinfo: "text",
        colorscale: scale(colours), reversescale: true, xgap: 1, ygap: 1,
        colorbar: { thickness: 10, title: { text: of().log ? "log10" : "", side: "right" }, tickfont: { size: 11 } },
      }],
      layout: (_, { width }) => ({
        xaxis: { ...columns(width), title: { text: state.series.ordered ? "training step of the checkpoint" : "model" }, range: [-0.5, last() + 0.5], fixedrange: true },
        yaxis: { tickvals: state.series.layers.map((__, i) => i), ticktext: state.series.layers.map((l) => text(width < 600 ? short(l) : l)), range: [state.series.layers.length - 0.5, -0.5], fixedrange: true },
        shapes: [
          { type: "rect", x0: state.place - 0.5, x1: state.place + 0.5, yref: "paper", y0: 0, y1: 1, line: { color: ORANGE, width: 2 } },
          { type: "rect", xref: "paper", x0: 0, x1: 1, y0: state.layer - 0.5, y1: state.layer + 0.5, line: { color: ORANGE, width: 1, dash: "dot" } },
        ],
      }),
      on: {
        plotly_click: (event) => {
          const [t, i] = event.points[0].pointIndex ? event.points[0].pointIndex.slice().reverse() : [event.points[0].x, event.points[0].y];
          state.layer = Math.round(i);
          layers.choose(state.layer);
          playing.stop();
          go(Math.round(t));
          retitle();
        },
      },
    }));

    /* The profile along the layers at this step */

    const depth = () => state.series.layers.map((_, i) => i);
    drawn.push(chart(grid, {
      name: "track-profile", title: "", data,
      how: "The number at every layer, at the checkpoint of the slider; the band is its interval over fresh texts. Grey and dashed: the first checkpoint. Hollow: a doubtful layer.",
      height: 300,
      traces: (colours) => {
        const n = of(), t = state.place;
        return [
          band(depth(), n.low && n.low[t], n.high && n.high[t], "interval"),
          { type: "scatter", mode: "lines", x: depth(), y: n.values[0], line: { color: "soft", dash: "dash", width: 1.5 }, hoverinfo: "skip", name: "first checkpoint" },
          {
            type: "scatter", mode: "lines+markers", x: depth(), y: n.values[t], line: { color: BLUE, width: 2 }, name: text(stepName()),
            marker: { size: 8, color: depth().map((i) => (state.series.doubtful[t][i] ? colours.paper : BLUE)), line: { color: BLUE, width: 1.5 } },
            hovertext: depth().map((i) => cell(t, i)), hoverinfo: "text",
          },
        ];
      },
      layout: () => ({
        showlegend: true, xaxis: { title: { text: "layer" }, tickvals: depth(), ticktext: state.series.layers.map((l) => text(short(l))) },
        yaxis: { title: { text: text(of().label) }, type: of().log ? "log" : "linear", range: range(of()) },
      }),
    }));

    /* The layer along the steps */

    drawn.push(chart(grid, {
      name: "track-curve", title: "", data,
      how: "The number of the chosen layer along the training, with its interval over fresh texts. Shaded: the 95 % interval of the step at which it begins to change. Orange: the checkpoint of the slider.",
      height: 300,
      traces: (colours) => {
        const n = of(), i = state.layer, x = state.series.log_steps || !state.series.ordered ? state.series.steps.map((_, t) => t) : state.series.steps;
        return [
          band(x, n.low && column(n.low, i), n.high && column(n.high, i), "interval"),
          {
            type: "scatter", mode: state.series.ordered ? "lines+markers" : "markers", x, y: column(n.values, i), line: { color: BLUE, width: 2 },
            marker: { size: 7, color: x.map((_, t) => (state.series.doubtful[t][i] ? colours.paper : BLUE)), line: { color: BLUE, width: 1.5 } },
            hovertext: x.map((_, t) => cell(t, i)), hoverinfo: "text",
          },
        ];
      },
      layout: (_, { width }) => {
        const sideBySide = state.series.log_steps || !state.series.ordered, at = (step) => (sideBySide ? state.series.steps.indexOf(step) : step);
        const onset = of().onsets[state.layer], here = at(state.series.steps[state.place]);
        const shade = onset && at(onset[0]) >= 0 && at(onset[2]) >= 0
          ? [{ type: "rect", x0: at(onset[0]), x1: at(onset[2]), yref: "paper", y0: 0, y1: 1, fillcolor: faint(AMBER, 0.35), line: { width: 0 }, layer: "below" }] : [];
        return {
          showlegend: false, xaxis: { title: { text: state.series.ordered ? "training step" : "model" }, ...(sideBySide ? columns(width) : {}) },
          yaxis: { title: { text: text(of().label) }, type: of().log ? "log" : "linear", range: range(of()) },
          shapes: [...shade, { type: "line", x0: here, x1: here, yref: "paper", y0: 0, y1: 1, line: { color: ORANGE, width: 2 } }],
        };
      },
    }));

    /* The diagram of the layer at this step */

    const reach = () => Math.max(...known(state.series.bars.map((layers) => layers.map((bars) => bars.map(([, death]) => death)))).concat(0), 0.1) * 1.05;
    if (payload.series.some((s) => s.bars.some((layers) => layers.some((bars) => bars.length)))) {
      drawn.push(chart(grid, {
        name: "track-diagram", title: "",
        how: "The longest H1 bars of the chosen layer at the checkpoint of the slider, over the median distance of the cloud: the further above the diagonal, the more persistent.",
        data: () => ({ header: ["series", "step", "layer", "birth", "death"], rows: state.series.bars[state.place][state.layer].map(([b, d]) => [state.series.name, state.series.steps[state.place], layerName(), b, d]) }),
        height: 300,
        traces: () => {
          const bars = state.series.bars[state.place][state.layer], end = reach();
          return [
            { type: "scatter", mode: "lines", x: [0, end], y: [0, end], line: { color: "soft", width: 1 }, hoverinfo: "skip" },
            {
              type: "scatter", mode: "markers", x: bars.map((b) => b[0]), y: bars.map((b) => b[1]), marker: { size: 7, color: ORANGE, opacity: 0.75 },
              hovertext: bars.map(([b, d]) => `born ${number(b, 3)}, filled ${number(d, 3)}<br>lifetime ${number(d - b, 3)}`), hoverinfo: "text",
            },
          ];
        },
        layout: () => ({ showlegend: false, xaxis: { title: { text: "birth / median distance" }, range: [0, reach()] }, yaxis: { title: { text: "death / median distance" }, range: [0, reach()] } }),
      }));
    }

    function retitle() {
      const label = of().label, titles = [`${label}, every layer at every step`, `${label} along the layers`, `${label} of ${layerName()} along the steps`, `H1 of ${layerName()}`];
      drawn.forEach((one, k) => { one.retitle(titles[k]); one.update(); });
      say();
    }

    offer();
    state.place = last();
    retitle();
  };
})();
